"""Evaluation totals that measure something else than the training total."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import (
    by_step,
    longest,
    mad,
    micro_at,
    multiple,
    named,
    number,
    steps_between,
    weight_history,
    weights_at,
)
from poise.run import Composition, Floats, Ints, Series, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """The evaluation total beside its terms.

    Attributes:
        names: Terms that both the training total and the evaluation table have.
        steps: Step of every evaluation with the total and all of these terms, shape (n,).
        total: Evaluation total, shape (n,).
        terms: Evaluation terms, shape (n, len(names)).
        weights: Training weights of these terms at these steps, shape (n, len(names)).
        own: Weights that evaluation itself logs, same shape; None if it logs none.
        absent: Terms with a training weight that the evaluation table lacks.
    """

    names: list[str]
    steps: Ints
    total: Floats
    terms: Floats
    weights: Floats
    own: Floats | None
    absent: list[str]

    @property
    def weighted(self) -> Floats:
        """Sum of the terms with their training weights, shape (n,)."""
        return np.einsum("ij,ij->i", self.terms, self.weights)


def sums_of(train: Table, table: Table, composition: Composition) -> Sums | None:
    """The evaluation total beside the terms of the training total; None if there is nothing."""
    counted = {one.name: one.weight for one in composition.terms if one.weight}
    names = [name for name in counted if name in table.series]
    total = _total_name(table, composition)
    if total is None or not names:
        return None
    rows, values = table.aligned([total, *names])
    given = {name: counted[name] for name in names}
    micro = micro_at(table, rows)
    weights = weights_at(train, given, table.steps[rows], micro=micro)
    logged = any(weight_history(table, name) is not None for name in names)
    own = weights_at(table, given, table.steps[rows]) if logged else None
    good = np.isfinite(values).all(axis=1) & np.isfinite(weights).all(axis=1)
    if not good.any() or not values[good, 0].any():
        return None
    return Sums(
        names=names,
        steps=table.steps[rows[good]],
        total=values[good, 0],
        terms=values[good, 1:],
        weights=weights[good],
        own=None if own is None else own[good],
        absent=[name for name in counted if name not in table.series],
    )


def _total_name(table: Table, composition: Composition) -> str | None:
    found = table.series.get(composition.total)
    return None if found is None else found.name


def _left(target: Floats, weighted: Floats) -> float:
    """Median of |target - weighted| in units of the target's typical size, at most 1e300."""
    with np.errstate(over="ignore"):
        ratio = float(np.median(np.abs(target - weighted))) / size_of(target)
    return min(ratio, 1e300)


def size_of(values: Floats) -> float:
    """Median size of some values that are not all 0, or the largest where the median is 0."""
    sizes = np.abs(values)
    return float(np.median(sizes)) or float(sizes.max())


