"""One verdict a quantity, each with its near miss."""

import numpy as np
import pytest

from poise.comparing.comparison import Change, Verdict
from poise.comparing.course import Quantity
from poise.comparing.judge import different, judge
from tests.comparing.build import course, falling, noisy


def judged(before: np.ndarray, after: np.ndarray, sign: int = 1) -> Change:
    """The verdict on one term of one run a side."""
    size = min(len(before), len(after))
    one = Quantity(
        name="ce",
        split="train",
        kind="term",
        sign=sign,
        before=(course(before),),
        after=(course(after),),
        end=float(size - 1),
    )
    return judge(one, 1)


def low(seed: int, end: float = 1.0) -> np.ndarray:
    """A training that ends at a level."""
    return noisy(falling(3.0, end), seed)


@pytest.mark.parametrize(
    ("after", "sign", "verdict"),
    [
        (low(1, 0.5), 1, Verdict.BETTER),
        (low(1, 1.6), 1, Verdict.WORSE),
        (low(1, 1.6), -1, Verdict.BETTER),
        (low(1, 1.6), 0, Verdict.CHANGED),
        (low(1, 1.05), 1, Verdict.NO_EFFECT),
        (low(0) * 0.5, 1, Verdict.RESCALED),
        (low(1) * 10, 1, Verdict.RESCALED),
        (noisy(falling(30.0, 5.0), 1), 1, Verdict.DIFFERENT_OBJECTIVE),
        (np.where(np.arange(200) > 150, np.nan, low(1)), 1, Verdict.WORSE),
        (np.ones(2), 1, Verdict.TOO_FEW),
    ],
)
def test_verdicts(after: np.ndarray, sign: int, verdict: Verdict) -> None:
    """Against a training that ends at 1."""
    assert judged(low(0), after, sign).verdict is verdict


def test_identical_values_are_said_to_be() -> None:
    """Record by record the same is more than no effect."""
    found = judged(low(0), low(0))
    assert found.verdict is Verdict.NO_EFFECT
    assert found.why == "the values are identical, record by record"
    assert found.difference == 0.0


def test_the_interval_holds_the_difference_and_decides() -> None:
    """No effect is where it holds zero."""
    for end in (0.5, 1.05):
        found = judged(low(0), low(1, end))
        assert found.low < found.difference < found.high
        assert (found.low < 0 < found.high) == (found.verdict is Verdict.NO_EFFECT)


def test_values_of_one_size_on_the_way_down_are_not_rescaled() -> None:
    """A term that falls faster has no constant factor."""
    faster = noisy(falling(3.0, 1.0, pace=5.0), 1)
    assert judged(low(0), faster).verdict is Verdict.NO_EFFECT


def test_numbers_stay_under_another_verdict() -> None:
    """A total of another objective keeps its numbers and has no say."""
    found = judged(low(0), low(1, 0.5))
    other = different(found, "weights")
    assert other.verdict is Verdict.DIFFERENT_OBJECTIVE
    assert (other.difference, other.counts) == (found.difference, False)


def test_what_one_pair_cannot_tell_is_said() -> None:
    """A difference beyond the noise that another seed may make asks for more seeds."""
    found = judged(low(0), low(1, 1.05))
    assert found.verdict is Verdict.NO_EFFECT
    assert found.why.startswith("more than the noise within the runs, less than another seed may")
