"""Probe records as a table."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import poise
from poise.read.probes import probes_of
from poise.record import Recorder
from poise.record.schema import Record
from poise.run import Kind


def probe(step: int, **keys: object) -> Record:
    """One probe record."""
    return {"kind": "probe", "step": step, **keys}


def test_a_run_with_probes(tmp_path: Path) -> None:
    """All that probes measured is one table of its own behind the training's."""
    with Recorder(tmp_path, terms=["a", "b"]) as recorder:
        for step in range(4):
            recorder.step(step, total=3.0 - step, terms={"a": 2.0 - step, "b": 1.0}, micro=step)
        recorder.probe(
            1,
            where="shared",
            seconds=0.5,
            terms=["a", "b"],
            norms={"a": 3.0, "b": 1.0},
            gramian=[[9.0, -1.5], [-1.5, 1.0]],
            weights={"a": 1.0, "b": 0.1},
            reach={"a": ["w"], "b": []},
            update={"a": 0.75, "b": 0.25},
            finite={"a": True, "b": "head"},
        )
        recorder.probe(1, where="edge", norms={"a": 1.0, "b": 1.0})
        recorder.probe(1, motion={"trunk": 0.0}, motion_groups={"group/0": 0.5}, still=["w"])
        recorder.probe(3, where="shared", norms={"a": math.nan, "b": 1.0}, response={"a": -0.5})
    run = poise.read_run(tmp_path)
    train, table = run.tables
    assert train.series["micro"].kind is Kind.POSITION
    assert (table.split, table.grain, table.step_name) == ("train", "probe", "step")
    assert table.steps.tolist() == [1, 3]
    found = {name: (one.kind, one.of, one.values.tolist()) for name, one in table.series.items()}
    assert found["gradient_norm/a"][:2] == (Kind.GRADIENT_NORM_OF_TERM, "a")
    assert found["gradient_share/b"] == (
        Kind.GRADIENT_SHARE,
        "b",
        [0.25, pytest.approx(np.nan, nan_ok=True)],
    )
    assert found["direction_share/a"] == (Kind.DIRECTION_SHARE, "a", [7.5 / 7.0])
    assert found["cosine/a/b"] == (Kind.COSINE, "a", [-0.5])
    assert found["update_share/a"] == (Kind.UPDATE_SHARE, "a", [0.75])
    assert found["gradient_share/a@edge"] == (Kind.GRADIENT_SHARE, "a", [0.5])
    assert found["motion/trunk"] == (Kind.MOTION, None, [0.0])
    assert found["motion/group/0"] == (Kind.MOTION, None, [0.5])
    assert found["response/a"] == (Kind.RESPONSE, "a", [-0.5])
    assert run.declared["probe_where"] == ("shared", "edge")
    assert run.declared["reach"] == {"a": ["w"], "b": []}
    assert run.declared["still"] == ["w"]
    (event,) = run.events
    assert (event.name, event.step) == ("nonfinite-gradient", 1)
    assert event.text == "the gradient of b is not finite, first in head"


def test_probes_of_any_shape_do_no_harm() -> None:
    """What has another shape than the documented one is left out."""
    odd: list[object] = [None, "x", 3, [1], [[1]], {"a": "high"}, {"a": [1]}, {"a": None}, True]
    keys = ("where", "seconds", "terms", "norms", "gramian", "reach", "update", "motion", "finite")
    records = [
        probe(step, **{key: one})
        for step, (key, one) in enumerate((k, o) for k in keys for o in odd)
    ]
    probes_of(records)
    assert probes_of([probe(2**60, norms={"a": 1}), {"kind": "probe"}]).frame is None
    assert probes_of([probe(1, cosine={"a|b": 0.5})]).frame is None


def test_terms_are_called_as_their_columns() -> None:
    """A term whose name the record needs keeps its other name here too."""
    found = probes_of([probe(0, norms={"total": 1.0}, reach={"total": ["w"]})])
    assert found.frame is not None
    assert found.frame.kinds["gradient_norm/term/total"][1] == "term/total"
    assert found.declared["reach"] == {"term/total": ["w"]}


def test_no_gradient_points_nowhere() -> None:
    """Zero gradients have norms, but no shares and no cosine."""
    zero = probe(0, terms=["a", "b"], norms={"a": 0, "b": 0}, gramian=[[0, 0], [0, 0]])
    found = probes_of([zero]).frame
    assert found is not None
    assert found.columns.keys() == {"step", "gradient_norm/a", "gradient_norm/b"}


@given(st.lists(st.lists(st.floats(-10, 10), min_size=4, max_size=4), min_size=2, max_size=5))
def test_shares_against_vectors(rows: list[list[float]]) -> None:
    """Direction shares and cosines are those of the vectors behind the inner products."""
    vectors = np.array(rows)
    whole = vectors.sum(axis=0)
    square = whole @ whole
    names = [f"t{k}" for k in range(len(rows))]
    record = probe(0, terms=names, gramian=(vectors @ vectors.T).tolist())
    frame = probes_of([record]).frame
    if frame is None or square < 1e-3:
        return
    for name, vector in zip(names, vectors, strict=True):
        found = frame.columns[f"direction_share/{name}"].values[0]
        assert found == pytest.approx(vector @ whole / square, rel=1e-6, abs=1e-6)
    assert sum(frame.columns[f"direction_share/{n}"].values[0] for n in names) == pytest.approx(1)


def test_micro_batches_of_one_step_are_records_of_their_own(tmp_path: Path) -> None:
    """Equal values in two micro-batches are no repeat, and a step that stands still is the axis."""
    with Recorder(tmp_path) as recorder:
        for micro in range(5):
            recorder.step(0, total=1.0, terms={"a": 1.0}, micro=micro)
            recorder.probe(0, micro=micro, where="shared", norms={"a": 1.0})
            recorder.probe(0, micro=micro, motion={"trunk": 0.5})
    run = poise.read_run(tmp_path)
    assert run.remarks == ()
    for table in run.tables:
        assert (table.step_name, table.steps.tolist()) == ("step", [0] * 5)
        assert table.series["micro"].values.tolist() == [0, 1, 2, 3, 4]
    assert len(run.tables[1].series["motion/trunk"]) == 5
