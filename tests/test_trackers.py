"""`benchmarks/trackers.py`: what is compared with what."""

from collections.abc import Iterator

import numpy as np
import pytest
from benchmarks.overhead import BLOCK, OwnTime, measured
from benchmarks.trackers import EVERY, table


def counted(steps: list[int], at: int) -> Iterator[None]:
    """Counts its steps."""
    while True:
        steps[at] += 1
        yield


def test_few_rounds_are_the_first() -> None:
    """A slow training takes part in so many rounds, the others in all; one step goes before."""
    steps = [0, 0]
    trainings = {"all": counted(steps, 0), "slow": counted(steps, 1)}
    spent = measured(5, trainings, {name: OwnTime() for name in trainings}, few={"slow": 2})
    assert steps == [1 + 5 * BLOCK, 1 + 2 * BLOCK]
    assert {name: len(one) for name, one in spent.items()} == {"all": 5, "slow": 2}


def test_a_slow_one_is_compared_with_the_same_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    """Later rounds, in which the plain training was slower, are not in its ratio."""
    rounds = 2 * EVERY // BLOCK
    plain = np.concatenate([np.ones(rounds), np.full(rounds, 9.0)])
    table({"plain": plain, "cockpit": np.full(rounds, 3.0)})
    lines = capsys.readouterr().out.splitlines()
    assert "3.0000 [3.0000, 3.0000]" in lines[2]
    # 2 more than plain in each round, over 2 measurements; a plain step takes a tenth of a round.
    extra = 2.0 * rounds / 2 * BLOCK
    assert lines[3].endswith(f"measured 2 times, each worth {extra:.0f} plain steps")
    assert f"took part in {2 * EVERY} steps" in lines[3]