@final
class EvalObjective:
    """The evaluation total is not made of its terms in the way the training total is.

    Then the two curves cannot be compared, and a checkpoint that is chosen by the evaluation total
    is chosen by another objective.

    Statistic: the evaluation total against its terms, once with the training weights and once with
    weights of its own. Thresholds: the training weights reproduce the training total (within what
    printing explains) but miss the evaluation total by more than 1% and 10 times that tolerance, at
    all evaluations or at 3 or more in a row;
    a warning if other weights reproduce the evaluation total exactly (so the weights differ for
    sure), a note if evaluation lacks some terms or no weights explain its total.

    Healthy look-alikes: validation without weights by policy, auxiliary heads that exist in
    training only, totals that are averaged over unequal batches: all of these are notes or are
    explained in the finding.
    """

    name: ClassVar[str] = "eval-objective"
    fault: ClassVar[Fault] = Fault.EVAL_MISMATCH
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVAL_TOTAL, Need.COMPOSITION})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every evaluation table that has the total and some of its terms."""
        composition = case.composition
        if composition is None or not composition.exact:
            return
        for table in case.run.evals:
            sums = sums_of(case.train, table, composition)
            if sums is None:
                continue
            wrong = _off(sums, max(0.01, 10 * composition.tolerance))
            if wrong is not None:
                sums = wrong
            elif not sums.absent:
                continue
            missed = _left(sums.total, sums.weighted)
            yield self._finding(case, table, composition, sums, missed)

    def _finding(
        self, case: Case, table: Table, composition: Composition, sums: Sums, missed: float
    ) -> Finding:
        same = missed <= max(0.01, 10 * composition.tolerance)
        weights = None if same else _own_weights(sums, max(1e-4, composition.tolerance))
        at = int(np.argmax(np.abs(sums.total - sums.weighted)))
        steps = steps_between(sums.steps)
        pairs = zip(sums.names, sums.weights[at].tolist(), strict=True)
        trained = ", ".join(f"{number(weight)}*{name}" for name, weight in pairs)
        if weights is not None:
            pairs = zip(sums.names, weights.tolist(), strict=True)
            found = "is exactly " + " + ".join(f"{number(w)}*{name}" for name, w in pairs)
        elif sums.absent:
            found = f"lacks {named(sums.absent)}"
        else:
            found = "is no weighted sum of them"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if weights is None else Severity.WARNING,
            terms=(composition.total, *(sums.absent or sums.names)),
            steps=steps,
            summary=(
                f"'{composition.total}' of split '{table.split}' {found}, while in training it is "
                f"made of {trained}."
            ),
            evidence=(
                Evidence(
                    text=f"the sum with the training weights misses the evaluation total by "
                    f"{missed:.2%} (median; {max(0.01, 10 * composition.tolerance):.2%} allowed)",
                    series=composition.total,
                    steps=steps,
                    value=missed,
                    threshold=max(0.01, 10 * composition.tolerance),
                ),
                Evidence(
                    text=f"training: {composition.why}",
                    series=composition.total,
                    steps=steps_between(case.train.steps),
                    value=composition.residual,
                    threshold=composition.tolerance,
                ),
            ),
            cause=(
                "Evaluation computes its total by other code or other settings. Expected if "
                "evaluation is unweighted by policy, or if some terms exist in training only."
            ),
            action="Use one objective for both, or choose checkpoints by single terms.",
            verify="print(train_loss(batch), eval_loss(batch))  # one training batch, model.eval()",
        )


def _off(sums: Sums, floor: float) -> Sums | None:
    """The longest stretch of evaluations that the training weights miss by more than `floor`.

    Returns:
        None if there is none, or if it is a part of fewer than 3 evaluations.
    """
    bad = np.abs(sums.total - sums.weighted) > floor * size_of(sums.total)
    first, last = longest(bad)
    if last == first or (last - first < 3 and not bad.all()):
        return None
    part = slice(first, last)
    return replace(
        sums,
        steps=sums.steps[part],
        total=sums.total[part],
        terms=sums.terms[part],
        weights=sums.weights[part],
        own=None if sums.own is None else sums.own[part],
    )


def _own_weights(sums: Sums, tolerance: float) -> Floats | None:
    """Weights that reproduce the evaluation total; None if none do or they are not determined.

    Those that evaluation logs itself need no fit.
    One more evaluation than unknowns is the least that can refute a fit; twice as many are asked.
    """
    if sums.own is not None:
        made = np.einsum("ij,ij->i", sums.terms, sums.own)
        return sums.own[-1] if _left(sums.total, made) <= tolerance else None
    count = len(sums.names)
    if len(sums.total) < max(3, 2 * count):
        return None
    if float(np.ptp(sums.total)) <= 0.01 * size_of(sums.total):
        return None  # any weights fit a constant
    if np.linalg.matrix_rank(sums.terms / np.abs(sums.terms).max(axis=0).clip(1e-300)) < count:
        return None
    weights = np.asarray(np.linalg.lstsq(sums.terms, sums.total, rcond=None)[0], np.float64)
    return weights if _left(sums.total, sums.terms @ weights) <= tolerance else None


@final
class EvalFactor:
    """The evaluation total is a constant multiple of the training total.

    From the first evaluation on, the two differ by the same large factor while both move: the one
    is a mean and the other a sum, or they are taken over different numbers of elements.

    Statistic: evaluation total over the training total at the same step (median of up to 20 records
    before it), and its spread. Thresholds: a factor above 3 or below 1/3 with a median deviation
    under 5%, over at least 5 evaluations in which both totals halve: a warning. What generalises
    badly drifts away from the training value; it does not keep to it within 5% while both halve.

    Healthy look-alikes: harder evaluation data (its factor drifts), dropout and augmentation (below
    a factor of 3), micro-batches that record their part of the step's mean: the factor is gone if
    the training values of a step are added up.
    """

    name: ClassVar[str] = "eval-factor"
    fault: ClassVar[Fault] = Fault.EVAL_MISMATCH
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALS, Need.EVAL_TOTAL})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every evaluation table whose total is off by a factor."""
        total = case.total
        if total is None:
            return
        for table in case.run.evals:
            other = table.series.get(total.name)
            home = partner(case, table, total.name)
            if other is None or home is None or len(other) < 5:
                continue
            steps = table.steps_of(other)
            beside = train_at(home[0].steps_of(home[1]), home[1].values, steps)
            summed = by_step(home[0], home[1].rows, home[1].values)
            whole = train_at(*summed, steps) if len(summed[0]) else beside
            if not _alike(other.values, whole):
                yield from self._judge(table, total.name, steps, other.values, beside)

    def _judge(
        self, table: Table, name: str, steps: Ints, values: Floats, beside: Floats
    ) -> Iterable[Finding]:
        found = _factor(values, beside)
        if found is None:
            return
        factor, ratio = found
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(name,),
            steps=steps_between(steps),
            summary=(
                f"'{name}' of split '{table.split}' is {multiple(factor)} times the training value "
                f"at every one of {len(ratio)} evaluations."
            ),
            evidence=(
                Evidence(
                    text=f"evaluation is {multiple(factor)} times training, within "
                    f"{mad(ratio):.1%}",
                    series=name,
                    steps=steps_between(steps),
                    value=factor,
                    threshold=3.0 if factor > 1 else 1 / 3,
                ),
            ),
            cause=(
                "One is a mean and the other a sum, or they are taken over different numbers of "
                "elements. Expected if evaluation uses other batch sizes with a sum."
            ),
            action="Divide both by the number of elements.",
            verify="print(train_loss(batch), eval_loss(batch))  # one training batch, model.eval()",
        )


