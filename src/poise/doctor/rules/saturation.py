"""A term sits exactly where a logarithm is clamped."""

from collections.abc import Iterable
from math import log
from typing import ClassVar, NamedTuple, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.proofs import gradient
from poise.doctor.rule import Need
from poise.doctor.series import digits, finite, longest, named, number
from poise.run import Ints, Kind, Series

GUARDS = (*(10.0**-k for k in range(4, 21)), 2.0**-23, 2.0**-52)
"""Numbers that are put under a logarithm so that it stays finite: powers of ten and the rounding
units of single and double precision."""
DIGITS = 5
"""Significant digits from which a value is told from its neighbours."""
RECORDS = 5
"""Records in a row that no accident repeats to five digits."""


class _Held(NamedTuple):
    """A series that repeats the logarithm of a guard."""

    series: Series
    steps: Ints
    value: float
    guard: float


@final
class AtClamp:
    """A term stays exactly at the logarithm of a clamp: log(1e-8) = -18.42068, record after record.

    The probability under the logarithm has reached its bound, so the term has no gradient any more,
    exactly where the error (or the success) is largest. A discriminator that has won leaves its
    opponent without a signal in this way.

    Statistic: longest stretch of records in which a term repeats ±ln(c), for c = 1e-4 ... 1e-20 and
    the rounding units of float32 and float64. Thresholds: agreement to the last printed digit, of
    which there are 5 or more, in 5 records in a row.

    Healthy look-alikes: a logged bound that is meant as a constant; a term that is declared a
    monitor or an offset (a note).
    """

    name: ClassVar[str] = "at-clamp"
    fault: ClassVar[Fault] = Fault.SATURATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every guard, with all terms that are held by it."""
        groups: dict[float, list[_Held]] = {}
        for one in case.train.of_kind(Kind.TERM, Kind.TOTAL):
            if (held := _held(case, one)) is not None:
                groups.setdefault(held.guard, []).append(held)
        for group in groups.values():
            yield _finding(case, group)


def _held(case: Case, one: Series) -> _Held | None:
    if len(one) < RECORDS:
        return None
    first, last = longest(one.values[1:] == one.values[:-1])
    if last - first + 1 < RECORDS:
        return None
    value = float(one.values[first])
    guard = _guard(value)
    steps = case.train.steps_of(one)[first : last + 1]
    return None if guard is None else _Held(one, steps, value, guard)


def _guard(value: float) -> float | None:
    """The guard whose logarithm a value is, in all of its at least five digits.

    Example:
        >>> _guard(-18.42068), _guard(18.42), _guard(16.5)
        (1e-08, None, None)
    """
    shown = digits(value) if np.isfinite(value) else 0
    if shown < DIGITS:
        return None
    last = 10.0 ** (np.floor(np.log10(abs(value))) + 1 - min(shown, 7))  # float32 carries 7
    return next((one for one in GUARDS if abs(abs(value) + log(one)) <= 0.51 * last), None)


def _before(case: Case, held: _Held) -> str:
    values = finite(held.series.values[case.train.steps_of(held.series) < held.steps[0]])
    if not len(values):
        return ""
    return f"; before, it was between {number(values.min())} and {number(values.max())}"


def _finding(case: Case, group: list[_Held]) -> Finding:
    first = min(group, key=lambda held: (len(case.train) - len(held.steps), held.series.name))
    names = [held.series.name for held in group]
    name = first.series.name
    also = named([one for one in names if one != name])
    steps = int(first.steps.min()), int(first.steps.max())
    where = f"log({first.guard:.3g}) = {log(first.guard):.7g}"
    excused = all(case.role(one) in {"monitor", "offset"} for one in names)
    return Finding(
        rule=AtClamp.name,
        fault=Fault.SATURATION,
        severity=Severity.NOTE if excused else Severity.WARNING,
        terms=(name, *(one for one in names if one != name)),
        steps=steps,
        summary=f"'{name}' is exactly {first.value:.7g} in {len(first.steps)} records in a row "
        f"from step {steps[0]} on: up to its sign {where}, the value of a clamped logarithm"
        + (f"; the same holds for {also}" if also else ""),
        evidence=tuple(
            Evidence(
                text=f"'{held.series.name}' repeats {held.value:.7g} in {len(held.steps)} of "
                f"{len(held.series)} records{_before(case, held)}",
                series=held.series.name,
                steps=(int(held.steps.min()), int(held.steps.max())),
                value=float(len(held.steps)),
                threshold=float(RECORDS),
            )
            for held in group
        ),
        cause="The probability under the logarithm has reached its lower bound, so this term sends "
        "no gradient: a discriminator that has won, or predictions that are certain and wrong.",
        action=f"Compute '{name}' from logits (logsigmoid, log_softmax) instead of the logarithm "
        "of a clamped probability.",
        verify=gradient(name, "empty or all 0 while it is clamped"),
    )
