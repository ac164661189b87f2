"""Numbers of classes, read off graphs."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from poise.probe.classes import classes_of


def logits(*shape: int) -> Tensor:
    """Scores of a model."""
    return torch.zeros(shape, requires_grad=True)


TARGET = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("term", "classes"),
    [
        (lambda: F.cross_entropy(logits(2, 7), TARGET), 7),
        (lambda: 0.3 * F.cross_entropy(logits(2, 7), TARGET) + 1, 7),
        (lambda: F.cross_entropy(logits(2, 7), TARGET, reduction="none").mean() / 2, 7),
        (lambda: F.nll_loss(logits(2, 5).log_softmax(1), TARGET), 5),
        (lambda: F.cross_entropy(logits(2, 3, 4, 4), torch.zeros(2, 4, 4).long()), 3),
        (lambda: F.cross_entropy(logits(6), torch.tensor(2)), 6),
        (lambda: F.mse_loss(logits(2, 7), torch.ones(2, 7)), None),
        (lambda: F.cross_entropy(logits(2, 7), TARGET) + logits(1).sum(), None),
        (lambda: torch.tensor(1.0), None),
    ],
)
def test_number_of_classes(term: object, classes: int | None) -> None:
    """Of one cross-entropy, up to constants; of nothing else."""
    assert classes_of(term()) == classes  # type: ignore[operator]  # a function


def test_a_freed_graph_says_nothing() -> None:
    """After the backward pass the scores are gone."""
    term = F.cross_entropy(logits(2, 7), TARGET)
    term.backward()
    assert classes_of(term) is None
