"""A watched training in odd company: models, names, clocks, disks, exceptions and copies."""

import copy
import io
import itertools
import json
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import poise
from poise.errors import PoiseWarning
from poise.report.html import render_html
from poise.report.json import diagnosis_to_json, dumps
from poise.report.terminal import render
from poise.watch import Watch
from tests.probe.nets import batch
from tests.probe.situations import SITUATIONS, Small
from tests.report.builders import HOSTILE
from tests.watch.loops import WEIGHTS, batches, lines, made, train

MODELS = {
    name: SITUATIONS[name].make
    for name in (
        "tied weights",
        "sparse gradients",
        "complex parameters",
        "no parameters",
        "two passes",
        "spectral norm",
        "batch norm",
    )
}


class OneHead(Small):
    """Both terms come from one head."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"a": nn.Linear(6, 6)})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Terms of two halves of the batch."""
        z = self.heads["a"](self.middle(self.trunk(x)))
        return {"a": z[:2].square().mean(), "b": z[2:].abs().mean()}


MODELS["shared head"] = OneHead


def trained(make: Callable[[], nn.Module], run: Path | None) -> tuple[list[Tensor], Watch | None]:
    """Twelve steps of a model, watched or not: what it holds afterwards."""
    torch.manual_seed(0)
    model = make()
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.0) if parameters else None
    watch = None if run is None else Watch(run, model=model, optimizer=optimizer, every=2)
    for index in range(12):
        terms = model(batch(index))
        total = sum(terms.values()) if watch is None else watch.total(terms)
        total.backward()
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()
    if watch is not None:
        watch.close()
    held = [*model.parameters(), *model.buffers(), torch.rand(2)]
    return [one.detach().clone() for one in held], watch


@pytest.mark.parametrize("name", MODELS)
def test_strange_models(name: str, tmp_path: Path) -> None:
    """A watch measures them without a failure, and every bit is what it is without one."""
    watched, watch = trained(MODELS[name], tmp_path)
    plain, _ = trained(MODELS[name], None)
    assert all(map(torch.equal, watched, plain))
    assert watch is not None
    assert watch.failures == 0
    assert len(lines(tmp_path)) == 12
    assert len(lines(tmp_path, "probe")) > 0
    poise.diagnose(tmp_path)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_totals_where_no_graph_is_made(mode: Callable[[], object], tmp_path: Path) -> None:
    """A total inside `no_grad` or `inference_mode` is a plain sum; the next step is measured."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
        for index, x in enumerate(batches(8)):
            if index % 2:
                with mode():
                    assert not watch.total(net(x), WEIGHTS).requires_grad
            watch.total(net(x), WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert watch.failures == 0
    assert len(lines(tmp_path, "probe")) > 0


def test_twice_in_a_step_with_the_graph_kept(tmp_path: Path) -> None:
    """Two totals of one graph, each passed backward with retain_graph, are two micro-batches."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
        for x in batches(6):
            terms = net(x)
            watch.total(terms, WEIGHTS).backward(retain_graph=True)
            watch.total(terms, WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert watch.failures == 0
    assert [one["step"] for one in lines(tmp_path)] == [at for at in range(6) for _ in "ab"]


NAMES = [
    *(one for one in HOSTILE if one),
    "a/b/c",
    "../../etc/passwd",
    "with spaces and\ttabs",
    "émoji 🎉🔥",
    "<b>bold</b> & <script>alert(1)</script>",
    "x" * 300,
    "weight",
    "total",
    "step",
    "lr/0",
    "NaN",
]


def test_a_hundred_terms_of_any_name(tmp_path: Path) -> None:
    """Names come back as they were; every report of them renders, and no markup survives."""
    names = NAMES + [f"term {index}" for index in range(100 - len(NAMES))]
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 6), nn.ModuleList(nn.Linear(6, 1) for _ in names)
    optimizer = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.01)
    model = nn.ModuleList([trunk, heads])
    with Watch(tmp_path, model=model, optimizer=optimizer, every=3) as watch:
        for x in batches(25):
            z = trunk(x)
            terms = {name: head(z).square().mean() for name, head in zip(names, heads, strict=True)}
            watch.total(terms).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert watch.failures == 0
    second = (tmp_path / "run.jsonl").read_bytes().split(b"\n")[2]
    assert list(json.loads(second)["terms"]) == names
    found = poise.diagnose(tmp_path)
    assert len(found.run.terms) == len(names)
    page = render_html(found)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    dumps(diagnosis_to_json(found))
    console = Console(file=io.StringIO(), width=80, record=True)
    render(found, console)
    assert "\x1b[31m" not in console.export_text()


