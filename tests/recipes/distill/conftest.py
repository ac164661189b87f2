"""Quick trainings, each made once for all tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poise.recipes import find, run

pytest.importorskip("transformers", reason="the extra poise[recipes] is not installed")


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run directory of a variant's quick training."""
    folder = tmp_path_factory.mktemp("distill")

    def made(variant: str) -> Path:
        path = folder / variant
        return path if path.exists() else run(find("distill"), variant, path, quick=True)

    return made
