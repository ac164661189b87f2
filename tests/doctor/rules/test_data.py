"""What counts and absences say about the data."""

from dataclasses import replace

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.data import CountZero, DivergenceNegative, TermSparse
from tests.doctor.build import make_run
from tests.doctor.build_probes import watched
from tests.doctor.healthy import HEALTHY, N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_counts_of_zero() -> None:
    """Some batches without tokens are a note with their share; none is nothing."""
    counts = RNG.integers(1, 50, N).astype(float)
    assert not found_by(CountZero(), make_run({"ce": decay(RNG, 7, 2)}, counts={"tokens": counts}))
    counts[:100] = 0
    (one,) = found_by(CountZero(), make_run({"ce": decay(RNG, 7, 2)}, counts={"tokens": counts}))
    assert one.severity is Severity.NOTE
    assert one.evidence[0].value == 0.25


def test_a_source_that_runs_dry_is_a_warning() -> None:
    """A term's count is 0 for the last two fifths; for its first two, or a while, it is a note."""
    for zeros, severity in (
        (slice(240, None), Severity.WARNING),
        (slice(0, 160), Severity.NOTE),
        (slice(350, None), Severity.WARNING if N - 350 >= N // 5 else Severity.NOTE),
    ):
        counts = np.full(N, 16.0)
        counts[zeros] = 0
        terms = {"ce": decay(RNG, 7, 2), "size": decay(RNG, 2, 1)}
        run = watched(terms, term_counts={"ce": 16.0})
        table = run.train
        series = {**table.series, "count/ce": replace(table.series["count/ce"], values=counts)}
        run = replace(run, tables=(replace(table, series=series), *run.tables[1:]))
        (one,) = found_by(CountZero(), run)
        assert one.severity is severity
        assert one.terms == ("ce",)


@pytest.mark.parametrize(("weight", "severity"), [(0.0, Severity.NOTE), (0.5, Severity.WARNING)])
def test_a_stage_that_is_over_needs_no_data(weight: float, severity: Severity) -> None:
    """Neither count nor weight in the last two fifths; with a weight the term goes without."""
    over = np.arange(N) >= 240
    run = watched(
        {"ce": decay(RNG, 7, 2), "size": decay(RNG, 2, 1)},
        term_counts={"ce": 16.0},
        weight_history={"ce": np.where(over, weight, 1.0)},
    )
    table = run.train
    count = replace(table.series["count/ce"], values=np.where(over, 0.0, 16.0))
    table = replace(table, series={**table.series, "count/ce": count})
    run = replace(run, tables=(table, *run.tables[1:]))
    (one,) = found_by(CountZero(), run)
    assert one.severity is severity


def test_irregular_term_is_a_note() -> None:
    """Terms of sampled tasks are named; those of every fifth record are a matter of logging."""
    (one,) = found_by(TermSparse(), make_run(_mixture(RNG.permutation(N)[:60]), total=None))
    assert one.severity is Severity.NOTE
    assert one.terms == ("rare",)
    assert not found_by(TermSparse(), make_run(_mixture(np.arange(0, N, 5)), total=None))


def test_nothing_to_compare_with() -> None:
    """If all terms are sparse, the log is, and no term stands out."""
    assert not found_by(TermSparse(), HEALTHY["sampled_terms"](RNG))


def _mixture(rows: np.ndarray) -> dict[str, object]:
    where = np.sort(rows)
    return {"ce": decay(RNG, 7, 2), "rare": (where, decay(RNG, 3, 1)[where])}


def test_a_divergence_that_stays_negative() -> None:
    """Sampled and scored distributions differ."""
    rng = np.random.default_rng(0)
    kl = np.linspace(0, -5, 200) + 0.3 * rng.standard_normal(200)
    run = make_run({"loss_a": np.linspace(2, 1, 200)}, statistics={"objective/kl": kl})
    (one,) = found_by(DivergenceNegative(), run)
    assert one.terms == ("objective/kl",)


@pytest.mark.parametrize("name", ["kl", "approx_kl", "kl_coef"])
def test_divergences_that_scatter_and_other_quantities_are_silent(name: str) -> None:
    """An estimate around 0 is healthy; ratios of successive policies and factors are none."""
    rng = np.random.default_rng(0)
    kl = 0.02 * rng.standard_normal(200) - (0.5 if name != "kl" else 0)
    run = make_run({"loss_a": np.linspace(2, 1, 200)}, statistics={name: kl})
    assert not found_by(DivergenceNegative(), run)
