"""The static weights that would give the terms of a watched run their wished gradient shares."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from numbers import Real
from pathlib import Path

import numpy as np

from poise.doctor.case import Case
from poise.doctor.probes import (
    STEADY,
    Place,
    acting_weight_at,
    at,
    judged,
    norms,
    weights_of,
)
from poise.doctor.rules.weight_normaliser import recover_weights
from poise.doctor.series import named
from poise.doctor.wish import Wish, declared_shares, wishes
from poise.errors import SuggestionError, TermNameError
from poise.read import read_run
from poise.run import Floats, Run

TURNED = 2.0
"""A weight whose first and last quarter are apart by this factor is said to move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One quantity over the probes of a run.

    Attributes:
        median: Over all probes.
        low: Lower quartile.
        high: Upper quartile.
        first: Median of the first quarter of the probes, at least one.
        last: Median of the last quarter.
    """

    median: float
    low: float
    high: float
    first: float
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """What one term should be multiplied with.

    Attributes:
        name: The term.
        wish: The gradient share it is to have, of the sum over the suggested terms.
        share: The share it had.
        weight: The weight it had.
        suggested: The weight that would have given exactly its wished share, probe by probe.
        expected: The share that the one suggested weight gives, probe by probe.
    """

    name: str
    wish: float
    share: Spread
    weight: Spread
    suggested: Spread
    expected: Spread

    @property
    def moves(self) -> bool:
        """Does the right weight change during the run, twofold or more?"""
        first, last = abs(self.suggested.first), abs(self.suggested.last)
        return max(first, last) > TURNED * min(first, last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Static weights for wished gradient shares, or why there are none.

    Attributes:
        source: Where the wish comes from: `given`, `declared shares`, or `weights`, which are
            read as shares.
        where: The place it is about, in words.
        probes: How many probes it rests on.
        steps: First and last step of these.
        weights: Weight by term, to paste: terms without a wish keep theirs.
        terms: Details by term.
        wishes: The terms that their share keeps still, and what would move each.
        refused: Why there are no weights; empty if there are.
    """

    source: str
    where: str = ""
    probes: int = 0
    steps: tuple[int, int] = (0, 0)
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    terms: tuple[Suggested, ...] = ()
    wishes: tuple[Wish, ...] = ()
    refused: str = ""

    @property
    def code(self) -> str:
        """One line of Python: `weights = {...}`, three significant digits."""
        pairs = (f"{name!r}: {float(f'{one:.3g}')!r}" for name, one in self.weights.items())
        return f"weights = {{{', '.join(pairs)}}}"

    def __str__(self) -> str:
        """The line to paste, or why there is none."""
        return self.code if not self.refused else f"no weights: {self.refused}"


def suggest(source: str | Path | Run, shares: Mapping[str, float] | None = None) -> Suggestion:
    r"""The static weights with which a watched run would have its wished gradient shares.

    A weight scales a term's gradient and nothing else, so each probe tells which weight would have
    been right there: the one it had, times wished over measured share. The suggestion is the median
    over all probes, with one common factor that keeps the natural total: the sum of the norms of
    the weighted gradients is, in the median, what it was.

    Other weights make another training. Where the measured shares are far from the wished ones the
    suggestion is a first approximation: train with it, and ask again.

    Args:
        source: A run that `poise.Watch` recorded with a model, or its path.
        shares: Wished gradient share by term; numbers from 0 on, divided by their sum. By default
            the shares that the run declares, else its constant weights, read as shares. Terms that
            are not named keep their weights.

    Returns:
        The weights with their spread over the run, and which term its share keeps still.

    Raises:
        ReadError: The path holds no log.
        SuggestionError: No probe measured gradients; a wished term has no gradient; the shares are
            none; or nothing is declared, and the weights are no constants.
        TermNameError: A share is given for a term that the probes did not measure.

    Example:
        >>> import tempfile
        >>> from poise.record import Recorder
        >>> path = tempfile.mkdtemp() + "/run"
        >>> with Recorder(path, terms=["a", "b"]) as recorder:
        ...     for step in range(4):
        ...         recorder.step(step, terms={"a": 2.0, "b": 1.0}, weights={"a": 1.0, "b": 1.0})
        ...         recorder.probe(step, where="shared", terms=["a", "b"], norms={"a": 9, "b": 1})
        >>> suggest(path, {"a": 1, "b": 1}).weights
        {'a': 0.5555555555555556, 'b': 5.0}
    """
    run = source if isinstance(source, Run) else read_run(source)
    return suggestion(Case(run), shares)


