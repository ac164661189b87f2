"""Which modules run, of those whose parameters no term reaches."""

from collections.abc import Iterable
from functools import partial

from torch import nn
from torch.utils.hooks import RemovableHandle

from poise.probe.edges import size_of


class Ran:
    """Notices which modules run in training, until it is ended.

    A module that runs and gets no gradient is cut off from the losses; one that does not run is
    only not in use.

    Args:
        model: Holds the modules.
        names: Parameters that no term reaches; the modules that own them are listened to, where
            the model has them still.

    Example:
        >>> import torch
        >>> model = nn.ModuleDict({"used": nn.Linear(2, 2), "idle": nn.Linear(2, 2)})
        >>> ran = Ran(model, ["used.weight", "used.bias", "idle.weight", "idle.bias"])
        >>> _ = model["used"](torch.ones(1, 2))
        >>> ran.end()
        {'used': 6}
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        there = dict(model.named_parameters())  # not those of modules that are gone by now
        self._wanted: dict[str, int] = {}
        for name in (one for one in names if one in there):
            owner = name.rpartition(".")[0]
            self._wanted[owner] = self._wanted.get(owner, 0) + size_of(there[name])
        self._seen: set[str] = set()
        self._handles: list[RemovableHandle] = [
            model.get_submodule(owner).register_forward_hook(partial(self._run, owner))
            for owner in self._wanted
            if owner
        ]

    def end(self) -> dict[str, int]:
        """Elements of the listed parameters by module that ran; removes the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        return {owner: size for owner, size in self._wanted.items() if owner in self._seen}

    def _run(self, owner: str, module: nn.Module, *_: object) -> None:
        if module.training:
            self._seen.add(owner)
