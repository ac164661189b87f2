"""What poise survives: `python -m benchmarks.survival [--kills 100] [--records 10000000]`.

Every trial loads the record or a watched training with something that goes wrong in real life, and
checks afterwards that nothing is lost that was said to be kept. The table says how often each was
tried and survived. Exit status 1 if anything did not.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

import poise
from poise.errors import PoiseWarning, RecordError
from poise.record import Recorder, read_record
from poise.watch import Watch

FINAL = 400
"""Optimizer steps that the training which is killed has to reach."""


READ_BACK = """
import json, sys, time
import poise
start = time.perf_counter()
found = poise.read_run(sys.argv[1])
middle = time.perf_counter()
diagnosis = poise.diagnose(found)
end = time.perf_counter()
# Not ru_maxrss, in which the process that started this one lives on.
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
findings = ", ".join(f"{one.severity} {one.rule}" for one in diagnosis.findings) or "healthy"
print(json.dumps([middle - start, end - middle, peak, found.records, findings]))
"""
"""Reads and diagnoses in a process of its own, without PyTorch: its peak memory is its own."""


@dataclass(frozen=True)
class Result:
    """One row of the table."""

    trial: str
    tried: int
    survived: int
    figures: str


class Net(nn.Module):
    """A trunk with two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.heads = nn.ModuleDict({name: nn.Linear(8, 1) for name in "ab"})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Both terms."""
        z = self.trunk(x)
        return {name: head(z).square().mean() for name, head in self.heads.items()}


def made() -> tuple[Net, torch.optim.Optimizer]:
    """The same net every time."""
    torch.manual_seed(0)
    net = Net()
    return net, torch.optim.Adam(net.parameters(), 1e-2)


def inputs(step: int) -> Tensor:
    """The batch of a step."""
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(step))


def train_on(run: Path, told: int) -> None:
    """Goes on from the last checkpoint to `FINAL`; tells a pipe of every step that is recorded."""
    net, optimizer = made()
    saved, step = run / "checkpoint.pt", 0
    if saved.exists():
        state = torch.load(saved)
        net.load_state_dict(state["net"]), optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    with Watch(run, model=net, optimizer=optimizer, every=20) as watch:
        while step < FINAL:
            watch.total(net(inputs(step))).backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            # The line of a micro-batch is written with the next one: this one's may be on its way.
            os.write(told, step.to_bytes(4, "big"))
            if step % 10 == 0:
                fresh = saved.with_suffix(".new")
                state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
                torch.save(state, fresh)
                fresh.replace(saved)


def killed(run: Path, after_s: float) -> int:
    """Trains in a process of its own and kills it: the last step it told of."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            train_on(run, theirs)
        finally:
            os._exit(0)
    os.close(theirs)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(ours, "rb") as pipe:
        steps = pipe.read()
    return int.from_bytes(steps[-4:], "big") if steps else 0


def kills(count: int) -> Result:
    """Kills a watched training at random moments; each resumes the last one's run directory."""
    draw = random.Random(0)
    good = resumed = torn = steps = 0
    with tempfile.TemporaryDirectory() as parent:
        run = Path(parent) / "run"
        for _ in track(range(count), "kill -9", console=Console(stderr=True), transient=True):
            told = killed(run, draw.uniform(0.0, 1.5))
            if not (run / "run.jsonl").exists():
                good += 1  # killed before there was anything to keep
                continue
            data = read_record(run)
            torn += any("cut off" in one or "skipped" in one for one in data.remarks)
            resumed = sum(one.name == "restart" for one in data.events)
            recorded = data.splits[0].columns["step"][1] if data.splits else np.empty(0)
            kept = told == 0 or (len(recorded) > 0 and recorded[-1] >= told - 2)
            good += bool(kept)
            steps = max(steps, len(recorded))
            if told >= FINAL:
                (run / "checkpoint.pt").unlink()
        if steps:
            poise.diagnose(run)
    said = f"{resumed} resumes, {steps:,} steps in the record, {torn} times a torn line was skipped"
    return Result("kill -9 at a random moment, and resume", count, good, said)


