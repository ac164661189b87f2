"""Damaged logs of every format: a run or one clear line, within bounds of time and memory."""

import gzip
import json
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poise.errors import ReadError
from poise.read import read_run
from poise.read.sniff import FORMATS, READERS
from poise.record import Recorder
from tests.read.binaries import event_file, history, wandb_file

MEMORY = 64 << 20
"""Bytes that reading a damaged log of a few kilobytes may take at most."""
SECONDS = 10.0

STEPS = range(12)
ROWS = [{"step": i, "loss": 3.0 - 0.1 * i, "loss_kl": 0.5, "val_loss": 2.5} for i in STEPS]
TEXT = "".join(f"step {i}: loss={3.0 - 0.1 * i:.4f}, kl={0.5} | lr 1e-4\n" for i in STEPS)
GRID = "epoch  loss  kl\n" + "".join(f"{i}  0.{i}  1,{i}25\n" for i in STEPS)


def _own(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("own")
    with Recorder(folder, terms=["ce", "kl"]) as recorder:
        for i in STEPS:
            recorder.step(i, terms={"ce": 1.0, "kl": 0.1 * i}, total=1.0 + 0.1 * i)
    return (folder / "run.jsonl").read_bytes()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small sound log of every format."""
    lines = "\n".join(json.dumps(one) for one in ROWS).encode()
    table = "step,loss,loss_kl\n" + "".join(f"{i},{3.0 - 0.1 * i},0.5\n" for i in STEPS)
    items = [history({"loss": "0.5", "val/loss": "NaN", "_step": str(i)}) for i in STEPS]
    return {
        "tfevents": event_file([(i, tag, 0.5) for i in STEPS for tag in ("loss", "val/loss")]),
        "wandb": wandb_file(items),
        "poise": _own(tmp_path_factory),
        "trainer-state": json.dumps({"log_history": ROWS, "global_step": 12}).encode(),
        "wandb-summary": json.dumps(
            {"_step": 3, "_runtime": 1.0, "_wandb": {"runtime": 1}, "loss": 0.5}
        ).encode(),
        "jsonl": lines,
        "csv": table.encode(),
        "text": (TEXT + GRID).encode(),
        "gzip": gzip.compress(lines),
    }


def test_every_reader_has_a_sample(samples: dict[str, bytes], tmp_path: Path) -> None:
    """The samples are sound: the fuzz below starts from logs that each reader takes."""
    assert set(FORMATS) == set(samples) - {"gzip"}
    for reader in READERS:
        path = tmp_path / f"{reader.NAME}.log"
        path.write_bytes(samples[reader.NAME])
        assert read_run(path).format == reader.NAME


FUZZ = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["flip", "cut", "insert", "double", "swap"]),
        st.binary(min_size=1, max_size=6) | st.sampled_from([b"1e999", b'{"', b"\n", b",", b"\0"]),
    ),
    min_size=1,
    max_size=8,
)


def _changed(data: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    for where, how, piece in changes:
        at = int(where * len(data))
        match how:
            case "flip":
                data = data[:at] + piece + data[at + len(piece) :]
            case "cut":
                data = data[:at] or data[:1]
            case "insert":
                data = data[:at] + piece + data[at:]
            case "double":
                data = data[:at] + data[at // 2 :]
            case _:
                data = data[at:] + data[:at]
    return data


@FUZZ
@given(name=st.sampled_from([*FORMATS, "gzip"]), changes=CHANGES, forced=st.booleans())
def test_damaged_logs(
    samples: dict[str, bytes],
    tmp_path: Path,
    name: str,
    changes: list[tuple[float, str, bytes]],
    forced: bool,
) -> None:
    """However a sound log is damaged, reading ends soon with a run or a `ReadError`."""
    path = tmp_path / "damaged.log"
    path.write_bytes(_changed(samples[name], changes))
    start = time.monotonic()
    tracemalloc.start()
    try:
        read_run(path, format=name if forced and name in FORMATS else None)
    except ReadError as error:
        assert "\n" not in str(error)  # noqa: PT017 -- either outcome is right
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("name", [*FORMATS, "gzip"])
def test_truncated_logs(samples: dict[str, bytes], tmp_path: Path, name: str) -> None:
    """A log that ends at any byte gives a run or a `ReadError`."""
    data = samples[name]
    path = tmp_path / "truncated.log"
    for size in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:size])
        try:
            read_run(path)
        except ReadError as error:
            assert "\n" not in str(error)  # noqa: PT017 -- either outcome is right


@pytest.mark.parametrize("name", ["loss", "m"])
def test_nine_thousand_columns_take_two_seconds(tmp_path: Path, name: str) -> None:
    """A wide table is read in reasonable time whether its columns are losses or not."""
    path = tmp_path / "wide.csv"
    head = ",".join(f"{name}_{i}" for i in range(9_000))
    row = ",".join(f"{i % 7}.5" for i in range(9_000))
    path.write_text(f"step,{head}\n" + "".join(f"{i},{row}\n" for i in range(12)))
    start = time.process_time()
    assert len(read_run(path).train.series) == 9_001
    assert time.process_time() - start < 8  # ten times what it takes leaves room for slow machines
