"""Schedules refuse what cannot be meant, and name the field."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.errors import PoiseError, ScheduleError
from poise.schedule import (
    Constant,
    Cosine,
    Exponential,
    Gentle,
    Join,
    Linear,
    Phases,
    Piecewise,
    Warmup,
    from_dict,
    to_dict,
)

BAD: dict[str, tuple[Callable[[], object], str]] = {
    "text": (lambda: Constant("a"), "Constant: expected value to be a finite number, got 'a'"),
    "truth": (lambda: Constant(True), "Constant: expected value to be a finite number, got True"),
    "nan": (lambda: Linear(math.nan, 1.0, stop=1), "Linear: expected begin to be a finite number"),
    "infinite": (lambda: Cosine(0.0, math.inf, stop=1), "Cosine: expected end to be a finite"),
    "backwards": (
        lambda: Linear(0.0, 1.0, start=5, stop=4),
        "Linear: expected stop at or after start=5, got stop=4",
    ),
    "negative start": (
        lambda: Cosine(0.0, 1.0, start=-1, stop=4),
        "Cosine: expected start to be a whole number of optimizer steps, at least 0, got -1",
    ),
    "half a step": (
        lambda: Linear(0.0, 1.0, stop=4.5),
        "Linear: expected stop to be a whole number",
    ),
    "exponential from 0": (
        lambda: Exponential(0.0, 1.0, stop=4),
        "Exponential: expected begin and end of the same sign and not 0, got begin=0.0 and end=1.0",
    ),
    "exponential through 0": (lambda: Exponential(1.0, -1.0, stop=4), "of the same sign"),
    "too few values": (
        lambda: Piecewise((0.1, 0.2), steps=()),
        "Piecewise: expected one entry of steps for every piece but the first, that is 1, got 0",
    ),
    "no values": (
        lambda: Piecewise((), steps=()),
        "Piecewise: expected values to hold at least one",
    ),
    "value is no number": (
        lambda: Piecewise((0.1, "b"), steps=(3,)),
        r"expected values[1] to be a",
    ),
    "values are no tuple": (
        lambda: Piecewise(0.1, steps=()),
        "expected values to be a tuple, got 0.1",
    ),
    "equal steps": (
        lambda: Piecewise((0, 1, 2), steps=(3, 3)),
        "expected increasing steps, got (3, 3)",
    ),
    "first step 0": (
        lambda: Piecewise((0, 1), steps=(0,)),
        "expected steps[0] to be a whole number",
    ),
    "join of nothing": (lambda: Join((), steps=()), "Join: expected parts to hold at least one"),
    "join of text": (
        lambda: Join(("a",), steps=()),
        "Join: expected parts[0] to be a finite number",
    ),
    "fractions not increasing": (
        lambda: Phases((0, 1, 2), fractions=(0.6, 0.3), total_steps=10),
        "Phases: expected 2 increasing fractions between 0 and 1, one for every",
    ),
    "percent": (lambda: Phases((0, 1), fractions=(30,), total_steps=10), "between 0 and 1"),
    "phase from 0": (lambda: Phases((0, 1), fractions=(0.0,), total_steps=10), "between 0 and 1"),
    "no training": (
        lambda: Phases((0, 1), fractions=(0.5,), total_steps=0),
        "Phases: expected total_steps to be a whole number of optimizer steps, at least 1, got 0",
    ),
    "negative warm-up": (
        lambda: Warmup(0.1, steps=-1),
        "Warmup: expected steps to be a whole number",
    ),
    "share of all": (
        lambda: Gentle(0.1, share=1.0),
        "Gentle: expected share between 0 and 1, got 1.0",
    ),
    "no jump": (lambda: Gentle(0.1, share=0.5, jump=0.0), "Gentle: expected jump above 0"),
    "unknown kind": (
        lambda: from_dict({"schedule": "Liner"}),
        "got 'Liner'; did you mean 'Linear'?",
    ),
    "no kind": (
        lambda: from_dict({"value": 1.0}),
        "expected 'schedule' to be one of Constant, Linear",
    ),
    "other fields": (
        lambda: from_dict({"schedule": "Constant", "valeu": 1.0}),
        "from_dict: expected the fields value of Constant, got valeu",
    ),
    "bad value in JSON": (
        lambda: from_dict({"schedule": "Constant", "value": "x"}),
        "Constant: expected value to be a finite number",
    ),
    "own function": (lambda: to_dict(float), "to_dict: expected one of Constant"),
    "own function inside": (lambda: to_dict(Warmup(float, steps=1)), "to_dict: expected one of"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_refused(make: Callable[[], object], message: str) -> None:
    """Each mistake is an error that names the schedule, the field, what was expected and got."""
    with pytest.raises(ScheduleError, match=re.escape(message)):
        make()


def test_error_is_also_a_value_error() -> None:
    """Code that catches ValueError or PoiseError catches it."""
    assert issubclass(ScheduleError, ValueError)
    assert issubclass(ScheduleError, PoiseError)


def test_numbers_become_plain() -> None:
    """NumPy numbers and lists become what JSON and equality expect."""
    made = Linear(np.float32(0.5), np.int64(2), start=np.int32(1), stop=np.int64(9))
    assert repr(made) == "Linear(begin=0.5, end=2.0, start=1, stop=9)"
    assert Piecewise([0, 1], steps=[5]) == Piecewise((0.0, 1.0), steps=(5,))
    assert repr(Join((0.5, Constant(1.0)), steps=(3,))) == (
        "Join(parts=(Constant(value=0.5), Constant(value=1.0)), steps=(3,))"
    )


finite = st.floats(-1e300, 1e300)
step_numbers = st.integers(0, 10**7)


@settings(deadline=None)
@given(finite, finite, step_numbers, step_numbers, st.lists(step_numbers, min_size=1))
def test_ramps_stay_between_their_ends(
    begin: float, end: float, start: int, length: int, steps: list[int]
) -> None:
    """Linear and Cosine are monotone, never pass an end by rounding, and hit both exactly."""
    for kind in (Linear, Cosine):
        ramp = kind(begin, end, start=start, stop=start + length)
        steps = sorted(steps)
        found = [ramp(step) for step in steps]
        assert min(begin, end) <= min(found)
        assert max(found) <= max(begin, end)
        assert ramp(start + length) == end
        if length:
            assert ramp(start) == begin


positive = st.floats(1e-300, 1e300)


@settings(deadline=None)
@given(positive, positive, st.integers(1, 1000), st.integers(0, 1000), st.sampled_from([1, -1]))
def test_exponential_is_the_power(a: float, b: float, length: int, step: int, sign: int) -> None:
    """It equals begin * (end / begin) ** t in logarithms, for either sign."""
    ramp = Exponential(sign * a, sign * b, stop=length)
    t = min(1.0, step / length)
    expected = (1 - t) * math.log(a) + t * math.log(b)
    assert math.log(sign * ramp(step)) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 999))
def test_phases_begin_exactly(total_steps: int, thousandths: int) -> None:
    """The second phase begins at the first step that reaches its fraction of the training."""
    (start,) = Phases((0, 1), fractions=(thousandths / 1000,), total_steps=total_steps).starts
    assert 1000 * start >= thousandths * total_steps > 1000 * (start - 1)


@settings(deadline=None)
@given(
    st.floats(0.001, 0.999),
    st.floats(0.001, 0.5),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
    st.integers(0, 100),
)
def test_gentle_bounds_the_jump(
    share: float, jump: float, value: float, others: float, start: int
) -> None:
    """No step raises the total by more than `jump`; in the end the term has its share."""
    full = share / (1.0 - share) * others / value
    weight = Gentle(full, start=start, share=share, jump=jump)
    steps = range(start, weight.stop + 2)
    totals = np.array([others + weight(step) * value for step in steps])
    assert totals[0] == others
    assert np.all(np.diff(totals) >= 0.0)
    assert np.all(totals[1:] / totals[:-1] <= (1.0 + jump) * (1.0 + 1e-9))
    assert weight(weight.stop) == full
    assert full * value / totals[-1] == pytest.approx(share)
    # One step fewer would break the bound.
    assert (1.0 + jump) ** (weight.stop - start - 1) * others <= totals[-1] * (1.0 + 1e-9)


def test_warmup_is_the_linear_ramp() -> None:
    """A faded constant is the straight line between the same steps."""
    fade, line = Warmup(0.02, start=100, steps=40), Linear(0.0, 0.02, start=100, stop=140)
    for step in range(0, 200, 7):
        assert fade(step) == pytest.approx(line(step), rel=1e-14)


def test_own_functions_work_as_parts() -> None:
    """Any pure function of the step is a schedule."""
    assert Join((0.0, lambda step: 1.0 / step), steps=(4,))(8) == 0.125
