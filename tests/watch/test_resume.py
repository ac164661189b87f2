"""Where a run that is continued had come to."""

import json
from pathlib import Path

import pytest

from poise.watch.resume import last_place

STEP = {"kind": "step", "step": 6, "micro": 13, "total": 1.0}


def write(run: Path, *records: dict[str, object], cut: bytes = b"") -> None:
    """A run of these records."""
    text = "".join(json.dumps(one) + "\n" for one in records)
    (run / "run.jsonl").write_bytes(text.encode() + cut)


@pytest.mark.parametrize("size", [0, 65_000, 65_500, 65_536, 131_072, 700_000])
def test_long_records_after_the_last_step(tmp_path: Path, size: int) -> None:
    """However long a measurement is that stands behind it, and wherever a chunk ends."""
    probes = [{"kind": "probe", "step": 6, "text": "x" * size}] * 2
    write(tmp_path, {**STEP, "step": 5, "micro": 12}, STEP, *probes)
    assert last_place(tmp_path) == (7, 14)


@pytest.mark.parametrize("size", [*range(65_450, 65_540, 7)])
def test_a_step_across_two_chunks(tmp_path: Path, size: int) -> None:
    """The last step lies in two pieces that are read apart."""
    write(tmp_path, STEP, {"kind": "probe", "text": "x" * size})
    assert last_place(tmp_path) == (7, 14)


def test_a_step_longer_than_several_chunks(tmp_path: Path) -> None:
    """Its pieces are put together in their order."""
    log = {f"metric{k}": k for k in range(12_000)}
    write(tmp_path, {**STEP, "step": 5, "micro": 12}, {**STEP, "log": log}, {"kind": "event"})
    assert (tmp_path / "run.jsonl").stat().st_size > 3 * 65_536
    assert last_place(tmp_path) == (7, 14)


def test_a_line_that_is_cut_off(tmp_path: Path) -> None:
    """It is no record; the one before it counts."""
    write(tmp_path, STEP, cut=b'{"kind":"step","step":7,"mic')
    assert last_place(tmp_path) == (7, 14)


def test_steps_without_micro_batches(tmp_path: Path) -> None:
    """Other writers number only steps."""
    write(tmp_path, {"kind": "step", "step": 3})
    assert last_place(tmp_path) == (4, 4)


@pytest.mark.parametrize("records", [[], [{"kind": "header"}], [{"kind": "step", "step": "x"}]])
def test_no_step_at_all(tmp_path: Path, records: list[dict[str, object]]) -> None:
    """Such a run begins at 0, as does one that is not there."""
    write(tmp_path, *records)
    assert last_place(tmp_path) is None
    assert last_place(tmp_path / "none") is None
