"""Every loss of torch.nn, and those of other libraries, go through inspect."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import loss as torch_losses

from poise.card.inspecting import inspect
from poise.card.same import same
from tests.losses_of_libraries import LIBRARIES
from tests.losses_of_notes import Example, Loss, normal

PAIR = (normal(8, 5), normal(8, 5, seed=1))
CLASSES = torch.tensor([0, 3, 4, 1, 1, 2, 0, 3])
SIGNS = normal(8, 5, seed=2).sign()
BITS = (normal(8, 5, seed=1) > 0).float()

TORCH: dict[str, Example] = {
    "L1Loss": PAIR,
    "NLLLoss": (normal(8, 5).log_softmax(-1), CLASSES),
    "NLLLoss2d": (normal(2, 5, 3, 3).log_softmax(1), torch.arange(18).reshape(2, 3, 3) % 5),
    "PoissonNLLLoss": (normal(8, 5), normal(8, 5, seed=1).abs().round()),
    "GaussianNLLLoss": (*PAIR, normal(8, 5, seed=2).abs() + 0.1),
    "KLDivLoss": (normal(8, 5).log_softmax(-1), normal(8, 5, seed=1).softmax(-1)),
    "MSELoss": PAIR,
    "BCELoss": (normal(8, 5).sigmoid(), BITS),
    "BCEWithLogitsLoss": (normal(8, 5), BITS),
    "HingeEmbeddingLoss": (normal(8, 5), SIGNS),
    "MultiLabelMarginLoss": (normal(8, 5), torch.tensor([[0, 3, -1, -1, -1]] * 8)),
    "SmoothL1Loss": PAIR,
    "HuberLoss": PAIR,
    "SoftMarginLoss": (normal(8, 5), SIGNS),
    "CrossEntropyLoss": (normal(8, 5), CLASSES),
    "MultiLabelSoftMarginLoss": (normal(8, 5), BITS),
    "CosineEmbeddingLoss": (*PAIR, SIGNS[:, 0]),
    "MarginRankingLoss": (normal(8), normal(8, seed=1), SIGNS[:, 0]),
    "MultiMarginLoss": (normal(8, 5), CLASSES),
    "TripletMarginLoss": (*PAIR, normal(8, 5, seed=2)),
    "TripletMarginWithDistanceLoss": (*PAIR, normal(8, 5, seed=2)),
    "CTCLoss": (
        normal(12, 4, 6).log_softmax(-1),
        torch.arange(12).reshape(4, 3) % 5 + 1,
        torch.tensor([12, 12, 10, 9]),
        torch.tensor([3, 3, 2, 1]),
    ),
}
"""An example for each class of torch.nn.modules.loss."""


def clean_ones() -> list[tuple[str, Loss, Example]]:
    """Losses without a fault: their cards must not say otherwise."""
    ignored = CLASSES.clone()
    ignored[2] = -100
    tokens = torch.arange(24).reshape(4, 6) % 5
    tokens[:, 4:] = -100
    sequence = normal(4, 5, 6)
    return [
        ("smooth L1", nn.SmoothL1Loss(), PAIR),
        ("mse", nn.MSELoss(), PAIR),
        ("cross-entropy", nn.CrossEntropyLoss(), (normal(8, 5), CLASSES)),
        ("cross-entropy, one ignored", nn.CrossEntropyLoss(), (normal(8, 5), ignored)),
        ("cross-entropy of a sequence", nn.CrossEntropyLoss(), (sequence, tokens)),
        (
            "cross-entropy, another index",
            nn.CrossEntropyLoss(ignore_index=0),
            (normal(8, 5), CLASSES),
        ),
        (
            "cross-entropy, smoothed",
            nn.CrossEntropyLoss(label_smoothing=0.1),
            (normal(8, 5), CLASSES),
        ),
        ("BCE with logits", nn.BCEWithLogitsLoss(), (normal(8, 5), BITS)),
        ("BCE with logits, one output", nn.BCEWithLogitsLoss(), (normal(8), BITS[:, 0])),
        (
            "BCE with logits, positives weighted",
            nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)),
            (normal(8, 5), BITS),
        ),
    ]


def test_every_loss_of_torch_is_here() -> None:
    """A loss that a new torch brings is added to the table."""
    with_layer = {"AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss"}
    assert set(torch_losses.__all__) - with_layer <= set(TORCH)


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # NLLLoss2d says that it is old
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # KLDivLoss tells of its default
def test_losses_of_torch(name: str) -> None:
    """None crashes, and the card has the value that the loss has."""
    loss: Any = getattr(torch_losses, name)()
    card = inspect(loss, TORCH[name])
    assert card.value == pytest.approx(loss(*TORCH[name]).item(), rel=1e-5)
    assert not [one for one in card.findings if one.rule == "inspect-raises"]
    assert str(card)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", ["L1Loss", "CrossEntropyLoss", "KLDivLoss", "GaussianNLLLoss"])
def test_reductions_of_torch(name: str, reduction: str) -> None:
    """Sum and mean alike give a card, and the slope with the batch tells them apart."""
    loss: Any = getattr(nn, name)(reduction=reduction)
    slope = inspect(loss, TORCH[name]).slope("batch")
    assert slope == pytest.approx(1.0 if reduction == "sum" else 0.0, abs=0.1)


def test_adaptive_softmax() -> None:
    """The one loss of torch that returns more than the loss goes through a function."""
    torch.manual_seed(0)
    module = nn.AdaptiveLogSoftmaxWithLoss(16, 10, [2, 5])

    def loss(hidden: Tensor, labels: Tensor) -> Tensor:
        return module(hidden, labels).loss

    example = (normal(8, 16), torch.arange(8))
    assert inspect(loss, example).value == pytest.approx(loss(*example).item(), rel=1e-5)
    assert same(loss, loss, example).verdict == "identical"


@pytest.mark.parametrize(
    ("loss", "example"),
    LIBRARIES,
    ids=[row[0].__name__ for row in LIBRARIES],  # type: ignore[attr-defined]
)
def test_losses_of_libraries(loss: Loss, example: Example) -> None:
    """None crashes, and the card has the value that the loss has."""
    card = inspect(loss, example)
    assert card.value == pytest.approx(loss(*example).item(), rel=1e-4)
    assert not [one for one in card.findings if one.rule == "inspect-raises"]
    assert str(card)


@pytest.mark.parametrize("row", clean_ones(), ids=lambda row: row[0])
def test_well_behaved_losses_get_a_clean_card(row: tuple[str, Loss, Example]) -> None:
    """No error and no warning for losses that everybody trains with."""
    card = inspect(row[1], row[2])
    assert card.clean, str(card)


def test_fused_losses_are_the_same_as_their_formulas() -> None:
    """Torch's own pairs: a fused loss and the one it replaces."""
    logits, labels = normal(8, 5), CLASSES
    fused = same(
        nn.CrossEntropyLoss(), lambda x, y: F.nll_loss(F.log_softmax(x, -1), y), (logits, labels)
    )
    assert fused.verdict == "identical"
    huber = same(nn.HuberLoss(delta=2.0), nn.SmoothL1Loss(beta=2.0), PAIR)
    assert (huber.verdict, huber.factor) == ("scaled", 0.5)
