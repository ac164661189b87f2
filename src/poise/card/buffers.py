"""Puts the buffers of a loss module back before every call: no probe sees another's trace."""

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from poise.probe.typed import buffers_of


@final
@dataclass(frozen=True, slots=True)
class Buffers:
    """Buffers of a module and its parts, as they were.

    Example:
        >>> import torch
        >>> layer = nn.BatchNorm1d(2)
        >>> kept = Buffers.of(layer)
        >>> _ = layer(torch.rand(4, 2))
        >>> kept.restore()
        >>> layer.running_mean
        tensor([0., 0.])
    """

    kept: tuple[tuple[nn.Module, str, Tensor], ...]

    @classmethod
    def of(cls, *functions: object) -> "Buffers":
        """Of those functions that are modules."""
        modules = [
            part for one in functions if isinstance(one, nn.Module) for part in one.modules()
        ]
        return cls(
            tuple(
                (part, name, buffer.detach().clone())
                for part in modules
                for name, buffer in buffers_of(part).items()
                if buffer is not None
            )
        )

    def restore(self) -> None:
        """Gives every module a fresh copy of what its buffers were."""
        for module, name, content in self.kept:
            buffers_of(module)[name] = content.clone()
