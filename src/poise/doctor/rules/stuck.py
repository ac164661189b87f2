"""A term sits at the value of a constant predictor, or on a plateau while others move."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import family, monitored, role_of, words
from poise.doctor.proofs import alone, rerun
from poise.doctor.rule import Need
from poise.doctor.series import named, number, python_name
from poise.doctor.shares import known_weight
from poise.doctor.stats import MAD_TO_SIGMA, ends
from poise.doctor.trace import Stretch, Trace
from poise.run import Kind

STILL = 0.03
"""A term that lost less than this of its starting value has not moved."""
STILLEST = 0.05
"""The same at most for several copies of a term, where the others fall much further."""
COPIES = 3
"""Copies of a term that hardly stand still together by chance."""
MOVED = 0.3
"""A term that lost this part of its starting value shows that the training works."""
ABOVE = 0.1
"""A term that ends this far above its start rises: see `rises-while-others-fall`."""
NEAR = 0.005
"""Relative distance to ln K. With the numbers of classes that are tried, one level in six between
ln 1000 and ln 250000 is that near to one of them by chance, which is why K is called a guess."""
FEW = (2, 10, 100, 1000)
MANY = (
    *(2**k for k in range(10, 19)),
    *(30522, 32000, 32128, 49408, 50257, 50265, 65024, 128256, 151936, 250002),
)
COMPARABLE = 0.05
"""Part of a flat term's value from which a falling term shows that the flat one should fall too:
below it, what the falling term gained is less than the ordinary scatter of the total."""
PROTOTYPES = (4096, 8192, 65536, 131072)
"""Output sizes of self-distillation, whose teacher leaves the level a little beside ln K."""
NEAR_PROTOTYPES = 0.015
"""Relative distance to ln K for these."""
BATCHES = tuple(k for size in (2**e for e in range(3, 16)) for k in (2 * size - 1, size))
"""Candidates of a contrastive term: 2B - 1 for two views of a batch of B, B for pairs."""
CONTRASTIVE = re.compile(r"nce|contrast|ntxent|nt_xent|simclr|clip|(^|[^a-z])itc", re.IGNORECASE)
"""Names of terms that tell the partner of a sample from the other samples of its batch."""
RECORDS = 20
"""Records of a stretch from which a plateau is judged; 10 do if they hardly scatter."""


@dataclass(frozen=True, slots=True)
class _Guess:
    """A number of classes whose constant predictor a term sits at."""

    classes: int
    distance: float
    logged: str


@final
class StuckAtLogK:
    """A term stays at ln K: the cross-entropy of guessing K classes evenly.

    The predictions carry no information yet: the inputs or targets are misaligned, the learning
    rate is too low, or the outputs have collapsed to one point.

    Statistic: medians of the first and the last tenth of the term against ln K, for K logged, 2,
    10, 100, 1000, powers of two from 1024 and common vocabulary sizes. Thresholds: both within 0.5%
    of ln K (1.5% for the output sizes of self-distillation), the first not more than 0.5% below it
    (a fresh model starts at or above ln K), and less than 3% improvement. For contrastive terms K
    is also taken from the batch: B, and 2B - 1 for two views, with B a power of two. Adversarial
    terms, for which ln 2 is the balance, are a note.

    Healthy look-alikes: the first steps of every training; a warm start whose level happens to be
    near ln K; discriminators in balance; noise as target.
    """

    name: ClassVar[str] = "stuck-at-log-k"
    fault: ClassVar[Fault] = Fault.STUCK
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every term that sits at ln K."""
        stretch = case.stretches[0]
        logged = _logged_classes(stretch)
        for one in stretch.losses:
            guess = _guess(one, logged)
            if guess is not None and not monitored(case, one.name):
                yield _at_log_k(case, one, guess)


def _logged_classes(stretch: Stretch) -> dict[int, str]:
    """Numbers of classes that the log itself mentions, with the name they are logged under."""
    hints = {"classes", "vocab", "prototypes", "codes", "categories"}
    found = (one for one in stretch.traces.values() if hints & {*words(one.name)})
    return {int(one.end): one.name for one in found if one.end >= 2 and one.end == int(one.end)}


