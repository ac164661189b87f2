"""The multi-task incident against its two fixes, told by plain logs: one is none, one is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from examples import multitask
from torch import Tensor

import poise
from poise.comparing.comparison import Verdict

COUNTS = {"type": 1, "ptr": 2, "binary": 105, "countdown": 105}
SHARES = {"type": 0.1, "ptr": 0.1, "binary": 0.1, "countdown": 0.7}
Weigh = Callable[[dict[str, Tensor]], dict[str, float]]


def train(log: Path, weigh: Weigh, *, unit: float, seed: int) -> Path:
    """Trains as the example does and logs the terms as they are."""
    torch.manual_seed(seed)
    data = multitask.make_windows(multitask.WINDOWS, seed)
    model = multitask.Model(unit=unit)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    lines = ["step,type_loss,ptr_loss,binary_loss,countdown_loss"]
    for update in range(multitask.UPDATES):
        batch = data.pick(torch.randperm(multitask.WINDOWS)[: multitask.BATCH])
        terms = multitask.losses(model(batch.inputs), batch)
        weights = weigh(terms)
        optimizer.zero_grad()
        torch.stack([weights[name] * one for name, one in terms.items()]).sum().backward()
        optimizer.step()
        lines.append(",".join([str(update), *(f"{one.item():.6g}" for one in terms.values())]))
    log.write_text("\n".join(lines) + "\n")
    return log


def times_root_of_count() -> Weigh:
    """The note's fix: the normaliser, and each term times the square root of its count."""
    normaliser = multitask.Normaliser()
    return lambda terms: {
        name: weight * COUNTS[name] ** 0.5 for name, weight in normaliser.weights(terms).items()
    }


@pytest.fixture(scope="module")
def note(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The incident as it was trained."""
    log = tmp_path_factory.mktemp("note") / "note.csv"
    return train(log, multitask.Normaliser().weights, unit=1.0, seed=0)


def test_the_fix_of_the_note_is_none(note: Path, tmp_path: Path) -> None:
    """Times the square root of N: no effect on the countdown."""
    fixed = train(tmp_path / "fixed.csv", times_root_of_count(), unit=1.0, seed=1)
    found = poise.compare(note, fixed)
    assert found.of("countdown_loss").verdict is Verdict.NO_EFFECT
    assert found.verdict is Verdict.NO_EFFECT


def test_the_cure_is_one(note: Path, tmp_path: Path) -> None:
    """Plain weights and an output in units of its range: better, with its size and interval."""
    cured = train(tmp_path / "cured.csv", lambda _: multitask.WEIGHTS, unit=multitask.REACH, seed=2)
    found = poise.compare(note, cured)
    one = found.of("countdown_loss")
    assert (found.verdict, one.verdict) == (Verdict.BETTER, Verdict.BETTER)
    assert one.difference < -4
    assert one.high < 0
    gone = {(each.fault, each.terms) for each in found.findings_gone}
    assert (poise.Fault.STUCK, ("countdown_loss",)) in gone


def train_shared(log: Path, seed: int) -> Path:
    """The unit-scale output, and 70% of the gradient at the LSTM's states for the countdown."""
    torch.manual_seed(seed)
    data = multitask.make_windows(multitask.WINDOWS, seed)
    model = multitask.Model(unit=multitask.REACH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    balance = poise.balance.GradientShare(SHARES)
    lines = ["step,type_loss,ptr_loss,binary_loss,countdown_loss"]
    for update in range(multitask.UPDATES):
        batch = data.pick(torch.randperm(multitask.WINDOWS)[: multitask.BATCH])
        states, _ = model.lstm(torch.dropout(batch.inputs, 0.3, train=True))
        each = balance.fork(states)
        kind, pointers = (model.window(each[name].mean(dim=1)) for name in ("type", "ptr"))
        flags, steps = (torch.dropout(each[k], 0.6, train=True) for k in ("binary", "countdown"))
        outputs = {
            "type": model.type_head(kind),
            "ptr": model.ptr_head(pointers).sigmoid(),
            "binary": model.binary_head(flags).squeeze(-1),
            "countdown": model.unit * model.countdown_head(steps).squeeze(-1),
        }
        terms = multitask.losses(outputs, batch)
        optimizer.zero_grad()
        balance.total(terms).backward()
        optimizer.step()
        lines.append(",".join([str(update), *(f"{one.item():.6g}" for one in terms.values())]))
    log.write_text("\n".join(lines) + "\n")
    return log


def test_shares_of_the_gradient_are_a_cure(note: Path, tmp_path: Path) -> None:
    """GradientShare with most for the countdown: better, with one run a side."""
    found = poise.compare(note, train_shared(tmp_path / "shared.csv", seed=1))
    one = found.of("countdown_loss")
    assert one.verdict is Verdict.BETTER
    assert one.difference < -4
    assert one.high < 0
