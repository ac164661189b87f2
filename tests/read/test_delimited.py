"""Tables in text."""

from pathlib import Path

import numpy as np
import pytest

from poise.errors import ReadError
from poise.read import read_run
from poise.read.delimited import matches
from poise.read.source import open_source
from poise.run import Kind, Run


def _run(tmp_path: Path, text: str) -> Run:
    path = tmp_path / "log.csv"
    path.write_text(text)
    return read_run(path)


def test_sparse_rows_with_twins(tmp_path: Path) -> None:
    """The Lightning shape: step rows, epoch rows and validation rows share one file."""
    text = "a_loss_epoch,a_loss_step,epoch,step,train_loss_epoch,train_loss_step,val_loss,lr-Adam\n"
    for epoch in range(3):
        for at in (0, 1, 2):
            step = 3 * epoch + at
            text += f",0.{step + 1},{epoch},{step},,1.{step},,\n,,,{step},,,,0.00{9 - step}\n"
        text += f",,{epoch},{step},,,2.{epoch},\n0.5,,{epoch},{step},1.5,,,\n"
    run = _run(tmp_path, text)
    step_table, epoch_table, validation = run.tables
    assert (step_table.grain, epoch_table.grain, validation.split) == ("step", "epoch", "val")
    assert step_table.steps.tolist() == list(range(9))
    assert epoch_table.steps.tolist() == validation.steps.tolist() == [2, 5, 8]
    assert run.terms == ("a_loss",)
    assert step_table.series["loss"].kind is Kind.TOTAL
    # the learning rate has rows of its own, which complete the rows of the losses
    assert len(step_table.series["lr-Adam"]) == 9
    assert run.events == ()


@pytest.mark.parametrize("pad", [True, False])
def test_padded_tables_without_total(tmp_path: Path, pad: bool) -> None:
    """The Ultralytics shapes: padded or not, a learning rate a group, metrics of the validation."""
    names = ["epoch", "time", "train/box_loss", "train/cls_loss", "metrics/mAP50(B)"]
    names += ["val/box_loss", "val/cls_loss", "lr/pg0", "lr/pg1"]
    values = ["9.5", "1.5", "0.5", "0.25", "nan", "0.75", "0.01", "0.01"]
    rows = [[str(one), *values] for one in range(1, 6)]
    lines = [",".join(f"{one:>20}" if pad else one for one in row) for row in [names, *rows]]
    run = _run(tmp_path, "\n".join(lines) + "\n")
    assert [(one.split, one.grain, len(one)) for one in run.tables] == [
        ("train", "epoch", 5),
        ("val", "epoch", 5),
    ]
    assert run.train.steps.tolist() == [1, 2, 3, 4, 5]
    assert run.terms == ("box_loss", "cls_loss")
    assert {one.name for one in run.train.of_kind(Kind.LEARNING_RATE)} == {"lr/pg0", "lr/pg1"}
    assert np.isnan(run.evals[0].series["box_loss"].values).all()
    assert "metrics/mAP50(B)" in run.evals[0].series


def test_progress_tables(tmp_path: Path) -> None:
    """The SB3 shape: unsorted names, a first row without losses, sparse evaluations."""
    run = _run(
        tmp_path,
        "time/fps,rollout/ep_rew_mean,time/total_timesteps,train/loss,train/value_loss,"
        "train/approx_kl,train/n_updates,eval/mean_reward,train/learning_rate\n"
        "900,-5,2048,,,,,,\n"
        "950,-4,4096,1.5,3.0,0.01,10,-3.5,0.0003\n"
        "960,-3,6144,1.2,2.5,0.02,20,,0.0003\n",
    )
    assert run.train.steps.tolist() == [2048, 4096, 6144]
    assert run.train.step_name == "total_timesteps"
    assert run.train.series["loss"].rows.tolist() == [1, 2]
    assert run.terms == ("value_loss",)
    assert run.train.series["approx_kl"].kind is Kind.STATISTIC
    assert [(one.split, one.steps.tolist()) for one in run.evals] == [("eval", [4096])]


