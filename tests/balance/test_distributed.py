"""Balancers in trainings of two processes are those of one process on all rows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.balance.ranked import CASES, sharded, trained

pytestmark = pytest.mark.filterwarnings(
    "ignore:RunningMean makes:poise.errors.PoiseWarning",
    "ignore:balance. the (gradient|value) of 'b' is not finite:poise.errors.PoiseWarning",
)
Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What two processes find."""
    place = tmp_path_factory.mktemp("ranks") / "meet"
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.balance.ranked", str(rank), str(place)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [one.communicate(timeout=240) for one in started]
    finally:
        for one in started:  # the other one, where one failed
            one.kill()
            one.communicate()
    assert all(one.returncode == 0 for one in started), said[0][1] + said[1][1]
    return [json.loads(Path(f"{place}.{rank}").read_text()) for rank in range(2)]


def close(one: list[Any], other: list[Any]) -> None:
    """Equal up to the rounding of float32, NaN to NaN."""
    for got, expected in zip(one, other, strict=True):
        torch.testing.assert_close(
            torch.tensor(got), torch.tensor(expected), rtol=2e-5, atol=2e-6, equal_nan=True
        )


@pytest.mark.parametrize("case", CASES, ids="/".join)
def test_training_is_that_of_one_process(ranks: list[Found], case: tuple[str, str, str]) -> None:
    """Weights and state have the same bits on both, and everything is that of the joint batch.

    Also where one process lacks a term, has one term only, has a value that is not finite, or
    takes two micro-batches, the first without synchronisation.
    """
    first, second = (one["/".join(case)] for one in ranks)
    alone = json.loads(json.dumps(trained(*case, None)))
    assert json.dumps(first) == json.dumps(second)
    assert first["skipped"] == alone["skipped"] == (case[2] == "nan")
    for key in ("weights", "gradients", "parameters"):
        close(first[key], alone[key])
    spread = [max(one) - min(one) for one in zip(*first["weights"], strict=True)]
    assert max(spread) > 0.0  # weights that never move would agree, too


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("rule", ["share", "upgrad"])
def test_a_fork_under_fully_shard(ranks: list[Found], rule: str, again: bool) -> None:
    """With sharded parameters a fork balances as in one process on all rows."""
    first, second = (one[f"sharded/{rule}/{again}"] for one in ranks)
    alone = sharded(rule, None, again=again)
    assert first == second
    for key in ("weights", "parameters"):
        close(first[key], alone[key])


def test_what_cannot_work_is_told_on_every_process(ranks: list[Found]) -> None:
    """Nobody waits: without the model, or with sharded parameters, all get the remedy."""
    for found in (one["errors"] for one in ranks):
        assert found["nameless"].startswith("BalanceError: balance: several processes have to")
        assert "expected backward(terms, model=model)" in found["nameless"]
        assert found["sharded"].startswith("GraphError")
        assert "use poise.fork at the trunk's output" in found["sharded"]
