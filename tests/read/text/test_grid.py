"""Tests of tables that a log prints: names above, numbers below."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from poise.read import read_run
from poise.read.text.dialects import DEAD, S
from poise.read.text.grid import Heads, cells_of, named, names_of
from poise.run import Run


def _read(tmp_path: Path, content: str) -> Run:
    path = tmp_path / "console.txt"
    path.write_text(content, encoding="utf-8")
    return read_run(path)


def test_cells_of_a_row() -> None:
    """Numbers, fractions, units and lists are cells; a clock time is one without a value."""
    cells, behind = cells_of(f"  {S}/{S}  {S}G  [{S}, {S}]  {DEAD}{DEAD}  {S}")
    assert cells == ((0, 1), (2,), (3, 4), (), (7,))
    assert behind == ""


@pytest.mark.parametrize("text", [f"{S}", f"loss {S} {S}", f"{S} {S} rows", f"{S}x{S} {S}", ""])
def test_what_is_no_row(text: str) -> None:
    """A single number, words among numbers, and sizes are no row of a table."""
    assert cells_of(text) == ((), "")


@pytest.mark.parametrize(
    "line", ["epoch", "done in total", "step: loss", "a  b  c", "1 loss", "-- --"]
)
def test_what_is_no_head(line: str) -> None:
    """A head has two names at least, one of a loss or a position, and no separators of pairs."""
    assert names_of(line) == ()


def test_names_reach_over_pieces_of_a_log() -> None:
    """Rows of a later piece have the names that an earlier piece printed."""
    heads = Heads()
    first = heads.of(pl.Series(["epoch  loss", "1  0.5"]), [(2, np.array([1]))])
    second = heads.of(pl.Series(["2  0.25", "3  0.125"]), [(2, np.array([0, 1]))])
    assert [names[i] for names, which in first for i in which] == [("epoch", "loss")]
    assert [names[i] for names, which in second for i in which] == [("epoch", "loss")] * 2


def test_positions_among_the_names() -> None:
    """A column that is called a position is one, with its total where it is a fraction."""
    pairs, positions = named(((0, 1), (2,), (3, 4)), ("Epoch", "loss", "val"))
    assert positions == ((0, "epoch"), (1, "epoch_total"))
    assert pairs == ((2, "loss"), (3, "val_0"), (4, "val_1"))


MARKDOWN = "|  | step | loss | kl |\n|--|:----:|-----:|----|\n"
ALIGNED = "epoch     train_loss  valid_loss  accuracy  time\n"


def test_a_markdown_table_with_an_index(tmp_path: Path) -> None:
    """Every row of a Markdown table is a record; a column without a name is the row number."""
    run = _read(
        tmp_path, MARKDOWN + "".join(f"| {i} | {i * 5} | {9 - i}.5 | 0.{i} |\n" for i in range(4))
    )
    assert run.train.steps.tolist() == [0, 5, 10, 15]
    assert run.train.series["loss"].values.tolist() == [9.5, 8.5, 7.5, 6.5]


def test_an_aligned_table_with_clock_times(tmp_path: Path) -> None:
    """A column of times takes part in counting the cells and holds no value."""
    rows = "".join(
        f"{i}         0.{9 - i}00000    0.{i}50000    0.5       00:1{i}\n" for i in range(5)
    )
    run = _read(tmp_path, "some words\n" + ALIGNED + rows)
    assert [(one.split, len(one)) for one in run.tables] == [("train", 5), ("val", 5)]
    assert run.train.series["loss"].values.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]


def test_rows_with_a_progress_bar_behind_them(tmp_path: Path) -> None:
    """The bar behind a row is its iteration, and the row's own fraction its epoch."""
    head = "      Epoch    GPU_mem   box_loss   cls_loss       Size\n"
    rows = "".join(
        f"\r        {e}/2      3.7G     1.{e}{i}     2.{e}{i}      640:  {i}0%|█   | "
        f"{i}/3 [00:0{i}<00:09]"
        for e in (1, 2)
        for i in (1, 2, 3)
    )
    run = _read(tmp_path, head + rows + "\n")
    assert run.train.series["box_loss"].values.tolist() == [1.11, 1.12, 1.13, 1.21, 1.22, 1.23]
    assert run.train.steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_rows_without_a_head_are_left_out(tmp_path: Path) -> None:
    """Numbers in columns mean nothing without names."""
    run = _read(tmp_path, "1 2 3\n4 5 6\n" + "".join(f"step {i} loss: {i}.5\n" for i in range(3)))
    assert set(run.train.series) == {"loss", "step"}
