"""The NPT layer: attention does not enter the residual stream, it bends the gate of the MLP."""

from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from poise.errors import LossError

Linear = Callable[[Tensor], Tensor]
"""A projection [..., in] -> [..., out], such as a `torch.nn.Linear`."""

ENCODING = 0.3
"""Factor of the identity in the first projection to v_a."""
JITTER = 0.01
"""Standard deviation of the noise upon it."""


class Factors(NamedTuple):
    """What the attention output of each token makes of the gate's weight: an update of rank k.

    Example:
        >>> Factors(torch.zeros(2, 5, 1, 8), torch.zeros(2, 5, 1, 16), torch.zeros(1)).v_a.shape
        torch.Size([2, 5, 1, 8])
    """

    v_a: Tensor
    """Directions that are read from the MLP's input, [batch, tokens, k, hidden]."""
    v_b: Tensor
    """Directions that are written to the gate, [batch, tokens, k, gate]."""
    offset: Tensor
    """Added to the k scalars v_a . x of a token, [k]; zeros in the reported form."""


@final
class Modulation(nn.Module):
    """Makes the factors of the gate's update from the attention output, both linear in it.

    r = W_down a; v_a = W_a r; v_b = W_b r, without biases, as in NPT's `NPComponent`.

    **The reported form is even.** Both factors change their sign with the attention a, so their
    product does not: the layer's output for -a is, to the last bit, that for a. The target
    a + MLP(norm(h + a)) is nothing like that, and a larger rank does not help. With `offset` a
    learned number is added to the scalar, v_b (v_a . x + c): the part v_b c is linear in a, and
    with c = 0 it is the reported form again.

    Args:
        hidden: Width of the residual stream.
        gate: Width of the MLP.
        rank: k, pairs of directions of each token.
        bottleneck: R, width of r.
        offset: Add c, one number for each of the k pairs, starting at 1.
        scale: Half the range of W_b's uniform start; small: the layer begins as the plain MLP.
        generator: Source of the initial weights; None: torch's own.

    Raises:
        LossError: A width is below 1.

    Example:
        >>> modulation = Modulation(8, 16, rank=2, bottleneck=4)
        >>> v_a, v_b, _ = modulation(torch.randn(2, 5, 8))
        >>> v_a.shape, v_b.shape
        (torch.Size([2, 5, 2, 8]), torch.Size([2, 5, 2, 16]))
    """

    def __init__(
        self,
        hidden: int,
        gate: int,
        *,
        rank: int = 1,
        bottleneck: int = 256,
        offset: bool = False,
        scale: float = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        sizes = {"hidden": hidden, "gate": gate, "rank": rank, "bottleneck": bottleneck}
        for name, size in sizes.items():
            if size < 1:
                raise LossError(f"Modulation: expected {name} of 1 or more, got {size}")
        super().__init__()
        self.rank = rank
        self.down = nn.Linear(hidden, bottleneck, bias=False)
        self.to_a = nn.Linear(bottleneck, rank * hidden, bias=False)
        self.to_b = nn.Linear(bottleneck, rank * gate, bias=False)
        start = torch.ones(rank)
        self.offset = nn.Parameter(start) if offset else None
        self.register_buffer("none", torch.zeros(rank), persistent=False)
        with torch.no_grad():
            nn.init.xavier_uniform_(self.down.weight, generator=generator)
            eye = ENCODING * torch.eye(hidden, bottleneck).repeat(rank, 1)
            noise = torch.empty_like(eye).normal_(0.0, JITTER, generator=generator)
            self.to_a.weight.copy_(eye + noise)
            self.to_b.weight.uniform_(-scale, scale, generator=generator)

    def forward(self, attention: Tensor) -> Factors:
        """The factors of every token.

        Args:
            attention: Output of the attention, [batch, tokens, hidden].
        """
        narrow: Tensor = self.down(attention)
        shape = (*attention.shape[:-1], self.rank, -1)
        v_a: Tensor = self.to_a(narrow)
        v_b: Tensor = self.to_b(narrow)
        offset = self.get_buffer("none") if self.offset is None else self.offset
        return Factors(v_a.view(shape), v_b.view(shape), offset)


def scalars(x: Tensor, factors: Factors) -> Tensor:
    """The k numbers of each token through which all of the modulation passes.

    Args:
        x: The MLP's input, [batch, tokens, hidden].
        factors: As `Modulation` makes them.

    Returns:
        v_a . x + offset, [batch, tokens, k].

    Raises:
        LossError: The input is not as wide as v_a, or has other tokens.

    Example:
        >>> x = torch.ones(1, 1, 3)
        >>> scalars(x, Factors(torch.ones(1, 1, 1, 3), torch.ones(1, 1, 1, 4), torch.zeros(1)))
        tensor([[[3.]]])
    """
    v_a = factors.v_a
    if v_a.ndim != x.ndim + 1 or (*v_a.shape[:-2], v_a.shape[-1]) != x.shape:
        raise LossError(
            f"scalars: expected v_a [..., k, hidden] for an input {list(x.shape)}, got "
            f"{list(v_a.shape)}; a rank of 1 is an axis of size 1"
        )
    return torch.einsum("...kd,...d->...k", v_a, x) + factors.offset


def gate_update(x: Tensor, factors: Factors) -> Tensor:
    """What the modulation adds to the gate: sum over k of v_b (v_a . x + offset).

    Args:
        x: The MLP's input, [batch, tokens, hidden].
        factors: As `Modulation` makes them.

    Returns:
        Shape [batch, tokens, gate]: (outer(v_b, v_a)) x, without the matrix being made.

    Raises:
        LossError: The input does not fit.

    Example:
        >>> factors = Factors(torch.ones(1, 1, 1, 3), torch.full((1, 1, 1, 2), 2.0), torch.zeros(1))
        >>> gate_update(torch.ones(1, 1, 3), factors)
        tensor([[[6., 6.]]])
    """
    return torch.einsum("...k,...kf->...f", scalars(x, factors), factors.v_b)


def modulated_mlp(x: Tensor, factors: Factors, *, gate: Linear, up: Linear, down: Linear) -> Tensor:
    """A gated MLP of the Llama type whose gate is modulated: down(silu(gate(x) + update) up(x)).

    Args:
        x: The MLP's input, after its normalisation and without the attention output,
            [batch, tokens, hidden].
        factors: As `Modulation` makes them.
        gate: Projection to the gate's width, frozen in NPT.
        up: Projection to the same width.
        down: Projection back to the hidden width.

    Returns:
        Shape of `x`: what the layer adds to the residual stream, in place of attention and MLP.

    Raises:
        LossError: The input does not fit.

    Example:
        >>> gate, up, down = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 3)
        >>> factors = Modulation(3, 4, bottleneck=2)(torch.zeros(1, 5, 3))
        >>> x = torch.randn(1, 5, 3)
        >>> plain = down(functional.silu(gate(x)) * up(x))
        >>> torch.equal(modulated_mlp(x, factors, gate=gate, up=up, down=down), plain)
        True
    """
    return down(functional.silu(gate(x) + gate_update(x, factors)) * up(x))
