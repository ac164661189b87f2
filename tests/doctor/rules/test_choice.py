"""Codes and experts out of use, and latents that say nothing."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.choice import FewInUse, PosteriorCollapse
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
RECON = decay(RNG, 5, 1)
ONE = np.ones(N)


@pytest.mark.parametrize("name", ["codebook_perplexity", "perplexity"])
def test_a_single_code(name: str) -> None:
    """A perplexity of 1 from the first step on; a bare one is that of the codes beside them."""
    run = make_run({"recon": RECON, "codebook": RECON}, statistics={name: ONE})
    (one,) = found_by(FewInUse(), run)
    assert (one.severity, one.terms) == (Severity.WARNING, (name,))


@pytest.mark.parametrize(
    ("terms", "name", "values"),
    [
        ({"recon": RECON, "codebook": RECON}, "codebook_perplexity", decay(RNG, 40, 3)),
        ({"lm": RECON}, "perplexity", ONE),
        ({"recon": RECON, "commit": RECON}, "teacher_perplexity", ONE),
    ],
)
def test_codes_in_use_and_other_perplexities_are_silent(
    terms: dict[str, np.ndarray], name: str, values: np.ndarray
) -> None:
    """Three codes, and language models."""
    assert not found_by(FewInUse(), make_run(terms, statistics={name: values}))


def test_half_of_the_experts() -> None:
    """The entropy of the load goes from ln 8 to ln 4; to ln 6 is specialising."""
    for left, fires in ((4, True), (6, False)):
        path = np.maximum(np.linspace(8, 2 * left - 8, N), left)
        load = np.log(path * (1 + 0.01 * RNG.standard_normal(N)))
        run = make_run({"ce": RECON}, statistics={"expert_entropy": load})
        assert bool(found_by(FewInUse(), run)) is fires


def test_experts_that_come_back_or_a_router_that_decides_are_silent() -> None:
    """Lost for a while, and the entropy of the choice for each token."""
    dip = np.where(abs(np.arange(N) - N // 2) < N // 6, np.log(2), np.log(8))
    assert not found_by(FewInUse(), make_run({"ce": RECON}, statistics={"expert_entropy": dip}))
    sure = np.linspace(np.log(8), 0.1, N)
    assert not found_by(FewInUse(), make_run({"ce": RECON}, statistics={"router_entropy": sure}))


def gone(end: float, start: float = 3.0) -> np.ndarray:
    """A divergence that falls within a fifth of the run."""
    return end + (start - end) * np.exp(-np.arange(N) / (N / 30))


def test_a_divergence_that_is_gone() -> None:
    """From 3 nats to 0.001, beside a reconstruction; in a log as well."""
    (one,) = found_by(PosteriorCollapse(), make_run({"recon": RECON, "kl": gone(0.001)}))
    assert (one.severity, one.terms) == (Severity.WARNING, ("kl",))


@pytest.mark.parametrize(
    "terms",
    [
        {"recon": RECON, "kl": gone(0.5)},
        {"recon": RECON, "kl": gone(0.2, start=100.0)},
        {"ce": RECON, "kl": gone(0.001)},
        {"recon": RECON, "divergence": gone(0.001)},
    ],
)
def test_what_still_says_something_is_silent(terms: dict[str, np.ndarray]) -> None:
    """Half a nat is left; annealed to 0.2 of 100; distillation; no divergence by name."""
    assert not found_by(PosteriorCollapse(), make_run(terms))


def test_a_divergence_that_is_only_watched_is_silent() -> None:
    """Its weight is 0."""
    run = make_run(
        {"recon": RECON, "kl": gone(0.001)},
        weights={"kl": 0.0},
        source="declared",
        declared={"roles": {"kl": "monitor"}},
    )
    assert not found_by(PosteriorCollapse(), run)
