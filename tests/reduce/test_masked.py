"""Reductions under a mask, against plain NumPy loops."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from poise.errors import ReductionError
from poise.reduce import (
    Reduced,
    masked_mean,
    masked_sum,
    per_feature,
    per_sample,
    per_sequence,
    per_token,
)


def reference_sequence(values: np.ndarray, mask: np.ndarray) -> tuple[float, int]:
    """Mean of means, one row at a time."""
    means = [
        row[kept].sum() / kept.sum() for row, kept in zip(values, mask, strict=True) if kept.any()
    ]
    return sum(means), len(means)


REFERENCES: dict[str, tuple[Callable[..., Reduced], int, Callable[..., tuple[float, int]]]] = {
    "masked_mean": (masked_mean, 3, lambda v, m: (v[m].sum(), m.sum())),
    "masked_sum": (masked_sum, 3, lambda v, m: (v[m].sum(), m.sum())),
    "per_token": (per_token, 2, lambda v, m: (v[m].sum(), m.sum())),
    "per_sample": (per_sample, 1, lambda v, m: (v[m].sum(), m.sum())),
    "per_sequence": (per_sequence, 2, reference_sequence),
}
every = pytest.mark.parametrize("name", REFERENCES)


@every
@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3)),
    seed=st.integers(0, 2**31),
    kept=st.floats(0.0, 1.0),
)
def test_against_numpy(name: str, shape: tuple[int, int, int], seed: int, kept: float) -> None:
    """Sum, count and value equal a plain loop; masked positions may hold anything."""
    function, dims, reference = REFERENCES[name]
    rng = np.random.default_rng(seed)
    values, mask = rng.normal(size=shape), rng.random(shape[:dims]) < kept
    poisoned = np.where(mask.reshape(*mask.shape, *[1] * (3 - dims)), values, np.nan)
    found = function(torch.from_numpy(poisoned), torch.from_numpy(mask))
    total, count = reference(values, mask)
    assert found.sum.item() == pytest.approx(total, abs=1e-12)
    assert int(found.count) == count
    assert found.value.item() == pytest.approx(
        total / (count or 1) if name != "masked_sum" else total, abs=1e-12
    )


@every
def test_gradient_is_that_of_the_value(name: str) -> None:
    """Autograd agrees with finite differences, and masked positions get exactly 0."""
    function, dims, _ = REFERENCES[name]
    values = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.rand((3, 4, 2)[:dims]) < 0.6
    mask.view(-1)[0] = True
    assert torch.autograd.gradcheck(lambda x: function(x, mask).value, values)
    (grad,) = torch.autograd.grad(function(values, mask).value, values)
    assert not grad[~mask].any()


@every
def test_nothing_kept(name: str) -> None:
    """An all-false mask gives value 0, count 0 and gradient 0, even over NaN and infinity."""
    function, dims, _ = REFERENCES[name]
    values = torch.tensor([[[float("nan"), float("inf")]]], requires_grad=True)
    found = function(values, torch.zeros((1, 1, 2)[:dims], dtype=torch.bool))
    found.value.backward()
    assert (found.value.item(), int(found.count)) == (0.0, 0)
    assert values.grad.tolist() == [[[0.0, 0.0]]]


@every
def test_no_mask_is_a_true_mask(name: str) -> None:
    """Without a mask everything counts, bit for bit."""
    function, dims, _ = REFERENCES[name]
    values = torch.randn(3, 4, 2)
    bare, full = function(values), function(values, torch.ones((3, 4, 2)[:dims], dtype=torch.bool))
    assert torch.equal(bare.value, full.value)
    assert torch.equal(bare.count, full.count)


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(name: str, dtype: torch.dtype) -> None:
    """300 values of 256 are more than float16 can hold; the sum is exact in single precision."""
    function, _, _ = REFERENCES[name]
    values = torch.full((300, 2, 1), 256.0, dtype=dtype, requires_grad=True)
    found = function(values)
    assert found.sum.dtype == torch.float32
    assert torch.isfinite(found.value)
    found.value.backward()
    assert values.grad.dtype == dtype


@every
def test_nothing_is_fetched_from_the_device(name: str) -> None:
    """On the meta device, where looking at a number raises, value and gradient can be made."""
    function, dims, _ = REFERENCES[name]
    values = torch.zeros(3, 4, 2, device="meta", requires_grad=True)
    function(values, torch.ones((3, 4, 2)[:dims], device="meta") > 0).value.backward()
    assert values.grad.device.type == "meta"


@every
def test_compiles_without_a_graph_break(name: str) -> None:
    """torch.compile takes it whole and gives the same bits."""
    function, dims, _ = REFERENCES[name]
    values, mask = torch.randn(3, 4, 2), torch.rand((3, 4, 2)[:dims]) < 0.5

    def value(values: Tensor, mask: Tensor) -> Tensor:
        return function(values, mask).value

    compiled = torch.compile(value, backend="eager", fullgraph=True)
    assert torch.equal(compiled(values, mask), value(values, mask))


def test_packed_tokens() -> None:
    """Tokens of many sequences in one row need a mask of one dimension."""
    found = per_token(torch.ones(6, 3), torch.tensor([True] * 4 + [False] * 2))
    assert (found.value.item(), int(found.count)) == (3.0, 4)


def test_per_feature() -> None:
    """Means of each feature, with one count for all."""
    values = torch.randn(2, 3, 4, dtype=torch.float64)
    mask = torch.tensor([[True, False, True], [False, False, True]])
    found = per_feature(values, mask)
    torch.testing.assert_close(found.value, values[mask].mean(0))
    assert int(found.count) == 3
    assert per_feature(values, torch.zeros_like(mask)).value.tolist() == [0.0] * 4


def test_sequences_without_a_token_do_not_count() -> None:
    """An empty row lowers neither the mean nor counts."""
    values = torch.tensor([[2.0, 4.0], [9.0, 9.0]])
    found = per_sequence(values, torch.tensor([[True, True], [False, False]]))
    assert (found.value.item(), int(found.count)) == (3.0, 1)


def wrong(function: Callable[..., Reduced], values: Tensor, mask: Tensor | None) -> Any:  # noqa: ANN401
    """A call for the table."""
    return lambda: function(values, mask)


BAD = {
    "mask of numbers": (
        wrong(masked_mean, torch.ones(2), torch.ones(2)),
        "masked_mean: expected a bool mask, got torch.float32; pass mask.bool()",
    ),
    "batch against batch x 1": (
        wrong(masked_mean, torch.ones(4), torch.ones(4, 1, dtype=torch.bool)),
        "masked_mean: expected a mask of shape [4], got [4, 1] for values of shape [4]; nothing is",
    ),
    "transposed": (
        wrong(per_token, torch.ones(2, 3, 5), torch.ones(3, 2, dtype=torch.bool)),
        "per_token: expected a mask of shape [2, 3], got [3, 2] for values of shape [2, 3, 5]",
    ),
    "a feature in the mask": (
        wrong(per_token, torch.ones(2, 3, 5), torch.ones(2, 3, 5, dtype=torch.bool)),
        "per_token: expected a mask of shape [2, 3], got [2, 3, 5] for values of shape [2, 3, 5]",
    ),
    "a single truth": (
        wrong(per_token, torch.ones(2, 3, 5), torch.tensor(True)),
        "per_token: expected a mask of shape [2, 3], got [] for values of shape [2, 3, 5]",
    ),
    "a list of values": (
        wrong(masked_mean, [1.0, 2.0], None),  # pyright: ignore[reportArgumentType]
        "masked_mean: values: expected a tensor, got list; pass torch.as_tensor(...)",
    ),
    "a list as mask": (
        wrong(masked_sum, torch.ones(2), [True, False]),  # pyright: ignore[reportArgumentType]
        "masked_sum: expected a bool mask as a tensor, got list; pass torch.as_tensor(mask)",
    ),
    "a list as mask of tokens": (
        wrong(per_token, torch.ones(2, 1), [True, False]),  # pyright: ignore[reportArgumentType]
        "per_token: expected a bool mask as a tensor, got list",
    ),
    "integers": (
        wrong(per_sample, torch.ones(2, dtype=torch.int64), None),
        "per_sample: values: expected real floating numbers, got torch.int64",
    ),
    "no token dimension": (
        wrong(per_token, torch.ones(5), None),
        "per_token: expected values of at least 2 dimensions, got shape [5]",
    ),
    "a scalar": (
        wrong(per_sample, torch.tensor(1.0), None),
        "per_sample: expected values of at least 1 dimensions, got shape []",
    ),
    "no feature": (
        wrong(per_feature, torch.tensor(1.0), None),
        "per_feature: expected values of shape (*positions, features), got shape []",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_refused(make: Any, message: str) -> None:  # noqa: ANN401 -- a table of calls
    """Each mistake says what was expected and got; nothing is broadcast."""
    with pytest.raises(ReductionError, match=re.escape(message)):
        make()
