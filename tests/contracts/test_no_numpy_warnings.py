"""No rule lets numpy warn, whatever a run holds: a user sees findings, not RuntimeWarnings."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from poise.doctor.case import Case
from poise.doctor.needs import missing
from poise.doctor.rule import Rule
from poise.doctor.rules import RULES
from poise.run import Event, Run
from tests.doctor.build_probes import watched
from tests.doctor.made.faults import FAULTS
from tests.doctor.made.fields import FIELDS
from tests.doctor.made.log import Made, examine
from tests.doctor.made.lookalikes import HEALTHY

MADE = {**{name: one.made for name, one in FAULTS.items()}, **HEALTHY, **FIELDS}
SEED = 1000
"""One that no other test uses."""


@pytest.mark.parametrize("name", sorted(MADE))
def test_made_logs(name: str, tmp_path: Path) -> None:
    """Every seeded fault and every look-alike."""
    made: Made = MADE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        examine(made, SEED, tmp_path)


N, PROBES = 120, 24
ODD: dict[str, np.ndarray] = {
    "zero": np.zeros(N),
    "one value": np.full(N, 0.7),
    "nan": np.full(N, np.nan),
    "infinite at the end": np.where(np.arange(N) < 80, 1.0, np.inf),
    "nan and back": np.where(np.arange(N) % 7 == 3, np.nan, 1.0 + 0.1 * np.arange(N)),
    "huge": 1e300 * (1 + np.arange(N)),
    "huge and negative": 1e300 * (-1.0) ** np.arange(N),
    "tiny": np.full(N, 5e-324),
    "switching": np.repeat([0.0, 3.0], N // 12)[np.arange(N) % 20],
    "falling": np.geomspace(4, 0.1, N),
    "rising": np.geomspace(0.1, 4, N),
}


def odd_run(first: str, second: str) -> Run:
    """A watched run in which everything that can be measured takes on the odd values."""
    a, b = ODD[first], ODD[second]
    few = np.linspace(0, N - 1, PROBES).astype(int)
    events = [
        Event(name="nonfinite-gradient", step=40, text="the gradient of a is not finite"),
        *(Event(name=name, step=3, text="x") for name in ("probe-failed", "no-graph")),
        *(Event(name="overflow", step=at, text="x") for at in range(0, N, 3)),
    ]
    with np.errstate(all="ignore"):
        return watched(
            {"a": a, "b": b, "c": ODD["falling"]},
            total=a + b,
            weights={"c": 0.0},
            weight_history={"a": b, "b": np.zeros(N), "c": a},
            norms={"a": np.abs(a[few]), "b": np.abs(b[few]), "c": np.zeros(PROBES)},
            shares={"a": a[few], "b": b[few], "c": np.zeros(PROBES)},
            cosines={("a", "b"): np.clip(a[few], -1, 1), ("a", "c"): np.full(PROBES, np.nan)},
            motion={"trunk": b[few], "(model)": np.zeros(PROBES)},
            micro=np.arange(N),
            steps=np.arange(N) // 3,
            grad_norm=a,
            grad_norm_used=b,
            lr=b,
            loss_scale=a,
            counts={"tokens": np.abs(b)},
            term_counts={"a": 0.0, "b": 7.0},
            statistics={"accuracy": a, "ema_decay": np.full(N, 0.999), "reward/x": b},
            evals={"loss": a[::12], "a": b[::12], "b": a[::12]},
            eval_steps=np.arange(10) * 4,
            events=events,
            declared={
                "shares": {"a": 0.5, "b": 0.5},
                "watch": {"every": 50, "ranks": 1},
                "schedules": {"a": [[0, 0.0], [N, 1.0]]},
                "weight_deviation": {"a": 0.0, "b": 0.7},
                "parameters": {"unoptimised": ["a_head.weight"]},
                "total_steps": 10 * N,
            },
        )


@pytest.mark.parametrize("rule", RULES, ids=[one.name for one in RULES])
def test_odd_numbers_in_a_watched_run(rule: Rule) -> None:
    """Pairs of odd values in terms, weights, gradients, counts and rates at once."""
    for first in ODD:
        for second in ODD:
            case = Case(odd_run(first, second))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    found = [] if missing(case, rule.needs) else list(rule.check(case))
                except Exception as error:
                    error.add_note(f"{rule.name} on {first!r} beside {second!r}")
                    raise
            assert all(one.evidence for one in found)
