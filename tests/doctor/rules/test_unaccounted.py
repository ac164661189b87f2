"""Totals that are not what their terms add up to."""

from dataclasses import replace

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.unaccounted import UnaccountedTerms, UnaccountedTotal
from poise.run import TermWeight
from tests.doctor.build import make_run
from tests.doctor.healthy import HEALTHY, N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def terms() -> dict[str, np.ndarray]:
    """Two terms."""
    return {"ce": decay(RNG, 7, 2), "kl": decay(RNG, 3, 1)}


def test_summand_that_is_not_logged() -> None:
    """A fifth of the total that no term explains is a warning with its size."""
    given = terms()
    hidden = decay(RNG, 2.5, 0.75)
    (one,) = found_by(UnaccountedTotal(), make_run(given, total=sum(given.values()) + hidden))
    assert one.severity is Severity.WARNING
    assert one.terms == ("loss",)
    assert 0.1 < one.evidence[0].value < 0.3
    assert "goes from" in one.summary


def test_logged_weights_are_used() -> None:
    """A term whose logged weight is ramped down to 0 was in the total all the same."""
    given = terms()
    ramp = np.linspace(1, 0, N)
    total = given["ce"] + ramp * given["kl"]
    history = {"kl": ramp}
    run = make_run(given, weights={"kl": 0.0}, total=total, weight_history=history)
    assert not found_by(UnaccountedTotal(), run)
    exact = replace(run, compositions=(replace(run.compositions[0], exact=True),))
    assert not found_by(UnaccountedTerms(), exact)


def test_few_records_are_enough_if_all_agree() -> None:
    """Ten epochs of one sign tell as much as a long log; five do not."""
    given = {name: one[::40] for name, one in terms().items()}
    total = 1.3 * (given["ce"] + given["kl"])
    assert found_by(UnaccountedTotal(), make_run(given, total=total))
    few = {name: one[:5] for name, one in given.items()}
    assert not found_by(UnaccountedTotal(), make_run(few, total=total[:5]))


def test_a_weight_that_changes_is_a_note() -> None:
    """A KL term that is ramped up explains the rest, if its weight could not be fitted."""
    given = terms()
    ramp = np.linspace(0.1, 1, N)
    run = make_run(given, total=given["ce"] + ramp * given["kl"])
    known = (TermWeight(name="ce", weight=1.0, source="fitted"),)
    open_ = TermWeight(name="kl", weight=None, source="unknown")
    found = replace(run.compositions[0], terms=(*known, open_), exact=False, residual=0.3)
    (one,) = found_by(UnaccountedTotal(), replace(run, compositions=(found,)))
    assert one.severity is Severity.NOTE
    assert one.terms == ("loss", "kl")
    hidden = given["ce"] + decay(RNG, 3, 1, noise=0.5)
    run = make_run(given, total=hidden)
    (one,) = found_by(UnaccountedTotal(), replace(run, compositions=(found,)))
    assert one.severity is Severity.WARNING


def test_total_with_an_auxiliary_beside_it_is_a_note() -> None:
    """A log of a total and one small term of it does not claim to be a breakdown."""
    aux = decay(RNG, 0.02, 0.01)
    total = decay(RNG, 7, 2) + aux
    for weight in (0.0, 1.0):
        run = make_run({"aux_loss": aux}, total=total, weights={"aux_loss": weight})
        (one,) = found_by(UnaccountedTotal(), run)
        assert one.severity is Severity.NOTE


