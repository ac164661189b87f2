"""Terms without gradient and parameters without a term."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.reach import (
    ParametersUntrained,
    TermGradientZero,
    TermReachesNothing,
    WeightIgnored,
)
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

SEEDS = pytest.mark.parametrize("seed", range(3))


def terms(seed: int) -> dict[str, np.ndarray]:
    """Two terms, one of which stands still."""
    rng = np.random.default_rng(seed)
    return {"ce": fall(2, 1, rng), "edge": fall(3, 3, rng)}


@SEEDS
def test_a_detached_term_is_an_error(seed: int) -> None:
    """One look at the graph proves it; a declared monitor and a weight of 0 are meant."""
    reach = {"ce": ("trunk.weight",), "edge": ()}
    (one,) = found_by(TermReachesNothing(), watched(terms(seed), reach=reach))
    assert (one.severity, one.terms) == (Severity.ERROR, ("edge",))
    watching = watched(terms(seed), reach=reach, declared={"roles": {"edge": "monitor"}})
    assert not found_by(TermReachesNothing(), watching)
    off = watched(terms(seed), reach=reach, weights={"edge": 0.0})
    assert not found_by(TermReachesNothing(), off)


@SEEDS
def test_a_gradient_that_is_zero_at_all_probes(seed: int) -> None:
    """Five probes make an error, all of them zero; two a warning; one proves nothing."""
    ones = np.ones(6)
    (one,) = found_by(
        TermGradientZero(), watched(terms(seed), norms={"ce": ones, "edge": 0 * ones})
    )
    assert (one.severity, one.terms) == (Severity.ERROR, ("edge",))
    few = watched(terms(seed), norms={"ce": ones[:2], "edge": 0 * ones[:2]})
    assert [one.severity for one in found_by(TermGradientZero(), few)] == [Severity.WARNING]
    single = watched(terms(seed), norms={"ce": ones[:1], "edge": 0 * ones[:1]})
    assert not found_by(TermGradientZero(), single)
    tiny = watched(terms(seed), norms={"ce": ones[:4], "edge": 1e-14 * ones[:4]})
    assert not found_by(TermGradientZero(), tiny)
    once = watched(terms(seed), norms={"ce": ones, "edge": [0, 0, 0, 1e-3, 0, 0]})
    assert not found_by(TermGradientZero(), once)


def test_a_satisfied_constraint_is_silent() -> None:
    """Value and gradient are zero together; a declared constraint is a note at most."""
    values = terms(0) | {"edge": np.zeros(200)}
    norms = {"ce": np.ones(6), "edge": np.zeros(6)}
    assert not found_by(TermGradientZero(), watched(values, norms=norms))
    role = {"roles": {"edge": "constraint"}}
    found = found_by(TermGradientZero(), watched(terms(0), norms=norms, declared=role))
    assert [one.severity for one in found] == [Severity.NOTE]


def test_a_weight_that_is_ignored() -> None:
    """Half of the doubled gradient is missing; rounding in half precision is not."""
    deviates = watched(terms(0), declared={"weight_deviation": {"ce": 0.0, "edge": 0.75}})
    (one,) = found_by(WeightIgnored(), deviates)
    assert (one.severity, one.terms) == (Severity.ERROR, ("edge",))
    rounds = watched(terms(0), declared={"weight_deviation": {"ce": 0.0, "edge": 0.004}})
    assert not found_by(WeightIgnored(), rounds)


def test_untrained_parameters_are_notes() -> None:
    """One for those that no term reaches, one for those that no optimizer holds."""
    facts = {"unreached": ["spare.weight"], "parameters": {"unoptimised": ["trunk.weight"]}}
    found = found_by(ParametersUntrained(), watched(terms(0), declared=facts))
    assert [one.terms for one in found] == [("spare",), ("trunk",)]
    assert {one.severity for one in found} == {Severity.NOTE}
    assert not found_by(ParametersUntrained(), watched(terms(0)))


def replaced(foreign: int) -> list[Severity]:
    """What is found where the optimizer lacks 1000 elements and holds others instead."""
    held = {"unoptimised": ["trunk.weight"], "unoptimised_elements": 1000}
    facts = {"parameters": {**held, "foreign_elements": foreign}}
    return [
        one.severity for one in found_by(ParametersUntrained(), watched(terms(0), declared=facts))
    ]


def test_an_optimizer_with_parameters_of_before() -> None:
    """A module was replaced after the optimizer was made; a learned task weight is no module."""
    assert replaced(800) == [Severity.WARNING]
    assert replaced(3) == replaced(0) == [Severity.NOTE]


def test_a_reentrant_checkpoint_hides_parameters() -> None:
    """Nothing is claimed of what the graph cannot show; a compiled region hides nothing."""
    reach = {"ce": ("trunk.weight",), "edge": ()}
    for node, found in (("CheckpointFunctionBackward", 0), ("CompiledFunctionBackward", 1)):
        facts = {"opaque": [node], "unreached": ["block.weight"]}
        run = watched(terms(0), reach=reach, declared=facts)
        assert len(found_by(TermReachesNothing(), run)) == found
        assert len(found_by(ParametersUntrained(), run)) == found


def test_what_moves_is_not_called_untrained() -> None:
    """Learned weights stand beside the terms, so no term reaches them; a still one is told."""
    facts = {"unreached": ["log_vars", "spare.weight"], "still": []}
    run = watched(terms(0), motion={"(model)": [1e-3, 1e-3]}, declared=facts)
    assert [one.terms for one in found_by(ParametersUntrained(), run)] == [("spare",)]
    for kept in ({"still": ["log_vars"]}, {"parameters": {"unoptimised": ["log_vars"]}}):
        run = watched(terms(0), motion={"(model)": [1e-3, 1e-3]}, declared=facts | kept)
        assert found_by(ParametersUntrained(), run)[0].terms == ("log_vars", "spare")


def untrained(own: str, still: str) -> list[tuple[Severity, tuple[str, ...]]]:
    """What is found where no optimizer holds the head of `own`, and `still` does not fall."""
    rng = np.random.default_rng(0)
    values = {name: fall(3, 3 if name == still else 1, rng) for name in ("ce", "edge")}
    facts = {"parameters": {"unoptimised": [f"{own}_head.weight"]}}
    found = found_by(ParametersUntrained(), watched(values, declared=facts))
    return [(one.severity, one.terms) for one in found]


def test_a_head_in_no_optimizer_whose_term_is_still_is_a_warning() -> None:
    """If the term falls, an optimizer that is not watched trains its head."""
    assert untrained("edge", "edge") == [(Severity.WARNING, ("edge", "edge_head"))]
    assert untrained("ce", "edge") == [(Severity.NOTE, ("ce_head",))]


def test_most_of_the_model_cut_off_is_a_warning() -> None:
    """Features under no_grad: more than half of all elements; a small head is a note."""
    for lost, severity in ((60, Severity.WARNING), (40, Severity.NOTE)):
        declared = {
            "parameters": {"trainable": 100, "unoptimised": []},
            "unreached": ["backbone.weight"],
            "unreached_ran": {"backbone": lost},
            "still": ["backbone.weight"],
        }
        (one,) = found_by(ParametersUntrained(), watched(terms(0), declared=declared))
        assert one.severity is severity
        assert ("60% of all" in one.summary) == (severity is Severity.WARNING)


def test_what_does_not_run_is_only_not_in_use() -> None:
    """A head of a later stage, as large as it may be."""
    declared = {
        "parameters": {"trainable": 100, "unoptimised": []},
        "unreached": ["later.weight"],
        "unreached_ran": {},
        "still": ["later.weight"],
    }
    (one,) = found_by(ParametersUntrained(), watched(terms(0), declared=declared))
    assert one.severity is Severity.NOTE


def test_numbers_that_an_optimizer_is_to_learn_are_a_warning() -> None:
    """Learned weights that went into the sum through `.item()`; a note where none holds them."""
    for loose, severity in (([], Severity.WARNING), (["s.kind"], Severity.NOTE)):
        declared = {
            "parameters": {"trainable": 100, "unoptimised": loose},
            "unreached": ["s.kind"],
            "unreached_numbers": ["s.kind"],
            "still": ["s.kind"],
        }
        found = found_by(ParametersUntrained(), watched(terms(0), declared=declared))
        assert found[0].severity is severity


def test_numbers_of_a_part_that_is_not_in_use_are_a_note() -> None:
    """The scale of a contrastive pair of which one half is fine-tuned; alone it is a warning."""
    for others, severity in ((["text.weight"], Severity.NOTE), ([], Severity.WARNING)):
        declared = {
            "parameters": {"trainable": 100, "unoptimised": []},
            "unreached": [*others, "logit_scale"],
            "unreached_numbers": ["logit_scale"],
            "still": [*others, "logit_scale"],
        }
        (one,) = found_by(ParametersUntrained(), watched(terms(0), declared=declared))
        assert one.severity is severity


def test_what_was_thawed_after_the_optimizer_was_made_is_a_warning() -> None:
    """Frozen in the header, reached now, and held by no optimizer; never frozen: a note."""
    for frozen, severity in ((["trunk.weight"], Severity.WARNING), ([], Severity.NOTE)):
        declared = {
            "parameters": {"trainable": 100, "unoptimised": [], "frozen_names": frozen},
            "unoptimised": ["trunk.weight"],
        }
        (one,) = found_by(ParametersUntrained(), watched(terms(0), declared=declared))
        assert one.severity is severity


def test_a_penalty_of_every_eighth_step_is_a_note() -> None:
    """In between it is a constant 0, which has no graph; a term that is never 0 is an error."""
    found = terms(0)
    lazy = np.where(np.arange(200) % 8 == 0, 0.3, 0.0)
    for values, severity in ((lazy, Severity.NOTE), (lazy + 1, Severity.ERROR)):
        run = watched({**found, "r1": values}, reach={**{name: ["w"] for name in found}, "r1": []})
        (one,) = found_by(TermReachesNothing(), run)
        assert one.severity is severity
