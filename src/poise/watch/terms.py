"""What a training hands to `Watch.total`: checked, weighted and summed up."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real
from typing import Protocol, TypeAlias, cast

import torch
from torch import Tensor

from poise.balance.balancer import Balancer
from poise.balance.rule import ValueRule
from poise.errors import TermNameError, TermValueError
from poise.reduce import Reduced, Reduction
from poise.watch.sink import SUMS, Key

Scalar: TypeAlias = Tensor | float
Scalars: TypeAlias = Mapping[str, Scalar]


class Part(Protocol):
    """One term of a sum that was already taken, such as an `Entry` of a `Breakdown`."""

    @property
    def weight(self) -> Scalar:
        """What the value was multiplied with."""
        ...

    @property
    def value(self) -> Scalar | None:
        """The unweighted value; None if it was not computed."""
        ...

    @property
    def count(self) -> Scalar | None:
        """How many its mean was taken over; None if unknown."""
        ...


class Summed(Protocol):
    """A sum that was already taken, such as a `Breakdown`: a mapping with a total."""

    @property
    def total(self) -> Tensor:
        """The weighted sum."""
        ...

    def items(self) -> Iterable[tuple[str, Part]]:
        """The terms by name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The terms of one total.

    Attributes:
        total: The weighted sum with its graph.
        values: Unweighted value by term.
        weights: Weight by term, of the same names, without graph.
        counts: By term, how many elements its mean was taken over; of some terms or none.
        sums: Terms that are sums over their elements and no means.
    """

    total: Tensor
    values: Scalars
    weights: Scalars
    counts: Scalars
    sums: frozenset[str] = frozenset()

    def pairs(self) -> list[tuple[Key, Scalar]]:
        """The numbers under the keys they are recorded by."""
        return [
            (("total", ""), self.total),
            *((("terms", name), value) for name, value in self.values.items()),
            *((("weights", name), value) for name, value in self.weights.items()),
            *((("counts", name), value) for name, value in self.counts.items()),
        ]

    def marks(self) -> list[tuple[Key, Scalar]]:
        """What the means of an evaluation must know besides: which terms are sums."""
        return [((SUMS, name), 1.0) for name in self.sums]


def given(
    terms: Scalars | Summed,
    weights: Scalars | Balancer | None,
    counts: Scalars | None,
    *,
    declared: Collection[str] = (),
) -> Given:
    """Checks what was given and sums it up from left to right.

    Args:
        terms: Unweighted scalars by name, or a sum that was already taken.
        weights: Weight by term, a number or a scalar tensor; None: every weight is 1. A balancer
            takes the total itself.
        counts: By term, how many elements its mean was taken over; a sum that was already taken
            carries its own.
        declared: All names there are, where the user says so; then a term may be absent from
            `terms` although `weights` names it.

    Raises:
        TermNameError: A name is unknown, or a term or weight is missing.
        TermValueError: A value, weight or count is no scalar.

    Example:
        >>> terms = {"ce": torch.tensor(2.0), "kl": torch.tensor(3.0)}
        >>> given(terms, {"ce": 1.0, "kl": 0.5}, None).total
        tensor(3.5000)
    """
    total: object = getattr(terms, "total", None)
    if isinstance(total, Tensor):
        _expect_alone(weights, counts)
        return _of_summed(total, cast(Summed, terms), declared)
    if isinstance(weights, Balancer):
        return _balanced(cast(Scalars, terms), weights, counts, declared)
    values = _values(cast(Scalars, terms), declared)
    factors = dict.fromkeys(values, 1.0) if weights is None else _weights(weights, values, declared)
    known = {} if counts is None else _counts(counts, values, declared)
    summed: Scalar | None = None
    for name, value in values.items():
        part = value if weights is None else factors[name] * value
        summed = part if summed is None else summed + part
    if not isinstance(summed, Tensor):
        raise TermValueError(
            f"Watch.total: expected at least one scalar tensor, got {dict(values)!r:.80}; pass the "
            "losses themselves, not their .item()"
        )
    plain = {
        name: one.detach() if isinstance(one, Tensor) else one for name, one in factors.items()
    }
    return Given(total=summed, values=values, weights=plain, counts=known)


def _balanced(
    terms: Scalars, balance: Balancer, counts: Scalars | None, declared: Collection[str]
) -> Given:
    """The balancer's own total, with the weights that are in it.

    At a fork they are 1: there the weights act in the backward pass, and its reading has them.
    """
    values = _values(terms, declared)
    lent = balance.weights
    total = balance.total({name: torch.as_tensor(one) for name, one in values.items()})
    if isinstance(balance.rule, ValueRule):
        factors = {name: balance.weights[name] for name in values}
    elif balance.heads == "weighted":
        factors = {name: lent[name] for name in values}
    else:
        factors = dict.fromkeys(values, 1.0)
    known = {} if counts is None else _counts(counts, values, declared)
    return Given(total=total, values=values, weights=factors, counts=known)


def _expect_alone(weights: Scalars | Balancer | None, counts: Scalars | None) -> None:
    """Refuses what a breakdown carries itself."""
    if weights is not None:
        raise TermNameError(
            "Watch.total: expected no weights beside a breakdown, which carries its own, got "
            f"{_told(weights)!r:.80}; set them in the objective"
        )
    if counts is not None:
        raise TermNameError(
            "Watch.total: expected no counts beside a breakdown, which carries its own, got "
            f"{_mapping('counts', counts)!r:.80}; let the terms return a poise.reduce.Reduced, as "
            "masked_mean does"
        )


def _of_summed(total: Tensor, terms: Summed, declared: Collection[str]) -> Given:
    computed = {name: one for name, one in terms.items() if one.value is not None}
    if unknown := [name for name in computed if declared and name not in declared]:
        raise TermNameError(_unknown("terms", unknown[0], declared))
    return Given(
        total=total,
        values={name: cast(Scalar, one.value) for name, one in computed.items()},
        weights={name: _applied(one) for name, one in computed.items()},
        counts={name: one.count for name, one in computed.items() if one.count is not None},
        sums=frozenset(name for name, one in computed.items() if _is_sum(one)),
    )


def _is_sum(part: Part) -> bool:
    whole = getattr(part, "part", None)
    return isinstance(whole, Reduced) and whole.reduction is Reduction.SUM


def _applied(part: Part) -> Scalar:
    """The weight as it is in the total: 0 for a term that is only measured."""
    return 0.0 if getattr(part, "weighted", part) is None else part.weight


def _values(terms: Scalars, declared: Collection[str]) -> dict[str, Scalar]:
    if not isinstance(terms, Mapping) or not terms:  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
        kind = type(terms).__name__
        raise TermNameError(
            f"Watch.total: expected losses by name, got {kind} {terms!r:.60}; pass a dict such as "
            "{'ce': loss}"
        )
    for name, value in terms.items():
        if type(name) is not str:
            raise TermNameError(
                f"Watch.total: expected names that are texts, got {name!r:.60}; name it by a str"
            )
        if declared and name not in declared:
            raise TermNameError(_unknown("terms", name, declared))
        _expect_scalar(f"term {name!r}", value)
    return dict(terms)


def _weights(
    weights: Scalars, values: Collection[str], declared: Collection[str]
) -> dict[str, Scalar]:
    for name in _mapping("weights", weights):
        if name not in values and name not in declared:
            raise TermNameError(
                f"Watch.total: weights: {name!r} has a weight but no value; expected weights of "
                f"{', '.join(map(repr, values))}; rename it, or if it is absent from some batches, "
                f"name all terms in Watch(terms=...).{_hint(name, values)}"
            )
        _expect_weight(name, weights[name])
    for name in values:
        if name not in weights:
            raise TermNameError(
                f"Watch.total: term {name!r} has no weight; expected one of each of "
                f"{', '.join(map(repr, values))}, got {', '.join(map(repr, weights))}; add "
                f"{name!r} to weights, with 0.0 if it is not to count"
            )
    return {name: weights[name] for name in values}


def _counts(
    counts: Scalars, values: Collection[str], declared: Collection[str]
) -> dict[str, Scalar]:
    for name, count in _mapping("counts", counts).items():
        if name not in values and name not in declared:
            raise TermNameError(_unknown("counts", name, values))
        _expect_scalar(f"count of {name!r}", count)
        if not isinstance(count, Tensor) and not 0 <= count < math.inf:
            raise TermValueError(
                f"Watch.total: count of {name!r}: expected a finite number from 0 on, got "
                f"{count!r}; pass how many elements the mean was taken over"
            )
    return dict(counts)


def _told(weights: Scalars | Balancer) -> object:
    return weights if isinstance(weights, Balancer) else _mapping("weights", weights)


def _mapping(what: str, given: Scalars) -> Scalars:
    if isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
        return given
    raise TermNameError(
        f"Watch.total: {what}: expected numbers by term, got {type(given).__name__} "
        f"{given!r:.60}; pass a dict such as {{'ce': 1.0}}"
    )


def _expect_weight(name: str, weight: Scalar) -> None:
    _expect_scalar(f"weight of {name!r}", weight)
    if not isinstance(weight, Tensor) and not math.isfinite(weight):
        raise TermValueError(
            f"Watch.total: weight of {name!r}: expected a finite number, got {weight!r}; a weight "
            "of nan or inf makes the whole total so"
        )


def _expect_scalar(what: str, value: object) -> None:
    if isinstance(value, Tensor):
        if value.dim() == 0 and not value.is_complex() and value.dtype != torch.bool:
            return
        got = f"a {value.dtype} tensor of shape {list(value.shape)}".replace("torch.", "")
        then = "reduce it, for example with .mean()" if value.numel() != 1 else "use .squeeze()"
    elif isinstance(value, Real):
        return
    else:
        got, then = f"{type(value).__name__} {value!r:.60}", "pass a scalar tensor"
    if isinstance(value, Tensor) and value.dim() == 0:
        then = "take its real part or make it a float"
    raise TermValueError(f"Watch.total: {what}: expected a real scalar, got {got}; {then}")


def _unknown(where: str, name: str, known: Collection[str]) -> str:
    return (
        f"Watch.total: {where}: unknown term {name!r}; expected one of "
        f"{', '.join(map(repr, known))}; rename it or add it.{_hint(name, known)}"
    )


def _hint(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, list(known), 1, 0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
