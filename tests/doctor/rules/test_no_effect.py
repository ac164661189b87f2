"""Terms, totals, weights and rewards that cannot matter."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.no_effect import (
    RewardZero,
    TermConstant,
    TermZero,
    TotalZero,
)
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_term_that_is_always_zero() -> None:
    """A term of 0 throughout is a warning that names it."""
    (one,) = found_by(TermZero(), make_run({"a": decay(RNG, 7, 2), "aux": np.zeros(N)}))
    assert one.severity is Severity.WARNING
    assert one.terms == ("aux",)


def test_term_that_starts_late_is_silent() -> None:
    """One value other than 0 is enough."""
    aux = np.zeros(N)
    aux[-1] = 1e-9
    assert not found_by(TermZero(), make_run({"a": decay(RNG, 7, 2), "aux": aux}))


def test_zero_terms_with_an_excuse_are_notes() -> None:
    """A class term, a short run, the beginning of a long one, and three decimals excuse a 0."""
    a, zero = decay(RNG, 7, 2), np.zeros(N)
    runs = [
        make_run({"a": a, "loss_cls_3": zero}),
        make_run({"a": a[:30], "l1": zero[:30]}),
        make_run({"a": a, "l1": zero}, declared={"total_steps": 100 * N}),
        make_run({"a": a.round(3), "l1": zero}, total=a.round(3)),
        make_run({"a": a, "l1": zero}, declared={"roles": {"l1": "monitor"}}),
    ]
    for run in runs:
        (one,) = found_by(TermZero(), run)
        assert one.severity is Severity.NOTE


def test_total_that_is_always_zero() -> None:
    """Alone it is a warning; beside a gradient it is a note; a single 0 is nothing."""
    terms = {"a": np.zeros(N)}
    norm = decay(RNG, 5, 1)
    (one,) = found_by(TotalZero(), make_run(terms))
    assert one.severity is Severity.WARNING
    (one,) = found_by(TotalZero(), make_run(terms, grad_norm=norm))
    assert one.severity is Severity.NOTE
    total = np.concatenate(([0.0], norm[1:]))
    assert not found_by(TotalZero(), make_run(terms, total=total))


def test_term_of_one_value() -> None:
    """A term that stays at one written-out value while another moves has no gradient."""
    a = decay(RNG, 7, 2)
    (one,) = found_by(TermConstant(), make_run({"a": a, "b": np.full(N, 0.693147)}))
    assert one.severity is Severity.WARNING
    assert one.terms == ("b",)
    declared = {"roles": {"b": "offset"}}
    (one,) = found_by(
        TermConstant(), make_run({"a": a, "b": np.full(N, 0.693147)}, declared=declared)
    )
    assert one.severity is Severity.NOTE
    assert not found_by(TermConstant(), make_run({"a": a, "b": np.full(N, 0.05)}))


def test_reward_that_is_never_earned() -> None:
    """One dead reward among live ones is named; its spread and a group of one are not judged."""
    live, dead = np.abs(RNG.standard_normal(N)), np.zeros(N)
    statistics = {"rewards/right": live, "rewards/format": dead, "rewards/format/std": dead}
    (one,) = found_by(RewardZero(), make_run({"a": decay(RNG, 7, 2)}, statistics=statistics))
    assert one.severity is Severity.WARNING
    assert one.terms == ("rewards/format",)
    alone = make_run({"a": decay(RNG, 7, 2)}, statistics={"rewards/format": dead, "acc": live})
    assert not found_by(RewardZero(), alone)
