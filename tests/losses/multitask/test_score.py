"""F1 of spans."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.multitask import f1_of_everything, span_f1

TARGET = (torch.rand(40, 105, generator=torch.Generator().manual_seed(0)) < 0.071).float()
RATE = float(TARGET.mean())


def test_extremes() -> None:
    """All right is 1, nothing predicted is 0, and so is nothing there and nothing predicted."""
    assert span_f1(TARGET, TARGET) == 1.0
    assert span_f1(torch.zeros_like(TARGET), TARGET) == 0.0
    assert span_f1(torch.zeros(5), torch.zeros(5)) == 0.0


def test_predicting_everything_is_the_baseline() -> None:
    """2 p / (1 + p): 0.133 for 7.1%, without any skill."""
    assert span_f1(torch.ones_like(TARGET), TARGET) == pytest.approx(f1_of_everything(RATE))


def test_threshold_and_mask() -> None:
    """Precision and recall by hand, over what counts."""
    probability = torch.tensor([0.9, 0.6, 0.6, 0.2, 0.9])
    target = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0])
    assert span_f1(probability, target) == pytest.approx(4 / 7)
    assert span_f1(probability, target, threshold=0.7) == pytest.approx(2 / 5)
    assert span_f1(probability, target, torch.arange(5) < 4) == pytest.approx(2 / 3)


@pytest.mark.parametrize("target", [torch.ones(5), torch.ones(3, 1)])
def test_other_shapes_are_refused(target: torch.Tensor) -> None:
    """Targets of one window against all of them would be counted as often as there are windows."""
    with pytest.raises(LossError, match="span_f1: expected 'target' to have the shape"):
        span_f1(torch.rand(3, 5), target)
    with pytest.raises(LossError, match="span_f1: expected 'mask' to have the shape"):
        span_f1(torch.rand(3, 5), torch.ones(3, 5), target > 0)
