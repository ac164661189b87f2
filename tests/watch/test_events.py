"""What a watch says about itself in the record."""

from pathlib import Path

import pytest
import torch

from poise.errors import PoiseWarning
from poise.watch import Watch
from poise.watch.events import Events
from tests.watch.loops import WEIGHTS, batches, lines, made, train


def test_measuring_that_fails_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One event an instrument, with the class of the error and its message."""
    net, optimizer = made()

    def broken(*_: object, **__: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr("poise.watch.probing.at_shared", broken)
    monkeypatch.setattr("poise.watch.probing.MotionProbe", broken)
    monkeypatch.setattr(
        "poise.watch.budget.Budget.due", lambda self, name, **_: self.accounts[name].part > 0
    )
    with (
        pytest.warns(PoiseWarning, match="OSError: gone"),
        Watch(tmp_path, model=net, optimizer=optimizer) as watch,
    ):
        train(watch, net, optimizer, 9)
    found = [(one["name"], one["text"]) for one in lines(tmp_path, "event")]
    assert sorted(found) == [
        ("probe-failed", "motion: OSError: gone"),
        ("probe-failed", "shared: OSError: gone"),
    ]
    assert any(one.get("where") == "edge" for one in lines(tmp_path, "probe"))


def test_a_forward_pass_that_cannot_be_repeated_is_told(tmp_path: Path) -> None:
    """The response has an event of its own."""
    net, optimizer = made()

    def again() -> dict[str, torch.Tensor]:
        raise ValueError("no second time")

    def run(watch: Watch) -> None:
        with watch:
            for x in batches(5):
                watch.total(net(x), WEIGHTS, again=again).backward()
                optimizer.step()

    with pytest.warns(PoiseWarning, match="no second time"):
        run(Watch(tmp_path, model=net, optimizer=optimizer))
    (found,) = lines(tmp_path, "event")
    assert (found["name"], found["text"]) == (
        "probe-failed",
        "response: ValueError: no second time",
    )


def test_totals_without_a_graph_are_told_once(tmp_path: Path) -> None:
    """One event and one warning; every number is recorded all the same."""
    net, optimizer = made()
    watch = Watch(tmp_path, model=net, optimizer=optimizer)

    def run() -> None:
        with watch:
            for x in batches(4):
                watch.total({name: one.detach() for name, one in net(x).items()}, WEIGHTS)

    with pytest.warns(PoiseWarning, match="expected terms with their graph") as seen:
        run()
    assert len(seen) == 1
    assert [(one["name"], one["step"]) for one in lines(tmp_path, "event")] == [("no-graph", 0)]
    assert len(lines(tmp_path)) == 4
    assert watch.failures == 0


def test_evaluations_and_plain_numbers_need_no_graph(tmp_path: Path) -> None:
    """Nothing is said inside `evaluation`, under `no_grad`, and without an optimizer."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 2)
        with torch.no_grad():
            watch.total(net(torch.ones(2, 4)), WEIGHTS)
        with watch.evaluation():
            watch.total({"a": torch.tensor(1.0)})
    with Watch(tmp_path / "numbers") as watch:
        watch.total({"a": torch.tensor(1.0)})
    assert lines(tmp_path, "event") == lines(tmp_path / "numbers", "event") == []


def test_nothing_is_written_without_a_recorder() -> None:
    """The other ranks are silent."""
    Events(None).failed("edge", "why", 0)
