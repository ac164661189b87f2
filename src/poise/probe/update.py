"""Which term owns the update: gradient shares with the optimizer's own preconditioner applied."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop

from poise.probe.gramian import gramian_of
from poise.probe.sharded import sharded
from poise.probe.typed import rows

Group: TypeAlias = dict[str, Any]
State: TypeAlias = Mapping[str, Any]
Scaling: TypeAlias = Callable[[Group, State, Tensor, Tensor], Tensor | float]
"""(group, state, parameter, total gradient) -> what the coming step multiplies a gradient with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateShare:
    """How much of the coming update each term owns.

    The share of term k is <P g_k, P g> / <P g, P g>: g_k its weighted gradient, g their sum, P
    what the optimizer multiplies a gradient with in the coming step, learning rate included. The
    shares sum to 1; one is negative where the term is being opposed. Momentum is left out: it
    carries earlier gradients, of which nobody knows the owner. So are clipping and a loss scale,
    which are common to all terms, and weight decay, which is no term.

    Attributes:
        optimizer: Class name of the optimizer.
        supported: False where the optimizer's preconditioner is not known; then see `reason`.
        reason: Why there are no shares; empty if there are.
        shares: Update share by term; NaN where no parameter would move.
        norms: Norm of P g_k by term, in units of the parameters.
    """

    optimizer: str
    supported: bool
    reason: str = ""
    shares: Mapping[str, float] = field(default_factory=dict[str, float])
    norms: Mapping[str, float] = field(default_factory=dict[str, float])

    def to_record(self) -> dict[str, object]:
        """The key `update` of a `probe` record, or `update_unsupported` with the reason."""
        if not self.supported:
            return {"update_unsupported": self.reason}
        return {"update": dict(self.shares)}


def update_share(
    optimizer: Optimizer,
    parameters: Sequence[Tensor],
    gradients: Mapping[str, Sequence[Tensor | None]],
    weights: Mapping[str, float] | None = None,
) -> UpdateShare:
    """Shares of the terms in the update that `optimizer.step()` would make next.

    Supported are SGD (also with momentum), Adam, AdamW, NAdam, RAdam and RMSprop of torch, and
    subclasses that keep their `step`. If every learning rate is 0, as at the first step of a
    warm-up, the shares are those of equal rates.

    Args:
        optimizer: Read only.
        parameters: Where the gradients were taken.
        gradients: By term, its unweighted gradient at each parameter, None where it has none.
        weights: Weight by term; 1.0 where absent.

    Example:
        >>> p = torch.zeros(2, requires_grad=True)
        >>> g = {"big": [torch.tensor([9.0, 0.0])], "small": [torch.tensor([0.0, 1.0])]}
        >>> update_share(SGD([p], lr=0.1), [p], g).shares["big"].__round__(3)
        0.988
        >>> update_share(Adam([p], lr=0.1), [p], g).shares["big"].__round__(3)
        0.5
    """
    kind = type(optimizer).__name__
    scaling = _scaling_of(optimizer)
    if scaling is None:
        return UpdateShare(
            optimizer=kind,
            supported=False,
            reason=f"the preconditioner of {kind} is not known to poise; known are "
            f"{', '.join(one.__name__ for one in KNOWN)}",
        )
    if any(map(sharded, parameters)):
        reason = "the parameters are sharded: no process holds a whole gradient"
        return UpdateShare(optimizer=kind, supported=False, reason=reason)
    homes = {id(one): group for group in optimizer.param_groups for one in group["params"]}
    factors = [float((weights or {}).get(name, 1.0)) for name in gradients]
    still = not any(float(group["lr"]) for group in optimizer.param_groups)

    def scaled(k: int, one: Tensor) -> list[Tensor | None]:
        pieces = weighted([row[k] for row in gradients.values()], factors)
        whole = total_of(pieces)
        if whole is None:
            return pieces
        group = homes[id(one)] | ({"lr": 1.0} if still else {})
        by = scaling(group, optimizer.state.get(one, {}), one.detach(), whole)
        return [None if piece is None else piece * by for piece in pieces]

    with torch.no_grad():
        here = [(k, one) for k, one in enumerate(parameters) if id(one) in homes]
        products = gramian_of(scaled(k, one) for k, one in here)
    if products is None:
        reason = (
            "no measured parameter belongs to the optimizer" if parameters else "nothing shared"
        )
        return UpdateShare(optimizer=kind, supported=False, reason=reason)
    return _shares(kind, tuple(gradients), products)


def _shares(kind: str, names: tuple[str, ...], products: Tensor) -> UpdateShare:
    found = rows(products)
    whole = sum(sum(row) for row in found)
    return UpdateShare(
        optimizer=kind,
        supported=True,
        shares={
            name: sum(row) / whole if whole else math.nan
            for name, row in zip(names, found, strict=True)
        },
        norms={name: math.sqrt(found[k][k]) for k, name in enumerate(names)},
    )


def full(gradient: Tensor) -> Tensor:
    """A gradient as a dense tensor without graph, in single precision or wider.

    Example:
        >>> full(torch.ones(2, dtype=torch.float16)).dtype
        torch.float32
    """
    dense = gradient.detach()
    dense = dense if dense.layout == torch.strided else dense.to_dense()
    wide = dense.is_complex() or dense.dtype in {torch.float32, torch.float64}
    return dense if wide else dense.float()


