"""What rules ask of one series: where it stands, how finely it is printed, where it holds still."""

import re
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from poise.run import Floats, Ints, Kind, Series, Table

SAMPLE = 2048
"""Values from which a printed resolution is read: enough to see the last digit of any format."""

EXACT = 2.0**53
"""From here on every double is a whole number, so that its decimals say nothing."""

BLOCKS_FROM = 64
"""Values from which block medians stand for them where something is said to have moved."""

LARGE_MULTIPLE = 1e6
"""Multiples from here on are told as a power of ten."""

DECIMALS = 9
"""Fixed decimals up to here are taken for a printing format; more are taken for full precision."""


def span(table: Table, series: Series) -> tuple[int, int]:
    """First and last step of a series; (0, 0) if it is empty.

    Unlike the first and last entries, these are the smallest and the largest step, so that a
    restarted run spans what it covered.
    """
    return steps_between(table.steps_of(series))


def steps_between(steps: Ints) -> tuple[int, int]:
    """Smallest and largest of some steps; (0, 0) if there are none.

    Example:
        >>> steps_between(np.array([100, 200, 50]))
        (50, 200)
    """
    return (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)


def weight_history(table: Table, term: str) -> Series | None:
    """The logged weights of a term; None if the log has none."""
    weights = table.of_kind(Kind.WEIGHT)
    return next((one for one in weights if one.of == term and len(one)), None)


def micro_at(table: Table, rows: Ints) -> Floats | None:
    """Micro-batches done at some rows, NaN where the log does not tell; None if it never does."""
    micro = table.series.get("micro")
    if micro is None:
        return None
    dense = np.full(len(table), np.nan)
    dense[micro.rows] = micro.values
    return dense[rows]


def weights_at(
    table: Table,
    weights: Mapping[str, float],
    steps: Ints,
    *,
    micro: Floats | None = None,
) -> Floats:
    """Weight of every term at some steps: the latest logged one, else the given one.

    Args:
        table: Training table, whose logged weights count.
        weights: Weight of each term that has no logged weights.
        steps: Shape (n,).
        micro: Micro-batches done by then, shape (n,); if the table counts them too they go before
            the steps, of which many micro-batches may share one.

    Returns:
        Shape (n, len(weights)).
    """
    out = np.tile(np.array(list(weights.values()), np.float64), (len(steps), 1))
    done = None if micro is None else micro_at(table, np.arange(len(table)))
    # The record of micro-batch k has k done before it; an evaluation after it has k + 1.
    places, side = (table.steps, "right") if done is None else (done, "left")
    asked = steps if micro is None or done is None else micro
    for column, name in enumerate(weights):
        history = weight_history(table, name)
        if history is not None:
            order = np.argsort(places[history.rows], kind="stable")
            known = places[history.rows][order]
            at = np.clip(np.searchsorted(known, asked, side=side) - 1, 0, None)
            out[:, column] = history.values[order][at]
    return out


