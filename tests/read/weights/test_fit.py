from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.read.weights.fit import fit, plain
from poise.run import Floats

NICE = (0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 45.0, 100.0)


def made(seed: int, rows: int, count: int) -> Floats:
    """Terms that fall at different rates and swing around their trend."""
    rng = np.random.default_rng(seed)
    fall = np.exp(-np.linspace(0, 3, rows))[:, None] ** rng.uniform(0, 1, count)
    return 10.0 ** rng.uniform(-1, 1, count) * fall * rng.lognormal(0.0, 0.3, (rows, count))


@given(st.integers(0, 10_000), st.integers(1, 9), st.lists(st.sampled_from(NICE), min_size=9))
def test_full_precision_gives_every_weight(seed: int, count: int, picked: list[float]) -> None:
    """Unrounded numbers give the weights exactly, or none where a weight moves nothing."""
    truth = np.array(picked[:count])
    terms = made(seed, 120, count)
    total = terms @ truth
    found = fit(total, terms)
    if not total.any():
        assert set(found.weights) == {None}
        return
    assert found.exact
    pairs = zip(found.weights, truth.tolist(), strict=True)
    assert all(one is None or one == pytest.approx(true, abs=3e-3) for one, true in pairs)
    assert sum(one is None for one in found.weights) <= count // 2


