"""Terms driven down without a bound, and value estimates that run away."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.unbounded import DrivenDown, FallsUndiminished, RunawayValues
from poise.run import Run
from tests.doctor.build import make_run
from tests.doctor.build_probes import watched
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TIME = np.linspace(0, 1, N)


def test_a_term_that_falls_faster_and_faster() -> None:
    """A negative quadratic is driven down; the total that follows it is not named again."""
    terms = {"ce": decay(RNG, 2, 1), "spread": 1 - 40 * TIME**2 + 0.1 * RNG.standard_normal(N)}
    (one,) = found_by(DrivenDown(), make_run(terms))
    assert (one.severity, one.terms) == (Severity.WARNING, ("spread",))


def test_a_likelihood_that_slows_down_is_silent() -> None:
    """Negative and far from its start, but slower in every quarter; a straight line neither."""
    slowing = 1 - 40 * (1 - np.exp(-3 * TIME))
    for values in (slowing, 1 - 40 * TIME, decay(RNG, 5, 1)):
        assert not found_by(DrivenDown(), make_run({"nll": values}))


def test_an_actor_or_an_adversary_is_a_note() -> None:
    """Their losses may follow growing returns or a weaker opponent."""
    for name in ("actor_loss", "d_loss"):
        (one,) = found_by(DrivenDown(), make_run({name: 1 - 40 * TIME**2}, total=None))
        assert one.severity is Severity.NOTE


@pytest.mark.parametrize(("depth", "severity"), [(4000, Severity.WARNING), (20, Severity.NOTE)])
def test_an_adversary_that_leaves_every_scale(depth: float, severity: Severity) -> None:
    """A critic without its constraint is no swing: two hundred times its first quarter."""
    values = 1 - depth * TIME**6 + 0.01 * RNG.standard_normal(N)
    declared = {"roles": {"d_loss": "adversary"}}
    (one,) = found_by(DrivenDown(), make_run({"d_loss": values}, total=None, declared=declared))
    assert one.severity is severity


def test_a_critic_and_an_actor_that_leave_their_range() -> None:
    """Growth of 200 and 100 from their own starts; the logged return is quoted."""
    terms = {"critic_loss": 30 * np.geomspace(1, 200, N), "actor_loss": 20 - 2020 * TIME}
    returns = {"episode_return": np.linspace(-50, 90, N)}
    (one,) = found_by(RunawayValues(), make_run(terms, total=None, statistics=returns))
    assert one.terms == ("critic_loss", "actor_loss")
    assert any(fact.series == "episode_return" for fact in one.evidence)


def test_a_critic_that_grows_with_modest_values_is_silent() -> None:
    """Tenfold values make a hundredfold loss: not enough, and a falling critic neither."""
    for critic, actor in ((50.0, -10.0), (200.0, -5.0), (0.1, -100.0)):
        terms = {"critic_loss": np.geomspace(1, critic, N), "actor_loss": 1 + actor * TIME}
        assert not found_by(RunawayValues(), make_run(terms, total=None))


@pytest.mark.parametrize("seed", range(4))
def test_a_straight_fall_with_its_gradient_kept(seed: int) -> None:
    """Neither the term nor its gradient slows down; with a gradient that shrinks it may end."""
    rng = np.random.default_rng(seed)
    straight = 1 - 40 * TIME + 0.05 * rng.standard_normal(N)
    terms = {"ce": decay(rng, 2, 1), "apart": straight}

    def made(last: float, name: str = "apart") -> Run:
        norms = {"ce": np.ones(9), name: np.linspace(2, last, 9)}
        values = {"ce": terms["ce"], name: straight}
        return watched(values, norms=norms, micro=np.arange(N))

    (one,) = found_by(FallsUndiminished(), made(2.2))
    assert (one.severity, one.terms) == (Severity.WARNING, ("apart",))
    assert not found_by(FallsUndiminished(), made(1.0))
    (one,) = found_by(FallsUndiminished(), made(2.2, "d_loss"))
    assert one.severity is Severity.NOTE


def test_a_likelihood_with_a_growing_gradient_is_silent() -> None:
    """It slows down, whatever its gradient does."""
    slowing = 1 - 40 * (1 - np.exp(-3 * TIME))
    norms = {"ce": np.ones(9), "nll": np.linspace(1, 9, 9)}
    terms = {"ce": decay(RNG, 2, 1), "nll": slowing}
    assert not found_by(FallsUndiminished(), watched(terms, norms=norms, micro=np.arange(N)))
