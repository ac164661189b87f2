"""One loss on another scale than all others."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.out_of_scale import OutOfScale
from tests.doctor.build import make_run
from tests.doctor.healthy import decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_one_record_shows_a_runaway_critic() -> None:
    """10000 times the next loss, told from a single record; the copy under a prefix is the same."""
    levels = {"x/critic_loss": 5e9, "y/x/critic_loss": 4.9e9, "actor_loss": -5e4, "ce_loss": -2.5}
    run = make_run({name: [value] for name, value in levels.items()}, total=None)
    (one,) = found_by(OutOfScale(), run)
    assert one.severity is Severity.WARNING
    assert one.terms == ("x/critic_loss",)


def test_converged_companions_do_not_make_an_outlier() -> None:
    """A residual of 2e-4 beside conditions of 1e-8 is a solved equation, in one record or many."""
    one = {"residual": [2e-4], "start": [1e-8], "edge": [2e-9]}
    many = {name: decay(RNG, 1, value[0]) for name, value in one.items()}
    for terms in (one, many):
        assert not found_by(OutOfScale(), make_run(terms, total=None))
