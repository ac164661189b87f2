"""From parsed frames to a run."""

from pathlib import Path

import pytest

from poise.errors import ReadError
from poise.read.assemble import assemble
from poise.read.frame import Parsed
from tests.read.frames import frame


def test_the_training_table_comes_first() -> None:
    """Losses before none, training before evaluation, many records before few."""
    frames = (
        frame(split="val", epoch=[0, 1, 2, 3, 4], loss=[5, 4, 3, 2, 1]),
        frame(split="train", epoch=[0, 1], loss=[5, 4]),
        frame(split="train", step=[1, 2, 3], loss=[5, 4, 3]),
        frame(split="train", step=[1, 2, 3, 4, 5, 6], accuracy=[1, 2, 3, 4, 5, 6]),
    )
    run = assemble(Path("x"), Parsed(format="text", frames=frames, remarks=("said",)))
    assert [(one.split, len(one)) for one in run.tables] == [
        ("train", 3),
        ("train", 2),
        ("val", 5),
        ("train", 6),
    ]
    assert run.remarks == ("said",)
    assert run.train.steps.tolist() == [1, 2, 3]


def test_a_log_whose_losses_are_all_of_an_evaluation() -> None:
    """Then the evaluation is what there is to look at."""
    frames = (
        frame(split="train", step=[1, 2], accuracy=[0.1, 0.2]),
        frame(split="test", step=[1], loss=[3]),
    )
    assert assemble(Path("x"), Parsed(format="text", frames=frames)).train.split == "test"


def test_nothing_but_positions() -> None:
    """A log that only counts is refused, and the error says as what it was read."""
    with pytest.raises(ReadError, match="read as csv, but no record holds a number"):
        assemble(Path("x.csv"), Parsed(format="csv", frames=(frame(step=[1, 2], epoch=[0, 0]),)))
    with pytest.raises(ReadError, match="no record holds a number"):
        assemble(Path("x.csv"), Parsed(format="text", frames=()))


def test_terms_and_totals_that_the_format_declares() -> None:
    """A declared term is one, however it is called."""
    made = frame(split="train", terms=["time", "val_ce"], step=[1, 2], time=[1, 2], val_ce=[3, 4])
    assert assemble(Path("x"), Parsed(format="poise", frames=(made,))).terms == ("time", "val_ce")
