"""Several batches of an evaluation as one."""

import pytest
import torch
from torch import Tensor

from poise.errors import TermError
from poise.objective import Breakdown, Objective, Standing, Term, average
from poise.reduce import Reduced, masked_mean
from poise.schedule import Linear


def objective() -> Objective:
    """Counted, uncounted, sometimes absent, and a monitor."""
    return Objective(
        Term("mae", masked_mean, weight=0.5),
        Term("plain", lambda x: x.mean()),
        Term("rare", lambda x: masked_mean(x) if len(x) > 2 else None, sometimes=True),
        Term("acc", lambda x: Reduced(sum=(x > 1).float().sum(), count=len(x)), role="monitor"),
        Term("off", weight=0.0),
    )


def evaluated(*batches: Tensor) -> Breakdown:
    """All batches together."""
    return average(objective().evaluate(batch) for batch in batches)


def test_counts_make_it_exact() -> None:
    """Terms with counts equal one evaluation over everything; others are averaged plainly."""
    data = torch.arange(10.0)
    parts = evaluated(*data.split(4))
    whole = objective().evaluate(data)
    assert parts["mae"].value.item() == whole["mae"].value.item() == 4.5
    assert int(parts["mae"].count) == 10
    assert parts["acc"].value.item() == pytest.approx(0.8)
    assert parts["acc"].standing is Standing.MEASURED
    assert parts["plain"].value.item() == pytest.approx((1.5 + 5.5 + 8.5) / 3)
    assert parts["rare"].value.item() == pytest.approx(28.0 / 8.0)
    assert parts["off"].standing is Standing.OFF
    expected = 0.5 * 4.5 + (1.5 + 5.5 + 8.5) / 3 + 28.0 / 8.0
    assert parts.total.item() == pytest.approx(expected)


def test_absent_everywhere() -> None:
    """A term that no batch has stays absent."""
    assert evaluated(torch.ones(2), torch.ones(1))["rare"].standing is Standing.ABSENT


def test_nothing_in_the_total() -> None:
    """An objective whose weights are all 0 has the total 0."""
    nothing = average([Objective(Term("a", weight=0.0)).combine({})])
    assert (nothing.total.item(), nothing.empty) == (0.0, True)


def test_refused() -> None:
    """No batch, or batches at different weights, are no one evaluation."""
    with pytest.raises(TermError, match="average: expected at least one Breakdown, got none"):
        average([])
    moving = Objective(Term("a", torch.sum, weight=Linear(0.0, 1.0, stop=4)))
    with pytest.raises(TermError, match="expected the same terms and weights in all batches"):
        average(moving.evaluate(torch.ones(2), step=step) for step in (1, 2))
