"""How far the parameters moved in one actual optimizer step."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from poise.errors import GraphError
from poise.probe.sharded import own_part, sharded, summed
from poise.probe.typed import norm, numbers, rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """Motion of every parameter in one step, kept on its device until a number is asked for.

    Relative motion is ||after - before|| / ||before||; a parameter that starts from exactly zero
    has ||after|| below the line, so its first motion is 1.

    Attributes:
        parameters: Names of the parameters that were watched.
        norms: Norms before, of the difference, and after (may be 0 where the first is not), shape
            (3, parameters), float64.
        groups: Names of the optimizer's groups by parameter, empty without an optimizer.
    """

    parameters: tuple[str, ...]
    norms: Tensor
    groups: tuple[str, ...] = ()

    @property
    def modules(self) -> dict[str, float]:
        """Relative motion of each module that owns parameters; the root module is `(model)`."""
        return self._by(name.rpartition(".")[0] or "(model)" for name in self.parameters)

    @property
    def of_groups(self) -> dict[str, float]:
        """Relative motion of each parameter group: `group/0`, `group/1`, ..."""
        return self._by(self.groups) if self.groups else {}

    @property
    def of_parameters(self) -> dict[str, float]:
        """Relative motion of each parameter."""
        return self._by(self.parameters)

    @property
    def total(self) -> float:
        """Relative motion of all parameters together; NaN if there are none."""
        return self._by("" for _ in self.parameters).get("", math.nan)

    @property
    def still(self) -> tuple[str, ...]:
        """Parameters that did not move at all: every element is exactly as before."""
        apart = numbers(self.norms[1])
        return tuple(n for n, one in zip(self.parameters, apart, strict=True) if one == 0.0)

    def to_record(self) -> dict[str, object]:
        """The keys `motion` (by module), `motion_groups` and `still` of a `probe` record."""
        record: dict[str, object] = {"motion": self.modules, "still": list(self.still)}
        return record | ({"motion_groups": self.of_groups} if self.groups else {})

    def _by(self, labels: Iterable[str]) -> dict[str, float]:
        sums: dict[str, list[float]] = {}
        squares = rows(self.norms.square().T)
        for label, row in zip(labels, squares, strict=True):
            old = sums.setdefault(label, [0.0, 0.0, 0.0])
            sums[label] = [one + other for one, other in zip(old, row, strict=True)]
        return {label: _relative(*row) for label, row in sums.items()}


def _relative(before: float, apart: float, after: float) -> float:
    below = before or after
    return math.sqrt(apart / below) if below else 0.0


@final
class MotionProbe:
    """Compares the trainable parameters before and after a step.

    Between `before()` and `after()` it holds a copy of them; at other times nothing but references.

    Args:
        parameters: A model, or parameters by name.
        optimizer: Also report motion by its parameter groups.
        together: All processes call `before()` and `after()` at the same steps, so that motion of
            sharded parameters (`fully_shard`, DTensor) can be added up over them: then every
            process gets the motion of the whole parameters.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> probe = MotionProbe(model)
        >>> probe.before()
        >>> with torch.no_grad():
        ...     _ = model.weight.mul_(1.5)
        >>> moved = probe.after()
        >>> round(moved.of_parameters["weight"], 6), moved.still
        (0.5, ('bias',))
    """

    def __init__(
        self,
        parameters: nn.Module | Mapping[str, Tensor],
        optimizer: Optimizer | None = None,
        *,
        together: bool = False,
    ) -> None:
        found = parameters.named_parameters() if isinstance(parameters, nn.Module) else parameters
        self._parameters = {name: one for name, one in dict(found).items() if one.requires_grad}
        self._optimizer = optimizer
        self._together = together
        self._copies: list[Tensor] | None = None

    def before(self) -> None:
        """Copies the parameters; a second call replaces the copies.

        Raises:
            GraphError: A parameter is sharded and the probe is not told that all come together.
        """
        if not self._together and (name := self._first_sharded()) is not None:
            raise GraphError(
                f"MotionProbe: expected parameters that this process holds whole, got '{name}' "
                "sharded; pass together=True if all processes measure the same steps"
            )
        self._copies = [own_part(one.detach()).clone() for one in self._parameters.values()]

    def after(self) -> Motion:
        """What moved since `before()`; the copies are dropped.

        Raises:
            GraphError: `before()` was not called.
        """
        if self._copies is None:
            raise GraphError("MotionProbe: expected before() and then after(), got after() alone")
        pairs = zip(self._copies, self._parameters.values(), strict=True)
        found = [_joined(_norms(old, own_part(one.detach())), one) for old, one in pairs]
        self._copies = None
        device = found[0].device if found else torch.device("cpu")
        norms = torch.stack([one.to(device) for one in found], 1) if found else torch.zeros(3, 0)
        return Motion(parameters=tuple(self._parameters), norms=norms, groups=self._groups())

    def cancel(self) -> None:
        """Drops the copies, for a step that was skipped."""
        self._copies = None

    def _first_sharded(self) -> str | None:
        return next((name for name, one in self._parameters.items() if sharded(one)), None)

    def _groups(self) -> tuple[str, ...]:
        if self._optimizer is None:
            return ()
        homes = {
            id(one): f"group/{k}"
            for k, group in enumerate(self._optimizer.param_groups)
            for one in group["params"]
        }
        return tuple(homes.get(id(one), "no group") for one in self._parameters.values())


def _norms(before: Tensor, after: Tensor) -> Tensor:
    """Norms before, apart and after, in float64, shape (3,); writes into `before`."""
    start = norm(before)
    needed = start.is_cuda or not float(start)  # only a start from zero asks for the norm after
    end = norm(after) if needed else torch.zeros_like(start)
    return torch.stack([start, norm(before.sub_(after)), end])


def _joined(norms: Tensor, one: Tensor) -> Tensor:
    """The norms of a whole parameter from those of the part that each process holds."""
    return summed(norms.square(), one).sqrt() if sharded(one) else norms