def rounded(seed: int) -> tuple[Floats, Floats, Floats]:
    """Total, terms and weights of a log that prints three to five decimals or digits."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(NICE[3:], int(rng.integers(1, 7)))
    form = f".{rng.integers(3, 6)}{rng.choice(['f', 'g'])}"
    printed = np.vectorize(lambda one: float(format(one, form)), otypes=[float])
    terms = made(seed, 300, len(truth))
    return printed(terms @ truth), printed(terms), truth


def test_rounded_numbers_give_the_weights_or_none() -> None:
    """Of 400 rounded logs nearly all are exact, and hardly one names a weight that is wrong."""
    exact = wrong = named = 0
    for seed in range(400):
        total, terms, truth = rounded(seed)
        found = fit(total, terms)
        exact += found.exact
        pairs = list(zip(found.weights, truth.tolist(), strict=True))
        named += sum(one is not None for one, _ in pairs)
        wrong += any(one is not None and abs(one - w) > 0.1 * w + 4e-3 for one, w in pairs)
    assert (exact >= 385, wrong <= 2, named >= 900) == (True, True, True), (exact, wrong, named)


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 2))
def test_plain_sum_needs_one_record_only(seed: int, count: int, rows: int) -> None:
    """The sum has nothing to fit, so a single record can confirm it."""
    terms = made(seed, rows, count)
    found = fit(terms.sum(axis=1), terms)
    assert found.exact
    assert found.weights == (1.0,) * count


@given(st.integers(0, 10_000), st.integers(3, 8))
def test_too_few_records_give_no_weights(seed: int, count: int) -> None:
    """With fewer records than weights any total could be explained, so none is."""
    terms = made(seed, count, count)
    found = fit(terms @ np.linspace(0.3, 2.7, count), terms)
    assert not found.exact
    assert set(found.weights) == {None}


def test_a_silent_term_has_no_weight() -> None:
    """A term that is 0 throughout may have any weight."""
    terms = made(1, 100, 3)
    terms[:, 1] = 0.0
    assert fit(terms @ [1.0, 7.0, 5.0], terms).weights == (1.0, None, 5.0)
    assert fit(terms.sum(axis=1), terms).weights == (1.0, None, 1.0)


def test_twins_have_no_weight_where_each_would_do() -> None:
    """The same column twice: nobody can tell which of the two is in the total."""
    terms = made(2, 100, 2)
    found = fit(terms @ [3.0, 1.0], np.column_stack([terms, terms[:, 1]]))
    assert found.exact
    assert found.weights == (3.0, None, None)


def test_a_proportional_column_outside_the_total_is_told_apart_by_simplicity() -> None:
    """With weights 0 and 1 only, one of two proportional columns fits."""
    terms = made(3, 100, 2)
    found = fit(terms.sum(axis=1), np.column_stack([terms, 2.0 * terms[:, 1]]))
    assert found.weights == (1.0, 1.0, 0.0)


def test_mean_of_terms() -> None:
    """A mean is not mistaken for fitted weights."""
    terms = made(4, 5, 3)
    found = fit(terms.mean(axis=1), terms)
    assert found.weights == (1 / 3,) * 3
    assert "mean" in found.why


def test_negative_terms_need_no_negative_weights() -> None:
    """An entropy bonus enters with a negative weight, a negative loss with a positive one."""
    terms = made(5, 200, 3) * [1.0, -1.0, 1.0]
    assert fit(terms @ [1.0, 0.5, -0.01], terms).weights == (1.0, 0.5, -0.01)


def test_a_large_start_does_not_hide_the_end() -> None:
    """A term that matters only after an early burst of another is not lost."""
    late = np.random.default_rng(6).uniform(0.1, 0.2, 400)
    burst = np.where(np.arange(400) < 20, 1e6, 1.0) * np.random.default_rng(7).uniform(1, 2, 400)
    terms = np.column_stack([burst, late])
    assert fit(terms @ [1.0, 0.0], terms).weights == (1.0, 0.0)
    assert fit(terms @ [1.0, 2.0], terms).weights == (1.0, 2.0)


def test_weights_that_change_are_noticed() -> None:
    """A weight that is switched on half way is reported with its last value, and said."""
    terms = made(8, 800, 2)
    gate = np.where(np.arange(800) < 400, 0.1, 2.0)
    found = fit(terms[:, 0] + gate * terms[:, 1], terms)
    assert found.exact
    assert found.weights == (1.0, 2.0)
    assert "change" in found.why


@pytest.mark.parametrize("places", [4, 12])
@pytest.mark.parametrize("until", [0.4, 1.0])
def test_a_term_that_is_faded_in_is_followed(until: float, places: int) -> None:
    """A weight that rises over the run is neither averaged nor called a remainder."""
    terms = made(13, 400, 3).round(places) + 1.0
    beta = np.clip(np.arange(400) / (400 * until), 0.0, 1.0) * 0.5
    total = (terms[:, 0] + terms[:, 1] + beta * terms[:, 2]).round(places)
    found = fit(total, terms)
    assert found.exact
    assert found.weights[:2] == (1.0, 1.0)
    assert found.weights[2] == pytest.approx(0.5, abs=2e-3)
    assert "weight" in found.why


def test_an_unlogged_term_is_left_over() -> None:
    """What no logged term explains stays as a remainder of the right size."""
    rng = np.random.default_rng(9)
    terms = made(9, 300, 2)
    hidden = rng.uniform(0.1, 0.2, 300) * terms.sum(axis=1)
    found = fit(terms.sum(axis=1) + hidden, terms)
    assert not found.exact
    assert found.remainder == pytest.approx(float(np.median(hidden)), rel=0.3)


@given(st.integers(0, 500))
def test_medians_scatter_around_the_sum(seed: int) -> None:
    """Medians of windows do not add up; that is neither exact nor something missing."""
    rng = np.random.default_rng(seed)
    raw = rng.lognormal(0.0, 0.2, (200, 20, 4)) * [5.0, 3.0, 2.0, 1.0]
    found = fit(np.median(raw.sum(axis=2), axis=1), np.median(raw, axis=1))
    assert not found.exact
    assert found.weights == (1.0,) * 4
    assert abs(found.remainder) < 0.05 * 11


def test_non_finite_records_are_left_out() -> None:
    """NaN and infinity are no reason to give up the other records."""
    terms = made(10, 60, 2)
    total = terms @ [1.0, 5.0]
    total[3], terms[7, 0] = np.nan, np.inf
    found = fit(total, terms)
    assert (found.weights, found.records) == ((1.0, 5.0), 58)


@pytest.mark.parametrize(
    "spoil", [lambda total: total * 0.0, lambda total: total * np.nan], ids=["zero", "nan"]
)
def test_nothing_to_fit(spoil: Callable[[Floats], Floats]) -> None:
    """A total without information leaves all weights unknown, with NaN for the residual."""
    terms = made(11, 20, 2)
    found = fit(spoil(terms.sum(axis=1)), terms)
    assert found.weights == (None, None)
    assert not found.exact
    assert np.isnan(found.residual)


def test_plain_only_checks() -> None:
    """`plain` says whether the sum holds and searches for nothing."""
    terms = made(12, 30, 2)
    assert plain(terms.sum(axis=1), terms).exact
    assert not plain(terms @ [1.0, 2.0], terms).exact
    assert not plain(np.zeros(30), terms).exact
