"""How much faster event files are read than by TensorBoard's own EventAccumulator.

Needs the extra `bench` (tensorboard). Writes one file with TensorBoard's own writer, reads it with
both, alternately, and compares every value:

    python benchmarks/events.py [--events 200000] [--rounds 5]
"""

import argparse
import math
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from poise.read import events
from poise.read.source import open_source

Values: TypeAlias = dict[str, list[tuple[int, float]]]

TAGS = (
    "train/loss", "train/loss_ce", "train/loss_kl", "train/loss_feature_matching", "lr",
    "grad_norm", "epoch", "val/loss",
)  # fmt: skip
TARGET = 5.0


def write(folder: Path, events: int) -> Path:
    """Write `events` scalars in the order in which a training logs them."""
    rng = random.Random(0)
    writer = EventFileWriter(str(folder))
    for number in range(events):
        step, tag = divmod(number, len(TAGS))
        value = math.nan if number % 9973 == 0 else rng.gauss(1.0, 0.5)
        summary = Summary(value=[Summary.Value(tag=TAGS[tag], simple_value=value)])
        writer.add_event(Event(wall_time=1e9 + number / 100, step=step, summary=summary))
    writer.close()
    return next(folder.iterdir())


def by_tensorboard(path: Path) -> Values:
    """Read with TensorBoard, keeping every scalar."""
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    return {tag: [(one.step, one.value) for one in accumulator.Scalars(tag)] for tag in tags}


def by_poise(path: Path) -> Values:
    """Read with poise."""
    (frame,) = events.read(open_source(path)).frames
    steps = frame.columns["step"].values.astype(int)
    return {
        name: list(zip(steps[one.rows].tolist(), one.values.tolist(), strict=True))
        for name, one in frame.columns.items()
        if name != "step"
    }


def seconds(read: Callable[[Path], Values], path: Path) -> tuple[float, Values]:
    """Processor time of one reading, and what was read."""
    start = time.process_time()
    found = read(path)
    return time.process_time() - start, found


def main() -> int:
    """Print the table; status 1 if the target is missed or a value differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    times: dict[str, list[float]] = {"tensorboard": [], "poise": []}
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), options.events)
        size = path.stat().st_size
        for _ in range(options.rounds):
            took, wanted = seconds(by_tensorboard, path)
            times["tensorboard"].append(took)
            took, found = seconds(by_poise, path)
            times["poise"].append(took)
    same = wanted.keys() == found.keys() and all(
        np.array_equal(np.array(wanted[tag]), np.array(found[tag]), equal_nan=True)
        for tag in wanted
    )
    names = ("tensorboard", "protobuf", "numpy")
    print(f"command   python benchmarks/events.py --events {options.events}")
    print(f"versions  python {platform.python_version()}, "
          + ", ".join(f"{name} {version(name)}" for name in names))  # fmt: skip
    print(f"file      {options.events:,} scalars, {len(TAGS)} tags, {size / 1e6:.1f} MB")
    print(f"\n{'reader':<14}{'median s':>10}{'min s':>10}{'scalars/s':>14}")
    for name, took in times.items():
        middle = statistics.median(took)
        print(f"{name:<14}{middle:>10.3f}{min(took):>10.3f}{options.events / middle:>14,.0f}")
    ratio = statistics.median(times["tensorboard"]) / statistics.median(times["poise"])
    print(f"\nratio     {ratio:.1f} (target {TARGET:.0f}); values equal: {same}")
    return 0 if same and ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
