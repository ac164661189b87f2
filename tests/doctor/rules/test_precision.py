"""Values beside which everything else vanishes."""

import numpy as np

from poise.doctor.rules.precision import BeyondPrecision
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_an_impossible_value_is_named_with_its_step() -> None:
    """One finite value of -1e35 among ordinary ones; the total shows it too."""
    terms = {"ctc": decay(RNG, 90, 20), "att": decay(RNG, 60, 10)}
    terms["ctc"][300] = -1.06e35
    (one,) = found_by(BeyondPrecision(), make_run(terms))
    assert one.terms == ("ctc", "loss")
    assert one.steps == (300, 300)
    assert "-1.06e+35" in one.summary


def test_a_spike_of_a_thousand_is_not_beyond_precision() -> None:
    """The near miss: a large spike is another rule's business."""
    terms = {"ctc": decay(RNG, 90, 20), "att": decay(RNG, 60, 10)}
    terms["ctc"][300] *= 1e5
    assert not found_by(BeyondPrecision(), make_run(terms))


def test_a_term_that_vanishes_makes_no_other_one_absurd() -> None:
    """A term that is almost always 1e-12 may reach 0.1: other losses set the scale."""
    tiny = np.full(N, 1e-12)
    tiny[300] = 0.1
    assert not found_by(BeyondPrecision(), make_run({"tiny": tiny, "ce": decay(RNG, 7, 2)}))


def test_the_scale_does_not_matter() -> None:
    """The same run in other units gives the same finding."""
    terms = {"ctc": decay(RNG, 90, 20) * 1e-9}
    terms["ctc"][300] = 1e3
    assert len(found_by(BeyondPrecision(), make_run(terms))) == 1
