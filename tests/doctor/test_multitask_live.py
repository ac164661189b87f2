"""The multi-task incident, trained live under a watch with its defaults, and its cure."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn import functional as F

from poise import Watch
from poise.balance import GradientShare
from poise.doctor.diagnose import diagnose
from poise.doctor.finding import Fault, Severity
from tests.doctor.rules_of import all_rules

EXAMPLE = Path(__file__).parents[2] / "examples" / "multitask.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The example, imported from its file."""
    spec = importlib.util.spec_from_file_location("multitask_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_incident_is_diagnosed(example: ModuleType, tmp_path: Path) -> None:
    """The normaliser first, with the starved term and its share; nothing counts elements."""
    last = example.train(tmp_path / "run", cured=False, seed=0)
    assert 15.5 < last["countdown"] < 16.1
    found = diagnose(tmp_path / "run", rules=all_rules()).findings
    first = found[0]
    assert (first.rule, first.severity) == ("normaliser-starves-gradient", Severity.ERROR)
    assert first.terms == ("countdown",)
    assert "'lstm'" in first.summary
    assert "plain weights (type 0.1, ptr 0.7, binary 0.1, countdown 0.1)" in first.action
    stuck = [one for one in found if one.fault is Fault.STUCK]
    assert [one.terms for one in stuck] == [("countdown",)]
    assert not [one for one in found if one.fault is Fault.REDUCTION]
    assert not [one for one in found if "element" in f"{one.summary} {one.cause} {one.action}"]


def test_the_proposed_cure_works(example: ModuleType, tmp_path: Path) -> None:
    """The same 120 updates: plain weights and a head in units of its range; no fault is left."""
    last = example.train(tmp_path / "run", cured=True, seed=0)
    assert last["countdown"] < 12
    found = diagnose(tmp_path / "run", rules=all_rules()).findings
    assert not [one.summary for one in found if one.severity is not Severity.NOTE]


def test_a_share_that_is_honoured_and_a_wrong_wish(example: ModuleType, tmp_path: Path) -> None:
    """10/70/10/10 of the gradient at the LSTM, kept: the countdown stays, what moves it is told.

    Nothing complains of weights of 1 in the total or of other shares at the parameters: the
    balancer acts at its fork.
    """
    torch.manual_seed(0)
    data, model = example.make_windows(example.WINDOWS, 0), example.Model(unit=1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    balance = GradientShare(example.WEIGHTS)
    with Watch(
        tmp_path,
        model=model,
        optimizer=optimizer,
        shares=example.WEIGHTS,
        total_steps=example.UPDATES,
        every=10,
        budget=0.3,
    ) as watch:
        for _ in range(example.UPDATES):
            batch = data.pick(torch.randperm(example.WINDOWS)[: example.BATCH])
            z = balance.fork(model.lstm(F.dropout(batch.inputs, 0.3))[0])
            flags, counts = (F.dropout(z[name], 0.6) for name in ("binary", "countdown"))
            outputs = {
                "type": model.type_head(model.window(z["type"].mean(dim=1))),
                "ptr": model.ptr_head(model.window(z["ptr"].mean(dim=1))).sigmoid(),
                "binary": model.binary_head(flags).squeeze(-1),
                "countdown": model.countdown_head(counts).squeeze(-1),
            }
            watch.total(example.losses(outputs, batch), balance).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert balance.last is not None
    assert balance.last.shares == pytest.approx(example.WEIGHTS, abs=0.1)
    found = diagnose(tmp_path, rules=all_rules())
    assert {"share-not-honoured", "weight-constant"}.isdisjoint(one.rule for one in found.findings)
    assert found.suggestion is not None
    (wish,) = found.suggestion.wishes
    assert wish.term == "countdown"
    assert wish.wish > 0.3