def suggestion(case: Case, shares: Mapping[str, float] | None = None) -> Suggestion:
    """As `suggest`, for a run under examination."""
    place = norms(case)
    if place is None or len(place.names) < 2:
        raise SuggestionError(
            "suggest: expected probes that measured the gradients of two terms or more at one "
            "place, got a run without; train with poise.Watch(path, model=model, optimizer=...)"
        )
    source, wished = _wished(case, place, shares)
    return _solved(case, _kept(case, place, wished), wished, source)


def suggested_or_not(case: Case) -> Suggestion | None:
    """As `suggestion`, with refusal in words; None for a run whose gradients were not measured."""
    if norms(case) is None:
        return None
    try:
        return suggestion(case)
    except (SuggestionError, TermNameError) as error:
        return Suggestion(source="", refused=str(error).removeprefix("suggest: "))


def parse_shares(text: str) -> dict[str, float]:
    """Shares as a command line spells them.

    Raises:
        SuggestionError: A part is not `name=number`.

    Example:
        >>> parse_shares("a=0.1, b=0.9")
        {'a': 0.1, 'b': 0.9}
    """
    found: dict[str, float] = {}
    for one in text.split(","):
        name, equals, value = one.strip().rpartition("=")
        try:
            found[name.strip()] = float(value if equals else "")
        except ValueError as error:
            raise SuggestionError(
                f"suggest: shares: expected name=number, got {one.strip()!r}; write a=0.1,b=0.9"
            ) from error
    return found


