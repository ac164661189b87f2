"""Cross-entropies that are given probabilities."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.logits import ProbabilitiesAsLogits
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TERMS = {"ce": fall(2, 1.5, RNG), "box": fall(1, 0.2, RNG)}


def test_a_second_softmax_is_a_warning() -> None:
    """As the watch finds it in the graph."""
    (one,) = found_by(
        ProbabilitiesAsLogits(), watched(TERMS, declared={"squashed": {"ce": "softmax"}})
    )
    assert (one.severity, one.terms) == (Severity.WARNING, ("ce",))
    assert "softmax" in one.summary


def test_logits_and_monitors_are_silent() -> None:
    """Nothing was found, or the term is only looked at."""
    assert not found_by(ProbabilitiesAsLogits(), watched(TERMS))
    quiet = {"squashed": {"ce": "softmax"}, "roles": {"ce": "monitor"}}
    assert not found_by(ProbabilitiesAsLogits(), watched(TERMS, declared=quiet))
