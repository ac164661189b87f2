"""Cost of writing a run record and of reading it back: `python benchmarks/record.py [STEPS ...]`.

Each size is read in a process of its own, so that its peak memory is its own; the peak counts the
interpreter and its imports too.
"""

import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from poise.record import Recorder, read_record

TERMS = [f"loss_{index}" for index in range(8)]
WEIGHTS = {name: 1.0 / (index + 1) for index, name in enumerate(TERMS)}


def write(directory: Path, steps: int) -> float:
    """Writes a run and returns the microseconds that one step cost."""
    counts = dict.fromkeys(TERMS, 4096)
    spent = 0.0
    with Recorder(directory, terms=TERMS, weights=WEIGHTS, total_steps=steps) as recorder:
        for step in range(steps):
            terms = {
                name: math.exp(-step / (steps * (index + 1))) + 1e-3 * math.sin(step * (index + 7))
                for index, name in enumerate(TERMS)
            }
            total = sum(WEIGHTS[name] * value for name, value in terms.items())
            rate = 3e-4 * (1 - step / steps)
            start = time.perf_counter()
            recorder.step(
                step,
                total=total,
                terms=terms,
                weights=WEIGHTS,
                counts=counts if step % 10 == 0 else None,
                lr=rate,
                grad_norm=total / 3,
            )
            spent += time.perf_counter() - start
            if step % 1000 == 999:
                recorder.eval(step + 1, total=total, terms=terms, weights=WEIGHTS)
    return spent / steps * 1e6


def read(directory: Path) -> None:
    """Reads a run and prints wall seconds, processor seconds and peak MB."""
    start, used = time.perf_counter(), time.process_time()
    data = read_record(directory)
    wall, cpu = time.perf_counter() - start, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert len(data.splits[0].terms) == len(TERMS)
    print(wall, cpu, peak)


def main() -> None:
    """Prints the table."""
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]))
        return
    sizes = [int(one) for one in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    print(f"{'steps':>10} {'MB':>7} {'write us/step':>14} {'read s':>8} {'MB/s':>6} {'peak MB':>8}")
    for steps in sizes:
        with tempfile.TemporaryDirectory() as parent:
            cost = write(Path(parent), steps)
            size = (Path(parent) / "run.jsonl").stat().st_size / 1e6
            answer = subprocess.run(
                [sys.executable, __file__, "--read", parent],
                check=True,
                capture_output=True,
                text=True,
            )
        wall, _, peak = map(float, answer.stdout.split())
        print(
            f"{steps:>10,} {size:>7.1f} {cost:>14.2f} {wall:>8.2f} {size / wall:>6.0f} {peak:>8.0f}"
        )


if __name__ == "__main__":
    main()
