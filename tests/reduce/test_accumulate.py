"""The exact mean whatever the accumulation."""

import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from poise.errors import ReductionError
from poise.reduce import GlobalMean, Reduced, masked_mean, masked_sum


def part(value: float = 1.0, count: int = 2) -> Reduced:
    """A micro-batch without graph."""
    return Reduced(sum=torch.tensor(value), count=count)


def accumulate(
    mean: GlobalMean, weight: Tensor, data: Tensor, mask: Tensor, cuts: list[int]
) -> None:
    """Back-propagates the data in pieces."""
    weight.grad = None
    edges = sorted({0, len(data), *cuts})
    for a, b in pairwise(edges):
        mean(masked_mean((weight - data[a:b]) ** 2, mask[a:b])).backward()


@settings(deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=8),
    st.integers(0, 2**31),
)
def test_any_accumulation_gives_the_exact_gradient(
    kept: list[bool], cuts: list[int], seed: int
) -> None:
    """However the data are cut, both ways give the gradient and value of the mean over all."""
    torch.manual_seed(seed)
    mask, weight = torch.tensor(kept), torch.zeros((), dtype=torch.float64, requires_grad=True)
    data = torch.randn(len(kept), dtype=torch.float64)
    cuts = [min(one, len(kept)) for one in cuts]
    count = int(mask.sum())
    exact = -2.0 * data[mask].sum() / max(count, 1)
    value = (data[mask] ** 2).sum() / max(count, 1)

    known = GlobalMean(total=count)
    accumulate(known, weight, data, mask, cuts)
    torch.testing.assert_close(weight.grad, exact)
    torch.testing.assert_close(known.finish().value, value)

    later = GlobalMean(guess=7.0)
    accumulate(later, weight, data, mask, cuts)
    torch.testing.assert_close(later.finish([weight]).value, value)
    torch.testing.assert_close(weight.grad, exact)


def test_values_add_up() -> None:
    """The scalars of the micro-batches sum to the mean."""
    mean = GlobalMean(total=torch.tensor(10))
    assert float(mean(part(6.0, 4)) + mean(part(9.0, 6))) == pytest.approx(1.5)


def test_parameters_without_gradient_are_left_alone() -> None:
    """A correction does not invent gradients."""
    mean, weight = GlobalMean(), torch.zeros((), requires_grad=True)
    mean(part())
    mean.finish([weight])
    assert weight.grad is None


def test_nothing_is_fetched_from_the_device_before_the_end() -> None:
    """On the meta device, where looking at a number raises, all micro-batches can be given."""
    values = torch.zeros(4, device="meta", requires_grad=True)
    for mean in (
        GlobalMean(total=torch.ones((), device="meta")),
        GlobalMean(total=8),
        GlobalMean(),
    ):
        for _ in range(2):
            mean(masked_mean(values)).backward()


def test_repr() -> None:
    """The object says how it gets its count."""
    assert repr(GlobalMean(total=4)) == "GlobalMean(total=4, averaged=True)"
    assert repr(GlobalMean(guess=8, averaged=False)) == "GlobalMean(guess=8, averaged=False)"


def test_wrong_total_is_noticed() -> None:
    """Micro-batches that do not add up to the total are an error, with both counts."""
    mean = GlobalMean(total=404)
    mean(part(1.0, 400))
    message = "expected micro-batches with a count of 404 in all, got 400; one is missing"
    with pytest.raises(ReductionError, match=message):
        mean.finish()


@pytest.mark.parametrize("total", [200001, 200001.0, torch.tensor(200001), torch.tensor(200001.0)])
def test_whole_counts_are_compared_exactly(total: Tensor | float) -> None:
    """One too many among 200000 is noticed, however the total is given."""
    mean = GlobalMean(total=total)
    mean(part(1.0, 200000))
    with pytest.raises(ReductionError, match="a count of 200001 in all, got 200000; one is"):
        mean.finish()
    exact = GlobalMean(total=total)
    exact(part(1.0, 200001))
    assert int(exact.finish().count) == 200001


def test_what_a_float32_total_cannot_hold_is_no_mismatch() -> None:
    """2**24 + 1 is 2**24 in float32; a difference beyond that is noticed."""
    for count, fits in ((2**24 + 1, True), (2**24 + 9, False)):
        mean = GlobalMean(total=torch.tensor(float(2**24)))
        mean(part(1.0, count))
        if fits:
            mean.finish()
            continue
        with pytest.raises(ReductionError, match="expected micro-batches with a count of 16777216"):
            mean.finish()


def test_weights_are_compared_to_rounding() -> None:
    """Sums of fractions differ in their last bits; a missing weight does not pass."""
    weights = torch.rand(1000)
    mean = GlobalMean(total=weights.sum())
    for one in weights.split(7):
        mean(Reduced(sum=one.sum(), count=one.sum()))
    mean.finish()
    mean = GlobalMean(total=weights.sum())
    mean(Reduced(sum=weights[1:].sum(), count=weights[1:].sum()))
    with pytest.raises(ReductionError, match="one is missing or counted twice"):
        mean.finish()


def test_a_parameter_listed_twice_is_corrected_once() -> None:
    """Tied parameters share one gradient."""
    weight = torch.zeros((), requires_grad=True)
    mean = GlobalMean()
    mean(masked_mean((weight - 1.0) * torch.ones(4))).backward()
    mean.finish(one for one in (weight, weight))
    assert weight.grad.item() == 1.0


def test_wrong_use() -> None:
    """Each mistake says what was expected."""
    with pytest.raises(ReductionError, match=re.escape("expected guess above 0, got 0")):
        GlobalMean(guess=0)
    with pytest.raises(ReductionError, match="GlobalMean: total: expected a count of 0 or more"):
        GlobalMean(total=-1)
    with pytest.raises(ReductionError, match="expected at least one micro-batch, got none"):
        GlobalMean().finish()
    with pytest.raises(ReductionError, match="expected a mean, got a Reduced of reduction 'sum'"):
        GlobalMean()(masked_sum(torch.ones(2)))
    known, later = GlobalMean(total=2), GlobalMean()
    known(part())
    later(part())
    with pytest.raises(ReductionError, match="exactly when total was not given: total=None"):
        later.finish()
    with pytest.raises(ReductionError, match=r"a list of parameters, got one tensor; pass \[par"):
        later.finish(torch.ones(2))
    with pytest.raises(ReductionError, match="total=2, parameters given"):
        known.finish([])
    known.finish()
    with pytest.raises(ReductionError, match="already finished; make a new one for each step"):
        known(part())