def test_a_clock_that_jumps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the training nor what is measured of it depends on clocks that only grow."""
    plain, optimizer = made()
    for x in batches(20):
        sum(WEIGHTS[name] * one for name, one in plain(x).items()).backward()
        optimizer.step()
        optimizer.zero_grad()
    ticks = itertools.count()

    def jumping() -> float:
        tick = next(ticks)
        return tick * 0.01 - 3600.0 * (tick // 50)

    for name in ("time", "monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(time, name, jumping)
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=2) as watch:
        train(watch, net, optimizer, 20)
    monkeypatch.undo()
    assert watch.failures == 0
    assert [one["step"] for one in lines(tmp_path)] == list(range(20))
    assert all(map(torch.equal, net.state_dict().values(), plain.state_dict().values()))
    poise.diagnose(tmp_path)


def test_a_full_disk(tmp_path: Path) -> None:
    """Every line is lost and counted, one warning is given, and the training is the same."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "run.jsonl").symlink_to("/dev/full")
    results = []
    for run in ("full", "free"):
        net, optimizer = made()
        if run == "full":
            with pytest.warns(PoiseWarning, match="No space left on device.*the training goes on"):
                watch = Watch(tmp_path / run, model=net, optimizer=optimizer)
        else:
            watch = Watch(tmp_path / run, model=net, optimizer=optimizer)
        with watch:
            train(watch, net, optimizer, 10)
        results.append([one.clone() for one in net.state_dict().values()])
    assert all(map(torch.equal, *results))


def hooks(net: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """How many hooks hang on a model and its optimizer."""
    found = [optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks]
    for module in net.modules():
        found += [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks]
    for one in net.parameters():
        found += [one._backward_hooks or {}, one._post_accumulate_grad_hooks or {}]
    return sum(map(len, found))


class Broken(Exception):
    """What goes wrong in the middle of a step."""


def broken(*_: object) -> None:
    """Goes wrong."""
    raise Broken("in the middle")


@pytest.mark.parametrize("moment", ["forward", "backward", "between", "step", "evaluation"])
@pytest.mark.parametrize("at", [0, 1, 5])
def test_an_exception_anywhere_leaves_no_hook(moment: str, at: int, tmp_path: Path) -> None:
    """Wherever a step ends early, the hooks go, the lock goes, and a new watch goes on."""
    net, optimizer = made()

    def run(watch: Watch) -> None:
        with watch:
            for index, x in enumerate(batches(8)):
                now = index == at
                if now and moment == "evaluation":
                    with watch.evaluation():
                        watch.total(net(x), WEIGHTS)
                        broken()
                terms = net(x)
                if now and moment == "forward":
                    broken()
                total = watch.total(terms, WEIGHTS)
                if now and moment == "backward":
                    total.register_hook(broken)
                total.backward()
                if now and moment == "between":
                    broken()
                if now and moment == "step":
                    optimizer.register_step_pre_hook(broken)
                optimizer.step()
                optimizer.zero_grad()

    with pytest.raises(Broken, match="in the middle"):
        run(Watch(tmp_path, model=net, optimizer=optimizer, every=1))
    assert hooks(net, optimizer) == (moment == "step")  # the user's own
    optimizer._optimizer_step_pre_hooks.clear()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
        train(watch, net, optimizer, 3)
    assert watch.failures == 0
    assert hooks(net, optimizer) == 0


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "save"])
@pytest.mark.parametrize("moment", [0, 3])
def test_copies_of_what_is_watched(way: str, moment: int, tmp_path: Path) -> None:
    """A copy of model and optimizer taken in the middle of a step is free, and trains the same."""
    net, optimizer = made()
    copies: list[tuple[nn.Module, torch.optim.Optimizer]] = []

    def copied(index: int) -> None:
        if index != moment:
            return
        both = (net, optimizer)
        if way == "deepcopy":
            copies.append(copy.deepcopy(both))
        elif way == "pickle":
            copies.append(pickle.loads(pickle.dumps(both)))
        else:
            file = io.BytesIO()
            torch.save(both, file)
            file.seek(0)
            copies.append(torch.load(file, weights_only=False))

    with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
        train(watch, net, optimizer, 5, between=copied)
    ((twin, other),) = copies
    assert hooks(twin, other) == 0
    other.zero_grad()
    for x in batches(2):
        sum(WEIGHTS[name] * one for name, one in twin(x).items()).backward()
        other.step()
        other.zero_grad()
    assert len(lines(tmp_path)) == 5
    assert watch.failures == 0


def test_trainings_in_threads(tmp_path: Path) -> None:
    """Two trainings in two threads, each with a watch of its own, do not meet in their records."""
    failures: list[int] = []

    def one(name: str) -> None:
        net, optimizer = made()
        with Watch(tmp_path / name, model=net, optimizer=optimizer, every=2) as watch:
            train(watch, net, optimizer, 20)
        failures.append(watch.failures)

    threads = [threading.Thread(target=one, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [0, 0]
    for name in "ab":
        assert [line["step"] for line in lines(tmp_path / name)] == list(range(20))


def test_without_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a GPU nothing of CUDA is asked for anything but its absence."""

    def absent(*_: object, **__: object) -> None:
        raise AssertionError("Torch not compiled with CUDA enabled")

    for name in ("synchronize", "current_device", "current_stream", "Event", "Stream", "init"):
        monkeypatch.setattr(torch.cuda, name, absent)
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=2) as watch:
        train(watch, net, optimizer, 10)
    assert watch.failures == 0
    assert len(lines(tmp_path, "probe")) > 0
