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


@pytest.mark.parametrize("first", [0, 1])
def test_absent_from_one_batch(first: int) -> None:
    """A term is in the total whichever of the batches lacks it, with its own count."""
    parts = [evaluated(torch.ones(2)), evaluated(torch.full((4,), 3.0))]
    whole = average([parts[first], parts[1 - first]])
    rare = whole["rare"]
    assert (rare.standing, rare.value.item(), int(rare.count)) == (Standing.COUNTED, 3.0, 4)
    assert rare.weighted.item() == 3.0
    assert whole.total.item() == pytest.approx(0.5 * (2 + 12) / 6 + 2.0 + 3.0)


def test_what_was_asked_for_stays() -> None:
    """Step, roles, weights, declarations and differences are those of the batches."""
    asked = [objective().evaluate(torch.ones(4), step=7, weights={"plain": 2.0})] * 2
    whole = average(asked)
    assert (whole.step, whole.changed) == (7, ("weight of 'plain' is 2 instead of 1",))
    assert whole.weights == asked[0].weights
    assert [one.role for one in whole.entries] == [one.role for one in asked[0].entries]
    assert [one.name for one in whole.declared] == list(whole)
    assert whole["plain"].weighted.item() == 2.0
    assert whole["acc"].weighted is None


def test_no_graph_is_kept() -> None:
    """Also of training batches, so that an average over an epoch holds no memory."""
    x = torch.ones(4, requires_grad=True)
    whole = average([objective()(x), objective()(x)])
    tensors = [whole.total, *(one.value for one in whole.values() if one.value is not None)]
    tensors += [one.weighted for one in whole.values() if one.weighted is not None]
    assert not any(one.requires_grad for one in tensors)


def test_a_count_in_one_batch_only_is_no_count() -> None:
    """Where a function counts in one batch and not in the other, values are averaged plainly."""
    one = Objective(Term("a"))
    x = torch.ones((), requires_grad=True)
    whole = average([one.combine({"a": masked_mean(x.expand(9))}), one.combine({"a": 3 * x})])
    assert (whole["a"].value.item(), whole["a"].count, whole["a"].part) == (2.0, None, None)


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
