"""Which of the data that rules need a run has."""

from collections.abc import Callable, Iterable, Mapping

from poise.doctor.case import Case
from poise.doctor.expectations import unheld
from poise.doctor.rule import Need
from poise.run import Kind

HISTORY = 20
"""Records below which a trend is not judged: quartiles of fewer than five values say little."""

ATTACH = "attach poise.Watch"
"""What a need says that only a watched run can meet."""

EVALS = 3
"""Evaluations below which nothing can be said to repeat."""


def _logs(*kinds: Kind) -> Callable[[Case], bool]:
    return lambda case: any(True for table in case.run.tables for _ in table.of_kind(*kinds))


def _evaluates(*kinds: Kind) -> Callable[[Case], bool]:
    return lambda case: any(True for table in case.run.evals for _ in table.of_kind(*kinds))


def _shares_total(case: Case) -> bool:
    total = case.composition
    return total is not None and any(total.total in table.series for table in case.run.evals)


def _logs_rewards(case: Case) -> bool:
    return any("reward" in name.lower() for table in case.run.tables for name in table.series)


HAS: Mapping[Need, Callable[[Case], bool]] = {
    Need.LOSS: _logs(Kind.TERM, Kind.TOTAL),
    Need.TERM: lambda case: len(case.terms) >= 1,
    Need.TERMS: lambda case: len(case.terms) >= 2,
    Need.TOTAL: _logs(Kind.TOTAL),
    Need.COMPOSITION: lambda case: case.composition is not None and bool(case.composition.terms),
    Need.LEARNING_RATE: _logs(Kind.LEARNING_RATE),
    Need.GRAD_NORM: _logs(Kind.GRAD_NORM),
    Need.LOSS_SCALE: lambda case: (
        _logs(Kind.LOSS_SCALE)(case) or any(one.name == "overflow" for one in case.run.events)
    ),
    Need.SCHEDULE: lambda case: bool(case.run.declared.get("schedule")),
    Need.STATISTIC: _logs(Kind.STATISTIC),
    Need.EVAL: lambda case: bool(case.run.evals),
    Need.EVALS: lambda case: any(len(one) >= EVALS for one in case.run.evals),
    Need.EVAL_LOSS: _evaluates(Kind.TERM, Kind.TOTAL),
    Need.EVAL_TOTAL: _shares_total,
    Need.REWARDS: _logs_rewards,
    Need.TOKENS: _logs(Kind.COUNT),
    Need.WEIGHTS: _logs(Kind.WEIGHT),
    Need.HISTORY: lambda case: len(case.train) >= HISTORY and case.train.split == "train",
    Need.RECORDS: lambda case: case.run.records > 0,
    Need.EXPECTED: lambda case: bool(case.run.declared.get("expect")),
    Need.GRADIENT_SHARES: _logs(Kind.GRADIENT_SHARE),
    Need.COSINES: _logs(Kind.COSINE),
    Need.MOTION: _logs(Kind.MOTION),
    Need.REACH: lambda case: bool(case.run.declared.get("reach")),
    Need.MICRO: lambda case: "micro" in case.train.series,
    Need.CLIPPED: lambda case: {"grad_norm", "grad_norm_used"} <= case.train.series.keys(),
}
"""For every need: does the run meet it? A test holds this table to the whole of `Need`."""


def missing(case: Case, needs: Iterable[Need]) -> tuple[str, ...]:
    """What the run lacks of `needs`, in words, in the order of `Need`.

    A run that was watched is not told to attach a watch, but that the watch measured none of it.
    """
    wanted = frozenset(needs)
    lacks = (str(one) for one in Need if one in wanted and not HAS[one](case))
    if not case.run.declared.get("watch"):
        return tuple(lacks)
    return tuple(one.replace(ATTACH, "the watch has measured none") for one in lacks)


def wanting(case: Case, needs: Iterable[Need]) -> tuple[str, ...]:
    """What the run lacks of needs that it meets in part only, in words.

    An expectation that names nothing in the run, or speaks of a part that is not reached yet, was
    not checked, whatever became of the others.
    """
    return unheld(case.run) if Need.EXPECTED in needs else ()
