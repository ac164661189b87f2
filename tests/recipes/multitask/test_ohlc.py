"""Windows from a CSV file, and what is wrong with files."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from poise.errors import RecipeError
from poise.recipes.multitask.features import features
from poise.recipes.multitask.ohlc import read_windows
from tests.recipes.multitask.test_features import walk

COUNT = 12
START = np.array([3, 20, 40, 60, 80, 98, 0, 10, 30, 50, 70, 90])
END = START + 6


def table(count: int = COUNT) -> pl.DataFrame:
    """A file as it should be: `count` windows."""
    bars = walk(count).reshape(-1, 4)
    return pl.DataFrame(
        {
            "window": np.repeat(np.arange(count), 105),
            "open": bars[:, 0],
            "high": bars[:, 1],
            "low": bars[:, 2],
            "close": bars[:, 3],
            "volume": np.ones(len(bars)),
            "type": np.repeat(["consolidation", "retracement"] * (count // 2), 105),
            "expansion_start": np.repeat(START[:count], 105),
            "expansion_end": np.repeat(END[:count], 105),
        }
    )


def write(folder: Path, found: pl.DataFrame) -> Path:
    """As CSV."""
    path = folder / "bars.csv"
    found.write_csv(path)
    return path


def test_windows_and_labels(tmp_path: Path) -> None:
    """Every window is on one side, with its features and the targets that its labels give."""
    found = table()
    data, held_out = read_windows(write(tmp_path, found), seed=3)
    assert (len(data), len(held_out)) == (10, 2)
    assert torch.equal(torch.bincount(torch.cat([data.kind, held_out.kind])), torch.tensor([6, 6]))
    expected = features(found.select("open", "high", "low", "close").to_numpy().reshape(12, 105, 4))
    both = torch.cat([data.inputs, held_out.inputs])
    start = (torch.cat([data.pointers, held_out.pointers])[:, 0] * 105 - 3).round().long()
    assert sorted(start.tolist()) == sorted(START.tolist())
    for one, at in zip(both, start.tolist(), strict=True):
        assert np.allclose(one.numpy(), expected[START.tolist().index(at)], atol=1e-5)
    inside = torch.cat([data.inside, held_out.inside])
    assert torch.equal(inside.sum(dim=1), torch.full((12,), 7.0))


def test_the_seed_decides_what_is_held_out(tmp_path: Path) -> None:
    """The same one twice the same, another one another."""
    path = write(tmp_path, table())
    first, again, other = (read_windows(path, seed)[1].inputs for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_order_of_rows_between_windows_does_not_matter(tmp_path: Path) -> None:
    """Windows may be interleaved, as long as each is in order of time."""
    found = table()
    mixed = found.with_row_index("row").sort(pl.col("row") % 105, maintain_order=True).drop("row")
    whole = read_windows(write(tmp_path, found), 0)[0].inputs
    assert torch.equal(read_windows(write(tmp_path, mixed), 0)[0].inputs, whole)


def changed(column: str, value: object, row: int = 200) -> pl.DataFrame:
    """The file with one value replaced."""
    found = table()
    at = pl.int_range(pl.len()) == row
    return found.with_columns(
        pl.when(at).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )


WRONG = {
    "no labels": (table().drop("type", "low"), "expected the columns low, type, got only window"),
    "too few bars": (table().slice(1), "expected 105 rows for each window, got 104 for window 0"),
    "too few windows": (table(8), "expected 10 windows or more, got 8"),
    "text": (changed("high", "n/a"), "expected numbers in the column high, got String"),
    "empty": (changed("close", None), "expected a value in every row of the column close"),
    "infinite": (changed("high", float("inf")), "expected finite prices with low <= open"),
    "high below low": (changed("high", 1.0), "in bar 95 of window 1; docs/incidents/multitask.md"),
    "labels vary": (changed("expansion_start", 9), "expected one expansion_start for each window"),
    "unknown type": (table().with_columns(type=pl.lit("reversal")), "got 'reversal'"),
    "span too late": (
        table().with_columns(expansion_end=pl.lit(105)),
        "expected whole bars with 0 <= expansion_start <= expansion_end <= 104, got 3 and 105 in "
        "window 0",
    ),
    "half a bar": (table().with_columns(expansion_end=pl.lit(7.5)), "got 3 and 7.5 in window 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_refused(case: str, tmp_path: Path) -> None:
    """One line: what was expected, what was got and where."""
    found, message = WRONG[case]
    with pytest.raises(RecipeError, match=re.escape(message)):
        read_windows(write(tmp_path, found), 0)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00" * 50, b"a,b\n1\n1,2,3\n"])
def test_what_is_no_table(content: bytes, tmp_path: Path) -> None:
    """Nothing of polars speaks to the user alone."""
    path = tmp_path / "bars.csv"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"bars.csv: expected "):
        read_windows(path, 0)
