"""The modulated layer."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import LossError
from poise.losses.plasticity import Factors, Modulation, gate_update, modulated_mlp, scalars
from tests.losses.plasticity.made import normal

HIDDEN, GATE = 6, 10


def layer(*, offset: bool, rank: int = 1) -> tuple[Modulation, nn.Linear, nn.Linear, nn.Linear]:
    """A modulation with large factors, and the projections of a gated MLP."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linears = nn.Linear(HIDDEN, GATE), nn.Linear(HIDDEN, GATE), nn.Linear(GATE, HIDDEN)
    return (
        Modulation(
            HIDDEN, GATE, rank=rank, bottleneck=8, offset=offset, scale=1.0, generator=generator
        ),
        *linears,
    )


def output(attention: Tensor, *, offset: bool, rank: int = 1) -> Tensor:
    """What the layer gives for this attention and fixed hidden states."""
    modulation, gate, up, down = layer(offset=offset, rank=rank)
    x = normal(2, 5, HIDDEN, seed=1)
    return modulated_mlp(x, modulation(attention), gate=gate, up=up, down=down)


@pytest.mark.parametrize("rank", [1, 3])
def test_the_reported_modulation_is_even_in_the_attention(rank: int) -> None:
    """out(a) == out(-a) to the last bit, at every rank: the sign of the attention is lost."""
    attention = normal(2, 5, HIDDEN, seed=2)
    one, other = (
        output(attention, offset=False, rank=rank),
        output(-attention, offset=False, rank=rank),
    )
    assert torch.equal(one, other)
    assert not torch.equal(one, output(0 * attention, offset=False, rank=rank))


def test_an_offset_makes_the_sign_count() -> None:
    """With the offset, a and -a give different outputs, and the update has a part linear in a."""
    attention = normal(2, 5, HIDDEN, seed=2)
    assert not torch.allclose(output(attention, offset=True), output(-attention, offset=True))
    modulation, x = layer(offset=True)[0], normal(2, 5, HIDDEN, seed=1)
    factors = modulation(attention)
    odd = (gate_update(x, factors) - gate_update(x, modulation(-attention))) / 2
    torch.testing.assert_close(odd, factors.v_b[..., 0, :])


def test_without_attention_the_layer_is_the_plain_mlp() -> None:
    """Both factors are linear in the attention, so nothing is added where it is 0."""
    _, gate, up, down = layer(offset=True)
    x = normal(2, 5, HIDDEN, seed=1)
    plain = down(functional.silu(gate(x)) * up(x))
    assert torch.equal(output(torch.zeros(2, 5, HIDDEN), offset=True), plain)


def test_the_update_is_that_of_a_changed_weight() -> None:
    """gate(x) + update equals (W + sum of outer(v_b, v_a)) x, token by token."""
    modulation = layer(offset=False, rank=2)[0]
    x, attention = normal(1, 3, HIDDEN, seed=1), normal(1, 3, HIDDEN, seed=2)
    factors = modulation(attention)
    for token in range(3):
        weight = sum(
            torch.outer(factors.v_b[0, token, pair], factors.v_a[0, token, pair])
            for pair in range(2)
        )
        torch.testing.assert_close(gate_update(x, factors)[0, token], weight @ x[0, token])


def test_the_start_is_as_specified() -> None:
    """v_a begins near 0.3 of the narrowed attention, v_b within its scale, and both are seeded."""
    made = [
        Modulation(8, 16, bottleneck=8, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert torch.equal(made[0].to_a.weight, made[1].to_a.weight)
    assert (made[0].to_a.weight - 0.3 * torch.eye(8)).abs().max() < 0.05
    assert made[0].to_b.weight.abs().max() <= 1e-3
    assert made[0].offset is None


def test_an_input_of_other_width_is_refused() -> None:
    """A v_a without its axis of pairs is explained, not broadcast."""
    factors = Factors(torch.zeros(2, 5, HIDDEN), torch.zeros(2, 5, GATE), torch.zeros(1))
    with pytest.raises(
        LossError, match=r"expected v_a \[\.\.\., k, hidden\] for an input \[2, 5, 6"
    ):
        scalars(torch.zeros(2, 5, HIDDEN), factors)


def test_a_width_below_one_is_refused() -> None:
    """The message names the width."""
    with pytest.raises(LossError, match="Modulation: expected rank of 1 or more, got 0"):
        Modulation(4, 8, rank=0)
