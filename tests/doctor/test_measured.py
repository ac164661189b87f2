"""What the probes say, in the words of findings from values."""

import numpy as np
import pytest

from poise.doctor.case import Case
from poise.doctor.measured import cosine, gradient_of, gradients_at, opposition, percent
from poise.doctor.rules.conflict import RisesWhileOthersFall
from poise.doctor.rules.jump import TotalJump
from poise.doctor.rules.out_of_scale import OutOfScale
from poise.doctor.shares import GRADIENT_UNKNOWN
from poise.run import Run
from tests.doctor.build import make_run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TERMS = {"a": fall(2, 1, RNG), "b": fall(2, 1, RNG)}


def with_cosine(mean: float, probes: int = 40) -> Case:
    """Two terms whose gradients have a cosine around `mean`."""
    values = mean + 0.05 * RNG.standard_normal(probes)
    shares = {"a": np.full(probes, 0.75), "b": np.full(probes, 0.25)}
    return Case(watched(TERMS, shares=shares, cosines={("a", "b"): values}))


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100%"), (0.0996, "10%"), (0.0994, "9.9%"), (0.00999, "1%"), (1.23e-9, "0.00000012%")],
)
def test_a_share_keeps_two_digits(share: float, text: str) -> None:
    """However small it is; from 10% on it is whole."""
    assert percent(share) == text


def test_the_share_is_told_where_it_was_measured() -> None:
    """A run without probes says that a watch would tell, a watched one never does."""
    case = with_cosine(0.0)
    assert gradient_of(case, "b").startswith("'b' has 25% of the gradient")
    assert "its terms" in gradient_of(case, "total")
    assert gradient_of(Case(make_run(TERMS)), "a") == GRADIENT_UNKNOWN


def test_the_share_before_and_after_a_step() -> None:
    """Means of the three probes on either side."""
    share = np.repeat([0.1, 0.6], 10)
    run = watched(TERMS, shares={"a": share, "b": 1 - share}, probe_steps=np.arange(20) * 10)
    assert "from 10% to 60%" in gradients_at(Case(run), ("a",), 100)
    assert "'a' has" in gradients_at(Case(run), ("a",), 1000)


def test_opposition_is_decided_by_the_interval() -> None:
    """Opposed, not opposed, open, and not measured."""
    assert "Separate" in opposition(with_cosine(-0.5), "a", "b")[1]
    assert "does not oppose" in opposition(with_cosine(0.2), "b", "a")[1]
    assert "Measure longer" in opposition(with_cosine(-0.1), "a", "b")[1]
    assert cosine(with_cosine(-0.5, probes=3), "a", "b") is None
    assert "Measure longer" in opposition(with_cosine(-0.5, probes=3), "a", "b")[1]
    silent = Case(watched(TERMS | {"c": fall(2, 1, RNG)}, shares={"a": 0.5, "b": 0.5}))
    assert "sends no gradient" in opposition(silent, "c", "a")[0]
    assert opposition(Case(make_run(TERMS)), "a", "b") == ("", "")


def rising() -> dict[str, np.ndarray]:
    """One term that rises, one that falls."""
    return {"a": fall(2, 0.5, RNG), "b": 4 - fall(2, 1, RNG)}


def outlier() -> dict[str, np.ndarray]:
    """A term that grows a million times."""
    return {"a": fall(2, 1, RNG), "b": fall(2, 1, RNG), "c": np.geomspace(1, 1e6, 200)}


def stepped() -> dict[str, np.ndarray]:
    """A term that starts at once in the middle."""
    return {"a": 2 + 0.01 * RNG.standard_normal(200), "b": 5.0 * (np.arange(200) >= 100)}


@pytest.mark.parametrize(
    ("rule", "terms"),
    [(RisesWhileOthersFall(), rising()), (OutOfScale(), outlier()), (TotalJump(), stepped())],
    ids=["rises", "out-of-scale", "jump"],
)
def test_no_watched_run_is_told_to_attach_a_watch(
    rule: OutOfScale, terms: dict[str, np.ndarray]
) -> None:
    """The same values without probes are."""

    def said(run: Run) -> str:
        (one,) = found_by(rule, run)
        return one.summary + one.action

    assert "poise.Watch" in said(make_run(terms))
    share = 1 / len(terms)
    assert "poise.Watch" not in said(watched(terms, shares=dict.fromkeys(terms, share)))