@pytest.mark.parametrize("sigma", [0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("count", [3, 10])
def test_medians_of_skewed_terms_raise_no_alarm(sigma: float, count: int) -> None:
    """The median of a sum is above the sum of medians, by up to a third of the total."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        raw = decay(rng, 5, 1, noise=0)[:, None, None] * np.exp(
            sigma * rng.standard_normal((N, 20, count))
        )
        given = {f"t{k}": np.median(raw[:, :, k], axis=1) for k in range(count)}
        run = make_run(given, total=np.median(raw.sum(axis=2), axis=1))
        found = found_by(UnaccountedTotal(), run)
        assert all(one.severity is Severity.NOTE for one in found)


def test_small_rest_is_a_note() -> None:
    """One percent may be what medians leave."""
    given = terms()
    (one,) = found_by(UnaccountedTotal(), make_run(given, total=1.01 * (given["ce"] + given["kl"])))
    assert one.severity is Severity.NOTE


def test_benign_rests_are_silent() -> None:
    """Noise of either sign, rounding and running means leave nothing structural."""
    given = terms()
    total = given["ce"] + given["kl"]
    noisy = total * (1 + 0.1 * RNG.standard_normal(N))
    assert not found_by(UnaccountedTotal(), make_run(given, total=noisy))
    coarse = make_run(given, total=total.round(0), tolerance=0.1)
    assert not found_by(UnaccountedTotal(), coarse)
    assert not found_by(UnaccountedTotal(), HEALTHY["running_mean"](RNG))


def test_total_is_one_term_only() -> None:
    """Terms with weight 0 beside a single counted term are a warning that names them."""
    given = terms() | {"aux": decay(RNG, 2, 0.1)}
    run = make_run(given, weights={"kl": 0.0, "aux": 0.0})
    (one,) = found_by(UnaccountedTerms(), run)
    assert one.severity is Severity.WARNING
    assert one.terms == ("kl", "aux")
    assert "'ce'" in one.summary


def test_bystanders_are_notes() -> None:
    """An entropy, a critic's loss, a declared adversary and a second breakdown have an excuse."""
    ce = decay(RNG, 7, 2)
    part = ce * RNG.uniform(0.2, 0.8, N)
    runs = [
        make_run({"ce": ce, "entropy": decay(RNG, 3, 1)}, weights={"entropy": 0.0}),
        make_run({"ce": ce, "critic_loss": decay(RNG, 3, 1)}, weights={"critic_loss": 0.0}),
        make_run(
            {"ce": ce, "aux": decay(RNG, 3, 1)},
            weights={"aux": 0.0},
            declared={"roles": {"aux": "adversary"}},
        ),
        make_run({"ce": ce, "x": part, "y": ce - part}, weights={"x": 0.0, "y": 0.0}),
        make_run(terms() | {"aux": decay(RNG, 3, 1)}, weights={"aux": 0.0}),
    ]
    for run in runs:
        (one,) = found_by(UnaccountedTerms(), run)
        assert one.severity is Severity.NOTE


def test_terms_that_count_or_stand_still_are_silent() -> None:
    """A small weight counts; a term that does not move is not missed."""
    assert not found_by(UnaccountedTerms(), make_run(terms(), weights={"kl": 1e-4}))
    still = terms() | {"kl": np.full(N, 0.5)}
    assert not found_by(UnaccountedTerms(), make_run(still, weights={"kl": 0.0}))


def test_a_constant_rest_is_a_note() -> None:
    """An offset has no gradient; the same rest that grows is a warning."""
    rng = np.random.default_rng(0)
    terms = {"ce": decay(rng, 3, 1), "box": decay(rng, 1, 0.4)}
    parts = terms["ce"] + terms["box"]
    for rest, severity in ((0.8, Severity.NOTE), (np.linspace(0.8, 1.2, N), Severity.WARNING)):
        (one,) = found_by(UnaccountedTotal(), make_run(terms, total=parts + rest))
        assert one.severity is severity


def test_declared_monitors_are_silent() -> None:
    """By their role, or by a weight of 0 that the run declares and never changes."""
    values = {"ce": decay(RNG, 7, 2), "aux": decay(RNG, 3, 1)}
    off = {"weights": {"aux": 0.0}}
    assert found_by(UnaccountedTerms(), make_run(values, **off))
    assert not found_by(UnaccountedTerms(), make_run(values, source="declared", **off))
    role = {"roles": {"aux": "monitor"}}
    assert not found_by(UnaccountedTerms(), make_run(values, declared=role, **off))
