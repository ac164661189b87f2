"""The printed answer fits in 80 columns and says what matters first."""

import pytest
import torch
from torch.nn import functional as F

from poise.card.same import same
from poise.card.sameness import labelled
from tests.losses_of_notes import normal

PAIR = (normal(4, 3), normal(4, 3, seed=1))


def test_difference() -> None:
    """Verdict with reason, then the input, the values and the gradients there."""
    found = same(F.mse_loss, lambda x, y: F.mse_loss(x, y).clamp(max=50), PAIR)
    lines = str(found).splitlines()
    assert lines[0].startswith("different: the gradient of B is 0, that of A up to")
    assert [line[2:14].strip() for line in lines[1:] if line[2] != " "] == [
        "input",
        "drawn as",
        "value",
        "gradient",
        "differs at",
        "inputs",
        "gradients",
    ]
    assert "identical at the others" in str(found)
    assert repr(found) == str(found)


@pytest.mark.parametrize("count", [1, 5, 400])
def test_width(count: int) -> None:
    """No line is longer than 80 columns, however large the input."""
    example = tuple(normal(count, 7, seed=seed) for seed in range(5))

    def one(first_of_many: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return sum((first_of_many * other for other in rest), first_of_many).mean()

    def two(first_of_many: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return one(first_of_many, *rest).abs()

    assert all(len(line) <= 80 for line in str(same(one, two, example)).splitlines())


def test_labelled_wraps_behind_the_label() -> None:
    """A long text goes on below its beginning."""
    lines = labelled("note", "word " * 40)
    assert len(lines) == 4
    assert all(line.startswith(" " * 14) for line in lines[1:])
