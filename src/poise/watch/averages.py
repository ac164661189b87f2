"""How fast an average of the weights follows them, seen on a sample of their elements."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from poise.errors import WatchError

PARAMETERS, ELEMENTS = 64, 256
"""Parameters, and elements of each, that are looked at, at most."""
ALONG = 0.5
"""Cosine from which a change of the average is taken for one towards the weights."""
WRAPPERS = ("module.", "_orig_mod.")
"""What `AveragedModel`, DataParallel and `torch.compile` put before the names of parameters."""

Average: TypeAlias = nn.Module | Mapping[str, Tensor]
"""A module with the parameters of the model, or such tensors by the model's names."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Sampled elements, shape (n,) each, in float64 on the host.

    Attributes:
        weights: Of the model.
        averages: By name of the average.
    """

    weights: Tensor
    averages: Mapping[str, Tensor]


class Averages:
    """Measures what averages of the weights do over one optimizer step.

    Constant in memory and time: at most 64 x 256 elements are copied before and after the step.

    Args:
        averages: By name: a module such as `torch.optim.swa_utils.AveragedModel`, or a mapping.
        model: What is averaged.

    Raises:
        WatchError: There is no model, or an average does not have its parameters.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> average = {name: one.detach().clone() for name, one in model.named_parameters()}
        >>> averages = Averages({"ema": average}, model)
        >>> averages.open(0)
        >>> with torch.no_grad():
        ...     for name, one in model.named_parameters():
        ...         _ = one.add_(0.5)
        ...         _ = average[name].lerp_(one, 0.1)
        >>> round(averages.close(1)["ema"]["decay"], 4)
        0.9
    """

    def __init__(self, averages: Mapping[str, Average], model: nn.Module | None) -> None:
        self._averages = averages
        self._names: tuple[str, ...] = ()
        self._model = model
        if averages:
            self._names = _chosen(averages, model)
        self._first: _Seen | None = None
        self._before: _Seen | None = None
        self._last: Mapping[str, Tensor] = {}
        self._step = 0

    @property
    def fresh(self) -> bool:
        """Is it not known yet where the averages start?"""
        return bool(self._names) and self._first is None

    def begin(self) -> None:
        """Remembers where model and averages start; later calls do nothing."""
        if self.fresh:
            self._first = self._seen()
            self._last = self._first.averages

    def open(self, step: int) -> None:
        """Looks before an optimizer step, with `step` of them done."""
        if self._names:
            self.begin()
            self._before, self._step = self._seen(), step

    def ready(self, step: int) -> bool:
        """Has a step been taken since `open`?"""
        return self._before is not None and step > self._step

    def close(self, step: int) -> dict[str, dict[str, float]]:
        """Looks again, with `step` steps done.

        Returns:
            By average: `decay`, what one update keeps of it, left out where that cannot be told;
            and `follows`, its distance from where it started over that of the weights.
        """
        before, self._before = self._before, None
        if before is None or self._first is None or step != self._step + 1:
            return {}
        now = self._seen()
        found: dict[str, dict[str, float]] = {}
        for name, average in now.averages.items():
            told = found.setdefault(name, {})
            decay = _decay(before.averages[name], average, (now.weights, before.weights))
            still = torch.equal(average, self._last[name])
            if decay is not None and (decay < 1 or still):
                told["decay"] = decay
            way = _size(now.weights - self._first.weights)
            if way > 0:
                told["follows"] = _size(average - self._first.averages[name]) / way
        self._last = now.averages
        return {name: told for name, told in found.items() if told}

    def _seen(self) -> _Seen:
        assert self._model is not None
        return _Seen(
            _sample(_tensors(self._model), self._names),
            {name: _sample(_tensors(one), self._names) for name, one in self._averages.items()},
        )


def _decay(before: Tensor, after: Tensor, towards: Iterable[Tensor]) -> float | None:
    """What one update kept: 1 where nothing changed, None where it was no step towards weights.

    The weights may be those after the optimizer step or those before it, whatever fits better.
    """
    moved = after - before
    ways = [one - before for one in towards]
    if not moved.any():
        return 1.0 if ways[0].any() else None
    cosines = [_cosine(moved, way) for way in ways]
    way = ways[cosines.index(max(cosines))]
    if max(cosines) < ALONG:
        return None
    return min(1.0, max(0.0, 1 - float(moved @ way) / float(way @ way)))


def _cosine(one: Tensor, other: Tensor) -> float:
    sizes = _size(one) * _size(other)
    return float(one @ other) / sizes if sizes > 0 else -1.0


def _size(one: Tensor) -> float:
    return float(one @ one) ** 0.5


def _chosen(averages: Mapping[str, Average], model: nn.Module | None) -> tuple[str, ...]:
    """Names of the parameters that are looked at.

    Raises:
        WatchError: As in `Averages`.
    """
    if model is None:
        raise WatchError(
            "Watch: averages: expected model= beside it, got none; pass the model whose weights "
            "are averaged"
        )
    own = {
        name: one.shape
        for name, one in _tensors(model).items()
        if one.requires_grad and one.is_floating_point() and one.numel()
    }
    for label, average in averages.items():
        if not isinstance(average, (nn.Module, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
            kind = type(average).__name__
            raise WatchError(
                f"Watch: averages: {label}: expected a module or tensors by parameter name, got "
                f"{kind}; pass for example torch.optim.swa_utils.AveragedModel(model)"
            )
        theirs = {name: one.shape for name, one in _tensors(average).items()}
        wrong = next((name for name, shape in own.items() if theirs.get(name) != shape), None)
        if wrong is not None:
            raise WatchError(
                f"Watch: averages: {label}: expected the model's parameter {wrong!r} of shape "
                f"{list(own[wrong])}, got {_say(theirs.get(wrong))}; make the average of this model"
            )
    names = sorted(own, key=lambda name: own[name].numel(), reverse=True)[:PARAMETERS]
    return tuple(name for name in own if name in set(names))


def _say(shape: torch.Size | None) -> str:
    return "none of that name" if shape is None else f"one of shape {list(shape)}"


def _tensors(one: Average) -> dict[str, Tensor]:
    named = one.named_parameters() if isinstance(one, nn.Module) else one.items()
    return {_bare(name): tensor for name, tensor in named}


def _bare(name: str) -> str:
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name


def _sample(tensors: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """Evenly spread elements of the named tensors."""
    parts: dict[torch.device, list[Tensor]] = {}
    for name in names:
        one = tensors[name].detach()
        flat = one.reshape(-1)[:: -(-one.numel() // ELEMENTS)]
        wide = flat if flat.dtype == torch.float64 else flat.float()
        parts.setdefault(one.device, []).append(wide)
    return torch.cat([torch.cat(group).cpu().double() for group in parts.values()])
