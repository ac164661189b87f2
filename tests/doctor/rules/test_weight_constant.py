"""Weights that are meant to adapt and never do."""

import numpy as np
import pytest

from poise.doctor.diagnose import diagnose
from poise.doctor.finding import Severity
from poise.doctor.rules.reach import ParametersUntrained
from poise.doctor.rules.weight_constant import WeightConstant
from tests.doctor.build import make_run
from tests.doctor.build_probes import fall, watched
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_weights_that_never_adapt() -> None:
    """A declared balancer whose weights stand still is a warning; fixed weights are a note."""
    terms = {"a": decay(RNG, 7, 2), "b": decay(RNG, 3, 1)}
    history = {"a": np.full(N, 1.0), "b": np.full(N, 0.3)}
    declared = {"balancer": "GradNorm"}
    (one,) = found_by(WeightConstant(), make_run(terms, weight_history=history, declared=declared))
    assert one.severity is Severity.WARNING
    assert one.terms == ("a", "b")
    (one,) = found_by(WeightConstant(), make_run(terms, weight_history=history))
    assert one.severity is Severity.NOTE
    history["b"] = np.linspace(0.3, 0.5, N)
    assert not found_by(WeightConstant(), make_run(terms, weight_history=history))


def test_learned_weights_that_no_term_reaches() -> None:
    """The parameter they should be made from names them; without it our own record is silent."""
    terms = {"a": decay(RNG, 7, 2), "b": decay(RNG, 5, 1)}
    history = {"a": np.ones(N), "b": np.ones(N)}
    layer = ["encoder.fc_log_var.weight", "encoder.fc_log_var.bias"]
    for names, found in ((["log_vars"], 1), (["log_vars.0"], 1), (["spare.weight"], 0), (layer, 0)):
        declared = {"watch": {"every": 50}, "unreached": names}
        run = make_run(terms, weight_history=history, declared=declared)
        assert len(found_by(WeightConstant(), run)) == found


def test_learned_weights_are_named_and_their_finding_stands_behind_its_cause() -> None:
    """`.item()` leaves `log_vars` in the optimizer without a gradient: one cause, told once."""
    terms = {"a": decay(RNG, 7, 2), "b": decay(RNG, 5, 1)}
    history = {"a": np.ones(N), "b": np.ones(N)}
    declared = {
        "watch": {"every": 50},
        "reach": {"a": ["w"], "b": ["w"]},
        **{name: ["log_vars"] for name in ("unreached", "unreached_numbers", "still")},
    }
    rules = (ParametersUntrained(), WeightConstant())
    run = make_run(terms, weight_history=history, declared=declared)
    first, second = diagnose(run, rules=rules).findings
    assert (first.rule, first.terms) == ("parameters-untrained", ("log_vars",))
    assert ".item()" in first.cause
    assert first.summary.startswith("1 trainable parameter that no term reaches")
    assert second.caused_by == ("parameters-untrained",)
    assert "'log_vars'" in second.cause
    assert "get_parameter('log_vars').grad" in second.verify


@pytest.mark.parametrize(("measured", "fires"), [(0.06, False), (0.3, True)])
def test_declared_shares_that_constant_weights_give(measured: float, fires: bool) -> None:
    """A wish may be met by fixed weights; then nothing has to adapt."""
    terms = {"big": fall(2, 1, RNG), "small": fall(3, 1, RNG)}
    run = watched(
        terms,
        shares={"big": 1 - measured, "small": measured},
        weight_history={name: np.ones(200) for name in terms},
        declared={"watch": {"every": 50}, "shares": {"big": 0.95, "small": 0.05}},
    )
    assert bool(found_by(WeightConstant(), run)) is fires
