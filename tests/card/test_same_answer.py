"""One loss at one input: value, gradients, rounding errors, exceptions."""

import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poise.card.same_answer import Asked, answer, doubled, measured, resolution
from poise.errors import InspectError
from tests.losses_of_notes import normal


def asked(loss: object, *wrt: int) -> Asked:
    """A loss named A, positional."""
    return Asked(name="A", loss=loss, names=(), wrt=wrt or (0,), seed=0)  # type: ignore[arg-type]


def test_gradients_are_torchs_own() -> None:
    """Value and gradients equal those of a plain backward pass, bit for bit."""
    one, two = normal(3, 4).requires_grad_(), normal(3, 4, seed=1).requires_grad_()
    loss = F.smooth_l1_loss(one, two)
    loss.backward()
    found = answer(asked(F.smooth_l1_loss, 0, 1), (one, two))
    assert found.value.item() == loss.item()
    for gradient, leaf in zip(found.gradients, (one, two), strict=True):
        assert leaf.grad is not None
        assert torch.equal(gradient, leaf.grad.flatten().double())


def test_unused_and_detached_inputs_have_zero_gradient() -> None:
    """No graph is a gradient of zero, not an error."""
    found = answer(asked(lambda x, y: x.sum() + y.detach().sum(), 0, 1), (normal(2), normal(2)))
    assert [one.abs().max().item() for one in found.gradients] == [1.0, 0.0]
    assert answer(asked(lambda x: x.detach().sum()), (normal(2),)).gradients[0].tolist() == [0, 0]


def test_an_exception_is_an_answer() -> None:
    """Its class and first line are kept."""
    found = answer(asked(F.mse_loss), (normal(2), normal(3)))
    assert found.error.startswith("RuntimeError: The size of tensor a (2)")


def test_inputs_survive_a_loss_that_writes_into_them() -> None:
    """Each call gets its own copies."""
    one = normal(3)
    kept = one.clone()
    answer(asked(lambda x, y: (y.mul_(0) + x).sum()), (normal(3), one))
    assert torch.equal(one, kept)


def test_each_call_starts_from_the_seed() -> None:
    """Two calls draw the same numbers, and the global generator does not notice."""
    before = torch.get_rng_state()
    one = asked(lambda x: F.dropout(x).sum())
    assert answer(one, (normal(99),)).value == answer(one, (normal(99),)).value
    assert torch.equal(torch.get_rng_state(), before)


def test_buffers_of_a_module_stay() -> None:
    """A running mean that the forward pass moves is put back."""
    norm = nn.BatchNorm1d(3)
    module = nn.Sequential(norm, nn.Flatten(0), nn.AvgPool1d(12), nn.Flatten(0))
    answer(asked(module), (normal(4, 3),))
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [0.0, 0.0, 0.0]


def test_noise_bounds_the_distance_to_the_exact_value() -> None:
    """Eight times the measured noise covers the true rounding error of a cancelling formula."""
    for seed in range(20):
        inputs = (normal(50, seed=seed) + 100.0,)

        def variance(x: Tensor) -> Tensor:
            return x.square().mean() - x.mean().square()

        found = measured(asked(variance), inputs)
        exact = variance(inputs[0].double())
        assert abs(found.value.item() - exact.item()) <= 8 * found.value_noise + 1e-12
        assert found.value_noise < 0.1


def test_result_must_be_a_floating_tensor() -> None:
    """Anything else is refused with what was returned."""
    with pytest.raises(
        InspectError, match=r"loss A returns a torch\.int64 tensor; expected one real"
    ):
        answer(asked(lambda x: x.argmax()), (normal(3),))


def test_doubled_and_resolution() -> None:
    """Only floating tensors are widened; the coarsest dtype counts."""
    inputs = (normal(1).half(), normal(1), torch.tensor([1]), "text")
    kinds = [one.dtype for one in doubled(inputs) if isinstance(one, Tensor)]
    assert kinds == [torch.float64, torch.float64, torch.int64]
    assert resolution(inputs, (0, 1)) == torch.finfo(torch.float16).eps


def test_what_a_loss_prints_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """It is called some hundred times."""

    def loud(x: Tensor) -> Tensor:
        sys.stdout.write("step")
        return x.sum()

    assert answer(asked(loud), (torch.ones(2),)).value.item() == 2.0
    assert capsys.readouterr().out == ""
