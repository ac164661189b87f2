"""When a rule is asked, and which weights hold in between."""

import copy
import warnings
from typing import final

import torch
from torch import Tensor

from poise.balance.rule import GradientRule, Memory
from poise.balance.sight import Sight
from poise.errors import PoiseWarning

PATIENCE = 256
"""Backward passes without an optimizer step until that is said; more than anybody accumulates."""


@final
class Keeper(Memory):
    """Holds the weights of a gradient rule and asks it when there is something to be said.

    Args:
        names: Names of the terms.
        rule: Is asked for weights.
        every: Steps from one measurement to the next.
        lagging: What was seen in a step decides about the next one, so that the weights are the
            same for all micro-batches of a step; `stepped` ends a step. Otherwise every
            measurement is a step, and decides about itself.

    Attributes:
        held: Weight of each term, shape (K,), float64.
        steps: Steps done.
        asked: How often the rule was asked.
        skipped: Measurements that were not finite.

    Example:
        >>> from poise.balance.fixed import FixedRule
        >>> keeper = Keeper(("a", "b"), FixedRule({"a": 1.0, "b": 2.0}), every=1, lagging=False)
        >>> sight = Sight.of(None, ("a", "b"))
        >>> keeper.take(sight)  # nothing was seen, so nothing changes
        tensor([1., 1.], dtype=torch.float64)
    """

    held: Tensor
    weighed: Tensor
    waiting: Tensor
    steps: Tensor
    asked: Tensor
    skipped: Tensor

    def __init__(
        self, names: tuple[str, ...], rule: GradientRule, *, every: int, lagging: bool
    ) -> None:
        super().__init__()
        self.names, self.every, self.lagging = names, every, lagging
        self.rule = rule
        self._warned = False
        self._made = id(self)  # a copy has another one, and no optimizer ends its steps
        self._passes = 0
        count = len(names)
        self.register_buffer("held", torch.ones(count, dtype=torch.float64))
        self.register_buffer("weighed", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("waiting", Sight.of(None, names).packed())
        for name in ("steps", "asked", "skipped"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @property
    def due(self) -> bool:
        """Is this step to be measured?"""
        return int(self.steps) % self.every == 0

    def take(self, sight: Sight | None) -> Tensor:
        """The weights of a backward pass, given what was seen in it; None if it was not due."""
        if self.lagging:
            self._await()
        if sight is not None:
            faulty = sight.faulty(self.names)
            if faulty:
                self._skip(", ".join(map(repr, faulty)))
            elif self.lagging:
                self.waiting += sight.packed()
                self._preview(sight)
            else:
                self._ask(self.rule, sight)
        if not self.lagging:
            self.steps += 1
        return self.held

    def stepped(self) -> None:
        """Ends a step: what its micro-batches saw decides about the next one."""
        if not self.lagging:
            return
        self._passes = 0
        self._ask(self.rule, Sight.unpacked(self.waiting, len(self.names)))
        self.waiting.zero_()
        self.steps += 1

    def _preview(self, sight: Sight) -> None:
        """Weights for terms that have none yet, from the first micro-batch they are in."""
        fresh = torch.tensor([one > 0 for one in sight.present]) & ~self.weighed
        if bool(fresh.any()):
            held, asked = self.held.clone(), self.asked.clone()
            self._ask(copy.deepcopy(self.rule), sight)
            self.held.copy_(torch.where(fresh, self.held, held))
            self.asked.copy_(asked)

    def _ask(self, rule: GradientRule, sight: Sight) -> None:
        seen = sight.seen(self.names, int(self.asked))
        if seen is None:
            return
        at = seen.places
        if len(at) == 1 and not rule.alone:
            weights = torch.ones(1, dtype=torch.float64)
        else:
            with torch.no_grad():
                weights = rule(seen).detach().to("cpu", torch.float64)
        if not bool(weights.isfinite().all()):
            self._skip(f"the weights of {type(rule).__name__}")
            return
        if len(at) == len(self.names):
            self.held.copy_(weights)
            self.weighed.fill_(True)
        else:
            self.held[at] = weights
            self.weighed[at] = True
        self.asked += 1

    def _await(self) -> None:
        """Says once that nobody ends the steps, so that the weights stay as they are."""
        self._passes += 1
        copied = self._made != id(self)
        if not copied and self._passes != PATIENCE:
            return
        self._made = id(self)
        why = "is a copy" if copied else f"has seen {PATIENCE} passes and no step of its optimizer"
        warnings.warn(
            f"balance: this balancer {why}, and weights change at optimizer steps only, so they "
            "stay as they are; make it anew with the optimizer that trains the model, and load the "
            "state_dict of the old one",
            PoiseWarning,
            stacklevel=2,
        )

    def _skip(self, what: str) -> None:
        self.skipped += 1
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"balance: the gradient of {what} is not finite; the weights are held and this "
                "step is not remembered. Later ones are counted in `skipped` and not reported",
                PoiseWarning,
                stacklevel=2,
            )
