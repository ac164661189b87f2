"""The terms of both forms, their weights, and the counter."""

from dataclasses import replace

import pytest
import torch

from poise.losses.distill.reported import raw_hidden_loss_by_sum
from poise.recipes.distill import cured, reported
from poise.recipes.distill.averaging import averaged, warmed
from poise.recipes.distill.data import corpus
from poise.recipes.distill.measures import hidden_share, student_quality
from poise.recipes.distill.model import System, teacher
from poise.recipes.distill.seen import Seen, see
from poise.recipes.text import read_text

TEXT = read_text(None)


def seen(*, how: str, form: bool) -> Seen:
    """A batch, read by a fresh student and a hardly trained teacher."""
    torch.manual_seed(0)
    source = corpus(TEXT)
    (batch,) = source.fixed(1, 4)
    system = System(reported=form).eval()
    return see(system, teacher(TEXT, 0, 2), batch, how, source.shared)


def test_reported_weights_by_phase() -> None:
    """First kd and lm; then routing; then the rest; full at the end, as evaluation has them."""
    start, middle, end = (reported.curriculum(one) for one in (0.29, 0.6, 1.0))
    assert {name for name, one in start.items() if one} == {"lm", "kd"}
    assert middle["feature"] == pytest.approx(0.1)
    assert middle["layerwise"] == 0.0
    assert end == pytest.approx(reported.ALPHAS)


def test_cured_weights_are_the_same_by_optimizer_steps() -> None:
    """The same phases and full weights, in one object for training and evaluation."""
    objective = cured.objective(100)
    for share in (0.0, 0.29, 0.45, 0.6, 1.0):
        expected = reported.curriculum(share)
        expected["load_balance"] *= cured.BALANCE  # which is inside the reported form
        assert objective.weights(round(100 * share)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("every", [1, 2, 3, 5, 8, 16])
def test_two_that_ask_one_counter(every: int) -> None:
    """Asked twice a batch, the training sees odd counts: even accumulations never step."""
    accumulator = reported.Accumulator(every)
    steps = 0
    for _ in range(480):
        steps += accumulator.should_step()
        accumulator.should_step()
    assert steps == (0 if every % 2 == 0 else 480 // every)


def test_reported_terms_have_the_scale_that_was_reported() -> None:
    """Hidden states in the thousands, two channels of it, perplexity of the total at its cap."""
    one = seen(how="interpolation", form=True)
    terms = reported.terms(one, 1.0)
    assert terms.keys() == reported.ALPHAS.keys()
    assert 1000 < float(terms["layerwise"].detach()) < 10_000
    assert hidden_share(one, normal=False) > 0.99
    total = sum(reported.ALPHAS[name] * float(value.detach()) for name, value in terms.items())
    assert total > 20
    fixed = reported.terms(one, 1.0, raw_hidden_loss_by_sum)
    torch.testing.assert_close(fixed["layerwise"], terms["layerwise"])


def test_cured_terms_are_of_one_scale() -> None:
    """Normalised states cost about 2 at the start, and no two channels make up half of it."""
    one = seen(how="spans", form=False)
    values = cured.objective(10).evaluate(one, step=10).detached()
    for name in ("feature", "alignment", "layerwise"):
        assert 1.0 < values[name] < 3.0
    assert hidden_share(one, normal=True) < 0.5
    assert values["total"] < 15


def test_every_cured_term_reaches_the_student() -> None:
    """Each has a gradient at the student's weights, and none at the teacher's."""
    one = seen(how="spans", form=False)
    breakdown = cured.objective(10)(one, step=10)
    weights = [*one.system.student.parameters()]
    for name in breakdown:
        value = breakdown[name].value
        assert value is not None
        found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
        assert any(grad is not None and bool(grad.any()) for grad in found), name


def test_training_the_projection_alone_lowers_the_reported_kd() -> None:
    """The student stands still, and the term falls all the same."""
    one = seen(how="interpolation", form=True)
    projector = one.system.logit_projector
    torch.nn.init.normal_(projector.weight, std=20.0)
    optimizer = torch.optim.Adam(projector.parameters(), lr=0.5)
    values = []
    for _ in range(40):
        loss = reported.terms(one, 1.0)["kd"]
        (gradient,) = torch.autograd.grad(loss, [projector.weight], retain_graph=True)
        projector.weight.grad = gradient
        optimizer.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.5 * values[0]


def test_an_average_that_is_warmed_up_follows() -> None:
    """After 20 updates the reported one keeps 99.8% of the beginning, the warm one little."""
    torch.manual_seed(0)
    system = System(reported=False)
    warm, slow = averaged(system, warm=True), averaged(system, warm=False)
    begin = system.pooled.bias.detach().clone()
    with torch.no_grad():
        system.pooled.bias.add_(1.0)
    for _ in range(20):
        warm.update_parameters(system)
        slow.update_parameters(system)
    torch.testing.assert_close(slow.module.pooled.bias, begin + 1 - 0.9999**20)
    assert (warm.module.pooled.bias - begin > 0.99).all()
    assert [warmed(one) for one in (0, 10_000)] == [0.1, 0.95]


def test_quality_is_of_the_student_and_leaves_it_as_it_was() -> None:
    """A fresh student is as good as a guess; measured in evaluation mode, put back after."""
    source = corpus(TEXT)
    torch.manual_seed(0)
    system = System(reported=False).train()
    found = student_quality(system, teacher(TEXT, 0, 2), source.fixed(1, 4), source.shared)
    assert 300 < found["student_perplexity"] < 500
    assert 0 <= found["retained_top5"] <= 1
    assert found["retention_reported"] < 1 - found["retained_kl"]
    assert system.training


def test_experts_are_the_layers_at_the_students_tokens() -> None:
    """One for each layer of the teacher."""
    one = seen(how="spans", form=False)
    assert one.experts().shape == (4, one.mask.shape[1], 4, 64)
    shuffled = replace(one, teacher=replace(one.teacher, hidden=one.teacher.hidden[::-1]))
    assert not torch.equal(shuffled.experts(), one.experts())
