"""Terms that fall in training while they rise in evaluation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import words
from poise.doctor.rule import Need
from poise.doctor.rules.eval_mismatch import partner, train_at
from poise.doctor.series import finite, named, number, python_name, roughness
from poise.run import Floats, Ints, Kind, Series, Table

RISEN = 1.1
"""A score over its first value, from which it has risen."""

_SCORES = frozenset(
    (
        *("acc", "accuracy", "auc", "auroc", "bleu", "rouge", "ndcg", "map", "iou", "miou", "dice"),
        *("recall", "precision", "psnr", "ssim"),
    )
)


@final
class EvalRises:
    """A term gets worse in evaluation while it still gets better in training.

    The model memorises the training data in this term. Other terms may still improve, so the total
    alone does not show it, or shows it late.

    Statistic: the term's evaluations, each replaced by the median of itself and its neighbours,
    against their own best and against training. Thresholds: at least 5 evaluations; the last one
    above 1.2 times the best, by more than three standard deviations of the noise from one
    evaluation to the next, and above twice the training value there; at least 4 evaluations since
    the best, of which the later half lies above the earlier; training has fallen by a tenth since
    the best, or has at least not risen (by 5%) while evaluation is at 1.5 times its best and three
    times the training value: training data that are known by heart cannot fall further. All must
    hold, so noisy evaluations alone never count.

    Healthy look-alikes: augmentation and dropout, which only training has, make training worse than
    evaluation, so they do not fire; a term that rises in both splits is another fault; losses that
    go negative are not judged, because ratios mean nothing there.
    """

    name: ClassVar[str] = "eval-rises"
    fault: ClassVar[Fault] = Fault.GENERALISATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALS, Need.EVAL_LOSS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every evaluation table: the term that rises most, with the others."""
        for table in case.run.evals:
            losses = table.of_kind(Kind.TERM, Kind.TOTAL)
            found = [gap for one in losses if (gap := gap_of(case, table, one)) and gap.rises]
            if found:
                found.sort(key=lambda gap: (gap.kind == Kind.TOTAL, -gap.last / gap.low))
                yield self._finding(table, found)

    def _finding(self, table: Table, found: list["Gap"]) -> Finding:
        top, *others = found
        also = f"; so does {named([one.name for one in others])}" if others else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=tuple(one.name for one in found),
            steps=top.where,
            summary=(
                f"'{top.name}' of split '{table.split}' rises from {number(top.low)} at step "
                f"{top.where[0]} to {number(top.last)}, while in training it goes from "
                f"{number(top.fitted)} to {number(top.trained)}{also}."
            ),
            evidence=tuple(fact for one in found for fact in one.evidence()),
            cause=(
                "The model memorises the training data in this term. The same picture comes from "
                "an evaluation in the wrong mode; then training batches rise in that mode too."
            ),
            action=f"Use the checkpoint of step {top.where[0]}, or regularise what '{top.name}' "
            "trains.",
            verify=f"model.eval(); print({python_name(top.name)}(training_batch))  # near "
            f"{number(top.trained)}: memorised; near {number(top.last)}: evaluation is wrong",
            caused_by=("eval-objective",),
        )


