"""Every structured real log, read twice: by poise, and by a few plain lines of csv and json."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poise.read import read_run
from poise.run import Kind, Run, Table

# prefix: format, total, terms, then records by split and granularity, first and last step
EXPECTED = {
    "04": ("jsonl", "loss", 37, {("train", "step"): 300, ("val", "step"): 7}, (1, 1500)),
    "05": ("jsonl", "loss", 2, {("train", "step"): 4000, ("val", "epoch"): 200}, (10, 40000)),
    "06": ("jsonl", "loss", 18, {("train", "epoch"): 300, ("test", "epoch"): 300}, (0, 199)),
    "08": ("jsonl", "total_loss", 31, {("train", "step"): 325, ("val", "step"): 2}, (19, 3999)),
    "11": ("csv", "loss", 3, {("train", "epoch"): 10000, ("train", "step"): 6400}, (31, 319999)),
    "12": ("csv", "mean_loss", 4, {("train", "epoch"): 736}, (0, 735)),
    "13": ("csv", "mean_loss", 5, {("train", "epoch"): 10}, (0, 9)),
    "17": ("csv", None, 4, {("train", "epoch"): 70, ("val", "epoch"): 70}, (0, 69)),
    "24": ("trainer-state", "loss", 1, {("train", "step"): 250}, (1, 250)),
    "28": ("csv", "total_loss", 4, {("train", "step"): 977}, (1024, 1000448)),
    "30": ("csv", "loss", 5, {("train", "epoch"): 500, ("val", "epoch"): 50}, (13, 6999)),
    "31": ("tsv", "total loss", 4, {("train", "step"): 600}, (0, 599)),
    "63": ("csv", "loss", 0, {("train", "epoch"): 100, ("val", "epoch"): 100}, (0, 99)),
}

Rows = list[dict[str, object]]


@pytest.fixture(params=sorted(EXPECTED))
def log(request: pytest.FixtureRequest, corpus: Callable[[str], Path]) -> tuple[str, Path, Run]:
    """One real log, read."""
    path = corpus(request.param)
    return request.param, path, read_run(path)


def test_what_was_understood(log: tuple[str, Path, Run]) -> None:
    """Format, total, terms, records by split and the step axis are as a careful reader says."""
    prefix, _, run = log
    form, total, terms, tables, ends = EXPECTED[prefix]
    assert run.format == form
    assert len(run.terms) == terms
    totals = [one.name for one in run.train.of_kind(Kind.TOTAL)]
    assert totals == ([] if total is None else [total])
    assert {(one.split, one.grain): len(one) for one in run.tables} == tables
    assert (run.train.steps[0], run.train.steps[-1]) == ends
    assert run.remarks == ()


def test_every_number_is_there(log: tuple[str, Path, Run]) -> None:
    """Every value of the file, read independently, is in the run, in order; and nothing else."""
    prefix, path, run = log
    labels = _logged(path)
    found: dict[str, list[float]] = {}
    measured = [
        one
        for table in run.tables
        for one in table.series.values()
        if one.kind is not Kind.POSITION
    ]
    for one in measured:
        label = one.label.removeprefix("val/") if prefix == "05" else one.label
        found.setdefault(label, []).extend(one.values.tolist())
    positions = {one.label for one in run.train.of_kind(Kind.POSITION)} | {"iter", "step"}
    if prefix == "08":
        positions.add("eta_seconds")  # one record holds nothing else and is dropped
    for name in labels.keys() - positions:
        np.testing.assert_array_equal(np.sort(found[name]), np.sort(labels[name]), err_msg=name)
    assert found.keys() <= labels.keys()


def test_restarts_are_events_and_segments(corpus: Callable[[str], Path]) -> None:
    """Appended runs are told apart: where the counter goes back a new segment begins."""
    for prefix, restarts in {"04": 5, "06": 1, "08": 2, "05": 0, "17": 0}.items():
        run = read_run(corpus(prefix))
        assert int(run.train.segments[-1]) == restarts
        assert len([one for one in run.events if one.name == "restart"]) == restarts
        falls = int((np.diff(run.train.steps) < 0).sum())
        assert falls == restarts


def test_evaluations_stand_on_the_training_steps(corpus: Callable[[str], Path]) -> None:
    """A validation counter that is no step (64 batches, epoch 0) is replaced by the step before."""
    run = read_run(corpus("05"))
    assert run.evals[0].steps[:3].tolist() == [200, 400, 600]
    assert set(read_run(corpus("04")).evals[0].steps.tolist()) <= {500, 1000, 1500}
    assert read_run(corpus("30")).evals[0].steps[:2].tolist() == [139, 279]


def test_nan_is_kept_where_it_was_logged(corpus: Callable[[str], Path]) -> None:
    """NaN of an evaluation stays there and touches no training loss."""
    run = read_run(corpus("63"))
    validation = run.evals[0].series["loss"].values
    assert int(np.isnan(validation).sum()) == 73
    assert not np.isnan(run.train.series["loss"].values).any()
    run = read_run(corpus("08"))
    assert np.isnan(run.evals[0].series["bbox/APs"].values).all()
    assert all(np.isfinite(one.values).all() for one in run.train.series.values())


def test_values_that_were_read_off_by_hand(corpus: Callable[[str], Path]) -> None:
    """First and last values of some series, as the files spell them."""

    def ends(table: Table, name: str) -> tuple[float, float]:
        return float(table.series[name].values[0]), float(table.series[name].values[-1])

    assert ends(read_run(corpus("06")).train, "loss") == (12.655796698866219, 1.822489082813263)
    yolo = read_run(corpus("17"))
    assert ends(yolo.train, "box_loss") == (0.08651, 0.10051)
    assert ends(yolo.evals[0], "box_loss") == (0.083535, 0.11304)
    assert ends(read_run(corpus("31")).train, "ctc loss") == (9.220934, 3.371335)
    assert ends(read_run(corpus("28")).train, "icm_loss") == (
        1.3868899559602141,
        0.002065888442302821,
    )
    assert read_run(corpus("28")).train.series["Progress"].values[1] == 0.1
    pinn = read_run(corpus("11"))
    assert ends(pinn.tables[1], "dynamics_loss")[0] == 37.54612731933594
    assert ends(pinn.tables[0], "loss") == (230.7210693359375, 0.0001939535140991211)
    assert len(read_run(corpus("30")).train.series["loss_stable"]) == 5


def _logged(path: Path) -> dict[str, list[float]]:
    """Every number of a log by the name it has there, without poise."""
    labels: dict[str, list[float]] = {}
    for record in _plainly(path):
        for name, value in record.items():
            number = _number(value)
            if number is not None and name:
                labels.setdefault(name.strip(), []).append(number)
    return labels


def _plainly(path: Path) -> Rows:
    """The records of a log, without poise."""
    text = path.read_text()
    if text.lstrip().startswith("{"):
        if "log_history" in text:
            return json.loads(text)["log_history"]
        return [_expanded(json.loads(line)) for line in text.splitlines() if line.strip()]
    separator = "\t" if "\t" in text.splitlines()[0] else ","
    return list(csv.DictReader(text.splitlines(), delimiter=separator))


def _expanded(record: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, list):
            flat |= {f"{name}.{index}": one for index, one in enumerate(value)}
        else:
            flat[name] = value
    return flat


def _number(value: object) -> float | None:
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
        if value in ("", "train", "val"):
            return None
    return None if value is None or isinstance(value, list) else float(value)  # pyright: ignore[reportArgumentType]
