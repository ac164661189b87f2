"""A scalarizer of TorchJD as a rule: options by name, memory in buffers, any subset of terms."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Self, cast, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from poise.balance.checks import integer
from poise.balance.dice import seeded, thrown
from poise.balance.kept import Peer
from poise.balance.named_options import by_term
from poise.balance.names import known
from poise.balance.ranks import added
from poise.balance.rule import ValueRule
from poise.errors import BalanceError, MissingExtraError, PoiseWarning, TermValueError
from poise.probe.collective import processes

call = cast(Callable[..., Tensor], functional_call)

PATIENCE = 256
"""Totals without an update until that is said; more than anybody accumulates."""

Fields = Mapping[str, Tensor]
Note = Callable[[Fields, Tensor], dict[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What a scalarizer remembers of each term, and how that changes.

    Attributes:
        fields: Name to first value, one number a term.
        put: Hands the memory of the present terms to the object of TorchJD.
        see: What a batch's values change; gets the fields of the terms that are finite, and their
            values.
        epoch: What the end of an epoch changes, of all terms; None if nothing.
        update: What the values after the optimizer's step change; gets the object of TorchJD, the
            fields, and the values. None if nothing.

    Example:
        >>> Lasting(fields={}, put=lambda peer, fields: None, see=lambda fields, values: {}).epoch
    """

    fields: Mapping[str, float]
    put: Callable[[Peer, Fields], None]
    see: Note
    epoch: Callable[[Fields], dict[str, Tensor]] | None = None
    update: Callable[[Peer, Fields, Tensor], dict[str, Tensor]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One scalarizer.

    Attributes:
        name: What it is called here.
        make: Makes it for that many terms with these options.
        paper: Where it is published.
        options: Options with their defaults, where TorchJD has none.
        equal: Options that are one number a term, and 1/K each unless they are given.
        learned: Its parameter, which the training's optimizer must step.
        lasting: Its memory.
        random: Does it draw random numbers?
        above: Must the values be above zero, or above its option min_losses?
        note: What to know before using it.

    Example:
        >>> Line(name="none", make=lambda count, options: None).random
        False
    """

    name: str
    make: Callable[[int, dict[str, Any]], Peer] = field(repr=False)
    paper: str = ""
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    equal: tuple[str, ...] = ()
    learned: str = ""
    lasting: Lasting | None = field(default=None, repr=False)
    random: bool = False
    above: bool = False
    note: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A row is data and functions: nothing in it changes."""
        return self

    def __reduce__(self) -> tuple[Callable[[str], "Line"], tuple[str]]:
        """Its functions have no names to be found by, but the row has one."""
        return _found, (self.name,)


def _found(name: str) -> Line:
    return import_module("poise.balance.scalarizer").listed(name)


@final
class ScalarizerRule(ValueRule):
    """The total of one scalarizer of the table.

    Values in half precision are combined in float32. Values without a graph, as in an evaluation,
    are not remembered.

    Args:
        line: The scalarizer.
        names: Names of all terms, in order.
        seed: For random numbers.
        **options: What the scalarizer takes; one number a term is given as a dict by name.

    Raises:
        BalanceError: The scalarizer does not take these options.
        MissingExtraError: TorchJD is not installed.

    Example:
        >>> from poise.balance.scalarizer import listed
        >>> rule = ScalarizerRule(listed("geometric_mean"), ("a", "b"))
        >>> rule(torch.tensor([1.0, 4.0]), ("a", "b"))
        tensor(2.)
    """

    def __init__(
        self, line: Line, names: Sequence[str], *, seed: int = 0, **options: object
    ) -> None:
        super().__init__()
        self.line = line
        self.names = tuple(names)
        seed = integer(f"Scalarizer {line.name!r}", "seed", seed, 0)
        self._told, self._totals = False, 0
        equal = {key: dict.fromkeys(self.names, 1.0 / len(self.names)) for key in line.equal}
        self.options: dict[str, object] = {**line.options, **equal, **options}
        count = len(self.names)
        if line.learned:
            self.learned = nn.Parameter(torch.zeros(count))
        if line.random:
            self.register_buffer("generator", seeded(seed))
        for name, first in self._fields.items():
            self.register_buffer(f"kept_{name}", torch.full((count,), first, dtype=torch.float64))
        self._try()

    @property
    def _fields(self) -> Mapping[str, float]:
        return self.line.lasting.fields if self.line.lasting else {}

    def _try(self) -> None:
        say = f"Scalarizer {self.line.name!r}"
        try:
            with torch.no_grad(), thrown(seeded(0)):
                self._peer(self.names, torch.ones(()))(torch.ones(len(self.names)))
        except ImportError as error:
            raise MissingExtraError(f"{say}: {error}; pip install 'poise[balance]'") from error
        except (TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
            raise BalanceError(
                f"{say}: expected options that it takes in TorchJD, got {self.options}: {error}; "
                "see the docs of torchjd.scalarization"
            ) from error

    def _peer(self, terms: tuple[str, ...], like: Tensor) -> Peer:
        """The scalarizer for these terms, in the type and on the device of their values."""
        say = f"Scalarizer {self.line.name!r}"
        options = by_term(say, self.options, terms, self.names)
        moved = {
            key: value.to(like) if isinstance(value, Tensor) else value
            for key, value in options.items()
        }
        return self.line.make(len(terms), moved).to(like)

    def _part(self, terms: tuple[str, ...], like: Tensor) -> dict[str, Tensor]:
        places = [self.names.index(name) for name in terms]
        return {
            name: self.get_buffer(f"kept_{name}")[places].to(like.device) for name in self._fields
        }

    def _keep(self, changed: Mapping[str, Tensor], terms: Sequence[str]) -> None:
        places = [self.names.index(name) for name in terms]
        for name, value in changed.items():
            kept = self.get_buffer(f"kept_{name}")
            kept[places] = value.to(kept)

    def forward(self, values: Tensor, terms: tuple[str, ...]) -> Tensor:
        """The total; see `Scalarizer`."""
        if values.dtype in {torch.bfloat16, torch.float16}:
            values = values.float()
        self._demand(values, terms)
        peer = self._peer(terms, values)
        if self.line.random:
            return self._drawn(peer, values)
        if self.line.learned:
            places = [self.names.index(name) for name in terms]
            shown = {self.line.learned: self.learned[places].to(values)}
            return call(peer, shown, (values,))
        if self.line.lasting is not None:
            self.line.lasting.put(peer, self._part(terms, values))
        total = cast(Tensor, peer(values)).to(values.dtype)
        if values.requires_grad:
            self._see(values.detach(), terms)
        return total

    def _demand(self, values: Tensor, terms: tuple[str, ...]) -> None:
        """A logarithm of zero would make every gradient NaN."""
        if not self.line.above:
            return
        given = by_term(self.line.name, self.options, terms, self.names).get("min_losses", 0.0)
        least = given.to(values) if isinstance(given, Tensor) else torch.zeros_like(values)
        for name, value, bound in zip(terms, values.detach(), least, strict=True):
            if value <= bound:
                raise TermValueError(
                    f"Scalarizer {self.line.name!r}: expected values above {float(bound):g}, since "
                    f"it takes logarithms, got {float(value):.3g} for term {name!r}; add a "
                    "constant to the term or take another scalarizer"
                )

    def _drawn(self, peer: Peer, values: Tensor) -> Tensor:
        """A linear scalarizer asked for its weights on the CPU, where the generator is."""
        ones = torch.ones(len(values), requires_grad=True)
        with thrown(self.get_buffer("generator")), torch.enable_grad():
            drawn = cast(Tensor, peer.to("cpu")(ones))
        (weights,) = torch.autograd.grad(drawn, ones)
        return (weights.to(values) * values).sum()

    def _see(self, values: Tensor, terms: tuple[str, ...]) -> None:
        if self.line.lasting is None:
            return
        self._demand_update()
        before = self._part(terms, values)
        self._keep(self.line.lasting.see(before, values.double()), terms)

    def _demand_update(self) -> None:
        """Says once that a scalarizer which looks back was never told what to look at."""
        if self.line.lasting is None or self.line.lasting.update is None or self._told:
            return
        self._totals += 1
        if self._totals == PATIENCE:
            warnings.warn(
                f"Scalarizer {self.line.name!r}: {PATIENCE} totals and no .rule.update(terms), so "
                "its weights learn nothing; call it after each optimizer step, with the values of "
                "the same batch",
                PoiseWarning,
                stacklevel=6,
            )

    def epoch(self) -> None:
        """To be called once after each epoch by users of `dwa`, which compares epochs.

        Raises:
            BalanceError: The scalarizer has no use for it.
        """
        if self.line.lasting is None or self.line.lasting.epoch is None:
            raise BalanceError(
                f"Scalarizer {self.line.name!r} does not count epochs: drop .epoch()"
            )
        self._keep(self.line.lasting.epoch(self._part(self.names, torch.zeros(()))), self.names)

    def update(self, terms: Mapping[str, Tensor]) -> None:
        """To be called after the optimizer's step by users of `famo`, with the same batch's values.

        With several processes it is a collective.

        Args:
            terms: Their values under the new parameters, by name; no graph is needed.

        Raises:
            BalanceError: The scalarizer has no use for it.
            TermNameError: A name that no term has.
        """
        if self.line.lasting is None or self.line.lasting.update is None:
            raise BalanceError(
                f"Scalarizer {self.line.name!r} does not look back: drop .update(...)"
            )
        known(f"Scalarizer {self.line.name!r}", terms, self.names)
        self._told = True
        names, values = self._joint(terms)
        if not bool(values.isfinite().all()):
            warnings.warn(
                f"Scalarizer {self.line.name!r}: a value after the step is not finite "
                f"({values}); the weights stay as they are",
                PoiseWarning,
                stacklevel=2,
            )
            return
        peer = self._peer(names, values)
        before = self._part(names, values)
        self.line.lasting.put(peer, before)
        self._keep(self.line.lasting.update(peer, before, values), names)

    def _joint(self, terms: Mapping[str, Tensor]) -> tuple[tuple[str, ...], Tensor]:
        """The terms that some process has, and the means of their values, as in `Valuing`."""
        own = torch.zeros(2, len(self.names), dtype=torch.float64)
        for name, one in terms.items():
            own[:, self.names.index(name)] = torch.tensor([float(one.detach()), 1.0])
        whole = added(own)
        there = [k for k, count in enumerate(whole[1]) if count > 0]
        return tuple(self.names[k] for k in there), whole[0, there] / processes()