def _factor(values: Floats, beside: Floats) -> tuple[float, Floats] | None:
    """The constant factor between two totals that both move, and its logarithms; None without."""
    good = np.isfinite(values) & np.isfinite(beside) & (values > 0) & (beside > 0)
    values, beside = values[good], beside[good]
    if len(values) < 5 or min(_swing(values), _swing(beside)) < 2:
        return None
    ratio = np.log(values) - np.log(beside)
    middle = float(np.median(ratio))
    if abs(middle) < np.log(3) or mad(ratio) > 0.05:
        return None
    return float(np.exp(np.clip(middle, -690, 690))), ratio


def _alike(values: Floats, beside: Floats) -> bool:
    """True if two totals are within the factor of 3 of each other, in the median."""
    with np.errstate(all="ignore"):
        ratio = np.log(values) - np.log(beside)
    ratio = ratio[np.isfinite(ratio)]
    return bool(len(ratio)) and abs(float(np.median(ratio))) < np.log(3)


def _swing(values: Floats) -> float:
    """Largest over smallest of some positive values."""
    with np.errstate(over="ignore"):
        return float(values.max() / values.min())


def partner(case: Case, table: Table, name: str) -> tuple[Table, Series] | None:
    """The training series that an evaluation series can be compared with, step by step.

    Returns:
        The first training table that counts the same steps and has the series; None if none does.
    """
    for home in case.run.tables:
        same = home.split == case.train.split and home.step_name == table.step_name
        if same and name in home.series and len(home.series[name]):
            return home, home.series[name]
    return None


def train_at(steps: Ints, values: Floats, at: Ints) -> Floats:
    """Training values beside evaluations: the median of up to 20 records up to each step.

    Args:
        steps: Steps of the training values, shape (n,); need not be sorted.
        values: Shape (n,).
        at: Steps of the evaluations, shape (m,).

    Returns:
        Shape (m,); the first value stands in where no record comes before.

    Example:
        >>> train_at(np.arange(100), np.arange(100.0), np.array([0, 99]))
        array([ 0. , 89.5])
    """
    if (np.diff(steps) < 0).any():
        order = np.argsort(steps, kind="stable")
        steps, values = steps[order], values[order]
    stops = np.maximum(1, np.searchsorted(steps, at, side="right"))
    windows = (values[max(0, stop - 20) : stop] for stop in stops.tolist())
    with np.errstate(invalid="ignore"):
        return np.array([float(np.median(one)) for one in windows])
