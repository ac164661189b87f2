"""What `poise.same` says about the fixes of the incidents."""

import math

import pytest
import torch
from torch import Tensor

from poise.card.same import same
from tests import losses_of_notes as notes
from tests.losses_of_notes import Example, Loss

STATES = notes.hidden_example(2, 8)

VERDICTS = [
    (notes.layerwise, notes.layerwise_fixed, STATES, "identical", 1.0),
    (notes.layerwise, notes.with_zero_weight, STATES, "identical", 1.0),
    (notes.adaptive, notes.equally_weighted, STATES, "identical", 1.0),
    (notes.countdown, notes.countdown_batch_normed, notes.countdown_example(), "identical", 1.0),
    (
        notes.countdown,
        notes.countdown_multiplied,
        notes.countdown_example(),
        "scaled",
        math.sqrt(105),
    ),
    (
        notes.countdown,
        notes.countdown_divided,
        notes.countdown_example(),
        "scaled",
        1 / math.sqrt(105),
    ),
    (notes.knowledge_batchmean, notes.knowledge_token, STATES, "scaled", 1 / 16),
    (notes.knowledge_token, notes.knowledge_mean, STATES, "scaled", 1 / 8),
    (notes.layerwise, notes.feature_matching, STATES, "scaled", 1 / 8),
    (notes.layerwise, notes.attention_alignment, STATES, "scaled", 1 / 16),
    (notes.layerwise, notes.clipped, STATES, "different", None),
    (notes.mass_log, notes.mass_residues, notes.mass_example(), "different", None),
]


@pytest.mark.parametrize(
    ("before", "after", "example", "verdict", "factor"),
    VERDICTS,
    ids=lambda one: getattr(one, "__name__", None),
)
def test_verdict(
    before: Loss, after: Loss, example: Example, verdict: str, factor: float | None
) -> None:
    """Each fix of the notes is what arithmetic says: an identity, a factor, another objective."""
    found = same(before, after, example)
    assert found.verdict == verdict, str(found)
    assert found.factor == (None if factor is None else pytest.approx(factor, rel=1e-6))


def test_retention_is_opposed() -> None:
    """A score of 1 - divergence goes down where the divergence goes up."""
    found = same(notes.knowledge_batchmean, notes.knowledge_retention, STATES)
    assert found.verdict == "different"
    assert "opposed" in found.reason


def test_factor_of_the_root_depends_on_the_length() -> None:
    """The factor is constant at one shape, and the answer says how it changes with the shape."""
    found = same(notes.countdown, notes.countdown_multiplied, notes.countdown_example())
    factors = dict(found.factors)
    assert factors[8, 210] == pytest.approx(math.sqrt(210), rel=1e-5)
    assert factors[2, 105] == pytest.approx(math.sqrt(105), rel=1e-5)


def test_decomposed_target_is_its_first_half() -> None:
    """The second half adds a number and no gradient to the prediction."""

    def half(modulated: Tensor, attention: Tensor, target: Tensor) -> Tensor:
        return notes.decomposed_attention(modulated, attention)

    found = same(notes.decomposed, half, notes.hidden_example(3, 8), wrt=["modulated"])
    assert found.verdict == "same direction"
    assert found.factor == 1.0
    assert "the gradients are equal" in found.reason


def test_value_normaliser_keeps_the_direction_and_loses_the_size() -> None:
    """A loss over its own value has the direction of the loss and another size at each input."""
    found = same(notes.countdown, notes.countdown_normalised, notes.countdown_example())
    assert found.elsewhere == "same direction"
    assert found.span[1] > 100 * found.span[0]


def test_weak_log_has_the_stated_factors() -> None:
    """Gradient of the old over the new formula: 158 at 170,933 ppm, 99,000 at 1 ppm."""
    for parts, stated in ((170_933.0, 158.0), (1.0, 99_000.0)):
        target = torch.tensor([notes.HEAVY], dtype=torch.float64)
        mass = target * (1 + parts * 1e-6)
        found = same(notes.mass_log, notes.mass_log_weak, (mass, target), wrt=["mass"])
        gradients = [
            torch.autograd.grad(loss(one, target), one)[0].item()
            for loss in (notes.mass_log, notes.mass_log_weak)
            for one in [mass.clone().requires_grad_()]
        ]
        assert gradients[0] / gradients[1] == pytest.approx(stated, rel=0.01)
        low, high = found.span
        assert low <= gradients[1] / gradients[0] <= high
        assert found.elsewhere == "same direction"


def test_broadcast_is_shown_by_its_input() -> None:
    """All pairs against matching pairs: different, with a small input that shows it."""

    def squeezed(mass: Tensor, target: Tensor) -> Tensor:
        return notes.mass_broadcast(mass, target.reshape(mass.shape))

    found = same(notes.mass_broadcast, squeezed, notes.mass_example(columns=1))
    assert found.verdict == "different"
    assert found.difference is not None
    mass, target = found.difference.inputs
    assert mass.shape == (2,)
    assert target.shape == (2, 1)
