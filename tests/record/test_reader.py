"""Reading a run record into columns."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.errors import ReadError
from poise.record import Recorder, read_record, reader
from poise.run import Kind

HEADER = b'{"kind":"header","schema":"poise.run/1"}\n'


def line(**record: object) -> bytes:
    """One line as another program would write it."""
    return json.dumps({"kind": "step", **record}).encode() + b"\n"


@given(st.lists(st.dictionaries(st.text(max_size=4), st.floats(), max_size=4), max_size=12))
@settings(max_examples=60)
def test_what_was_recorded_is_read(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, float]]
) -> None:
    """Every value stands in its term's column at its record, to the last bit, and nothing else."""
    path = tmp_path_factory.mktemp("run")
    with Recorder(path) as recorder:
        for step, terms in enumerate(records):
            recorder.step(step * 3, terms=terms)
    data = read_record(path)
    if not records:
        assert data.splits == ()
        return
    (split,) = data.splits
    assert split.size == len(records)
    assert split.columns["step"][1].tolist() == [3.0 * step for step in range(len(records))]
    found = [dict[str, float]() for _ in records]
    for name in split.terms:
        rows, values = split.columns[name]
        for row, value in zip(rows, values, strict=True):
            found[row][name.removeprefix("term/")] = value
    packed = [
        {name: struct.pack("d", value) for name, value in one.items() if value == value}
        for one in (*found, *records)
    ]
    assert packed[: len(records)] == packed[len(records) :]
    assert [one.keys() for one in found] == [one.keys() for one in records]


