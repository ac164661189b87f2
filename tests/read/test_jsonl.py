"""JSON in lines and in documents."""

import json
from pathlib import Path

import pytest

from poise.errors import ReadError
from poise.read import read_run
from poise.read.jsonl import load, matches
from poise.read.source import open_source
from poise.run import Run


def _run(tmp_path: Path, text: str) -> Run:
    path = tmp_path / "log.json"
    path.write_text(text)
    return read_run(path)


def _lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in records)


def test_modes_are_splits_and_counters_of_validation_are_no_steps(tmp_path: Path) -> None:
    """The old OpenMMLab shape: an empty first line, per-epoch counters, a mode in each record."""
    records: list[dict[str, object]] = [{}]
    for epoch in (1, 2, 3):
        records += [
            {"mode": "train", "epoch": epoch, "iter": at, "lr": 0.1, "loss": 3.0 / at, "loss_a": 1}
            for at in (50, 100)
        ]
        records.append({"mode": "val", "epoch": epoch, "iter": 7, "mIoU": 0.1 * epoch})
    run = _run(tmp_path, _lines(records))
    assert run.train.steps.tolist() == [50, 100, 150, 200, 250, 300]
    assert not run.train.segments.any()
    (validation,) = run.evals
    assert (validation.split, validation.steps.tolist()) == ("val", [100, 200, 300])
    assert validation.series["mIoU"].values.tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_bare_nan_and_infinity(tmp_path: Path) -> None:
    """Python's own JSON writes NaN; that is a value, not damage."""
    run = _run(
        tmp_path,
        '{"iteration": 19, "total_loss": NaN}\n{"iteration": 39, "total_loss": -Infinity}\n',
    )
    assert [str(one) for one in run.train.series["total_loss"].values] == ["nan", "-inf"]
    assert load(b'{"a": NaN}') is not None


def test_prefixed_splits_in_one_object(tmp_path: Path) -> None:
    """The DETR shape: train and test in one record, unscaled twins, a list of scores."""
    records: list[dict[str, object]] = [
        {
            "train_lr": 1e-4,
            "train_loss": 3.0,
            "train_loss_ce": 1.0,
            "train_loss_box": 2.0,
            "train_loss_box_unscaled": 0.4,
            "test_loss": 4.0,
            "test_coco_eval_bbox": [0.1, 0.2],
            "epoch": epoch,
            "n_parameters": 5,
        }
        for epoch in (*range(5), *range(3))
    ]
    run = _run(tmp_path, _lines(records))
    assert run.terms == ("loss_ce", "loss_box")
    assert run.train.series["loss_box_unscaled"].kind == "statistic"
    assert run.train.segments.tolist() == [0] * 5 + [1] * 3
    assert run.evals[0].split == "test"
    assert "coco_eval_bbox.1" in run.evals[0].series


def test_a_truncated_last_line_and_foreign_lines(tmp_path: Path) -> None:
    """What cannot be read is counted, the rest is read."""
    good = _lines([{"step": step, "loss": 1.0} for step in range(9)])
    run = _run(tmp_path, good + "Traceback (most recent call last):\n" + good[:5])
    assert len(run.train) == 9
    assert run.remarks == (
        "the last line is cut off and is left out",
        "1 of the lines are not JSON objects and are left out",
    )


@pytest.mark.parametrize("indent", [None, 2])
def test_documents(tmp_path: Path, indent: int | None) -> None:
    """A list of records, an object around one, and lists of numbers side by side read the same."""
    records = [{"epoch": epoch, "loss": 2.0 / (1 + epoch), "aux_loss": 0.5} for epoch in range(4)]
    columns = {name: [one[name] for one in records] for name in records[0]}
    for document in (records, {"version": 1, "history": records}, {"history": columns}, columns):
        run = _run(tmp_path, json.dumps(document, indent=indent))
        assert run.train.steps.tolist() == [0, 1, 2, 3]
        assert run.train.series["loss"].values.tolist() == [2.0, 1.0, 2.0 / 3, 0.5]


def test_a_damaged_document_is_read_up_to_the_damage(tmp_path: Path) -> None:
    """A list that was being written gives its complete records."""
    text = json.dumps([{"step": step, "loss": 1.0} for step in range(9)], indent=1)
    run = _run(tmp_path, text[:-30])
    assert len(run.train) == 8
    assert "damaged after 8 records" in run.remarks[0]


def test_a_text_log_that_begins_with_json_is_none(tmp_path: Path) -> None:
    """One line of configuration does not make JSON Lines."""
    path = tmp_path / "log.txt"
    path.write_text('{"lr": 0.1}\n' + "".join(f"step {n} loss: 1.0\n" for n in range(9)))
    assert not matches(open_source(path))


def test_numbers_without_a_loss_are_still_read(tmp_path: Path) -> None:
    """Records that hold only text are refused, with the format that was recognised."""
    with pytest.raises(ReadError, match="without any number"):
        _run(tmp_path, '{"event": "start"}\n{"event": "stop"}\n')
