"""Averages of the weights, and the rule that tells which cannot move."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import poise
from poise.doctor.finding import Severity
from poise.errors import WatchError
from poise.watch import Watch
from poise.watch.averages import ELEMENTS, PARAMETERS, Averages
from tests.watch.loops import WEIGHTS, Net, batches, lines, made

Update = Callable[[int, AveragedModel, Net], object]


@pytest.fixture(autouse=True)
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is measured, however slow this machine is at the moment."""
    monkeypatch.setattr(
        "poise.watch.budget.Budget.due", lambda self, name, **_: self.accounts[name].part > 0
    )


def averaged(net: Net, decay: float | None) -> AveragedModel:
    """An exponential average, or with None the plain mean of all steps."""
    return AveragedModel(net, multi_avg_fn=None if decay is None else get_ema_multi_avg_fn(decay))


def trained(
    run: Path,
    decay: float | None,
    update: Update = lambda _, average, net: average.update_parameters(net),
    *,
    before: bool = False,
    accumulate: int = 1,
    count: int = 200,
) -> dict[str, float]:
    """Trains with an average and evaluates it; what the record says of the average."""
    net, optimizer = made()
    average = averaged(net, decay)
    with Watch(run, model=net, optimizer=optimizer, averages={"ema": average}) as watch:
        for index, x in enumerate(batches(count)):
            watch.total(net(x), WEIGHTS).backward()
            if (index + 1) % accumulate:
                continue
            if before:
                update(index, average, net)
            optimizer.step()
            optimizer.zero_grad()
            if not before:
                update(index, average, net)
        with watch.evaluation(), torch.no_grad():
            watch.total(average(x), WEIGHTS)
    assert watch.failures == 0
    told = poise.read_run(run).declared.get("averages", {})
    return told.get("ema", {})  # type: ignore[attr-defined, no-any-return]  # a dict


def slow(run: Path) -> list[Severity]:
    """How severe the rule finds it."""
    found = poise.diagnose(run).findings
    return [one.severity for one in found if one.rule == "average-cannot-move"]


@pytest.mark.parametrize("before", [False, True])
def test_an_average_that_cannot_move_is_found(tmp_path: Path, before: bool) -> None:
    """A decay of 0.9999 in 200 steps, updated after the step or before it."""
    told = trained(tmp_path, 0.9999, before=before)
    assert told["decay"] == pytest.approx(0.9999, abs=2e-5)
    assert told["follows"] < 0.05
    assert slow(tmp_path) == [Severity.WARNING]


def test_an_average_that_follows_is_silent(tmp_path: Path) -> None:
    """The near miss: a decay of 0.95."""
    told = trained(tmp_path, 0.95)
    assert told["decay"] == pytest.approx(0.95, abs=1e-4)
    assert told["follows"] > 0.5
    assert not slow(tmp_path)


def test_a_plain_mean_is_silent(tmp_path: Path) -> None:
    """Its last decay is close to 1, but it has forgotten its start."""
    assert trained(tmp_path, None)["decay"] < 0.99
    assert not slow(tmp_path)


def warmed_up(step: int, average: AveragedModel, net: Net) -> None:
    """An average whose decay begins at 0.1."""
    decay = min(0.9999, (1 + step) / (10 + step))
    with torch.no_grad():
        for one, other in zip(average.module.parameters(), net.parameters(), strict=True):
            one.lerp_(other, 1 - decay)


def test_a_decay_that_is_warmed_up_is_silent(tmp_path: Path) -> None:
    """0.9999 in the end, but the start is forgotten."""
    assert trained(tmp_path, 0.9999, warmed_up)["decay"] < 0.97
    assert not slow(tmp_path)


def test_an_average_under_accumulation(tmp_path: Path) -> None:
    """Between two totals there may be no step: then it waits for one."""
    assert trained(tmp_path, 0.9, accumulate=4)["decay"] == pytest.approx(0.9, abs=1e-4)


def test_an_average_that_is_never_updated(tmp_path: Path) -> None:
    """It keeps all of itself and follows nothing."""
    assert trained(tmp_path, 0.9, lambda *_: None) == {"decay": 1.0, "follows": 0.0}


