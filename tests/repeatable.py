"""The same random numbers in every test; a conftest that imports it has it for its folder."""

import pytest
import torch


@pytest.fixture(autouse=True)
def repeatable() -> None:
    """Seeds torch's generator."""
    torch.manual_seed(0)
