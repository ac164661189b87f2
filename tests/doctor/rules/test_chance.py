"""Cross-entropies at the level of guessing."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.chance import AtChance
from poise.run import Run
from tests.doctor.build_probes import RECORDS, fall, watched
from tests.doctor.rules_of import found_by

SEEDS = pytest.mark.parametrize("seed", range(4))


def run(seed: int, start: float, end: float, **declared: object) -> Run:
    """A cross-entropy of 4 classes beside a term that is learned."""
    rng = np.random.default_rng(seed)
    path = end + (start - end) * np.exp(-np.arange(RECORDS) / 20)
    noisy = path * (1 + 0.01 * rng.standard_normal(RECORDS))
    terms = {"lm": fall(3.0, 1.0, rng), "next": noisy}
    return watched(terms, declared={"classes": {"next": 4}, **declared})


@SEEDS
def test_a_fall_to_chance_is_named(seed: int) -> None:
    """From 1.7 to ln 4."""
    (one,) = found_by(AtChance(), run(seed, 1.7, np.log(4)))
    assert (one.severity, one.terms) == (Severity.WARNING, ("next",))
    assert "ln 4" in one.summary


@SEEDS
@pytest.mark.parametrize("end", [1.3, 1.45])
def test_better_or_worse_than_chance_is_silent(seed: int, end: float) -> None:
    """5% off: something is learned, or it is another number."""
    assert not found_by(AtChance(), run(seed, 1.7, end))


def test_what_stays_there_from_the_start_is_told_by_the_other_rule() -> None:
    """`stuck-at-log-k` knows ln 2 by itself."""
    assert not found_by(AtChance(), run(0, np.log(2), np.log(2), classes={"next": 2}))


def test_other_numbers_of_classes_and_monitors_are_silent() -> None:
    """Ln 4 is chance for 4 classes only; a term without classes is none."""
    for given in (
        {"classes": {"next": 5}},
        {"classes": {}},
        {"classes": {"next": 4}, "roles": {"next": "monitor"}},
    ):
        assert not found_by(AtChance(), run(0, 1.7, np.log(4), **given))


@SEEDS
def test_an_adversary_is_meant_to_end_there(seed: int) -> None:
    """A domain classifier behind reversed gradients; as a task it is named."""
    assert not found_by(AtChance(), run(seed, 1.7, np.log(4), roles={"next": "adversary"}))
    assert found_by(AtChance(), run(seed, 1.7, np.log(4), roles={"next": "task"}))
