"""Numbers of classes and second softmaxes, read off graphs."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from poise.probe.logits import classes_of, squashed


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


def test_what_was_saved_for_the_backward_pass_is_not_touched() -> None:
    """A checkpoint would have to run again for it; a freed graph knows its shapes as well."""

    def unpack(_: object) -> Tensor:
        raise AssertionError("unpacked")

    with torch.autograd.graph.saved_tensors_hooks(lambda one: one, unpack):
        term = F.cross_entropy(logits(2, 7).softmax(1), TARGET)
    assert (classes_of(term), squashed(term)) == (7, "softmax")
    freed = F.cross_entropy(logits(2, 7), TARGET)
    freed.backward()
    assert classes_of(freed) == 7


@pytest.mark.parametrize(
    ("term", "what"),
    [
        (lambda: F.cross_entropy(logits(2, 7).softmax(1), TARGET), "softmax"),
        (lambda: 2 * F.cross_entropy(logits(2, 7).softmax(1), TARGET), "softmax"),
        (
            lambda: F.cross_entropy(
                logits(2, 4, 3).softmax(2).transpose(1, 2).flatten(2), torch.zeros(2, 4).long()
            ),
            "softmax",
        ),
        (
            lambda: F.binary_cross_entropy_with_logits(logits(2).sigmoid(), torch.ones(2)),
            "sigmoid",
        ),
        (lambda: F.cross_entropy(logits(2, 7), TARGET), None),
        (lambda: F.cross_entropy(logits(2, 7).log_softmax(1), TARGET), None),
        (lambda: F.cross_entropy(3 * logits(2, 7).softmax(1), TARGET), None),
        (lambda: F.cross_entropy(logits(2, 7).softmax(1).tanh(), TARGET), None),
        (lambda: F.nll_loss(logits(2, 7).softmax(1).log(), TARGET), None),
        (lambda: F.binary_cross_entropy(logits(2).sigmoid(), torch.ones(2)), None),
        (lambda: F.mse_loss(logits(2).sigmoid(), torch.ones(2)), None),
        (lambda: torch.tensor(1.0), None),
    ],
)
def test_what_squashed_the_logits(term: object, what: str | None) -> None:
    """A softmax or sigmoid right in front of a loss that has its own, reshaped or not."""
    assert squashed(term()) == what  # type: ignore[operator]  # a function
