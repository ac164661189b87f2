"""The target in two parts."""

import torch
from torch import Tensor

from poise import same
from poise.losses.plasticity import decomposed_target, direct_mlp, reported
from tests.losses.plasticity.made import findings, states


def both(modulated: Tensor, attention: Tensor, mlp: Tensor) -> Tensor:
    """The sum of the two parts."""
    return sum(decomposed_target(modulated, attention, mlp), torch.zeros(()))


def direct(modulated: Tensor, attention: Tensor, mlp: Tensor) -> Tensor:
    """The whole."""
    return direct_mlp(modulated, attention, mlp).value


def second_half(modulated: Tensor, attention: Tensor, mlp: Tensor) -> Tensor:
    """What the MLP's part of the reported form can see of the output."""
    del attention
    first = modulated[:, :, : mlp.size(-1)]
    return torch.nn.functional.mse_loss(modulated - first, mlp)


def test_the_parts_add_up_to_the_direct_term() -> None:
    """Identical as a loss, by value and gradient, at every example."""
    assert same(both, direct, states(3)).verdict == "identical"
    assert findings(both, states(3)) == []


def test_any_weights_have_the_target_as_their_minimum() -> None:
    """At the target both parts are 0; off it, along the attention, only the first grows."""
    _, attention, mlp = states(3)
    target = attention + mlp
    assert torch.equal(torch.stack(decomposed_target(target, attention, mlp)), torch.zeros(2))
    along, across = decomposed_target(target + 0.5 * attention, attention, mlp)
    assert along > 0.01
    assert across < 1e-10


def test_the_reported_mlp_part_is_a_constant() -> None:
    """Its slice is the whole output: nothing of the prediction is left in it (an error)."""
    assert ("error", "inspect-ignored") in findings(second_half, states(3))


def test_the_reported_form_is_smallest_off_the_target() -> None:
    """The attention alone scores better than the target itself."""
    _, attention, mlp = states(3)
    alone = reported.decomposed_target(attention, attention, mlp)
    assert alone < reported.decomposed_target(attention + mlp, attention, mlp)
    x = attention.clone().requires_grad_()
    reported.decomposed_target(x, attention, mlp).backward()
    assert x.grad is not None
    assert not x.grad.any()  # it is the minimum
