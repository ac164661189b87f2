"""Predictions that meet the targets of all samples."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.broadcast import PredictionBroadcast
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TERMS = {"price": fall(1.3, 1.2, RNG), "kind": fall(1, 0.2, RNG)}


def test_all_pairs_are_a_warning() -> None:
    """As the watch finds it in the graph."""
    for shape, said in (([64, 1], "(64, 1) with a target of shape (64,)"), ([64], "(64,) with")):
        run = watched(TERMS, declared={"broadcast": {"price": shape}})
        (one,) = found_by(PredictionBroadcast(), run)
        assert (one.severity, one.terms) == (Severity.WARNING, ("price",))
        assert said in one.summary


def test_equal_shapes_and_monitors_are_silent() -> None:
    """Nothing was found, or the term is only looked at."""
    assert not found_by(PredictionBroadcast(), watched(TERMS))
    quiet = {"broadcast": {"price": [64, 1]}, "roles": {"price": "monitor"}}
    assert not found_by(PredictionBroadcast(), watched(TERMS, declared=quiet))