def weighted(gradients: Sequence[Tensor | None], factors: Sequence[float]) -> list[Tensor | None]:
    """Gradients of the terms at one parameter, each `full` and times its factor."""
    pairs = zip(gradients, factors, strict=True)
    return [None if one is None else full(one) * by for one, by in pairs]


def total_of(pieces: Sequence[Tensor | None]) -> Tensor | None:
    """The sum of those that are there; None of nothing."""
    present = [one for one in pieces if one is not None]
    if not present:
        return None
    total = present[0].clone()
    for one in present[1:]:
        total += one
    return total


def _scaling_of(optimizer: Optimizer) -> Scaling | None:
    """How an optimizer scales gradients; None where its `step` is not one of those known."""
    for kind, scaling in KNOWN.items():
        if isinstance(optimizer, kind) and type(optimizer).step is kind.step:
            return scaling
    return None


def _sgd(group: Group, state: State, _: Tensor, __: Tensor) -> float:
    lr, momentum = float(group["lr"]), float(group["momentum"])
    if not momentum:
        return lr
    fresh = state.get("momentum_buffer") is None
    part = 1.0 if fresh else 1.0 - float(group["dampening"])
    return lr * (1.0 + momentum * part if group["nesterov"] else part)


def _decayed(group: Group, parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient as the optimizer's second moment sees it: its sign, and coupled decay."""
    gradient = -gradient if group.get("maximize", False) else gradient
    decay = float(group["weight_decay"])
    if not decay or group.get("decoupled_weight_decay", False):
        return gradient
    return gradient + decay * parameter.to(gradient.dtype)


def _square(one: Tensor) -> Tensor:
    return torch.view_as_real(one).square() if one.is_complex() else one.square()


def _second_moment(
    key: str, beta: float, group: Group, state: State, parameter: Tensor, gradient: Tensor
) -> Tensor:
    """The running mean of squares after the coming step has updated it."""
    new = _square(_decayed(group, parameter, gradient)) * (1.0 - beta)
    old = state.get(key)
    if old is None:
        return new
    old = torch.view_as_real(old) if old.is_complex() else old
    return new + beta * old.to(new.dtype)


def _per_element(by: Tensor, parameter: Tensor) -> Tensor:
    """For complex parameters: torch scales real and imaginary parts on their own."""
    return by if not parameter.is_complex() else by.mean(-1)


def _count(state: State) -> int:
    """Number of the coming step, from 1."""
    return int(state.get("step", 0)) + 1


def _adam(group: Group, state: State, parameter: Tensor, gradient: Tensor) -> Tensor:
    first, second = (float(one) for one in group["betas"])
    count = _count(state)
    moment = _second_moment("exp_avg_sq", second, group, state, parameter, gradient)
    if group["amsgrad"] and "max_exp_avg_sq" in state:
        largest = state["max_exp_avg_sq"]
        largest = torch.view_as_real(largest) if largest.is_complex() else largest
        moment = torch.maximum(moment, largest)
    below = (moment / (1.0 - second**count)).sqrt() + float(group["eps"])
    by = float(group["lr"]) * (1.0 - first) / (1.0 - first**count)
    return _per_element(by / below, parameter)


def _nadam(group: Group, state: State, parameter: Tensor, gradient: Tensor) -> Tensor:
    first, second = (float(one) for one in group["betas"])
    count, decay = _count(state), float(group["momentum_decay"])
    now = first * (1.0 - 0.5 * 0.96 ** (count * decay))
    then = first * (1.0 - 0.5 * 0.96 ** ((count + 1) * decay))
    product = float(state.get("mu_product", 1.0)) * now
    moment = _second_moment("exp_avg_sq", second, group, state, parameter, gradient)
    below = (moment / (1.0 - second**count)).sqrt() + float(group["eps"])
    by = (1.0 - now) / (1.0 - product) + then * (1.0 - first) / (1.0 - product * then)
    return _per_element(float(group["lr"]) * by / below, parameter)


def _radam(group: Group, state: State, parameter: Tensor, gradient: Tensor) -> Tensor | float:
    first, second = (float(one) for one in group["betas"])
    count = _count(state)
    by = float(group["lr"]) * (1.0 - first) / (1.0 - first**count)
    end = 2.0 / (1.0 - second) - 1.0
    correction = 1.0 - second**count
    length = end - 2.0 * count * second**count / correction
    if length <= 5.0:
        return by  # the variance of the second moment is not known yet: plain momentum
    rectified = math.sqrt((length - 4) * (length - 2) * end / ((end - 4) * (end - 2) * length))
    moment = _second_moment("exp_avg_sq", second, group, state, parameter, gradient)
    below = moment.sqrt() + float(group["eps"])
    return _per_element(by * rectified * math.sqrt(correction) / below, parameter)


def _rmsprop(group: Group, state: State, parameter: Tensor, gradient: Tensor) -> Tensor:
    alpha = float(group["alpha"])
    moment = _second_moment("square_avg", alpha, group, state, parameter, gradient)
    if group["centered"]:
        mean = _decayed(group, parameter, gradient) * (1.0 - alpha)
        mean = mean if (old := state.get("grad_avg")) is None else mean + alpha * old
        moment = moment - _square(mean)
    below = moment.sqrt() + float(group["eps"])
    return _per_element(float(group["lr"]) / below, parameter)


KNOWN: Mapping[type[Optimizer], Scaling] = {
    SGD: _sgd,
    AdamW: _adam,
    Adam: _adam,
    NAdam: _nadam,
    RAdam: _radam,
    RMSprop: _rmsprop,
}
"""Optimizers whose step poise can restate."""