def test_an_average_that_is_updated_now_and_then(tmp_path: Path) -> None:
    """A step without an update is no decay of 1 if there were updates in between."""

    def update(step: int, average: AveragedModel, net: Net) -> None:
        if step % 7 == 0:
            average.update_parameters(net)

    trained(tmp_path, 0.5, update)
    probes = [one["averages"]["ema"] for one in lines(tmp_path, "probe") if "averages" in one]
    assert all(one.get("decay", 0.5) == pytest.approx(0.5, abs=1e-4) for one in probes[5:])


def test_tensors_by_name(tmp_path: Path) -> None:
    """A mapping whose tensors are replaced at every update is looked up anew."""
    net, optimizer = made()
    shadow = {name: one.detach().clone() for name, one in net.named_parameters()}
    with Watch(tmp_path, model=net, optimizer=optimizer, averages={"mine": shadow}) as watch:
        for x in batches(40):
            watch.total(net(x), WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
            for name, one in net.named_parameters():
                shadow[name] = 0.75 * shadow[name] + 0.25 * one.detach()
    declared = poise.read_run(tmp_path).declared
    assert declared["ema_decay"] == pytest.approx(0.75, abs=1e-4)


def test_training_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    """Parameters, averages and random numbers are those without a watch."""
    ends = []
    for watched in (False, True):
        net, optimizer = made()
        average = averaged(net, 0.99)
        watch = (
            Watch(tmp_path, model=net, optimizer=optimizer, every=1, averages={"ema": average})
            if watched
            else None
        )
        for x in batches(30):
            terms = net(x)
            plain = 1.0 * terms["a"] + 0.25 * terms["b"]
            (plain if watch is None else watch.total(terms, WEIGHTS)).backward()
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(net)
        if watch is not None:
            watch.close()
            assert watch.failures == 0
        ends.append([*net.state_dict().values(), *average.state_dict().values(), torch.rand(3)])
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


def test_nothing_is_looked_at_without_a_budget(tmp_path: Path) -> None:
    """A budget of 0 records and does nothing else."""
    net, optimizer = made()
    averages = {"ema": averaged(net, 0.9)}
    with Watch(tmp_path, model=net, optimizer=optimizer, averages=averages, budget=0) as watch:
        for x in batches(5):
            watch.total(net(x), WEIGHTS).backward()
            optimizer.step()
    assert lines(tmp_path, "probe") == []


def test_wrong_averages(tmp_path: Path) -> None:
    """Without a model, of another model, or no average at all: refused before anything is made."""
    net, _ = made()
    run = tmp_path / "run"
    with pytest.raises(WatchError, match="averages: expected model= beside it"):
        Watch(run, averages={"ema": net})
    with pytest.raises(WatchError, match=r"ema: expected the model's parameter.*got none of that"):
        Watch(run, model=net, averages={"ema": nn.Linear(4, 8)})
    with pytest.raises(WatchError, match=r"'weight' of shape \[8, 4\], got one of shape \[4, 8\]"):
        Watch(run, model=nn.Linear(4, 8), averages={"ema": nn.Linear(8, 4)})
    with pytest.raises(WatchError, match=r"ema: expected a module or tensors.*got float"):
        Watch(run, model=net, averages={"ema": 0.999})  # type: ignore[dict-item]  # on purpose
    assert not run.exists()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_looked_at_does_not_grow(dtype: torch.dtype) -> None:
    """Of a large model a sample is copied, whatever its numbers are held in."""
    model = nn.Sequential(*(nn.Linear(40, 40) for _ in range(80))).to(dtype)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.update_parameters(model)  # the first one copies
    averages = Averages({"ema": average}, model)
    averages.open(0)
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn_like(one))
    average.update_parameters(model)
    assert averages.ready(1)
    assert averages.close(1)["ema"]["decay"] == pytest.approx(0.9, abs=1e-2)
    assert averages._first is not None
    assert len(averages._first.weights) <= PARAMETERS * ELEMENTS