def parts(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares that sum to 1.

    Raises:
        SuggestionError: One is no finite number from 0 on, or fewer than two are above 0.

    Example:
        >>> parts({"a": 10, "b": 30})
        {'a': 0.25, 'b': 0.75}
    """
    for name, one in shares.items():
        if not isinstance(one, Real) or not math.isfinite(one) or one < 0:
            raise SuggestionError(
                f"suggest: shares: {name}: expected a finite number from 0 on, got {one!r}; 0.1 is "
                "ten percent if all sum to 1"
            )
    if sum(one > 0 for one in shares.values()) < 2:
        raise SuggestionError(
            f"suggest: shares: expected two or more above 0, got {dict(shares)!r:.80}; a term that "
            "is alone has all of the gradient at any weight"
        )
    whole = float(sum(shares.values()))
    return {name: float(one) / whole for name, one in shares.items()}


def _wished(
    case: Case, place: Place, shares: Mapping[str, float] | None
) -> tuple[str, dict[str, float]]:
    """Where the wish comes from, and the wish."""
    if shares is not None:
        return "given", parts(_measured(shares, place))
    if told := declared_shares(case):
        return "declared shares", parts(_measured(told, place))
    tasks = [name for name in place.names if judged(case, name)]
    if len(tasks) < 2:
        raise SuggestionError(
            f"suggest: expected two tasks or more, got {named(tasks) or 'none'}; pass shares"
        )
    found = {name: _constant(case, name) for name in tasks} | _undivided(case, tasks)
    open_ = [name for name, one in found.items() if one is None]
    if open_:
        raise SuggestionError(
            f"suggest: expected declared shares, or constant weights to read as shares, got "
            f"weights of {named(open_)} that change; pass shares, or declare them: "
            "Watch(shares=...)"
        )
    return "weights", parts({name: abs(one) for name, one in found.items() if one is not None})


def _measured(shares: Mapping[str, float], place: Place) -> Mapping[str, float]:
    for name, one in shares.items():
        if name not in place.names and one:
            near = get_close_matches(name, place.names, 1, 0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TermNameError(
                f"suggest: shares: the gradient of {name!r} is unknown; expected one of "
                f"{', '.join(map(repr, place.names))}, which the probes measured; rename it or "
                f"leave it out.{hint}"
            )
    return {name: one for name, one in shares.items() if name in place.names}


def _undivided(case: Case, tasks: Sequence[str]) -> dict[str, float]:
    """The constant weights that a loss-value normaliser divided, where one made the weights."""
    found = recover_weights(case)
    if found is None:
        return {}
    return {k: w for k, w in zip(found.names, found.nominal.tolist(), strict=True) if k in tasks}


def _constant(case: Case, term: str) -> float | None:
    found = weights_of(case, term)
    if not len(found) or not np.isfinite(found).all():
        return None
    steady = float(np.ptp(found)) <= STEADY * float(np.abs(found).max())
    return float(np.median(found)) if steady else None


def _kept(case: Case, place: Place, wished: Mapping[str, float]) -> Place:
    """The probes where every wished term had a weight and a gradient.

    Raises:
        SuggestionError: There is none.
    """
    terms = [name for name, one in wished.items() if one > 0]
    good = np.ones(len(place), np.bool_)
    for name in terms:
        here = (place.of(name) > 0) & (acting_weight_at(case, name, place.steps) != 0)
        if not here.any():
            raise SuggestionError(
                f"suggest: expected a gradient of {name!r} {at(case, place, name)}, got 0 in "
                f"{_times(len(place))}: no weight changes that; find out why it sends none, or "
                "leave it out of shares"
            )
        good &= here
    if not good.any():
        raise SuggestionError(
            f"suggest: expected a probe where all of {named(terms)} have a gradient, got none in "
            f"{_times(len(place))}; they take turns: suggest for one stage at a time"
        )
    return Place(
        where=place.where,
        names=place.names,
        steps=place.steps[good],
        values=place.values[good],
    )


def _times(count: int) -> str:
    return "1 probe" if count == 1 else f"all {count} probes"


def _solved(case: Case, place: Place, wished: Mapping[str, float], source: str) -> Suggestion:
    names = tuple(wished)
    wish = np.array([wished[name] for name in names])
    had = np.column_stack([acting_weight_at(case, name, place.steps) for name in names])
    sizes = np.column_stack([place.of(name) for name in names])
    shares = sizes / sizes.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exact = np.where(wish > 0, had * wish / shares, 0.0)
        per_unit = np.where(had != 0, sizes / np.abs(had), 0.0)
    static = np.median(exact, axis=0)
    given = np.abs(static) * per_unit
    static *= float(np.median(sizes.sum(axis=1) / given.sum(axis=1)))
    expected = given / given.sum(axis=1, keepdims=True)
    columns = zip(names, wish, shares.T, had.T, exact.T, expected.T, strict=True)
    terms = tuple(
        Suggested(
            name=name,
            wish=float(meant),
            share=spread(share),
            weight=spread(weight),
            suggested=spread(right),
            expected=spread(gives),
        )
        for name, meant, share, weight, right, gives in columns
    )
    others = (name for name in place.names if name not in wished)
    kept = {name: float(np.median(acting_weight_at(case, name, place.steps))) for name in others}
    weights = dict(zip(names, map(float, static), strict=True)) | kept
    return Suggestion(
        source=source,
        where=at(case, place, _top(place)),
        probes=len(place),
        steps=place.span,
        weights={name: weights[name] for name in place.names},
        terms=terms,
        wishes=wishes(case, wished),
    )


def _top(place: Place) -> str:
    return max(place.names, key=place.median)


def spread(values: Floats) -> Spread:
    """Median, quartiles, first and last quarter of some finite values, shape (n,), n at least 1.

    Example:
        >>> spread(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
        Spread(median=3.0, low=2.0, high=4.0, first=1.0, last=5.0)
    """
    low, middle, high = (float(one) for one in np.quantile(values, (0.25, 0.5, 0.75)))
    quarter = max(1, len(values) // 4)
    first, last = values[:quarter], values[-quarter:]
    return Spread(
        median=middle,
        low=low,
        high=high,
        first=float(np.median(first)),
        last=float(np.median(last)),
    )


def still(terms: Sequence[Suggested]) -> bool:
    """Do all weights stay what they are, within the steadiness of a weight (10%)?"""
    return all(
        abs(one.suggested.median - one.weight.median) <= STEADY * abs(one.weight.median)
        for one in terms
    )
