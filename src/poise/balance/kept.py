"""What the stateful objects of TorchJD remember, as tensors with one entry for each term.

Their own state does not survive a strict reload into a fresh object, and is lost or mixed up when
the number of terms changes. Here each memory is kept outside: handed in before a step for the
terms that are present, and taken back after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

Peer: TypeAlias = Any
"""An object of TorchJD; its attributes are not declared to type checkers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The memory of a method.

    Attributes:
        fields: Name to number of dimensions (1: a number a term, 2: one a pair) and first value.
        put: Hands the memory of the present terms to the object of TorchJD; it gets the fields,
            how often each term was seen, and the inner products.
        take: The fields after the step.

    Example:
        >>> sorted(PHI.fields)
        ['phi']
    """

    fields: Mapping[str, tuple[int, float]]
    put: Callable[[Peer, Mapping[str, Tensor], Tensor, Tensor], None]
    take: Callable[[Peer], Mapping[str, Tensor]]


def _put_phi(peer: Peer, fields: Mapping[str, Tensor], seen: Tensor, products: Tensor) -> None:  # noqa: ARG001 -- one signature for all
    peer._phi_t = fields["phi"].clone()
    peer._state_key = (len(products), products.dtype)


PHI = Kept(fields={"phi": (2, 0.0)}, put=_put_phi, take=lambda peer: {"phi": peer._phi_t})
"""GradVac: the running mean of the cosines."""


def _put_alpha(peer: Peer, fields: Mapping[str, Tensor], seen: Tensor, products: Tensor) -> None:  # noqa: ARG001
    peer.prvs_alpha = fields["alpha"].numpy().copy()


ALPHA = Kept(
    fields={"alpha": (1, 1.0)},
    put=_put_alpha,
    take=lambda peer: {"alpha": torch.tensor(peer.prvs_alpha)},
)
"""Nash-MTL: the answer of the step before, where the next search starts."""


def _put_norms(peer: Peer, fields: Mapping[str, Tensor], seen: Tensor, products: Tensor) -> None:
    steps = int(seen.max())
    squares = products.diagonal()
    # a term that starts late is taken to have been always as large as it is now
    mean = torch.where(seen > 0, fields["squares"], squares)
    peer._sq_norm_ema = mean * (1.0 - peer.beta**steps)
    peer._n_steps = torch.tensor(steps)
    peer._state_key = len(products)


def _take_norms(peer: Peer) -> dict[str, Tensor]:
    return {"squares": peer._sq_norm_ema / (1.0 - peer.beta ** int(peer._n_steps))}


NORMS = Kept(fields={"squares": (1, 0.0)}, put=_put_norms, take=_take_norms)
"""PCD: the bias-corrected running mean of the squared norms."""


def _put_average(peer: Peer, fields: Mapping[str, Tensor], seen: Tensor, products: Tensor) -> None:
    known = seen > 0
    if not bool(known.any()):
        peer._lambda = None
        return
    equal = torch.full_like(fields["average"], 1.0 / len(products))
    peer._lambda = torch.where(known, fields["average"], equal)


AVERAGE = Kept(
    fields={"average": (1, 0.0)},
    put=_put_average,
    take=lambda peer: {"average": peer._lambda},
)
"""CR-MOGM: the running mean of the weights."""


def _put_excess(peer: Peer, fields: Mapping[str, Tensor], seen: Tensor, products: Tensor) -> None:
    weights, squares = fields["weights"], products.diagonal()
    peer._weights = weights / weights.sum()
    peer._sq_grad_sum = fields["squares"][:, None].clone()
    # a term that starts late has its first excess as its baseline, as all have at the start
    first = squares / (squares + 1e-7).sqrt()
    known = seen > 0
    peer._initial_w = torch.where(known, fields["baseline"], first) if bool(known.any()) else None
    peer._warmup_w_sum = torch.zeros_like(weights)
    peer._state_key = (len(products), 1, products.dtype, products.device)


def _take_excess(peer: Peer) -> dict[str, Tensor]:
    return {
        "weights": peer._weights * len(peer._weights),
        "squares": peer._sq_grad_sum[:, 0],
        "baseline": peer._initial_w,
    }


EXCESS = Kept(
    fields={"weights": (1, 1.0), "squares": (1, 0.0), "baseline": (1, 0.0)},
    put=_put_excess,
    take=_take_excess,
)
"""ExcessMTL: the weights, the sums of squares and the first excess of each term."""
