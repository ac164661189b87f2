"""Totals of terms that are divided by their own running mean."""

from pathlib import Path

import numpy as np
import pytest

import poise
from poise.read.weights.normaliser import recover, running_mean
from tests.doctor.rules.test_normaliser import WEIGHTS, normalised, values


def test_recovery_is_exact() -> None:
    """Full precision gives back decay, weights and factors to many digits."""
    terms = values()
    matrix = np.column_stack(list(terms.values()))
    found = recover(normalised(terms, decay=0.98, warm_up=20), matrix)
    assert found is not None
    assert found.decay == 0.98
    assert found.weights == pytest.approx(list(WEIGHTS.values()), rel=1e-9)
    means = running_mean(matrix, decay=0.98, warm_up=20)[-1]
    assert found.factors == pytest.approx(np.array(list(WEIGHTS.values())) / means, rel=1e-9)


def test_one_value_that_is_not_positive_refutes_it() -> None:
    """A running mean may cross zero then, and the arithmetic proves nothing."""
    terms = values()
    total = normalised(terms, decay=0.95, warm_up=5)
    assert recover(total[:10], np.column_stack(list(terms.values()))[:10] * 0 + 1.0) is None


def test_no_weight_is_made_up(tmp_path: Path) -> None:
    """The composition says what the total is, and that no term has a constant weight."""
    terms = values()
    total = normalised(terms, decay=0.95, warm_up=5)
    lines = ["step,loss," + ",".join(terms)]
    for step, row in enumerate(zip(total, *terms.values(), strict=True)):
        lines.append(f"{step}," + ",".join(f"{value:.7g}" for value in row))
    log = tmp_path / "log.csv"
    log.write_text("\n".join(lines) + "\n")
    composition = poise.read_run(log).composition
    assert composition is not None
    assert "decay 0.95" in composition.why
    assert "kind_loss 0.1, ptr_loss 0.7, count_loss 0.2" in composition.why
    assert not composition.exact
    assert [one.weight for one in composition.terms] == [None, None, None]
