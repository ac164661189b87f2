"""Weighted sums of gradients."""

import pytest
import torch

from poise.probe.weighing import sum_of


def weights(*numbers: float) -> list[torch.Tensor]:
    """Scalars in double precision."""
    return [torch.tensor(one, dtype=torch.float64) for one in numbers]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.complex64])
def test_the_sum_keeps_the_type(dtype: torch.dtype) -> None:
    """Double-precision weights do not widen the gradients."""
    group = [torch.full((3,), one, dtype=dtype) for one in (1.0, 2.0, 4.0)]
    found = sum_of(group, weights(1.0, 0.5, 2.0))
    assert found is not None
    assert found.dtype == dtype
    assert torch.equal(found, torch.full((3,), 10.0, dtype=dtype))


@pytest.mark.parametrize("first", [1.0, 2.0])
def test_gradients_that_arrived_are_not_changed(first: float) -> None:
    """Others may hold them, and with a weight of 1 the first would be the sum."""
    group = [torch.ones(2), torch.ones(2), torch.ones(2)]
    sum_of(group, weights(3.0, 3.0, first))
    assert all(torch.equal(one, torch.ones(2)) for one in group)


def test_sparse_gradients() -> None:
    """An embedding's gradient is weighted, too."""
    one = torch.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (3,), check_invariants=True)
    found = sum_of([one, one], weights(2.0, 3.0))
    assert found is not None
    assert found.to_dense().tolist() == [5.0, 0.0, 10.0]


def test_absent_terms() -> None:
    """None is no gradient, and a sum of none is none."""
    assert sum_of([None, None], weights(1.0, 2.0)) is None
    assert sum_of([None, torch.ones(1)], weights(9.0, 2.0)).item() == 2.0


def test_the_sum_can_be_differentiated() -> None:
    """Where the pass is recorded, no gradient is changed in place."""
    group = [torch.ones(2, requires_grad=True) for _ in range(3)]
    with torch.enable_grad():
        found = sum_of(group, weights(2.0, 3.0, 5.0))
    found.sum().backward()
    assert [one.grad[0].item() for one in group] == [2.0, 3.0, 5.0]


def test_not_finite_survives_a_weight_of_zero() -> None:
    """A loss scaler has to see it."""
    assert sum_of([torch.tensor([torch.inf]), torch.ones(1)], weights(0.0, 1.0)).isnan().all()
