"""What `poise.inspect` says about the loss functions of the incidents, claim by claim."""

import pytest
import torch

from poise.card.inspecting import inspect
from poise.doctor.card import Card
from tests import losses_of_notes as notes
from tests.losses_of_notes import Example, Loss

STATES = notes.hidden_example(2)
THREE = notes.hidden_example(3)
MASSES = notes.mass_example()

FINDINGS: list[tuple[Loss, Example, str, str, str, str]] = [
    # loss, example, severity, fault, rule, words of the summary
    (notes.decomposed_mlp, THREE, "error", "no-gradient", "inspect-ignored", "'modulated'"),
    (notes.modulation_guidance, THREE, "error", "unbounded", "inspect-unbounded", "No lower bound"),
    (notes.information_bottleneck, THREE, "warning", "no-effect", "inspect-even", "in 'v_a'"),
    (
        notes.importance_match,
        notes.importance_example(),
        "note",
        "saturation",
        "inspect-target-range",
        "never leaves [0.5",
    ),
    (notes.orthogonality, STATES, "error", "data", "inspect-raises", "(32x64 and 10x64)"),
    (notes.clipped, STATES, "error", "saturation", "inspect-clamp", "every error above 3.16"),
    (notes.mass_clamped, MASSES, "error", "saturation", "inspect-clamp", "exactly 0 for every"),
    (notes.mass_log, MASSES, "warning", "saturation", "inspect-steepens", "grows as the error"),
    (notes.mass_log, MASSES, "warning", "saturation", "inspect-steepens", "not smooth at 0"),
    (
        notes.mass_broadcast,
        notes.mass_example(columns=1),
        "error",
        "data",
        "inspect-broadcast",
        "(16,) and 'target' of shape (16, 1) broadcast",
    ),
    (
        notes.mass_expected,
        (notes.normal(8, 4), notes.normal(8, 4, seed=1)),
        "error",
        "nonfinite",
        "inspect-nan-gradient",
        "where prediction and target are equal",
    ),
    (
        notes.knowledge_batchmean,
        STATES,
        "warning",
        "scale-with-length",
        "inspect-grows-with",
        "in proportion to the length",
    ),
    (
        notes.knowledge_mean,
        STATES,
        "warning",
        "reduction",
        "inspect-shrinks-with",
        "divided by the number of features",
    ),
    (
        notes.feature_matching,
        STATES,
        "warning",
        "reduction",
        "inspect-shrinks-with",
        "divided by the number of features",
    ),
    (
        notes.attention_alignment,
        STATES,
        "warning",
        "reduction",
        "inspect-shrinks-with",
        "divided by the length",
    ),
    (
        notes.countdown,
        notes.countdown_example(),
        "note",
        "saturation",
        "inspect-linear",
        "stops growing at an error of 1,",
    ),
    (
        notes.pointers,
        notes.pointers_example(),
        "note",
        "saturation",
        "inspect-linear",
        "stops growing at an error of 0.08,",
    ),
    (
        notes.language_model,
        notes.language_example(),
        "note",
        "nonfinite",
        "inspect-empty",
        "in which nothing counts",
    ),
    (
        notes.countdown_normalised,
        notes.countdown_example(),
        "warning",
        "stuck",
        "inspect-constant-value",
        "though a gradient flows",
    ),
    (
        notes.knowledge_retention,
        STATES,
        "error",
        "unbounded",
        "inspect-unbounded",
        "No lower bound",
    ),
]

CLEAN: list[tuple[Loss, Example]] = [
    (notes.layerwise, STATES),
    (notes.layerwise_fixed, STATES),
    (notes.knowledge_token, STATES),
    (notes.mass_residues, MASSES),
    (notes.countdown, notes.countdown_example()),
    (notes.attention_encoding, STATES),
]
"""Formulas of the notes that are fine by themselves: what was wrong was elsewhere."""


@pytest.fixture(scope="module")
def cards() -> dict[str, Card]:
    """Cards already made."""
    return {}


def card(cards: dict[str, Card], loss: Loss, example: Example) -> Card:
    """The card of a loss, made once."""
    name: str = loss.__name__  # type: ignore[attr-defined]
    if name not in cards:
        cards[name] = inspect(loss, example)
    return cards[name]


