"""The terms of a batch."""

import pytest
import torch

from poise.losses.plasticity import direct_mlp
from poise.recipes.plasticity.terms import (
    Outputs,
    adaptive,
    cured_objective,
    proposed_terms,
    reported_terms,
)
from poise.recipes.plasticity.training import Trainer
from poise.recipes.plasticity.variants import SETUPS

pytest.importorskip("transformers")
IDS = torch.randint(0, 256, (2, 8), generator=torch.Generator().manual_seed(1))


def outputs(variant: str) -> Outputs:
    """What a variant's trainer sees of a batch."""
    return Trainer(SETUPS[variant], 60, torch.Generator().manual_seed(0)).outputs(IDS)


def test_only_the_reported_target_is_another_than_the_real_pass() -> None:
    """The modulated layer itself gets the real attention in both."""
    told, real = outputs("reported"), outputs("target-fix")
    assert torch.equal(told.modulated, real.modulated)
    assert real.target is real.seen
    assert not torch.allclose(told.target.attention, told.seen.attention, atol=1e-3)


def test_the_note_keeps_the_four_terms_and_adds_two() -> None:
    """In the note's order, with the same values."""
    out = outputs("note-fix")
    four, six = reported_terms(out), proposed_terms(out)
    assert [*six] == [
        "direct",
        "attention",
        "guidance",
        "bottleneck",
        "fidelity",
        "regularisation",
    ]
    assert all(torch.equal(four[name], six[name]) for name in four)


def test_its_weights_are_a_sixth_each() -> None:
    """Whatever the gradients; and in an evaluation, where it would raise, likewise."""
    terms = proposed_terms(outputs("note-fix"))
    weights, norms = adaptive(terms, torch.zeros(6))
    assert [*weights.values()] == pytest.approx([1 / 6] * 6)
    assert norms.tolist() == pytest.approx([0.1] * 6)
    with torch.no_grad():
        quiet, same = adaptive(proposed_terms(outputs("note-fix")), norms)
    assert quiet["direct"] == pytest.approx(1 / 6)
    assert torch.equal(same, norms)


def test_the_cure_is_led_by_the_direct_term_and_ramps_fidelity() -> None:
    """At step 0 fidelity is off, at the end of the ramp it has half the weight of direct."""
    objective, out = cured_objective(100), outputs("cured")
    direct = direct_mlp(out.modulated, out.seen.attention, out.seen.mlp).value
    for step, fidelity in ((0, 0.0), (50, 0.25), (100, 0.5), (1000, 0.5)):
        found = objective(out, step=step)
        assert (found["direct"].weight, found["fidelity"].weight) == (1.0, fidelity)
        assert found["attention"].weight == 0.0
    torch.testing.assert_close(objective(out, step=0)["direct"].value, direct)
