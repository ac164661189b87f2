"""Speed of the text reader: a log of about 100 MB in several dialects, read on this machine.

Run it as `python benchmarks/text.py [MB]`.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

TERMS = ("ce", "bbox", "giou", "mask", "dice", "kl", "aux_0", "aux_1")


def detectron(step: int, values: np.ndarray) -> str:
    """Pairs behind a clock time, two blanks between them."""
    pairs = "  ".join(f"loss_{n}: {v:.4g}" for n, v in zip(TERMS, values, strict=True))
    head = f"[03/04 05:{step % 60:02d}:06] trainer INFO:  eta: 1:02:03  iter: {step}"
    return f"{head}  {pairs}  lr: 1e-4"


def meters(step: int, values: np.ndarray) -> str:
    """Values with averages in parentheses."""
    pairs = "  ".join(f"loss_{n}: {v:.4f} ({v:.4f})" for n, v in zip(TERMS, values, strict=True))
    head = f"Epoch: [{step // 1000}]  [{step % 1000:4d}/1000]  eta: 0:03:05"
    return f"{head}  {pairs}  time: 0.52  max mem: 177"


def objects(step: int, values: np.ndarray) -> str:
    """JSON with numbers as strings."""
    pairs = ", ".join(f'"loss_{n}": "{v:.5f}"' for n, v in zip(TERMS, values, strict=True))
    head = f"[2031-01-02 03:04:{step % 60:02d},678][train_inner][INFO] - "
    return f'{head}{{"num_updates": "{step}", {pairs}}}'


def bars(step: int, values: np.ndarray) -> str:
    """A progress bar that is repainted with carriage returns."""
    pairs = ", ".join(f"loss_{n}={v:.3g}" for n, v in zip(TERMS, values, strict=True))
    share = step % 1000 // 10
    bar = "█" * (share // 5)
    place = f"{share:3d}%|{bar:20s}| {step % 1000}/1000"
    paint = f"Epoch {step // 1000}: {place} [00:01<00:09, 9.1it/s, {pairs}]"
    return f"\r{paint}\r{paint}"


def blocks(step: int, values: np.ndarray) -> str:
    """One pair on a line below a position."""
    pairs = (f"   | > loss_{n}: {v:.5f}  ({v:.5f})" for n, v in zip(TERMS, values, strict=True))
    return "\n".join((f"   --> STEP: {step}", *pairs, ""))


def prose(step: int, values: np.ndarray) -> str:
    """Mostly lines that occur once and say nothing."""
    words = " ".join(f"{v * (step + 1):.3f}".replace("0", "q").replace("1", "x") for v in values)
    return f"step: {step} loss: {values[0]:.4f}\nsaw {words} of 17 at /data/{words[:7]}\n{words}"


DIALECTS: tuple[Callable[[int, np.ndarray], str], ...] = (
    detectron,
    meters,
    objects,
    bars,
    blocks,
    prose,
)


def write(path: Path, dialect: Callable[[int, np.ndarray], str], size: int) -> int:
    """Write about `size` bytes and say how many records they are."""
    rng = np.random.default_rng(0)
    values = rng.lognormal(0.0, 1.0, (1000, len(TERMS)))
    block = len("\n".join(dialect(i, row) for i, row in enumerate(values)).encode())
    records = 0
    with path.open("w", encoding="utf-8") as file:
        for _ in range(max(1, round(size / block))):
            file.write("\n".join(dialect(records + i, row) for i, row in enumerate(values)) + "\n")
            records += 1000
    return records


CHILD = """
import resource, sys, time
from pathlib import Path
from poise.read import text
from poise.read.source import open_source
source = open_source(Path(sys.argv[1]))
start = time.perf_counter()
parsed = text.read(source)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, max(frame.size for frame in parsed.frames), peak)
"""

WHOLE = """
import resource, sys, time
import poise
start = time.perf_counter()
run = poise.read_run(sys.argv[1])
seconds = time.perf_counter() - start
print(seconds, len(run.train), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure(code: str, path: Path) -> tuple[float, int, float] | None:
    """Seconds, records and peak GiB of one reading in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1])
        return None
    seconds, records, peak = done.stdout.split()
    return float(seconds), int(records), int(peak) / (1 << 20)


def main() -> None:
    """Print a table: dialect, size, speed, memory."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"{'dialect':10} {'what':9} {'MB':>6} {'s':>6} {'MB/s':>6} {'GiB':>5}  records")
    with tempfile.TemporaryDirectory() as folder:
        for dialect in DIALECTS:
            path = Path(folder) / f"{dialect.__name__}.log"
            written = write(path, dialect, size << 20)
            megabytes = path.stat().st_size / (1 << 20)
            for what, code in (("read", CHILD), ("read_run", WHOLE)):
                found = measure(code, path)
                if found is None:
                    continue
                seconds, records, peak = found
                sign = "" if records == written else f" of {written}!"
                print(
                    f"{dialect.__name__:10} {what:9} {megabytes:6.0f} {seconds:6.2f} "
                    f"{megabytes / seconds:6.0f} {peak:5.2f}  {records}{sign}"
                )
            path.unlink()


if __name__ == "__main__":
    main()
