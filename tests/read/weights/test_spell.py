"""Fits in the words of a run."""

from poise.read.weights.problem import Fit
from poise.read.weights.spell import spelled
from poise.run import TermWeight

FIT = Fit(
    weights=(2.0, None, 0.0),
    residual=0.25,
    tolerance=0.5,
    exact=True,
    remainder=-1.0,
    records=7,
    why="Made up.",
)


def test_every_term_is_told_with_what_is_known_of_it() -> None:
    """A weight of zero is fitted; one that the values hide or that took no part is unknown."""
    found = spelled("loss", ["b", "c", "d"], FIT, ["a", "b", "c", "d"])
    assert found.terms == (
        TermWeight(name="a", weight=None, source="unknown"),
        TermWeight(name="b", weight=2.0, source="fitted"),
        TermWeight(name="c", weight=None, source="unknown"),
        TermWeight(name="d", weight=0.0, source="fitted"),
    )
    assert (found.total, found.residual, found.tolerance, found.exact) == ("loss", 0.25, 0.5, True)
    assert (found.remainder, found.records, found.why) == (-1.0, 7, "Made up.")
