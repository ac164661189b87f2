"""Gradients that no recorded term explains."""

from dataclasses import replace

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.unaccounted_gradient import UnaccountedGradient
from poise.run import Kind, Run
from tests.doctor.build import make_table
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def run(rest: list[float]) -> Run:
    """A run with these readings of the rest."""
    made = watched(
        {"a": fall(2, 1, RNG), "b": fall(3, 1, RNG)}, shares={"a": [0.5, 0.5], "b": [0.5, 0.5]}
    )
    table = make_table(
        {"unexplained": (Kind.UNEXPLAINED, rest, None)},
        grain="probe",
        steps=np.arange(len(rest)),
    )
    tables = [one for one in made.tables if one.grain != "probe"]
    probes = next(one for one in made.tables if one.grain == "probe")
    merged = replace(probes, series={**probes.series, **table.series})
    return replace(made, tables=(*tables, merged))


def test_a_rest_is_one_more_term() -> None:
    """A penalty with a fifth of the gradient."""
    (one,) = found_by(UnaccountedGradient(), run([0.18, 0.22]))
    assert (one.severity, one.terms) == (Severity.WARNING, ())
    assert one.evidence[0].value == pytest.approx(0.2)
    assert one.evidence[0].text.endswith("the terms' own shares are parts of the other 80%")


@pytest.mark.parametrize("rest", [[0.3], [0.01, 0.02], [0.4, 0.001, 0.002]])
def test_one_probe_or_a_small_rest_is_silent(rest: list[float]) -> None:
    """One odd batch, rounding, a single outlier."""
    assert not found_by(UnaccountedGradient(), run(rest))


def test_a_run_without_the_reading_is_silent() -> None:
    """An older record, or one whose forks change the gradient."""
    assert not found_by(UnaccountedGradient(), run([]))
