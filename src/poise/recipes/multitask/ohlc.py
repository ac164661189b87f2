"""Reads windows of bars with their labels from a CSV file."""

from pathlib import Path

import numpy as np
import polars as pl
import torch
from polars.exceptions import PolarsError

from poise.errors import RecipeError
from poise.recipes.multitask.data import STEPS, Windows, labelled
from poise.recipes.multitask.features import features
from poise.run import Floats

PRICES = ("open", "high", "low", "close")
LABELS = ("type", "expansion_start", "expansion_end")
KINDS = {"consolidation": 0, "retracement": 1, "0": 0, "1": 1, "2": 2}
LEAST = 10
"""Windows from which a fifth can be held out and the rest trained on."""
HELD_OUT = 0.2


def read_windows(path: Path, seed: int) -> tuple[Windows, Windows]:
    """Windows to train on and windows that are held out, a fifth of them, drawn by the seed.

    The file has a row for every bar, in order of time within its window: `window` (its name or
    number), `open`, `high`, `low`, `close`, and the window's labels repeated in each of its 105
    rows: `type` (`consolidation`, `retracement`, or 0, 1, 2), `expansion_start` and `expansion_end`
    (first and last bar of the span, 0 to 104). Other columns are left out. Windows that overlap
    must not be on both sides: held-out numbers are then too good.

    Args:
        path: A CSV file.
        seed: Decides which windows are held out.

    Raises:
        RecipeError: The file cannot be read, or a column, a window or a value is not as described.
    """
    table = _table(path)
    sizes = table.group_by("window", maintain_order=True).len()
    short = sizes.filter(pl.col("len") != STEPS)
    if len(short):
        name, got = short.row(0)
        raise _refusal(path, f"{STEPS} rows for each window", f"{got} for window {name!r}")
    if len(sizes) < LEAST:
        raise _refusal(path, f"{LEAST} windows or more", str(len(sizes)))
    table = table.sort("window", maintain_order=True)
    names = table["window"].to_list()[::STEPS]
    bars = table.select(PRICES).to_numpy().astype(np.float64).reshape(-1, STEPS, 4)
    _check_bars(path, bars, names)
    kind, start, end = _labels(path, table)
    windows = labelled(
        torch.tensor(features(bars), dtype=torch.float32),
        torch.tensor(kind),
        torch.tensor(start, dtype=torch.float32),
        torch.tensor(end, dtype=torch.float32),
    )
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(seed))
    held = max(1, int(HELD_OUT * len(windows)))
    return windows.pick(order[held:]), windows.pick(order[:held])


def _table(path: Path) -> pl.DataFrame:
    try:
        found = pl.read_csv(path, infer_schema_length=None)
    except (OSError, PolarsError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise _refusal(
            path, "a CSV file with a header", f"none that can be read ({reason})"
        ) from error
    lacking = [one for one in ("window", *PRICES, *LABELS) if one not in found.columns]
    if lacking:
        had = ", ".join(found.columns[:12])
        raise _refusal(path, f"the columns {', '.join(lacking)}", f"only {had}")
    for name in (*PRICES, *LABELS[1:]):
        if not found[name].dtype.is_numeric():
            raise _refusal(path, f"numbers in the column {name}", str(found[name].dtype))
    empty = [one for one in ("window", *PRICES, *LABELS) if found[one].null_count()]
    if empty:
        raise _refusal(path, f"a value in every row of the column {empty[0]}", "rows without one")
    return found


def _check_bars(path: Path, bars: Floats, names: list[object]) -> None:
    first, high, low, last = (bars[..., k] for k in range(4))
    inside = (low <= np.minimum(first, last)) & (high >= np.maximum(first, last))
    wrong = np.argwhere(~(inside & np.isfinite(bars).all(axis=2)))
    if len(wrong):
        window, bar = wrong[0]
        got = ", ".join(f"{one:g}" for one in bars[window, bar])
        raise _refusal(
            path,
            "finite prices with low <= open, close <= high",
            f"{got} (open, high, low, close) in bar {bar} of window {names[window]!r}",
        )


def _labels(path: Path, table: pl.DataFrame) -> tuple[list[int], Floats, Floats]:
    """Class, first and last bar of every window."""
    each = table.group_by("window", maintain_order=True).agg(
        *(pl.col(one).first() for one in LABELS),
        *(pl.col(one).n_unique().alias(f"{one}_values") for one in LABELS),
    )
    for one in LABELS:
        several = each.filter(pl.col(f"{one}_values") > 1)
        if len(several):
            got = f"several in window {several['window'][0]!r}"
            raise _refusal(path, f"one {one} for each window", got)
    said = [str(one).strip().lower() for one in each["type"]]
    unknown = next((one for one in said if one not in KINDS), None)
    if unknown is not None:
        raise _refusal(path, f"a type among {', '.join(KINDS)}", repr(unknown))
    start, end = (each[one].to_numpy().astype(np.float64) for one in LABELS[1:])
    whole = (start == np.floor(start)) & (end == np.floor(end))
    wrong = np.flatnonzero(~(whole & (start >= 0) & (start <= end) & (end <= STEPS - 1)))
    if len(wrong):
        at = int(wrong[0])
        got = f"{start[at]:g} and {end[at]:g} in window {each['window'][at]!r}"
        bounds = f"0 <= expansion_start <= expansion_end <= {STEPS - 1}"
        raise _refusal(path, f"whole bars with {bounds}", got)
    return [KINDS[one] for one in said], start, end


def _refusal(path: Path, expected: str, got: str) -> RecipeError:
    return RecipeError(
        f"{path}: expected {expected}, got {got}; docs/incidents/multitask.md describes the file"
    )
