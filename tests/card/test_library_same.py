"""Every loss of torch.nn, and those of other libraries, are the same as themselves."""

from typing import Any

import pytest
from torch.nn.modules import loss as torch_losses

from poise.card.same import same
from tests.card.test_library_losses import TORCH
from tests.losses_of_libraries import LIBRARIES
from tests.losses_of_notes import Example, Loss


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # NLLLoss2d says that it is old
def test_losses_of_torch(name: str) -> None:
    """Whatever the inputs look like, no draw makes a loss differ from itself."""
    loss: Any = getattr(torch_losses, name)()
    assert same(loss, loss, TORCH[name]).verdict == "identical"


@pytest.mark.parametrize(
    ("loss", "example"),
    LIBRARIES,
    ids=[row[0].__name__ for row in LIBRARIES],  # type: ignore[attr-defined]
)
def test_losses_of_libraries(loss: Loss, example: Example) -> None:
    """The same for losses of other libraries."""
    assert same(loss, loss, example).verdict == "identical"