@final
class EvalStandsStill:
    """A loss never improves in evaluation while it falls in training.

    Nothing of what is learned carries over to the evaluation data: it is memorised, the evaluation
    measures something else (its own targets, another mode, stale parameters), or the two sets have
    little in common.

    Statistic: the best evaluation (single lucky ones left out) against the first, and training at
    the first and at the last evaluation. Thresholds: at least 5 evaluations; less than 3% better
    than the first one, never 20% above it (that is `eval-rises`); training falls by 30% from its
    start. 3% and 30% are the plateau test of the terms. A note; a warning where training has fallen
    by 90%, to a tenth of the evaluation or less, while that is less than 30% better than the first:
    then what training fell by is memory. It stays a note where a score of the same evaluations (an
    accuracy, a BLEU) rises by a tenth: then something carries over.

    Healthy look-alikes: fine-tuning of a model that was good at the evaluation data before, where
    accuracy may still rise (a note); a first evaluation that comes late.
    """

    name: ClassVar[str] = "eval-stands-still"
    fault: ClassVar[Fault] = Fault.GENERALISATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALS, Need.EVAL_LOSS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every evaluation table."""
        for table in case.run.evals:
            losses = table.of_kind(Kind.TERM, Kind.TOTAL)
            gaps = [gap for one in losses if (gap := gap_of(case, table, one))]
            gaps = [gap for gap in gaps if gap.stands or gap.memory]
            if gaps:
                yield self._finding(table, sorted(gaps, key=lambda gap: gap.kind == Kind.TOTAL))

    def _finding(self, table: Table, gaps: list["Gap"]) -> Finding:
        top, *others = gaps
        memory = any(one.memory for one in gaps) and not _better(table)
        also = f"; so does {named([one.name for one in others])}" if others else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if memory else Severity.NOTE,
            terms=tuple(one.name for one in gaps),
            steps=(int(top.steps[0]), int(top.steps[-1])),
            summary=(
                f"'{top.name}' of split '{table.split}' stays at {number(float(top.values[0]))} -> "
                f"{number(top.last)} in {len(top.values)} evaluations, while in training it falls "
                f"from {number(top.begin)} to {number(top.trained)}{also}."
            ),
            evidence=tuple(
                Evidence(
                    text=f"'{one.name}': best evaluation {number(one.low)} over the first "
                    f"{number(float(one.values[0]))}",
                    series=one.name,
                    steps=(int(one.steps[0]), int(one.steps[-1])),
                    value=one.low / float(one.values[0]),
                    threshold=0.97,
                )
                for one in gaps
            ),
            cause=(
                "What is learned does not carry over: it is memorised, or evaluation measures "
                "something else. Expected when a model is fine-tuned that was good before."
            ),
            action="Evaluate some training batches with the evaluation code: a low loss means "
            "memorising, a high one an evaluation that is wrong.",
            verify=f"model.eval(); print({python_name(top.name)}(training_batch))  # near "
            f"{number(top.trained)}: memorised; near {number(top.last)}: evaluation is wrong",
            caused_by=("eval-identical", "eval-objective", "eval-apart"),
        )


def _better(table: Table) -> bool:
    """True if a score of these evaluations, larger where they are better, rises by a tenth."""
    scores = (one for one in table.of_kind(Kind.STATISTIC) if _SCORES & {*words(one.name)})
    known = (finite(one.values) for one in scores)
    return any(
        len(values) >= 3 and float(np.median(values[-3:])) > RISEN * max(float(values[0]), 0.0)
        for values in known
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A loss in evaluation beside the same loss in training.

    Attributes:
        name: Name of the loss.
        kind: Term or total.
        steps: Step of every evaluation, shape (n,), n at least 5.
        values: Evaluations, positive, shape (n,).
        beside: Training at the same steps, positive, shape (n,).
        begin: Training in its first records.
    """

    name: str
    kind: Kind
    steps: Ints
    values: Floats
    beside: Floats
    begin: float

    @property
    def stands(self) -> bool:
        """True if evaluation never improves while training falls; see `EvalStandsStill`."""
        first, level = float(self.values[0]), calm(self.values)
        flat = level.min() > 0.97 * first and level.max() < 1.2 * first
        return bool(flat and self.trained < 0.7 * self.begin and not self.rises)

    @property
    def memory(self) -> bool:
        """True if training is down to a tenth, of itself and of an evaluation that hardly moved."""
        little = self.low > 0.7 * float(self.values[0]) and not self.rises
        fitted = self.trained < 0.1 * min(self.begin, self.last)
        return bool(little and fitted)

    @property
    def best(self) -> int:
        """Which evaluation is the best, single lucky ones left out."""
        return int(np.argmin(calm(self.values)))

    @property
    def where(self) -> tuple[int, int]:
        """Steps of the best and of the last evaluation."""
        return int(self.steps[self.best]), int(self.steps[-1])

    @property
    def low(self) -> float:
        """Best evaluation."""
        return float(calm(self.values)[self.best])

    @property
    def last(self) -> float:
        """Last evaluation (median of three)."""
        return float(calm(self.values)[-1])

    @property
    def fitted(self) -> float:
        """Training at the best evaluation."""
        return float(self.beside[self.best])

    @property
    def trained(self) -> float:
        """Training at the last three evaluations."""
        return float(np.median(self.beside[-3:]))

    @property
    def rises(self) -> bool:
        """True if evaluation rises after its best while training does not; see `EvalRises`."""
        after = self.values[self.best + 1 :]
        if len(after) < 4:
            return False
        early, late = np.median(after[: len(after) // 2]), np.median(after[len(after) // 2 :])
        clear = self.last - self.low > 3 * 1.05 * roughness(self.values)
        grows = clear and bool(late > early) and self.last > 1.2 * self.low
        falls_on = self.trained < 0.9 * self.fitted and self.last > 2 * self.trained
        by_heart = self.trained < 1.05 * self.fitted and self.last > 3 * self.trained
        return grows and (falls_on or (by_heart and self.last > 1.5 * self.low))

    def evidence(self) -> Iterable[Evidence]:
        """The two ratios that decide."""
        yield Evidence(
            text=f"'{self.name}': median of the last 3 evaluations {number(self.last)} over the "
            f"best {number(self.low)}",
            series=self.name,
            steps=self.where,
            value=self.last / self.low,
            threshold=1.2,
        )
        yield Evidence(
            text=f"the same over the training value {number(self.trained)}",
            series=self.name,
            steps=self.where,
            value=self.last / self.trained,
            threshold=2.0,
        )


def gap_of(case: Case, table: Table, one: Series) -> Gap | None:
    """A loss beside its training twin; None without one, below 5 evaluations, or if negative."""
    found = partner(case, table, one.name)
    if found is None:
        return None
    home, train = found
    steps = table.steps_of(one)
    beside = train_at(home.steps_of(train), train.values, steps)
    good = np.isfinite(one.values) & np.isfinite(beside)
    values, beside, steps = one.values[good], beside[good], steps[good]
    ordered = len(steps) < 2 or bool((np.diff(steps) > 0).all())
    if len(values) < 5 or not ordered or min(values.min(), beside.min()) <= 0:
        return None
    begin = float(np.median(finite(train.values)[:5]))
    return Gap(name=one.name, kind=one.kind, steps=steps, values=values, beside=beside, begin=begin)


def calm(values: Floats) -> Floats:
    """Median of every value and its two neighbours; the ends keep the median of their three.

    Example:
        >>> calm(np.array([3.0, 1.0, 2.0, 9.0])).tolist()
        [2.0, 2.0, 2.0, 2.0]
    """
    middle = np.median(np.column_stack((values[:-2], values[1:-1], values[2:])), axis=1)
    return np.concatenate((middle[:1], middle, middle[-1:]))
