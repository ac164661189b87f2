"""Terms that rise while the others fall."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.conflict import RisesWhileOthersFall
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def rising(share: float, noise: float = 0.02) -> np.ndarray:
    """A term that rises by `share` early and stays there."""
    clean = 1 + share * (1 - np.exp(-np.arange(N) / 40))
    return 0.1 * clean * np.exp(noise * RNG.standard_normal(N))


def test_a_rise_in_training_and_evaluation() -> None:
    """Both rise by a fifth while the other term falls: a warning."""
    terms = {"box_loss": rising(0.2), "obj_loss": decay(RNG, 1, 0.1)}
    evals = {name: values[::20] for name, values in terms.items()}
    (one,) = found_by(RisesWhileOthersFall(), make_run(terms, evals=evals))
    assert one.severity is Severity.WARNING
    assert one.terms == ("box_loss", "obj_loss")


def test_training_alone_or_a_falling_evaluation_is_a_note() -> None:
    """Harder batches raise a training loss too."""
    terms = {"box_loss": rising(0.2), "obj_loss": decay(RNG, 1, 0.1)}
    evals = {"box_loss": np.linspace(0.2, 0.1, 20)}
    for run in (make_run(terms), make_run(terms, evals=evals)):
        (one,) = found_by(RisesWhileOthersFall(), run)
        assert one.severity is Severity.NOTE


def test_adversaries_and_penalties_are_one_note() -> None:
    """They rise for good reasons, and are named together."""
    terms = {"g_adv": rising(1), "kl_loss": rising(2), "ce": decay(RNG, 1, 0.1)}
    evals = {name: values[::20] for name, values in terms.items()}
    (one,) = found_by(RisesWhileOthersFall(), make_run(terms, evals=evals))
    assert one.severity is Severity.NOTE
    assert {"g_adv", "kl_loss"} <= set(one.terms)


def test_small_late_noisy_or_solitary_rises_are_silent() -> None:
    """5% is little, a start at zero unfolds, noise is noise, and something else must fall."""
    falling = decay(RNG, 1, 0.1)
    for terms in (
        {"box_loss": rising(0.05), "obj_loss": falling},
        {"box_loss": np.linspace(1e-5, 1, N), "obj_loss": falling},
        {"box_loss": np.exp(RNG.standard_normal(N)), "obj_loss": falling},
        {"box_loss": rising(0.3), "obj_loss": rising(0.0)},
    ):
        assert not found_by(RisesWhileOthersFall(), make_run(terms))
