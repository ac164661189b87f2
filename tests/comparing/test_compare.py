"""Whole comparisons: verdict, warnings, foreign logs, several seeds, errors."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from examples import incident

import poise
from poise.comparing.comparison import Verdict
from poise.errors import CompareError
from poise.run import Kind
from tests.comparing.build import falling, noisy, plain, table


def made(seed: int, *, ce: float = 1.0, kd: float = 0.5) -> poise.Diagnosis:
    """A run of two terms and their total."""
    terms = {"ce": noisy(falling(3.0, ce), seed), "kd": noisy(falling(2.0, kd), seed + 100)}
    total = terms["ce"] + terms["kd"]
    one = table(terms | {"total": total}, kinds={"total": Kind.TOTAL})
    return plain(one, weights={"ce": 1.0, "kd": 1.0})


@pytest.mark.parametrize(
    ("ce", "kd", "verdict"),
    [(1.0, 0.5, "no effect"), (0.5, 0.5, "better"), (1.0, 0.9, "worse"), (0.5, 0.9, "mixed")],
)
def test_the_whole_follows_from_its_terms(ce: float, kd: float, verdict: str) -> None:
    """Better in one term and worse in another is mixed."""
    assert poise.compare(made(0), made(1, ce=ce, kd=kd)).verdict == verdict


def test_a_total_with_other_weights_is_another_objective() -> None:
    """It is warned of, and the terms decide."""
    terms = {"ce": noisy(falling(3.0, 1.0), 0), "kd": noisy(falling(2.0, 0.5), 1)}
    runs = [
        plain(
            table(
                terms | {"total": weight * (terms["ce"] + terms["kd"])},
                kinds={"total": Kind.TOTAL},
            ),
            weights={"ce": weight, "kd": weight},
        )
        for weight in (1.0, 0.1)
    ]
    found = poise.compare(*runs)
    assert found.verdict is Verdict.NO_EFFECT
    assert found.of("total").verdict is Verdict.DIFFERENT_OBJECTIVE
    assert "the weight of 'ce' goes from 1 to 0.1" in found.warnings[0]


def test_several_seeds_show_what_one_pair_cannot() -> None:
    """Five percent are lost in the spread of unknown seeds, and found with three a side."""
    assert poise.compare(made(0), made(9, ce=0.95)).verdict is Verdict.NO_EFFECT
    before, after = [made(seed) for seed in range(3)], [made(seed, ce=0.95) for seed in (9, 10, 11)]
    found = poise.compare(before, after)
    assert found.verdict is Verdict.BETTER
    assert not any("one run a side" in one for one in found.warnings)


def test_foreign_logs_of_an_incident(tmp_path: Path) -> None:
    """The cure of the demo shows in three text logs a side: countdown is better, by 4 or more."""
    sides = []
    for cured in (False, True):
        logs = [tmp_path / f"{cured}-{seed}.txt" for seed in range(3)]
        for seed, log in enumerate(logs):
            incident.train(log, cured=cured, seed=seed + 10 * cured)
        sides.append(logs)
    found = poise.compare(*sides)
    one = found.of("countdown_loss")
    assert one.verdict is Verdict.BETTER
    assert one.high < -4
    assert found.of("total_loss").verdict is Verdict.DIFFERENT_OBJECTIVE


def test_findings_come_and_go(tmp_path: Path) -> None:
    """A term that turns to NaN is worse, and a new finding."""
    good = "\n".join(f"{k},{2 * 0.97**k + 1},{0.97**k + 1}" for k in range(100))
    bad = "\n".join(f"{k},{2 * 0.97**k + 1},{0.97**k + 1 if k < 50 else 'nan'}" for k in range(100))
    for name, rows in (("good.csv", good), ("bad.csv", bad)):
        (tmp_path / name).write_text(f"step,ce_loss,kd_loss\n{rows}\n")
    found = poise.compare(tmp_path / "good.csv", tmp_path / "bad.csv")
    assert found.verdict is Verdict.WORSE
    assert poise.Fault.NONFINITE in {one.fault for one in found.findings_new}
    back = poise.compare(tmp_path / "bad.csv", tmp_path / "good.csv")
    assert back.verdict is Verdict.BETTER
    assert poise.Fault.NONFINITE in {one.fault for one in back.findings_gone}


def test_runs_without_terms_are_judged_by_their_total() -> None:
    """Where nothing else is known, the total counts."""
    runs = [
        plain(table({"loss": noisy(falling(3.0, end), seed)}, kinds={"loss": Kind.TOTAL}))
        for seed, end in enumerate((1.0, 0.5))
    ]
    assert poise.compare(*runs).verdict is Verdict.BETTER


def test_wrong_use_is_told() -> None:
    """No run, nothing in common, an unknown alignment."""
    one = plain(table({"a": np.ones(9)}))
    with pytest.raises(CompareError, match="at least one run after, got none"):
        poise.compare(one, [])
    with pytest.raises(CompareError, match="got a before and b after; name them alike"):
        poise.compare(one, plain(table({"b": np.ones(9)})))
    with pytest.raises(
        CompareError, match="align is 'epoch'; expected one of auto, step, progress"
    ):
        poise.compare(one, one, align="epoch")


def test_seeds_of_the_incident_are_alike(tmp_path: Path) -> None:
    """At most one of 28 pairs of eight seeds is called different; the benchmark measures more."""
    logs = [tmp_path / f"{seed}.txt" for seed in range(8)]
    for seed, log in enumerate(logs):
        incident.train(log, cured=False, seed=500 + seed)
    runs = [
        poise.Diagnosis(run=poise.read_run(log), findings=(), not_checked=(), passed=())
        for log in logs
    ]
    found = [poise.compare(*pair).verdict for pair in combinations(runs, 2)]
    assert sum(one is not Verdict.NO_EFFECT for one in found) <= 1


def test_a_total_counts_beside_metrics_where_no_terms_are_known(tmp_path: Path) -> None:
    """A log of a loss and an accuracy: a loss that has halved is better, whatever else stands."""
    for name, share in (("a.csv", 1.0), ("b.csv", 0.4)):
        rows = [f"{k},{share * (1 + 0.9**k):.6f},0.5" for k in range(100)]
        (tmp_path / name).write_text("step,loss,accuracy\n" + "\n".join(rows) + "\n")
    found = poise.compare(tmp_path / "a.csv", tmp_path / "b.csv")
    one = found.of("loss")
    assert (one.kind, one.counts) == ("total", True)
    assert found.verdict is not Verdict.NO_EFFECT or one.verdict is Verdict.RESCALED
