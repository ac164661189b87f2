"""Features of bars: ranges, no look ahead, no price level."""

import numpy as np
import pytest

from poise.recipes.multitask.features import NAMES, features
from poise.run import Floats

RNG = np.random.default_rng(0)


def walk(count: int = 6, steps: int = 105, level: float = 15_000.0) -> Floats:
    """Bars of a random walk, shape (count, steps, 4)."""
    close = level + np.cumsum(RNG.normal(scale=5.0, size=(count, steps)), axis=1)
    first = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    high = np.maximum(first, close) + RNG.exponential(2.0, size=close.shape)
    low = np.minimum(first, close) - RNG.exponential(2.0, size=close.shape)
    return np.stack([first, high, low, close], axis=-1)


BARS = walk()
LIMITS = {
    "open_norm": (0, 1),
    "close_norm": (0, 1),
    "body_pct": (0, 1),
    "range_z": (0, 3),
    "dist_to_prev_SH": (-3, 3),
    "dist_to_prev_SL": (-3, 3),
    "bars_since_SH_norm": (0, 1),
    "expansion_proxy": (-2, 2),
    "consol_proxy": (0, 3),
}


def column(bars: Floats, name: str) -> Floats:
    """One feature."""
    return features(bars)[..., NAMES.index(name)]


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str) -> None:
    """Each keeps to its range and varies in it."""
    found, (low, high) = column(BARS, name), LIMITS[name]
    assert found.min() >= low
    assert found.max() <= high
    assert found.std() > 0.02


def test_parts_of_a_bar() -> None:
    """Body and wicks make up the whole range."""
    whole = sum(column(BARS, f"{one}_pct") for one in ("body", "upper_wick", "lower_wick"))
    assert whole == pytest.approx(np.ones_like(whole))


def test_neither_level_nor_unit_matters() -> None:
    """The same bars at another price and tick give the same features."""
    assert features(10.0 * BARS - 3000.0) == pytest.approx(features(BARS), abs=1e-6)


def test_nothing_is_known_in_advance() -> None:
    """Changing all bars from the 60th on changes no feature before it."""
    changed = BARS.copy()
    changed[:, 60:] = walk()[:, 60:]
    assert np.array_equal(features(changed)[:, :60], features(BARS)[:, :60])
    assert not np.array_equal(features(changed)[:, 60:], features(BARS)[:, 60:])


def test_swings() -> None:
    """A peak at bar 10 is known two bars later, and then counts the bars and the distance."""
    close = 100.0 - 0.1 * np.abs(np.arange(30) - 10.0)
    bars = np.stack([close, close + 0.5, close - 0.5, close], axis=-1)[None]
    since = column(bars, "bars_since_SH_norm")[0] * 30
    assert since[[11, 12, 20]].tolist() == pytest.approx([11, 2, 10])
    assert column(bars, "dist_to_prev_SH")[0, 20] == pytest.approx(99.0 - 100.5)


def test_flat_bars() -> None:
    """Bars without a range are finite: in the middle of themselves, all body."""
    found = features(np.full((1, 20, 4), 7.0))
    assert np.isfinite(found).all()
    assert found[0, 5, :3].tolist() == [0.5, 0.5, 1.0]


def test_expansion() -> None:
    """A bar three times as large as those before it that closes at its high stands out."""
    quiet = np.tile([100.0, 100.5, 99.5, 100.0], (1, 30, 1))
    quiet[0, 25] = [100.0, 103.0, 100.0, 103.0]
    assert column(quiet, "expansion_proxy")[0, 25] == 2.0
    assert column(quiet, "range_z")[0, 25] == pytest.approx(3 / 1.1)
