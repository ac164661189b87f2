"""Hugging Face trainer states."""

import json
from pathlib import Path

import pytest

from poise.errors import ReadError
from poise.read import read_run

HISTORY: list[dict[str, float]] = [
    {"loss": 2.5, "grad_norm": 1.0, "learning_rate": 1e-4, "epoch": 0.1, "step": 10},
    {"loss": 2.0, "grad_norm": 0.9, "learning_rate": 9e-5, "epoch": 0.2, "step": 20},
    {"eval_loss": 2.2, "eval_runtime": 3.0, "eval_kl": 0.1, "epoch": 0.2, "step": 20},
    {"loss": 1.5, "grad_norm": 0.8, "learning_rate": 8e-5, "epoch": 0.3, "step": 30},
    {"train_loss": 2.0, "train_runtime": 99.0, "epoch": 0.3, "step": 30},
]


def _write(tmp_path: Path, state: object) -> Path:
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(state, indent=2))
    return path


def test_history(tmp_path: Path) -> None:
    """Training and evaluation are told apart; the closing summary is no record."""
    run = read_run(_write(tmp_path, {"max_steps": 30, "log_history": HISTORY}))
    assert run.format == "trainer-state"
    assert run.train.steps.tolist() == [10, 20, 30]
    assert run.train.series["loss"].values.tolist() == [2.5, 2.0, 1.5]
    assert [(one.split, one.steps.tolist()) for one in run.evals] == [("eval", [20])]
    assert run.declared["total_steps"] == 30
    assert run.remarks == (
        "the closing summary at step 30 is no training record "
        "(train_loss 2 is a mean over all steps)",
    )


def test_a_truncated_state(tmp_path: Path) -> None:
    """A state that was being written gives the records before the damage."""
    path = _write(tmp_path, {"stateful": [{"x": 1}], "log_history": HISTORY})
    path.write_text(path.read_text()[:-40])
    run = read_run(path)
    assert len(run.train) == 3
    assert "damaged" in run.remarks[0]


def test_an_empty_history(tmp_path: Path) -> None:
    """A training that logged nothing says so."""
    with pytest.raises(ReadError, match="log_history holds no records"):
        read_run(_write(tmp_path, {"log_history": []}))