def _guess(one: Trace, logged: dict[int, str]) -> _Guess | None:
    if len(one) < RECORDS or not one.positive:
        return None
    first, last = ends(one.mid)
    error = 3 * 1.25 * MAD_TO_SIGMA * one.scatter * np.sqrt(2 / max(5, len(one) // 20))
    if one.best < (1 - STILL) * first - error:
        return None
    batches = BATCHES if CONTRASTIVE.search(one.name) else ()
    for classes in (*logged, *FEW, *MANY, *batches):
        near = NEAR_PROTOTYPES if classes in PROTOTYPES else NEAR
        distance = max(abs(first / log(classes) - 1), abs(last / log(classes) - 1))
        if distance < near and first > (1 - NEAR) * log(classes):
            return _Guess(classes, distance, logged.get(classes, ""))
    return None


def _at_log_k(case: Case, one: Trace, guess: _Guess) -> Finding:
    first, last = ends(one.mid)
    source = f"'{guess.logged}' is logged as {guess.classes}" if guess.logged else "K is a guess"
    swings = role_of(case, one.name) == "adversary"
    return Finding(
        rule=StuckAtLogK.name,
        fault=Fault.STUCK,
        severity=Severity.NOTE if swings else Severity.WARNING,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' stays at {number(first)} -> {number(last)}, within "
        f"{guess.distance:.1%} of ln {guess.classes} = {number(log(guess.classes))}: no better "
        "than guessing",
        evidence=(
            Evidence(
                text=f"first and last tenth {number(first)} and {number(last)} against "
                f"ln {guess.classes} = {number(log(guess.classes))} ({source}); "
                f"{one.fall:.1%} improvement",
                series=one.name,
                steps=one.steps,
                value=guess.distance,
                threshold=NEAR_PROTOTYPES if guess.classes in PROTOTYPES else NEAR,
            ),
        ),
        cause="The outputs carry no information about the targets: misaligned pairs, a learning "
        "rate near zero or far too high, collapsed outputs. Expected in the first steps, for "
        "discriminators in balance, and if the value is near ln K by chance (a warm start).",
        action=f"Check the learning rate first, then fit '{one.name}' to one batch: if it cannot "
        "fall there, the targets do not belong to the inputs.",
        verify=f"print({python_name(one.name)}(inputs, targets), {python_name(one.name)}(inputs, "
        "targets.roll(1, 0)))  # equal: the inputs are not used",
        caused_by=("lr-zero",),
    )


@final
class Plateau:
    """A term does not fall from the start on, while others fall.

    Either it gets no signal (data, targets), too small a share of the gradient, or what is left of
    it is noise.

    Statistic: first against last quarter, and the lowest running median against the start, for
    every stretch between restarts of 20 records or more (10 if they hardly scatter). Thresholds:
    less than 3% down (for the lowest median beyond what chance does to it) and less than 10% up,
    while another task term falls by 30%: the plateau test of the seeded trainings; up to 5% for
    three or more copies of a term, where the others fall so much further that the ratio in the
    logarithm is the same. A plateau after
    a fall is convergence and not reported. All terms of a family (`loss_dice_0` ...) must hold
    still. Adversaries, penalties, declared monitors and terms that change sign are left out, terms
    that `stuck-at-log-k` names too. With fewer than 20 records, for a term that is not in the
    total, where the noise hides a change of 3%, and if all terms that fall are small beside it
    (below a twentieth of its value), it is a note.

    Healthy look-alikes: irreducible noise (diffusion losses), terms that start converged, the
    fine-tuning of a converged model beside a small auxiliary.
    """

    name: ClassVar[str] = "plateau-while-others-move"
    fault: ClassVar[Fault] = Fault.STUCK
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every family of terms, from the longest stretch that shows it."""
        seen = {family(name) for one in StuckAtLogK().check(case) for name in one.terms}
        for stretch in case.stretches[:8]:
            for still in _still(case, stretch):
                key = family(still[0].name)
                if key not in seen:
                    seen.add(key)
                    yield _plateau(case, stretch, still)


def _movers(case: Case, stretch: Stretch) -> list[Trace]:
    return [
        one
        for one in stretch.terms
        if one.fall > MOVED and len(one) >= 10 and role_of(case, one.name) == "task"
    ]


def _limit(movers: list[Trace], members: list[Trace]) -> float:
    """Part that a family of terms may fall and still count as flat beside the terms that fall.

    For three or more copies of a term, which hardly stand still together by chance, 3% beside 30%
    keep their ratio in the logarithm where the others fall further, up to 5%.
    """
    if len(members) < COPIES:
        return STILL
    pace = float(np.median([-np.log(max(1 - one.fall, 1e-12)) for one in movers]))
    ratio = np.log(1 - STILL) / np.log(1 - MOVED)
    return float(np.clip(1 - np.exp(-ratio * pace), STILL, STILLEST))


def _still(case: Case, stretch: Stretch) -> Iterator[list[Trace]]:
    """Families of terms of which no member has moved."""
    movers = _movers(case, stretch)
    if len(stretch) < RECORDS / 2 or not movers:
        return
    families: dict[str, list[Trace]] = {}
    for one in stretch.terms:
        families.setdefault(family(one.name), []).append(one)
    for members in families.values():
        judged = all(role_of(case, one.name) == "task" for one in members)
        limit = _limit(movers, members)
        if judged and all(_flat(one, len(stretch), limit) for one in members):
            yield members


def _flat(one: Trace, records: int, limit: float) -> bool:
    """True if a term neither falls nor rises, and did not fall in its first records either."""
    if not one.positive or one.start <= 0 or len(one) < max(RECORDS / 2, records / 4):
        return False
    if len(one) < RECORDS and one.scatter > 0.1 * limit * one.start:
        return False
    first, last = ends(one.mid, 0.25)
    if last < (1 - limit) * first or one.end > (1 + ABOVE) * one.start:
        return False
    # Of many running medians the lowest lies below the level by chance, and the median of the
    # first five values anywhere: three standard errors each.
    error = 3 * 1.25 * MAD_TO_SIGMA * one.scatter
    begin, window = ends(one.mid, 0.05)[0], max(5, len(one) // 20)
    opened_high = one.opening * (1 - limit) - begin > error / np.sqrt(5)
    lowest = min(one.best, one.end)
    return bool(not opened_high and lowest > begin * (1 - limit) - error * np.sqrt(2 / window))


def _comparable(case: Case, movers: list[Trace], still: Trace) -> bool:
    """True if a term that falls started at a twentieth of the flat term's weighted value or more.

    A large loss that is flat beside a small auxiliary is what fine-tuning of a converged model
    looks like.
    """
    level = _weighted_start(case, still)
    return any(_weighted_start(case, one) >= COMPARABLE * level for one in movers)


def _resolution(one: Trace) -> float:
    """Standard error of the change between the first and the last quarter, as a part of the level.

    Where it is above the threshold itself, noise hides whether the term has moved.
    """
    scatter = 1.25 * MAD_TO_SIGMA * one.scatter * np.sqrt(8 / len(one))
    return float(scatter / one.start)


def _weighted_start(case: Case, one: Trace) -> float:
    weight = known_weight(case, one.name)
    return one.start * abs(weight or 1.0)


def _plateau(case: Case, stretch: Stretch, still: list[Trace]) -> Finding:
    movers = sorted(_movers(case, stretch), key=lambda one: -one.fall)
    top = max(still, key=lambda one: abs(one.end))
    names = tuple(one.name for one in still)
    first, last = ends(top.mid, 0.25)
    outside = all(known_weight(case, name) == 0.0 for name in names)
    unsure = outside or len(top) < RECORDS or not _comparable(case, movers, top)
    limit = _limit(movers, still)
    unsure = unsure or _resolution(top) > limit
    facts = [
        Evidence(
            text=f"'{top.name}': first quarter {number(first)}, last quarter "
            f"{number(last)}, lowest "
            f"running median {number(top.best)}; {1 - last / first:.1%} down (below {STILL:.0%})",
            series=top.name,
            steps=top.steps,
            value=1 - last / first,
            threshold=limit,
        )
    ]
    facts += [
        Evidence(
            text=f"'{one.name}' falls from {number(one.start)} to {number(one.end)} meanwhile",
            series=one.name,
            steps=one.steps,
            value=one.fall,
            threshold=MOVED,
        )
        for one in movers[:3]
    ]
    return Finding(
        rule=Plateau.name,
        fault=Fault.STUCK,
        severity=Severity.NOTE if unsure else Severity.WARNING,
        terms=names,
        steps=top.steps,
        summary=f"{named(names)}: flat at {number(first)} -> {number(last)} (first and "
        "last quarter) "
        f"while '{movers[0].name}' falls by {movers[0].fall:.0%}",
        evidence=tuple(facts),
        cause="No signal reaches it (targets, a detached input), its weight is too small, or what "
        "is left is noise. Expected if it started converged or its target is noisy by nature "
        "(diffusion).",
        action=f"Train '{top.name}' alone on one batch; if it falls raise its weight, if not check "
        "its targets and its graph.",
        verify=alone(top.name, "falls: it was starved; stays: no signal reaches it"),
        caused_by=(
            "optimizer-never-steps",
            "normaliser-starves-gradient",
            "value-normaliser",
            "share-too-small",
            "gradient-starvation",
            "gradient-dominance",
            "term-gradient-zero",
            "term-reaches-nothing",
            "parameters-untrained",
            "value-starvation",
            "term-constant",
            "lr-zero",
        ),
    )


@final
class LongPlateau:
    """The total has stood still for most of the run after an early fall.

    Usually convergence, and worth knowing: the rest of the run changed nothing that the loss shows.

    Statistic: first block from which the running median of the total stays within 2% of what it
    fell in all (and within three deviations of its scatter). Threshold: before a third of the
    records. Always a note.

    Healthy look-alikes: convergence; a learning rate that is about to be lowered.
    """

    name: ClassVar[str] = "long-plateau"
    fault: ClassVar[Fault] = Fault.STUCK
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TOTAL, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding."""
        stretch = case.stretches[0]
        totals = stretch.of_kind(Kind.TOTAL)
        if not totals or len(totals[0]) < 50 or not totals[0].positive:
            return
        total = totals[0]
        fallen = total.start - total.end
        away = np.flatnonzero(
            np.abs(total.smoothed - total.end) > max(0.02 * fallen, 3 * total.scatter)
        )
        since = int(away[-1]) + 1 if len(away) else 0
        if total.fall > MOVED and 0 < since < len(total) / 3:
            yield _rest(total, since)


def _rest(total: Trace, since: int) -> Finding:
    step = int(total.first[since])
    part = 1 - since / len(total)
    return Finding(
        rule=LongPlateau.name,
        fault=Fault.STUCK,
        severity=Severity.NOTE,
        terms=(total.name,),
        steps=(step, total.steps[1]),
        summary=f"'{total.name}' has stayed at {number(total.end)} since step {step}, {part:.0%} "
        "of the run",
        evidence=(
            Evidence(
                text=f"'{total.name}' falls from {number(total.start)} to {number(total.end)} "
                f"within the first {1 - part:.0%} of the records",
                series=total.name,
                steps=(step, total.steps[1]),
                value=part,
                threshold=2 / 3,
            ),
        ),
        cause="Converged, or the step size no longer fits. Expected at the end of a training.",
        action="Lower the learning rate now, or stop earlier next time.",
        verify=rerun("a tenth of the learning rate", "if the total falls, it was the step size"),
        caused_by=("lr-zero", "lr-floor-early"),
    )
