"""No rule alarms on random healthy trainings of many kinds."""

import numpy as np
import pytest

from poise.doctor.case import Case
from poise.doctor.finding import Severity
from poise.doctor.needs import missing
from poise.run import Floats, Run
from tests.doctor.build import make_run
from tests.doctor.rules_of import all_rules

KINDS = 12
RUNS = 10
"""Trainings of each kind."""


def scatter(rng: np.random.Generator, n: int, sigma: float) -> Floats:
    """Multiplicative noise: normal, heavy-tailed or correlated over ten records."""
    kind = rng.integers(3)
    if kind == 0:
        return np.exp(sigma * rng.standard_normal(n))
    if kind == 1:
        return np.exp(sigma * rng.standard_t(3, n).clip(-8, 8))
    raw = rng.standard_normal(n + 9)
    return np.exp(sigma * np.lib.stride_tricks.sliding_window_view(raw, 10).sum(axis=1) / 3.2)


def decayed(rng: np.random.Generator, n: int, floor: float | None = None) -> Floats:
    """A decay from 1 to a floor, at a rate anywhere between at once and never done."""
    end = 10 ** rng.uniform(-2, -0.4) if floor is None else floor
    return end + (1 - end) * np.exp(-np.arange(n) / (n * 10 ** rng.uniform(-2, -0.3)))


def training(kind: int, rng: np.random.Generator) -> Run:  # noqa: C901 -- a table of cases
    """A healthy training; `kind` says what in it looks like a fault."""
    n = int(rng.choice([60, 200, 600, 3000]))
    at = np.arange(n)
    terms: dict[str, Floats] = {
        f"{name}_loss": 10 ** rng.uniform(-1, 1)
        * decayed(rng, n)
        * scatter(rng, n, 10 ** rng.uniform(-2, -0.6))
        for name in "abcde"[: rng.integers(2, 6)]
    }
    given: dict[str, object] = {}
    match kind:
        case 0:  # a generator that loses ground to a swinging discriminator
            swing = np.sin(at / n * rng.uniform(5, 60))
            terms["loss_disc"] = (0.7 + 0.2 * swing) * scatter(rng, n, 0.2)
            terms["loss_gen_adv"] = np.linspace(1, rng.uniform(1, 5), n) * scatter(rng, n, 0.2)
        case 1:  # a likelihood that goes negative and slows down
            fall = 3 * np.exp(-at / (n * rng.uniform(0.05, 0.5)))
            terms["nll_loss"] = fall - 2 * rng.uniform(0.5, 3) + 0.1 * rng.standard_normal(n)
        case 2:  # a restart that begins with a burst
            cut = n // 3
            burst = np.where(at < cut, 1, 1 + 5 * np.exp(-np.maximum(at - cut, 0) / 5))
            terms = {name: values * burst for name, values in terms.items()}
            given["segments"] = (at >= cut).astype(int)
            given["steps"] = np.where(at < cut, at, at - cut)
        case 3:  # a term that is ramped in
            ramp = np.clip((at - n * rng.uniform(0.2, 0.5)) / (0.2 * n), 0, 1)
            terms["late_loss"] = ramp * rng.uniform(0.1, 0.5) * scatter(rng, n, 0.05)
        case 4:  # a tiny auxiliary term that is learned
            small = 1e-3 * rng.uniform(0.2, 2) * decayed(rng, n, rng.uniform(0.02, 0.3))
            terms["small_loss"] = small * scatter(rng, n, 0.05)
        case 5:  # a penalty that grows and settles
            terms["kl_loss"] = np.linspace(1e-3, rng.uniform(0.01, 0.5), n) ** 0.5
        case 6:  # single hard batches
            for values in terms.values():
                hard = rng.choice(n, max(1, n // 100))
                values[hard] *= rng.uniform(3, 60, len(hard))
        case 7:  # a milestone of the learning rate, and a growing gradient norm
            late = at > 0.6 * n
            terms = {name: values * np.where(late, 0.5, 1) for name, values in terms.items()}
            given["lr"] = 1e-3 * np.where(late, 0.1, 1)
            given["grad_norm"] = np.linspace(1, 6, n) * scatter(rng, n, 0.3)
        case 8:  # a policy that becomes decided, beside evaluations
            given["statistics"] = {"policy/entropy": decayed(rng, n, 0.05)}
            given["evals"] = {name: 1.2 * one[:: n // 20] for name, one in terms.items()}
        case 9:  # a warm start: nothing moves much, on scales far apart
            terms = {
                f"{name}_loss": 10 ** rng.uniform(-3, 1)
                * decayed(rng, n, rng.uniform(0.9, 1))
                * scatter(rng, n, 0.05)
                for name in "abcd"
            }
        case 10:  # warm restarts of the learning rate
            wave = 1 + 0.4 * np.exp(-(at % (n // 4)) / (n / 40))
            terms = {name: values * wave for name, values in terms.items()}
        case _:  # returns grow, and with them the losses of actor and critic
            terms = {
                "actor_loss": -np.linspace(0.5, rng.uniform(2, 60), n) * scatter(rng, n, 0.1),
                "critic_loss": np.geomspace(1, rng.uniform(1, 60), n) * scatter(rng, n, 0.3),
            }
            given["total"] = None
    given["counts"] = {"tokens": rng.integers(100, 1000, n).astype(float)}
    return make_run(terms, **given)  # type: ignore[arg-type]  # collected by name


@pytest.mark.parametrize("kind", range(KINDS))
def test_random_healthy_trainings_raise_no_alarm(kind: int) -> None:
    """Whatever the noise, the rates and the length: notes at most."""
    alarms: list[str] = []
    for seed in range(RUNS):
        case = Case(training(kind, np.random.default_rng([kind, seed])))
        for rule in all_rules():
            if not missing(case, rule.needs):
                found = (one for one in rule.check(case) if one.severity is not Severity.NOTE)
                alarms += [f"seed {seed}: {one.rule}: {one.summary}" for one in found]
    assert not alarms