@pytest.mark.parametrize("chunk", [1, 150, 1 << 20])
def test_chunks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Wherever the file is divided, the columns are the same."""
    with Recorder(tmp_path, weights={"a": 2.0}) as recorder:
        for step in range(40):
            recorder.step(
                step,
                total=step / 2,
                terms={"a": step, "b": -step} if step % 3 else {"b": -step},
                weights={"a": 2.0 + step // 10},
                lr=0.1 if step < 20 else (0.1, 0.2),
                grad_norm=1.0 if step % 5 == 0 else None,
            )
    monkeypatch.setattr(reader, "_CHUNK", chunk)
    (split,) = read_record(tmp_path).splits
    steps = np.arange(40)
    some = steps[steps % 3 > 0]
    expected = {
        "step": (steps, steps),
        "total": (steps, steps / 2),
        "a": (some, some),
        "b": (steps, -steps),
        "weight/a": (steps, 2 + steps // 10),
        "grad_norm": (steps[::5], np.ones(8)),
        "lr/0": (steps, np.full(40, 0.1)),
        "lr/1": (steps[20:], np.full(20, 0.2)),
    }
    assert split.columns.keys() == {*expected, "wall_s"}
    for name, (rows, values) in expected.items():
        assert split.columns[name][0].tolist() == rows.tolist(), name
        assert split.columns[name][1].tolist() == values.tolist(), name
    assert split.columns["b"][0] is split.columns["total"][0]


def test_weights_hold_until_they_change() -> None:
    """Declared weights hold from the first record, others from their record on; per split."""
    data = read_record(
        b'{"kind":"header","schema":"poise.run/1","weights":{"a":1,"b":5}}\n'
        + line(step=0)
        + line(kind="eval", step=0)
        + line(step=1, weights={"a": 2, "c": 7})
        + line(step=2)
        + b'{"kind":"header","schema":"poise.run/1","weights":{"b":"Infinity"}}\n'
        + line(step=3)
        + line(kind="eval", step=3)
    )
    train, evals = data.splits
    assert train.columns["weight/a"][1].tolist() == [1, 2, 2, 2]
    assert train.columns["weight/b"][1].tolist() == [5, 5, 5, math.inf]
    assert [part.tolist() for part in train.columns["weight/c"]] == [[1, 2, 3], [7, 7, 7]]
    assert evals.columns["weight/a"][1].tolist() == [1, 1]
    assert evals.columns["weight/b"][1].tolist() == [5, math.inf]
    assert data.declared["weights"] == {"a": 1.0, "b": math.inf}


def test_terms_called_like_columns(tmp_path: Path) -> None:
    """A term never hides a quantity of the record, nor the other way round."""
    terms = {"total": 1.0, "lr": 2.0, "step": 3.0, "weight/ce": 4.0, "ce": 5.0}
    with Recorder(
        tmp_path, terms=terms, weights={"lr": 0.5, "ce": 0.25}, roles={"total": "task"}
    ) as recorder:
        recorder.step(7, total=9.0, terms=terms, lr=0.1, log={"ce": 6.0, "lr": 8.0, "acc": 0.5})
    data = read_record(tmp_path)
    (split,) = data.splits
    found = {name: values.tolist()[0] for name, (_, values) in split.columns.items()}
    del found["wall_s"]
    assert found == {
        "step": 7.0,
        "total": 9.0,
        "lr": 0.1,
        "term/total": 1.0,
        "term/lr": 2.0,
        "term/step": 3.0,
        "term/weight/ce": 4.0,
        "ce": 5.0,
        "weight/term/lr": 0.5,
        "weight/ce": 0.25,
        "log/ce": 6.0,
        "log/lr": 8.0,
        "acc": 0.5,
    }
    assert split.kinds["weight/term/lr"] == (Kind.WEIGHT, "term/lr")
    assert split.kinds["weight/ce"] == (Kind.WEIGHT, "ce")
    assert split.kinds["term/weight/ce"] == (Kind.TERM, None)
    assert data.declared["roles"] == {"term/total": "task"}
    assert data.declared["terms"][0] == "term/total"
    assert "the term 'lr' is shown as 'term/lr', to tell it apart" in data.remarks


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    """What is left of a cut file is a beginning of its records."""
    with Recorder(tmp_path, terms=["a", "é\n"], environment={}) as recorder:
        for step in range(4):
            recorder.step(step, total=math.nan, terms={"a": 0.5, "é\n": -1e-300}, lr=[0.1])
        recorder.eval(4, total=1.0)
        recorder.event("stage", "x")
    whole = (tmp_path / "run.jsonl").read_bytes()
    full = read_record(whole)
    ends = [index for index, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole) + 1):
        data = read_record(whole[:size])
        records = sum(end <= size for end in ends)
        counts = {one.name: one.size for one in data.splits}
        assert counts.get("train", 0) == min(max(records - 1, 0), 4)
        assert counts.get("eval", 0) == int(records >= 6)
        assert len(data.events) == int(records >= 7)
        for one, other in zip(data.splits, full.splits, strict=False):
            for name, (_, values) in one.columns.items():
                np.testing.assert_array_equal(values, other.columns[name][1][: one.size])
        complete = size in (0, *ends) or size - 1 in ends
        assert any("is cut off" in remark for remark in data.remarks) is not complete


def test_a_torn_line_never_joins_the_next() -> None:
    """Two halves that would make one object of JSON are two lines that are none."""
    data = read_record(HEADER + b'{"kind":"step","step":1\n"total":2}\n' + line(step=3, total=1))
    assert data.splits[0].columns["step"][1].tolist() == [3.0]
    assert data.remarks == ("2 lines are no record and are skipped: the first is line 2",)


def test_what_is_skipped_is_said() -> None:
    """Every kind of line, key and value that is left out has its remark, and only those."""
    data = read_record(
        HEADER
        + b"\n[1]\n"
        + line(step=1.5)
        + line(step=2**60)
        + line(kind="eval", split="train", step=1)
        + line(kind="later", x=1)
        + line(kind="later", x=2)
        + line(step=1, total="high", terms={"a": [1], "b": 2}, surprise=1, log=3)
        + line(step=2, total=1.5, terms={"a": 10**400, "b": -(10**400)}, lr="x")
        + b'{"kind":"st'
    )
    (split,) = data.splits
    assert split.columns["total"][1].tolist() == [1.5]
    assert split.columns["total"][0].tolist() == [1]
    assert split.columns["a"][1].tolist() == [math.inf]
    assert split.columns["b"][1].tolist() == [2, -math.inf]
    assert data.remarks == (
        "the last line, 11, is cut off and is left out",
        "1 line is no record and is skipped: line 3",
        "3 lines are without a step or a split of its own and are left out",
        "2 lines are of the unknown kind 'later' and are left out",
        "the unknown key 'surprise' is left out of 1 record",
        "left out under 'total': 1 value that no number can be made of",
        "left out under 'terms': 1 value that no number can be made of",
        "left out under 'log': 1 value that no number can be made of",
        "left out under 'lr': 1 value that no number can be made of",
        "read as infinite: 2 integers beyond the range of float64",
    )


def test_null_is_nan() -> None:
    """Writers that spell NaN as null are understood."""
    (split,) = read_record(line(step=0, total=None, terms={"a": None})).splits
    assert np.isnan(split.columns["total"][1]).tolist() == [True]
    assert np.isnan(split.columns["a"][1]).tolist() == [True]


def test_events_and_probes() -> None:
    """An event stands before the training record that follows it; its text is bounded."""
    data = read_record(
        HEADER
        + line(kind="event", name="start", text="x" * 999)
        + line(step=0)
        + line(kind="eval", step=0)
        + line(step=1)
        + line(kind="probe", step=1, cosine=[0.5])
        + line(kind="event", name="end")
    )
    assert [(one.name, one.step, len(one.text)) for one in data.events] == [
        ("start", 0, 300),
        ("end", 2, 0),
    ]
    assert data.probes == ({"kind": "probe", "step": 1, "cosine": [0.5]},)


@pytest.mark.parametrize("schema", ["poise.run/2", 3, None])
def test_another_schema_is_refused(schema: object) -> None:
    """A record of another version is not guessed at."""
    with pytest.raises(ReadError, match=r"expected schema 'poise\.run/1', got"):
        read_record(line(kind="header", schema=schema))


def test_missing_file(tmp_path: Path) -> None:
    """A path without a record is one clear line."""
    with pytest.raises(ReadError, match="expected a readable run record, got No such file"):
        read_record(tmp_path / "run")


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([
    b'{"kind":"step","step":1,"terms":', b'{"a":1}', b"}", b"\n", b'"NaN"', b'"weights":{"a":',
    b'{"kind":"eval","step":2,"split":', b'{"kind":"header","schema":"poise.run/1"}', b",",
    b'{"kind":"event","step":{}}', b"[", b"null", b'{"kind":"step","step":1,"lr":[[],{}]}',
]))))  # fmt: skip
@settings(max_examples=300)
def test_any_bytes(pieces: list[bytes]) -> None:
    """Whatever a file holds, it is read or refused in one line."""
    read_record(b"".join(pieces))