@pytest.mark.parametrize(
    ("loss", "example", "severity", "fault", "rule", "words"),
    FINDINGS,
    ids=[f"{row[0].__name__}-{row[4]}" for row in FINDINGS],  # type: ignore[attr-defined]
)
def test_found(
    cards: dict[str, Card],
    loss: Loss,
    example: Example,
    severity: str,
    fault: str,
    rule: str,
    words: str,
) -> None:
    """Each defect of a note's formula is on its card, with the numbers that matter."""
    found = card(cards, loss, example).findings
    rows = [(one.severity, one.fault, one.rule) for one in found if words in one.summary]
    assert (severity, fault, rule) in rows, [one.summary for one in found]


@pytest.mark.parametrize(
    ("loss", "example"),
    CLEAN,
    ids=[row[0].__name__ for row in CLEAN],  # type: ignore[attr-defined]
)
def test_clean(cards: dict[str, Card], loss: Loss, example: Example) -> None:
    """A formula that is fine gets no error and no warning."""
    made = card(cards, loss, example)
    assert made.clean, str(made)


@pytest.mark.parametrize("loss", [notes.contrastive, notes.decomposed_mlp])
def test_no_target_is_implied_where_none_is(cards: dict[str, Card], loss: Loss) -> None:
    """A loss whose best prediction is one of many says nothing about its range."""
    example = STATES if loss is notes.contrastive else THREE
    rules = {one.rule for one in card(cards, loss, example).findings}
    assert "inspect-target-range" not in rules


def test_ignored_labels_are_no_dead_elements(cards: dict[str, Card]) -> None:
    """Padding in the labels of the example is told by the padding probe alone."""
    found = card(cards, notes.language_model, notes.language_example())
    assert found.clean, str(found)


@pytest.mark.parametrize(
    ("loss", "example", "against", "slope"),
    [
        (notes.layerwise, STATES, "length", 0.0),
        (notes.layerwise_fixed, STATES, "length", 0.0),
        (notes.layerwise, STATES, "features", 0.0),
        (notes.knowledge_batchmean, STATES, "length", 1.0),
        (notes.knowledge_batchmean, STATES, "batch", 0.0),
        (notes.knowledge_token, STATES, "length", 0.0),
        (notes.knowledge_mean, STATES, "features", -1.0),
        (notes.feature_matching, STATES, "features", -1.0),
        (notes.attention_alignment, STATES, "length", -1.0),
    ],
)
def test_slope(
    cards: dict[str, Card], loss: Loss, example: Example, against: str, slope: float
) -> None:
    """How each value grows with a size, measured: mse(mean) does not grow with the length."""
    found = card(cards, loss, example).slope(against)
    assert found == pytest.approx(slope, abs=0.02)


def test_gradient_of_the_old_mass_term_is_highest_at_the_smallest_error(
    cards: dict[str, Card],
) -> None:
    """100 log(1 + ppm / 100): 1e4 times the gradient at 0.001 Da that it has at 10,000 Da."""
    curve = card(cards, notes.mass_log, MASSES).curve("error")
    assert curve is not None
    assert curve.at("gradient +", 1e-3) > 1e4 * curve.at("gradient +", 1e4)


@pytest.mark.parametrize(("parts", "stated"), [(170_933.0, 158.0), (1.0, 99_000.0)])
def test_the_weak_mass_term_is_weak_by_the_stated_factor(
    cards: dict[str, Card], parts: float, stated: float
) -> None:
    """The two cards' gradient curves are a factor of 158 and 99,000 apart at these errors."""
    error = parts * 1e-6 * notes.HEAVY
    old, new = (
        card(cards, loss, MASSES).curve("error") for loss in (notes.mass_log, notes.mass_log_weak)
    )
    assert old is not None
    assert new is not None
    ratio = old.at("gradient +", error) / new.at("gradient +", error)
    assert ratio == pytest.approx(stated, rel=0.1)


def test_clamped_mass_has_no_gradient_above_100_ppm(cards: dict[str, Card]) -> None:
    """The curve is exactly zero above 0.2 Da of 1000, and not below 0.05."""
    curve = card(cards, notes.mass_clamped, MASSES).curve("error")
    assert curve is not None
    assert all(
        (size == 0) == (at > 0.1)
        for at, size in zip(curve.x, curve.lines["gradient +"], strict=True)
        if at > 0.2 or 1e-6 < at < 0.05
    )


def test_a_card_leaves_no_trace() -> None:
    """Inspecting leaves the random state as it was."""
    before = torch.get_rng_state()
    inspect(notes.countdown, notes.countdown_example())
    assert torch.equal(torch.get_rng_state(), before)
