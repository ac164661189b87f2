"""Quick trainings, each made once for all tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from poise.recipes import find, run

pytest.importorskip("transformers", reason="the extra poise[recipes] is not installed")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Golden numbers are those of one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run directory of a variant's quick training."""
    folder = tmp_path_factory.mktemp("distill")

    def made(variant: str) -> Path:
        path = folder / variant
        return path if path.exists() else run(find("distill"), variant, path, quick=True)

    return made
