"""Twelve features of a bar that do not depend on the price level, from its window so far."""

from dataclasses import dataclass

import numpy as np

from poise.run import Floats, Ints

NAMES = (
    "open_norm",
    "close_norm",
    "body_pct",
    "upper_wick_pct",
    "lower_wick_pct",
    "range_z",
    "dist_to_prev_SH",
    "dist_to_prev_SL",
    "bars_since_SH_norm",
    "bars_since_SL_norm",
    "expansion_proxy",
    "consol_proxy",
)
WIDTH = 20
"""Bars over which ranges are averaged."""
WING = 2
"""Bars on both sides that a swing high or low must exceed; it is known this many bars later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """The last swing high or low that was known at each bar.

    Attributes:
        price: Its price, shape (n, t); before the first one the first bar's.
        since: Bars since then, shape (n, t).
    """

    price: Floats
    since: Floats


def features(bars: Floats) -> Floats:
    """Features of every bar. Each looks at its own bar and earlier ones of its window only.

    With range = high - low and mean range = the mean of the last 20 ranges:
    `open_norm`, `close_norm`: place in the bar, 0 at its low, 1 at its high (0.5 without a range);
    `body_pct`, `upper_wick_pct`, `lower_wick_pct`: parts of the range, they sum to 1;
    `range_z`: range over mean range, cut at 0 and 3;
    `dist_to_prev_SH`, `dist_to_prev_SL`: close less the last swing high or low, in mean ranges, cut
    at -3 and 3; `bars_since_SH_norm`, `bars_since_SL_norm`: bars since then over the window's;
    `expansion_proxy`: `range_z` times (close - open) / range, cut at -2 and 2;
    `consol_proxy`: mean range over the mean of the last 5 ranges, cut at 0 and 3.

    Args:
        bars: Open, high, low and close, shape (n, t, 4), finite, low <= open, close <= high.

    Returns:
        Shape (n, t, 12), in the order of `NAMES`.

    Example:
        >>> bars = np.array([[[1.0, 2.0, 0.0, 1.5], [1.5, 3.5, 1.5, 3.5]]])
        >>> dict(zip(NAMES, features(bars)[0, 1].round(2).tolist()))["expansion_proxy"]
        1.0
    """
    first, high, low, last = (bars[..., k] for k in range(4))
    size = high - low
    there = size > 0
    part = np.where(there, size, 1.0)
    mean = _mean_so_far(size, WIDTH)
    unit = np.where(mean > 0, mean, 1.0)
    top, bottom = np.maximum(first, last), np.minimum(first, last)
    range_z = np.clip(size / unit, 0.0, 3.0)
    highs, lows = _swings(high, 1.0), _swings(low, -1.0)
    count = bars.shape[1]
    short = _mean_so_far(size, 5)
    columns = (
        np.where(there, (first - low) / part, 0.5),
        np.where(there, (last - low) / part, 0.5),
        np.where(there, (top - bottom) / part, 1.0),
        np.where(there, (high - top) / part, 0.0),
        np.where(there, (bottom - low) / part, 0.0),
        range_z,
        np.clip((last - highs.price) / unit, -3.0, 3.0),
        np.clip((last - lows.price) / unit, -3.0, 3.0),
        highs.since / count,
        lows.since / count,
        np.clip(range_z * (last - first) / part, -2.0, 2.0),
        np.clip(mean / np.where(short > 0, short, 1.0), 0.0, 3.0),
    )
    return np.stack(columns, axis=-1)


def _mean_so_far(values: Floats, width: int) -> Floats:
    """Mean of the last `width` values, or of as many as there are, shape (n, t)."""
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    ends: Ints = np.arange(1, int(values.shape[1]) + 1)
    starts = np.maximum(ends - width, 0)
    return (sums[:, ends] - sums[:, starts]) / (ends - starts)


def _swings(price: Floats, sign: float) -> Swing:
    """Swing highs (`sign` 1) or lows (-1) of a price, shape (n, t)."""
    found, count = sign * price, int(price.shape[1])
    peak = np.zeros(price.shape, dtype=bool)
    for at in range(2 * WING, count):
        around = found[:, at - 2 * WING : at + 1]
        peak[:, at] = around[:, WING] > np.delete(around, WING, axis=1).max(axis=1)
    known: Ints = np.where(peak, np.arange(count) - WING, 0)
    where: Ints = np.maximum.accumulate(known, axis=1)
    return Swing(
        price=np.take_along_axis(price, where, axis=1),
        since=np.asarray(np.arange(count) - where, np.float64),
    )
