"""Value shares: what counts, with which weight."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poise.doctor.case import Case
from poise.doctor.shares import Shares, value_shares
from tests.doctor.build import make_run


def shares_of(*args: object, **given: object) -> Shares:
    """Shares of the longest stretch of a made-up run."""
    case = Case(make_run(*args, **given))  # type: ignore[arg-type]
    found = value_shares(case, case.stretches[0])
    assert found is not None
    return found


@given(st.lists(st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-6), min_size=2, max_size=6))
def test_shares_add_up_to_one(levels: list[float]) -> None:
    """Signs do not matter: shares are of absolute values."""
    got = shares_of({f"t{i}": np.full(10, level) for i, level in enumerate(levels)})
    assert np.allclose(got.values.sum(axis=1), 1)
    assert np.isclose(got.of("t0"), abs(levels[0]) / sum(abs(one) for one in levels))


def test_weights_logged_beat_fitted_ones_and_zero_removes_a_term() -> None:
    """Block by block where logged; a term that the total ignores has no share."""
    terms = {"a": np.ones(10), "b": np.ones(10), "c": np.ones(10)}
    history = {"a": np.repeat([1.0, 3.0], 5)}
    got = shares_of(terms, weights={"c": 0.0}, weight_history=history)
    assert got.names == ("a", "b")
    assert got.known
    assert got.values[:, 0].tolist() == [0.5] * 5 + [0.75] * 5


def test_weights_from_too_few_records_are_unknown() -> None:
    """Three records fit any four weights."""
    assert not shares_of({name: np.ones(3) for name in "abcd"}).known
    assert shares_of({name: np.ones(3) for name in "abcd"}, source="declared").known
    assert not shares_of({name: np.ones(30) for name in "ab"}, total=None).known


def test_families_are_summed_and_single_terms_have_no_shares() -> None:
    """Copies at several layers count as one; one term alone has nothing to share with."""
    got = shares_of({"dice_0": np.ones(9), "dice_1": np.ones(9), "mask": 2 * np.ones(9)})
    assert np.allclose(got.of_family("dice"), 0.5)
    case = Case(make_run({"a": np.ones(9), "b": np.zeros(9)}))
    assert value_shares(case, case.stretches[0]) is None


def test_huge_values_stay_finite() -> None:
    """Products beyond the largest float are cut, not infinite."""
    got = shares_of(
        {"a": np.full(9, 1e300), "b": np.full(9, 1.0)}, weights={"a": 1e200}, total=None
    )
    assert np.isfinite(got.values).all()
