"""What would move a term that its share keeps still: on runs whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.doctor.case import Case
from poise.doctor.rules.share_declared import ShareTooSmall
from poise.doctor.wish import Wish, aligned, wish_of, wishes
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

RECORDS = 400


def line(start: float, end: float, noise: float = 0.02) -> np.ndarray:
    """A term that falls in a straight line, with some noise."""
    rng = np.random.default_rng(1)
    return np.linspace(start, end, RECORDS) + noise * rng.standard_normal(RECORDS)


def run(share: float, end: float, **given_: object) -> Run:
    """A task `big` that learns and one `small` that goes from 16 to `end` at a share."""
    big = fall(2.0, 0.4, np.random.default_rng(0), count=RECORDS)
    terms = {"big": big, "small": line(16.0, end)}
    shares = {"big": [1 - share] * 8, "small": [share] * 8}
    cosines = given_.pop("cosines", {("big", "small"): [0.0] * 8})
    return watched(terms, shares=shares, cosines=cosines, **given_)  # type: ignore[arg-type]  # passed on


def seen(share: float, end: float, **given_: object) -> Wish:
    """The wish about `small`."""
    found = wish_of(Case(run(share, end, **given_)), "small")
    assert found is not None
    return found


def test_the_fall_and_the_gain_are_those_of_a_plane() -> None:
    """Orthogonal terms at 10%: 0.1 / |(0.1, 0.9)| of the step is the term's own, all is 9.06."""
    one = seen(0.1, 15.5)
    assert one.fall == pytest.approx(0.5, rel=0.1)
    assert one.low < 0.5 < one.high
    assert one.gain == pytest.approx(np.hypot(0.1, 0.9) / 0.1, rel=1e-6)
    assert one.goal == pytest.approx(0.3 * 15.5, rel=0.01)
    assert (one.steps, one.confidence) == (RECORDS, "fair")


def test_a_share_that_reaches_the_goal_is_found() -> None:
    """At 1% and a fall of 0.5 ten times the pace is enough: some 10%."""
    one = seen(0.01, 15.5)
    assert one.needed is not None
    pace = aligned(np.array([1 - one.needed, one.needed]), np.eye(2), 1)
    assert one.low * pace / aligned(np.array([0.99, 0.01]), np.eye(2), 1) >= one.goal
    assert 0.08 < one.needed < 0.2
    assert one.unit == 1.0
    assert "Declare a share of" in one.action


def test_where_no_share_is_enough_the_output_must_grow() -> None:
    """At 30% even the whole gradient is 2.5 times the pace; the goal is ten times the fall."""
    one = seen(0.3, 15.5)
    assert one.needed is None
    assert one.unit is not None
    assert one.unit * one.low * one.gain * 0.95 == pytest.approx(one.goal, rel=0.02)
    assert 0.7 < one.wish < 0.8
    assert "no share alone" in one.action


def test_a_term_that_keeps_up_or_is_no_task_needs_nothing() -> None:
    """Near misses: it falls by half; it is a regulariser; 0 is meant; nothing moves at all."""
    assert wish_of(Case(run(0.1, 8.0)), "small") is None
    quiet = run(0.1, 15.5, declared={"roles": {"small": "regulariser"}})
    assert wish_of(Case(quiet), "small") is None
    assert not wishes(Case(run(0.1, 15.5)), {"big": 1.0, "small": 0.0})
    assert not wishes(Case(run(0.1, 15.5, motion={"trunk": [0.0] * 8})), {"small": 0.1})
    assert len(wishes(Case(run(0.1, 15.5, motion={"trunk": [1e-3] * 8})), {"small": 0.1})) == 1


def test_a_fall_that_may_be_none_is_poor_evidence() -> None:
    """A flat term: the hopeful end of the interval bounds what a share can bring."""
    one = seen(0.1, 16.0)
    assert one.low < 0
    assert one.confidence == "poor"
    assert one.needed is None
    assert one.unit is None or one.unit > 5


def test_opposed_gradients_leave_less() -> None:
    """The same share moves a term less if the others pull against it."""
    opposed = seen(0.3, 15.5, cosines={("big", "small"): [-0.3] * 8})
    assert opposed.gain > seen(0.3, 15.5).gain


def test_steps_that_are_left_count() -> None:
    """Declared to be twice as long: there is one more run's worth of steps."""
    one = seen(0.1, 15.5, declared={"total_steps": 3 * RECORDS})
    assert one.steps == 2 * RECORDS


def test_the_rule_gives_the_same_advice() -> None:
    """`share-too-small` names the share that was derived."""
    wished = {"declared": {"shares": {"big": 0.9, "small": 0.1}}}
    (found,) = found_by(ShareTooSmall(), run(0.1, 15.5, **wished))
    assert found.action == seen(0.1, 15.5).action


@given(
    parts=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=5),
    seed=st.integers(0, 1000),
)
def test_aligned_is_the_cosine(parts: list[float], seed: int) -> None:
    """Against vectors of the given lengths."""
    draw = np.random.default_rng(seed).standard_normal((len(parts), 8))
    unit = draw / np.linalg.norm(draw, axis=1, keepdims=True)
    whole = np.array(parts) @ unit
    expected = float(unit[0] @ whole / np.linalg.norm(whole))
    assert aligned(np.array(parts), unit @ unit.T, 0) == pytest.approx(expected, abs=1e-9)
