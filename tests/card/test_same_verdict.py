"""One verdict from many comparisons."""

import pytest
import torch

from poise.card.same_answer import Answer
from poise.card.same_judge import Match, match
from poise.card.same_verdict import Relation, Verdict, merged, relation


def compared(value: float, slope: float, other_value: float, other_slope: float) -> Match:
    """A comparison of two answers with one gradient each."""
    pair = [
        Answer(
            value=torch.tensor([v], dtype=torch.float64),
            gradients=(torch.tensor([g], dtype=torch.float64),),
            gradient_noise=(0.0,),
        )
        for v, g in ((value, slope), (other_value, other_slope))
    ]
    return match(pair[0], pair[1], 1e-12)


CASES = [
    ([(1, 1, 1, 1), (5, 2, 5, 2)], Verdict.IDENTICAL, 1.0, 0.0),
    ([(1, 1, 3, 3), (5, 2, 15, 6)], Verdict.SCALED, 3.0, 0.0),
    ([(1, 1, 4, 1), (5, 2, 8, 2)], Verdict.OFFSET, 1.0, 3.0),
    ([(1, 1, 4, 2), (5, 2, 12, 4)], Verdict.SCALED, 2.0, 2.0),
    ([(1, 1, 1, 1), (5, 2, 5, 4)], Verdict.SAME_DIRECTION, None, None),
    ([(1, 1, 1, 1), (5, 2, 9, 2)], Verdict.SAME_DIRECTION, 1.0, None),
    ([(1, 0, 1, 0), (5, 0, 5, 0)], Verdict.IDENTICAL, 1.0, 0.0),
    ([(1, 0, 2, 0), (5, 0, 6, 0)], Verdict.OFFSET, 1.0, 1.0),
    ([(1, 0, 2, 0), (5, 0, 9, 0)], Verdict.DIFFERENT, None, None),
]


@pytest.mark.parametrize(("rows", "verdict", "factor", "offset"), CASES)
def test_relation(
    rows: list[tuple[float, float, float, float]],
    verdict: Verdict,
    factor: float | None,
    offset: float | None,
) -> None:
    """The closest relation that explains values and gradients."""
    found = relation([compared(*row) for row in rows])
    assert found.verdict is verdict
    assert found.factor == (None if factor is None else pytest.approx(factor))
    assert found.offset == (None if offset is None else pytest.approx(offset))


def test_merged_takes_the_worst() -> None:
    """One shape at which only the direction agrees decides."""
    parts = [
        Relation(verdict=Verdict.IDENTICAL, factor=1.0, offset=0.0),
        Relation(verdict=Verdict.SAME_DIRECTION, span=(0.5, 2.0)),
    ]
    found = merged(parts)
    assert (found.verdict, found.factor, found.span) == (Verdict.SAME_DIRECTION, None, (0.5, 2.0))


def test_ranks_are_in_order() -> None:
    """From identical to different."""
    assert [one.rank for one in Verdict] == [0, 1, 2, 3, 4]