def acknowledged(count: int) -> Result:
    """Kills a bare recorder; every step that it returned from must be there."""
    draw, good, told, lost = random.Random(1), 0, 0, 0
    for _ in track(range(count), "kill -9", console=Console(stderr=True), transient=True):
        with tempfile.TemporaryDirectory() as parent:
            ours, theirs = os.pipe()
            child = os.fork()
            if child == 0:
                with Recorder(parent) as recorder:
                    for step in range(1_000_000):
                        recorder.step(step, total=1.0, terms={"a": 0.5, "b": 0.5})
                        os.write(theirs, b".")
            os.close(theirs)
            time.sleep(draw.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            with os.fdopen(ours, "rb") as pipe:
                said = len(pipe.read())
            os.waitpid(child, 0)
            path = Path(parent) / "run.jsonl"
            kept = path.read_bytes().count(b'"kind":"step"') if path.exists() else 0
            told, lost, good = told + said, lost + max(said - kept, 0), good + (kept >= said)
    return Result(
        "kill -9 of a recorder", count, good, f"{told:,} steps said to be kept, {lost} lost"
    )


def same_as_plain(run: Path, steps: int) -> bool:
    """Whether a watched training ends with the bits of an unwatched one."""
    ends: list[list[Tensor]] = []
    for watched in (True, False):
        net, optimizer = made()
        watch = Watch(run, model=net, optimizer=optimizer, every=10) if watched else None
        for step in range(steps):
            terms = net(inputs(step))
            total = watch.total(terms) if watch else terms["a"] + terms["b"]
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
        if watch:
            watch.close()
        ends.append(list(net.parameters()))
    return all(map(torch.equal, *ends))


def full_disk() -> Result:
    """A device that is full, and a file that may not grow beyond each of many sizes."""
    good, lost, tried = 0, 0, 0
    with tempfile.TemporaryDirectory() as parent, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        full = Path(parent) / "full"
        full.mkdir()
        (full / "run.jsonl").symlink_to("/dev/full")
        good += same_as_plain(full, 50)
        tried += 1
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for room in range(100, 4100, 200):
            tried += 1
            with Recorder(Path(parent) / str(room), terms=["a"]) as recorder:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
                for step in range(50):
                    recorder.step(step, terms={"a": 1.0})
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)  # somebody makes room
                recorder.step(50, terms={"a": 1.0})
                gone = recorder.lost
            lost += gone
            found = read_record(Path(parent) / str(room))
            good += found.splits[0].size == 51 - gone and found.splits[0].columns["a"][1][-1] == 1.0
    heard = sum(issubclass(one.category, PoiseWarning) for one in told)
    said = f"{lost} lines without room, all counted; {heard} warnings in {tried} runs"
    return Result("disk full, and free again", tried, good, said)


def refusals() -> Result:
    """Directories that cannot be written, and a second writer: one clear line each."""
    good, messages = 0, []
    with tempfile.TemporaryDirectory() as parent:
        code = "import sys; from poise.record import Recorder; Recorder(sys.argv[1])"
        (Path(parent) / "file").touch()
        with Recorder(Path(parent) / "run"):
            for path in ("/proc/poise", Path(parent) / "file" / "run", Path(parent) / "run"):
                done = subprocess.run(
                    [sys.executable, "-c", code, str(path)], capture_output=True, text=True
                )
                said = done.stderr.strip().splitlines()[-1]
                messages.append(said)
                good += said.startswith("poise.errors.RecordError: Recorder: ")
            try:
                Recorder(Path(parent) / "run")
            except RecordError as error:
                good += "another recorder has open" in str(error)
    said = "read-only, below a file, two processes, one process"
    return Result("a directory that is refused", 4, good, said)


def names() -> list[str]:
    """A hundred names of terms that somebody will use."""
    odd = ["a/b/c", "../../x", "with spaces", "tab\there", "new\nline", "émoji 🎉", "x" * 300]
    odd += ["<b>bold</b>", "<script>alert(1)</script>", "{{ 7*7 }}", "[red]x[/red]", "\x1b[31mred"]
    odd += ["total", "step", "lr/0", "NaN", "", " ", "\u202ertl", "null", "'; drop table", "%s%n"]
    return odd + [f"term {index}" for index in range(100 - len(odd))]


def hundred_terms() -> Result:
    """A hundred terms with odd names, watched and reported."""
    from poise.report.html import render_html

    torch.manual_seed(0)
    terms = names()
    trunk, heads = nn.Linear(4, 8), nn.ModuleList(nn.Linear(8, 1) for _ in terms)
    model = nn.ModuleList([trunk, heads])
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    with tempfile.TemporaryDirectory() as run:
        with Watch(run, model=model, optimizer=optimizer, every=5) as watch:
            for step in range(40):
                z = trunk(inputs(step))
                found = {n: h(z).square().mean() for n, h in zip(terms, heads, strict=True)}
                watch.total(found).backward()
                optimizer.step()
                optimizer.zero_grad()
        lines = (Path(run) / "run.jsonl").read_bytes().split(b"\n")
        steps = [one for one in map(json.loads, filter(None, lines)) if one["kind"] == "step"]
        kept = sum(all(name in one["terms"] for one in steps) for name in terms)
        page = render_html(poise.diagnose(run))
    clean = "<script>alert" not in page and "\x1b" not in page
    said = f"{len(steps)} steps, {watch.failures} failures; report {len(page) >> 10} KiB"
    return Result("names of terms, 100 at once", len(terms), kept if clean else 0, said)


