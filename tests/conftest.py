"""Fixtures that several test modules share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("poise", deadline=None)  # a busy machine is no failure
settings.load_profile("poise")
torch.set_num_threads(1)  # the test processes share the machine's cores among themselves

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def corpus() -> Callable[[str], Path]:
    """Path of a real log by the beginning of its name; skips where the logs are absent."""

    def find(prefix: str) -> Path:
        found = sorted((SHARED / "corpus" / "logs").glob(f"{prefix}*"))
        if not found:
            pytest.skip(
                f"no log {prefix}* under {SHARED}/corpus/logs: real logs are kept elsewhere"
            )
        return found[0]

    return find