def by_step(table: Table, rows: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Sums over the micro-batches of each optimizer step, where the table counts them.

    Args:
        table: The table.
        rows: Its rows, increasing, shape (n,).
        values: What stands in them, shape (n,) or (n, k).

    Returns:
        Step of each sum, shape (m,), and the sums, shape (m,) or (m, k), without the last step,
        which may not be over. What came in, with its steps, if no step has several micro-batches.
    """
    steps = table.steps[rows]
    starts = np.flatnonzero(np.diff(steps, prepend=steps[:1] - 1)) if len(steps) else rows
    if "micro" not in table.series or len(starts) == len(steps):
        return steps, values
    sums = np.asarray(np.add.reduceat(values, starts, axis=0), np.float64)
    return steps[starts][:-1], sums[:-1]


def finite(values: Floats) -> Floats:
    """The finite ones among some values."""
    good = np.isfinite(values)
    return values if good.all() else values[good]


def constant(values: Floats) -> bool:
    """True if there is at least one value and all are the same to the last bit."""
    return len(values) > 0 and bool((values == values[0]).all())


def thinned(values: Floats, count: int = SAMPLE) -> Floats:
    """At most `count` values, evenly spread, in order."""
    return values if len(values) <= count else values[:: -(-len(values) // count)]


def decimals(values: Floats) -> int | None:
    """Number of fixed decimals that all finite values are printed with.

    Returns:
        The smallest number of decimals that loses nothing; None if that needs more than
        `DECIMALS`, so that the values are not printed with fixed decimals, or nothing is finite.

    Example:
        >>> decimals(np.array([0.25, 1.5, 3.0])), decimals(np.array([1 / 3]))
        (2, None)
    """
    sample = finite(thinned(values))
    if not len(sample):
        return None
    sample = sample[np.abs(sample) < EXACT]
    return next((k for k in range(DECIMALS + 1) if (np.round(sample, k) == sample).all()), None)


def table_decimals(table: Table) -> int | None:
    """The most decimals that any loss of a table shows; None if one shows full precision.

    A log that prints all of its losses with k decimals most likely prints all else so too.
    """
    losses = table.of_kind(Kind.TERM, Kind.TOTAL)
    shown = [decimals(one.values) for one in losses if np.any(finite(one.values))]
    if not shown:
        return None
    known = [one for one in shown if one is not None]
    return max(known) if len(known) == len(shown) else None


def digits(value: float) -> int:
    """Significant digits that a value is written with, at most 17.

    Example:
        >>> digits(0.5), digits(0.6931), digits(120.0)
        (1, 4, 2)
    """
    mantissa = f"{value:.16e}".partition("e")[0] if not np.isfinite(value) else repr(float(value))
    plain = mantissa.partition("e")[0].lstrip("-").replace(".", "").strip("0")
    return max(1, len(plain))


def holds(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Stretches where a mask is true: first index and one past the last.

    Example:
        >>> list(holds(np.array([True, True, False, True])))
        [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def longest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """The longest stretch where a mask is true; (0, 0) if there is none."""
    return max(holds(mask), key=lambda one: one[1] - one[0], default=(0, 0))


def mad(values: Floats) -> float:
    """Median absolute deviation from the median, unscaled; NaN if there are no values."""
    return float(np.median(np.abs(values - np.median(values)))) if len(values) else float("nan")


def roughness(values: Floats) -> float:
    """Median size of the change from one value to the next; NaN for fewer than two values."""
    if len(values) < 2:
        return float("nan")
    with np.errstate(over="ignore"):
        return float(np.median(np.abs(np.diff(values))))


def first_and_last(values: Floats, share: float = 0.25) -> tuple[float, float]:
    """Medians over the first and the last part of some values, each at least one value.

    Example:
        >>> first_and_last(np.array([4.0, 4.0, 2.0, 1.0]))
        (4.0, 1.0)
    """
    if not len(values):
        return float("nan"), float("nan")
    count = max(1, int(len(values) * share))
    return float(np.median(values[:count])), float(np.median(values[-count:]))


def moved(values: Floats) -> bool:
    """True if the beginning and the end differ by more than the noise in them.

    The difference of the medians of the first and last quarter must exceed three standard errors,
    taken from the change of one value to the next, so that a slow drift counts and a fluctuation
    does not. From 64 values on, medians of 16 blocks are compared, so that noise which is
    correlated over a few records does not count either; then a first block that lies five standard
    deviations away from the later ones counts too: most losses fall at once or not at all.
    """
    good = finite(values)
    if len(good) < 8:
        return False
    if len(good) >= BLOCKS_FROM:
        good = np.array([np.median(part) for part in np.array_split(good, 16)])
    first, last = first_and_last(good)
    noise = 1.05 * roughness(good)  # the median of |a - b| is 0.954 sigma for two normal values
    early = len(values) >= BLOCKS_FROM and abs(good[0] - np.median(good[1:])) > 5 * noise
    return bool(early) or abs(last - first) > 3 * 1.25 * noise * np.sqrt(8 / len(good))


def falls(values: Floats) -> bool:
    """True if the values have `moved` downward."""
    first, last = first_and_last(finite(values))
    return last < first and moved(values)


def named(terms: list[str] | tuple[str, ...], limit: int = 4) -> str:
    """Names in quotes, at most `limit` of them.

    Example:
        >>> named(("a", "b", "c"), limit=2)
        "'a', 'b' and 1 more"
    """
    shown = ", ".join(f"'{one}'" for one in terms[:limit])
    return shown if len(terms) <= limit else f"{shown} and {len(terms) - limit} more"


def number(value: float) -> str:
    """A number for people: four significant digits.

    Example:
        >>> number(0.123456), number(12.0), number(5.3e9)
        ('0.1235', '12', '5.3e+09')
    """
    return f"{value:.4g}"


def multiple(value: float) -> str:
    """A multiple for people: two significant digits, written out below a million.

    Example:
        >>> multiple(1.909), multiple(147.6), multiple(0.0132), multiple(4), multiple(5.34e9)
        ('1.9', '150', '0.013', '4', '5.3e+09')
    """
    if not np.isfinite(value) or abs(value) >= LARGE_MULTIPLE:
        return f"{value:.2g}"
    rounded = float(f"{value:.1e}")
    if 0 < abs(rounded) < 1 / LARGE_MULTIPLE:
        return f"{rounded:.2g}"
    return np.format_float_positional(rounded, trim="-")


def python_name(label: str) -> str:
    """A name that Python accepts, for lines that a reader is to run.

    Example:
        >>> python_name("train/loss.ce"), python_name("ctc loss")
        ('loss_ce', 'ctc_loss')
    """
    bare = re.sub(r"\W+", "_", label.rpartition("/")[2]).strip("_")
    return bare if bare.isidentifier() else f"loss_{bare}"