def odd_situations() -> Result:
    """Every probe in every model and surrounding of the tests changes no bit."""
    from tests.probe.situations import SITUATIONS
    from tests.probe.test_contract import PROBES, test_no_bit_is_changed

    good, tried = 0, 0
    for probe in PROBES:
        for name in SITUATIONS:
            tried += 1
            try:
                test_no_bit_is_changed(probe, name)
                good += 1
            except AssertionError as error:
                print(f"{probe} in {name}: {error}", file=sys.stderr)
    said = f"{len(SITUATIONS)} models and surroundings, {len(PROBES)} probes: not one bit changed"
    return Result("probes where they are not expected", tried, good, said)


def clocks() -> Result:
    """All clocks of Python jump back an hour, again and again."""
    kept = {name: getattr(time, name) for name in ("time", "monotonic", "perf_counter")}
    start, ticks = kept["monotonic"](), iter(range(10**9))
    for name in kept:
        setattr(time, name, lambda: start + (tick := next(ticks)) * 1e-3 - 3600.0 * (tick // 97))
    try:
        with tempfile.TemporaryDirectory() as run:
            good = same_as_plain(Path(run), 100)
            size = read_record(run).splits[0].size
    finally:
        for name, one in kept.items():
            setattr(time, name, one)
    said = f"{size} steps recorded, the training the same bit for bit"
    return Result("clocks that jump back", 1, int(good and size == 100), said)


def many_records(count: int) -> Result:
    """Reads and diagnoses a long record in a process of its own, whose peak memory is its own."""
    with tempfile.TemporaryDirectory() as parent:
        size = written(Path(parent), count)
        words = [sys.executable, "-c", READ_BACK, parent]
        done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        return Result(f"{count:,} records", 1, 0, done.stderr.strip().splitlines()[-1])
    read_s, diagnose_s, peak, records, found = json.loads(done.stdout)
    said = f"{size / 1e9:.2f} GB: read in {read_s:.0f} s, diagnosed in {diagnose_s:.0f} s more, "
    said += f"peak {peak:.0f} MiB; {found}"
    return Result(f"{count:,} records", 1, int(records == count), said)


def written(run: Path, count: int) -> int:
    """Writes a record as a recorder would, faster; its size in bytes."""
    draw = np.random.default_rng(0)
    with Recorder(run, terms=["ce", "kl"], weights={"ce": 1.0, "kl": 0.1}, total_steps=count):
        pass
    block = 100_000
    with (run / "run.jsonl").open("ab") as file:
        for start in range(0, count, block):
            steps = np.arange(start, min(start + block, count))
            ce = 2 * np.exp(-steps / (count / 3)) + 0.5 + 0.05 * draw.normal(size=len(steps))
            kl = 0.3 * np.exp(-steps / (count / 2)) + 0.05 + 0.01 * draw.normal(size=len(steps))
            rows = zip(
                steps.tolist(), (ce + 0.1 * kl).tolist(), ce.tolist(), kl.tolist(), strict=True
            )
            line = (
                b'{"kind":"step","step":%d,"wall_s":%.2f,"total":%.6f,"terms":{"ce":%.6f,"kl":%.6f},'
                b'"lr":[0.0003]}\n'
            )
            file.write(b"".join(line % (at, at / 100, *values) for at, *values in rows))
    return (run / "run.jsonl").stat().st_size


def trials(count: int, records: int) -> Iterator[Callable[[], Result]]:
    """All trials, the long ones last."""
    yield refusals
    yield full_disk
    yield clocks
    yield hundred_terms
    yield odd_situations
    yield lambda: acknowledged(count)
    yield lambda: kills(count)
    if records:
        yield lambda: many_records(records)


def main() -> int:
    """Prints the table; 1 if something was not survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of a training, and of a recorder")
    parser.add_argument("--records", type=int, default=10_000_000, help="0: leave that trial out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, poise {poise.__version__}, {os.cpu_count()} processors")
    print(f"{'tried':>7} {'survived':>9}  trial")
    results: list[Result] = []
    for trial in trials(given.kills, given.records):
        one = trial()
        results.append(one)
        print(f"{one.tried:>7} {one.survived:>9}  {one.trial}: {one.figures}", flush=True)
    tried, survived = sum(one.tried for one in results), sum(one.survived for one in results)
    print(f"{tried:>7} {survived:>9}  in all")
    return int(tried != survived)


if __name__ == "__main__":
    sys.exit(main())