@pytest.mark.parametrize("separator", [",", "\t", ";", " ", "   "])
def test_separators(tmp_path: Path, separator: str) -> None:
    """Any usual separator; names with blanks where the separator allows them."""
    names = ["epoch", "loss", "aux_loss"]
    rows = [names, *([str(one), f"{1 / (one + 1):.3f}", "2"] for one in range(6))]
    run = _run(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert run.train.series["loss"].values[3] == 0.25
    assert run.train.steps.tolist() == [0, 1, 2, 3, 4, 5]


def test_names_only_and_row_numbers(tmp_path: Path) -> None:
    """A table without a step column counts its rows."""
    run = _run(tmp_path, "total loss\tshape loss\tedge loss\t\n" + "3.0\t1.0\t2.0\t\n" * 4)
    assert (run.train.step_name, run.train.steps.tolist()) == ("row", [0, 1, 2, 3])
    assert run.terms == ("shape loss", "edge loss")


def test_percent_signs_quotes_and_words(tmp_path: Path) -> None:
    """Percent strings and quoted numbers are numbers; other words are dropped."""
    run = _run(tmp_path, 'step,loss,done,note\n1,"1.5",10%,good\n2,"1.25",20%,"a, b"\n3,1.0,30%,\n')
    assert run.train.series["loss"].values.tolist() == [1.5, 1.25, 1.0]
    assert run.train.series["done"].values.tolist() == [10.0, 20.0, 30.0]
    assert "note" not in run.train.series


def test_spellings_of_nothing_nan_and_infinity(tmp_path: Path) -> None:
    """An empty cell is not mentioned; NaN and infinity are values in any spelling."""
    run = _run(
        tmp_path, "step,loss\n1,nan\n2,\n3,NaN\n4,-inf\n5,Infinity\n6,-1.#IND\n7,2\n8,None\n"
    )
    assert run.train.series["loss"].rows.tolist() == [0, 1, 2, 3, 4]
    values = run.train.series["loss"].values.tolist()
    assert str(values) == "[nan, nan, -inf, inf, 2.0]"
    assert "1 of the cells hold no number" in run.remarks[0]


def test_a_repeated_header_is_a_restart(tmp_path: Path) -> None:
    """Appending writers repeat the header; the counter need not go back."""
    block = "epoch,loss,a_loss\n0,3,1\n1,2,1\n"
    run = _run(tmp_path, block + block + "epoch,loss,a_loss\n2,1,1\n")
    assert run.train.steps.tolist() == [0, 1, 0, 1, 2]
    assert run.train.segments.tolist() == [0, 0, 1, 1, 2]
    assert [(one.name, one.step) for one in run.events] == [("restart", 0), ("restart", 2)]


def test_a_cut_off_last_line_is_left_out(tmp_path: Path) -> None:
    """A row that ends before the columns do is not a record."""
    run = _run(tmp_path, "step,loss,a_loss\n" + "".join(f"{n},1.5,2.5\n" for n in range(9)) + "9,1")
    assert len(run.train) == 9
    assert run.remarks == ("the last line is cut off and is left out",)


def test_a_comment_line_before_the_header(tmp_path: Path) -> None:
    """Monitors write a comment first; numpy writes the names as one."""
    for head in ('#{"t_start": 1.5, "env_id": "x"}\nstep,loss\n', "# step,loss\n"):
        run = _run(tmp_path, head + "1,2.5\n2,2.25\n")
        assert run.train.series["loss"].values.tolist() == [2.5, 2.25]


def test_a_table_of_names_alone(tmp_path: Path) -> None:
    """A training that has not logged yet says so."""
    with pytest.raises(ReadError, match="no records"):
        _run(tmp_path, "epoch,loss,val_loss\n")


@pytest.mark.parametrize(
    "text",
    [
        "Step 100/900, Total Loss: 3.0, Pitch Loss: 1.0\nStep 200/900, Total Loss: 2.0\n",
        "epoch: 1, loss: 2.0\nepoch: 2, loss: 1.0\n",
        "[iter 5] a_loss: 1.0  b_loss: 2.0\n[iter 10] a_loss: 1.0  b_loss: 2.0\n",
        "loss 2.0\nloss 1.0\n",
        "just words, and a comma\nmore words, and a comma\n",
    ],
)
def test_text_logs_are_left_to_the_text_reader(tmp_path: Path, text: str) -> None:
    """Commas alone make no table: a table has a line of names over lines of numbers."""
    path = tmp_path / "log.txt"
    path.write_text(text)
    assert not matches(open_source(path))


def test_a_header_longer_than_the_head_of_the_file(tmp_path: Path) -> None:
    """Thousands of names are read whole, although the format is recognised from the beginning."""
    names = [f"layer_{index}_activation_mean" for index in range(3_000)]
    header = ",".join(["step", "loss", *names])
    assert len(header) > 65_536
    run = _run(tmp_path, f"{header}\n" + "".join(f"{n},2{',0.5' * 3_000}\n" for n in range(3)))
    assert len(run.train.series) == 3_002
    assert run.train.series[names[-1]].values.tolist() == [0.5, 0.5, 0.5]


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    """A table as European spreadsheets write it is read, and the reader says so once."""
    path = tmp_path / "log.csv"
    path.write_text("epoch;loss;kl\n" + "".join(f"{i};2,{i}5;0,0{i}\n" for i in range(4)))
    run = read_run(path)
    assert run.train.series["loss"].values.tolist() == [2.05, 2.15, 2.25, 2.35]
    assert [one for one in run.remarks if "decimal commas" in one] == [
        "numbers have decimal commas and are read as such"
    ]


def test_a_file_that_ends_within_a_number(tmp_path: Path) -> None:
    """Fewer decimals than ever before and no line end: the last number may be cut."""
    path = tmp_path / "log.csv"
    sound = "step,loss\n" + "".join(f"{i},{i}.1250\n" for i in range(5))
    for cut, said in ((3, True), (1, False), (0, False)):
        path.write_text(sound[: len(sound) - cut])
        assert any("middle of a number" in one for one in read_run(path).remarks) is said


@pytest.mark.parametrize("columns", ["epoch,loss", "loss,kl"])
def test_an_index_without_a_name_counts_rows(tmp_path: Path, columns: str) -> None:
    """The first column of a table that pandas wrote is no quantity, and no better than an epoch."""
    path = tmp_path / "log.csv"
    path.write_text(f",{columns}\n" + "".join(f"{i},{i + 3},0.{i}\n" for i in range(4)))
    run = read_run(path)
    assert run.train.step_name == columns.split(",")[0].replace("loss", "row")
    assert not list(run.train.of_kind(Kind.STATISTIC))
