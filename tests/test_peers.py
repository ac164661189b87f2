"""The checks of peers, as their own sources have them, over recorded runs."""

import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks.peers import (
    PEERS,
    composer_nan,
    foundry_spike,
    judge,
    lightning_spike,
    megatron_spike,
    olmo_skip,
    series,
)

import poise
from poise.record import Recorder

NOISE = np.random.default_rng(0).normal(size=400)
HEALTHY = (2 * np.exp(-np.arange(400) / 100) + 0.5 + 0.02 * NOISE).tolist()
NAN = math.nan


def spiked(factor: float, at: int, steps: int = 1) -> list[float]:
    """The healthy losses with some of them multiplied."""
    return [v * factor if at <= k < at + steps else v for k, v in enumerate(HEALTHY)]


def test_a_healthy_run_alarms_nobody() -> None:
    """A falling noisy loss is nothing to any of them."""
    assert [name for name, check in PEERS.items() if check(HEALTHY, [])] == []


@pytest.mark.parametrize(("value", "expected"), [(NAN, True), (math.inf, False), (1e30, False)])
def test_composer(value: float, expected: bool) -> None:
    """NaN and nothing else."""
    assert composer_nan([1.0, value, 1.0]) is expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0, 1.0, 2.9], False),  # twice the mean away is needed, so three times the mean
        ([1.0, 1.0, 3.0], True),
        ([1.0, NAN], True),
        ([NAN, 1.0, 1.0], False),  # in the warm-up, and nothing compares with the mean of nothing
        ([5.0, 3.0, 1.0, 0.1], False),  # a fall is never a spike
        ([-1.0, -2.0, -6.0, -5.9], False),
        ([-0.5, -0.4, 1.0], True),  # a healthy loss that crosses zero
        ([1.0, 0.001, 0.0011], False),
    ],
)
def test_lightning(losses: list[float], expected: bool) -> None:
    """A rise by twice the running mean of the last ten; a fall is none."""
    assert lightning_spike(losses) is expected


def test_olmo() -> None:
    """Six sigma above up to 128 steps before, once there are 64; gradient norms count too."""
    flat = (1 + 0.01 * NOISE).tolist()
    assert not olmo_skip(flat)
    for at, expected in ((62, False), (63, True), (200, True)):
        losses = list(flat)
        losses[at] = 1.2
        assert olmo_skip(losses) is expected
    low = list(flat)
    low[200] = -5.0
    assert not olmo_skip(low)
    assert olmo_skip(flat, [*low[:200], 9.0])
    assert olmo_skip([*flat[:100], NAN, *flat[100:]])


def test_megatron() -> None:
    """Ten times the largest of the first hundred, in size; what is not finite at once."""
    assert not megatron_spike(spiked(9.0, 50))
    largest = max(HEALTHY)
    assert megatron_spike([*HEALTHY[:200], 10.01 * largest])
    assert megatron_spike([*HEALTHY[:200], -10.01 * largest])
    assert not megatron_spike([*HEALTHY[:200], 9.9 * largest])
    assert megatron_spike([1.0, math.inf])


def test_foundry() -> None:
    """Five outliers in a row, or half a window above the cap."""
    flat = [1.0] * 300
    for steps, expected in ((4, False), (5, True)):
        losses = [2.6 if 150 <= k < 150 + steps else v for k, v in enumerate(flat)]
        assert foundry_spike(losses) is expected
    for level, expected in ((1.0, False), (1.3, True)):
        high = [1.0] * 200 + [level] * 200
        assert foundry_spike(high) is expected
    assert foundry_spike([-1.0 - k / 100 for k in range(400)])  # a healthy negative loss


def test_judge_a_run(tmp_path: Path) -> None:
    """The logged total and gradient norm are what they are given."""
    with Recorder(tmp_path) as recorder:
        for step, loss in enumerate(spiked(100.0, 300)):
            recorder.step(step, total=loss, terms={"a": loss, "b": 0.0}, grad_norm=1.0)
    run = poise.read_run(tmp_path)
    losses, norms = series(run)
    assert losses == spiked(100.0, 300)
    assert norms == [1.0] * 400
    found = judge(run)
    assert list(found) == list(PEERS)
    assert {name for name, spoke in found.items() if spoke} == {
        "Lightning spike",
        "OLMo 6 sigma",
        "Megatron 10x",
    }


def test_a_run_without_a_total(tmp_path: Path) -> None:
    """The sum of the terms stands in for it; a run of neither has nothing to judge."""
    path = tmp_path / "log.csv"
    path.write_text("step,a_loss,b_loss\n" + "".join(f"{k},1.5,{k}.0\n" for k in range(4)))
    assert series(poise.read_run(path))[0] == [1.5, 2.5, 3.5, 4.5]
    path.write_text("step,accuracy\n" + "".join(f"{k},0.5\n" for k in range(4)))
    assert series(poise.read_run(path)) == ([], [])
    assert not any(judge(poise.read_run(path)).values())
