"""Binds the names of the terms, a rule, and the training."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypedDict, TypeVar, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from poise.balance.checks import integer, real
from poise.balance.common import Common
from poise.balance.crossing import (
    everything_back,
    gathered,
    met,
    price_of,
    refuse_fused,
    weighed,
)
from poise.balance.home import BalancedHome, number
from poise.balance.keeper import Keeper
from poise.balance.names import known, mapped, named
from poise.balance.passes import reading_of_passes, refuse_samples
from poise.balance.ranks import least, prepare, together
from poise.balance.rows import Rows, at_once
from poise.balance.rule import GradientRule, Memory, ValueRule
from poise.balance.sight import Sight
from poise.balance.valuing import Valuing
from poise.errors import BalanceError, PoiseWarning, StateError
from poise.probe.bottleneck import Bottleneck
from poise.probe.fork import Scale, handed_out, tell_listeners
from poise.probe.gradients import Gradients, check_terms
from poise.probe.graph import Graph
from poise.probe.typed import numbers

T = TypeVar("T")

PATIENCE = 10
"""Totals without a gradient at a fork until that is said."""

LEAST = 1e-6
"""Smallest weight of a head with `heads="weighted"`: where all is 0, nothing can be measured."""


class Machinery(TypedDict, total=False):
    """What every balancer takes besides its own options; see `Balancer`.

    Example:
        >>> sorted(Machinery.__optional_keys__)
        ['every', 'heads', 'name', 'optimizer', 'scale']
    """

    optimizer: Optimizer | None
    every: int
    heads: Literal["own", "weighted"]
    scale: Scale | None
    name: str


@final
class Balancer(Memory):
    """Trains several terms with the weights of a rule, in one ordinary backward pass.

    At a fork: `z = balance.fork(z)`, each term from its own copy, and then
    `balance.total(terms).backward()`. Without touching the model: `balance.backward(terms)`, at the
    place where the terms meet.

    The weights act on what the terms share. What a term uses alone, its head, keeps its own
    unscaled gradient, as if it trained alone; `heads="weighted"` multiplies it with the weight,
    too.

    Args:
        names: Names of the terms.
        rule: Turns gradients or values into weights.
        optimizer: Ends a step each time it steps: the weights are the same for all micro-batches
            of a step, and follow from what was seen in the step before (a term that has no weight
            yet: from its first micro-batch). Without it every backward pass is a step, and its
            weights follow from what is seen in it.
        every: Measure every so many steps; the weights are held in between.
        heads: `own` or `weighted`: with the weights that held before the pass, at least 1e-6.
        scale: Loss scale to divide out of what is seen, or what returns it, such as
            `scaler.get_scale`. Only rules that set a size, and not only ratios, need it.
        name: Says in readings whose they are: `fork:<name>`.

    Attributes:
        names: Names of the terms.
        last: The latest reading, of the weighted gradients; None before the first.

    Raises:
        TermNameError: The names are no different texts, or none.
        BalanceError: An option is not one of those above.

    Example:
        >>> from poise.balance import Fixed
        >>> balance = Fixed({"a": 1.0, "b": 3.0})
        >>> shared, head = (torch.ones(2, requires_grad=True) for _ in range(2))
        >>> balance.backward({"a": shared.sum(), "b": (shared * head).sum()})
        >>> shared.grad, head.grad
        (tensor([4., 4.]), tensor([1., 1.]))
    """

    def __init__(
        self,
        names: Iterable[str],
        rule: GradientRule | ValueRule,
        *,
        optimizer: Optimizer | None = None,
        every: int = 1,
        heads: Literal["own", "weighted"] = "own",
        scale: Scale | None = None,
        name: str = "balance",
    ) -> None:
        super().__init__()
        self.names = named("Balancer", names)
        _check(heads, optimizer, scale, name)
        every = integer("Balancer", "every", every, 1)
        self.heads, self.scale, self.name = heads, scale, name
        self.last: Gradients | None = None
        self._lent: Tensor | None = None
        self._forked = self._warned = False
        self._totals = 0
        self._common = Common()
        self.keeper: Keeper | Valuing
        if isinstance(rule, ValueRule):
            self.keeper = Valuing(self.names, rule)
        else:
            lagging = optimizer is not None
            self.keeper = Keeper(self.names, rule, every=every, lagging=lagging)
        if optimizer is not None:
            optimizer.register_step_post_hook(self._stepped)

    @property
    def rule(self) -> GradientRule | ValueRule:
        """The rule."""
        return self.keeper.rule

    @property
    def weights(self) -> dict[str, float]:
        """The weights last applied; 1.0 for a term that was never seen."""
        return dict(zip(self.names, numbers(self.keeper.held), strict=True))

    @property
    def skipped(self) -> int:
        """Measurements that were left out because they were not finite."""
        return int(self.keeper.skipped)

    def fork(self, tree: T) -> dict[str, T]:
        """As `poise.fork`; the gradients that arrive are combined with the rule's weights.

        One call a forward pass; several tensors go together, as a list or a dict.

        Raises:
            BalanceError: The rule looks at values, not at gradients.
            ForkError: A tensor is a DTensor.

        Example:
            >>> from poise.balance import Fixed
            >>> balance = Fixed({"a": 1.0, "b": 3.0})
            >>> z = torch.ones(2, requires_grad=True)
            >>> parts = balance.fork(z)
            >>> balance.total({"a": parts["a"].sum(), "b": parts["b"].sum()}).backward()
            >>> z.grad
            tensor([4., 4.])
        """
        keeper = self._gradient_keeper("fork")
        if torch.is_grad_enabled():  # an evaluation may run on one process alone
            prepare()
        self._forked = True  # in a reentrant checkpoint gradients are off at first
        return handed_out(tree, self.names, BalancedHome(self, keeper, self._lend()))

    def total(
        self, terms: Mapping[str, Tensor], weights: Mapping[str, float] | None = None
    ) -> Tensor:
        """What to call `backward()` on: the plain sum at a fork, the rule's total for a value rule.

        Args:
            terms: Scalar losses by name, with their graph; those of this batch.
            weights: Factors of your own, which act on heads and trunk; 1.0 where absent.

        Raises:
            TermNameError: A name that no term has.
            GraphError: A term is no scalar tensor, or there is none.

        Example:
            >>> from poise.balance import Fixed
            >>> Fixed({"a": 1.0, "b": 3.0}).total({"a": torch.tensor(2.0), "b": torch.tensor(5.0)})
            tensor(7.)
        """
        mapped("Balancer", terms)
        known("Balancer", (*terms, *(weights or {})), self.names)
        check_terms(terms)
        scaled = {k: _times(one, (weights or {}).get(k)) for k, one in terms.items()}
        if isinstance(self.keeper, Valuing):
            return self.keeper.total(scaled)
        self._demand_fork(self.keeper, terms)
        self.keeper.rule.hear(terms)
        if self._lent is not None:
            lent = dict(zip(self.names, numbers(self._lent), strict=True))
            scaled = {k: one * lent[k] for k, one in scaled.items()}
        first, *others = scaled.values()
        return sum(others, first)

    def backward(self, terms: Mapping[str, Tensor], *, model: nn.Module | None = None) -> None:
        """Passes all terms backward, balanced at what they share, in one ordinary backward pass.

        Where one tensor carries all terms to what they share, they are measured there in the same
        pass, at the price of a fork. Elsewhere every measurement is one more pass a term.

        Args:
            terms: Scalar losses by name, with their graph; those of this batch.
            model: Owns the parameters; needed by several processes without such a tensor.

        Raises:
            TermNameError: A name that no term has.
            GraphError: A term is no scalar tensor, or the graph cannot be measured.

        Example:
            >>> from poise.balance import Fixed
            >>> balance = Fixed({"a": 1.0, "b": 3.0})
            >>> shared = torch.ones(2, requires_grad=True)
            >>> balance.backward({"a": shared.sum(), "b": shared.sum()})
            >>> shared.grad
            tensor([4., 4.])
        """
        if isinstance(self.keeper, Valuing):
            return torch.autograd.backward(self.total(terms))
        mapped("Balancer", terms)
        known("Balancer", terms, self.names)
        self.keeper.rule.hear(terms)
        prepare()
        graph = Graph(terms, model)
        refuse_fused(graph)
        self._common.learn(graph)
        borders, inside = graph.borders(self._common.has)
        place = None if inside else met(borders, graph)  # cheaper to find than the bottleneck
        place = place or graph.bottleneck() or met(borders, graph)
        price = price_of(place, borders, inside)
        if self.keeper.due:  # all processes measure in the same way, whatever terms they have
            price = least(price)
        if place is not None and price == 2:
            home = BalancedHome(self, self.keeper, self._lend(), place.terms)
            with gathered(borders, place, home):
                return everything_back(graph, self._lent, self.names)
        if price == 0 and self.keeper.due and at_once(graph):
            return self._at_once(graph, self.keeper)
        held = self._by_passes(graph, self.keeper, place if price == 1 else None)
        if self.heads == "weighted":
            return everything_back(graph, held, self.names)
        borders, inside = graph.borders(self._common.has)  # other processes may know of more
        with weighed(borders, dict(zip(self.names, held.unbind(), strict=True))):
            at = torch.tensor([name in inside for name in self.names])
            return everything_back(graph, torch.where(at, held, torch.ones_like(held)), self.names)

    def extra_repr(self) -> str:
        """The names, for printing."""
        return ", ".join(self.names)

    def get_extra_state(self) -> dict[str, object]:
        """The names, in whose order the numbers are, and which terms reach which parameters."""
        return {"names": list(self.names), "reached": self._common.to_state()}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Refuses the state of a balancer of other terms.

        Raises:
            StateError: The names or their order differ.
        """
        if state["names"] != list(self.names):
            raise StateError(
                f"Balancer: expected the state of the terms {list(self.names)}, got that of "
                f"{state['names']}; make the balancer with those names in that order"
            )
        self._common.load(state["reached"])

    def _by_passes(self, graph: Graph, keeper: Keeper, place: Bottleneck | None) -> Tensor:
        """The weights of this pass, measured where that is due with one pass a term."""
        refuse_samples(keeper.rule)
        if not keeper.due:
            return keeper.take(None)
        reading, joint = reading_of_passes(graph, place, graph.model, self.names)
        reading = _unscaled(reading, self.scale)
        sight = Sight.of(reading, self.names)
        self._common.add((joint or {}).values())
        held = keeper.take(together(sight) if joint is None else sight)
        self.tell(reading, held)
        return held

    def _at_once(self, graph: Graph, keeper: Keeper) -> None:
        """Measures with one pass a term, and combines what these passes found."""
        refuse_samples(keeper.rule)
        rows = Rows.of(graph)
        reading = _unscaled(rows.reading(), self.scale)
        self._common.add(graph.shared.values())
        held = keeper.take(Sight.of(reading, self.names))
        self.tell(reading, held)
        by = dict(zip(self.names, held.unbind(), strict=True))
        rows.deliver(by, self._common.has, everywhere=self.heads == "weighted")

    def tell(self, reading: Gradients, factors: Tensor) -> None:
        """Keeps a reading as that of the weighted gradients, and hands it to the listeners.

        Args:
            reading: What was measured.
            factors: What each term's gradient was then multiplied with, shape (K,).
        """
        at = [self.names.index(name) for name in reading.terms]
        by = factors[at].to(reading.products)
        weights = numbers(self.keeper.held[at])
        self.last = replace(
            reading,
            products=reading.products * by[:, None] * by,
            weights=dict(zip(reading.terms, weights, strict=True)),
        )
        tell_listeners(self.last)

    def _gradient_keeper(self, what: str) -> Keeper:
        if isinstance(self.keeper, Keeper):
            return self.keeper
        raise BalanceError(
            f"{type(self.keeper.rule).__name__} weighs the values of the terms, so there is no "
            f"{what} to balance at; use balance.total(terms).backward()"
        )

    def _demand_fork(self, keeper: Keeper, terms: Mapping[str, Tensor]) -> None:
        """Says once that terms which read no copy of a fork are summed as they are."""
        self._totals += any(one.requires_grad for one in terms.values())
        late = self._totals >= PATIENCE and not bool(keeper.weighed.any())
        if self._warned or not self._totals or (self._forked and not late):
            return
        self._warned = True
        lost = f"no gradient came back in {PATIENCE} totals"
        how = lost if self._forked else "there was none yet"
        warnings.warn(
            f"balance: total(terms) balances what goes through balance.fork, and {how}, so this is "
            "the plain sum; let each term read its own copy, balance.fork(z)[name], or call "
            "balance.backward(terms)",
            PoiseWarning,
            stacklevel=3,
        )

    def _lend(self) -> Tensor | None:
        """The weights that the heads get in the coming pass; None: their own gradients."""
        self._lent = self.keeper.held.clamp(min=LEAST) if self.heads == "weighted" else None
        return self._lent

    def _stepped(self, *_: Any) -> None:  # noqa: ANN401 -- torch's hook
        if isinstance(self.keeper, Keeper):
            self.keeper.stepped()


def _check(heads: object, optimizer: object, scale: object, name: object) -> None:
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise BalanceError(
            f"Balancer: expected optimizer to be a torch optimizer, got a "
            f"{type(optimizer).__name__}; pass the one that trains the model"
        )
    if heads not in ("own", "weighted"):
        raise BalanceError(
            f"Balancer: expected heads 'own' or 'weighted', got {heads!r:.60}; pass one"
        )
    if scale is not None and not callable(scale):
        real("Balancer", "scale", scale, "above 0, or what returns it", lambda one: one > 0)
    if not isinstance(name, str):
        raise BalanceError(f"Balancer: expected name to be a text, got {name!r:.60}; pass a str")


def _times(term: Tensor, weight: float | None) -> Tensor:
    return term if weight is None or weight == 1.0 else term * weight


def _unscaled(reading: Gradients, scale: Scale | None) -> Gradients:
    return reading if scale is None else reading.unscaled(number(scale))
