"""Looking leaves no trace in the random numbers."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poise.objective import Objective, Term
from poise.objective.look import keeping_random
from poise.probe import guard

DROP = nn.Dropout(0.5)


def noisy(x: Tensor) -> Tensor:
    """Draws from every generator there is."""
    return DROP(x).mean() + random.random() + float(np.random.rand())


def totals(*looked_at: Term) -> list[float]:
    """Three training totals with dropout, after the same seeds."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    objective = Objective(*looked_at, Term("a", noisy), Term("last", noisy, weight=0.5))
    x = torch.ones(100, requires_grad=True)
    return [objective(x, step=0).total.item() for _ in range(3)]


@pytest.mark.parametrize(
    "term",
    [
        Term("m", noisy, role="monitor"),
        Term("m", noisy, weight=0.0, measure=True),
        Term("m", noisy, weight=lambda _: 0.0, measure=True),
    ],
)
def test_looking_changes_no_random_number(term: Term) -> None:
    """With a monitor or a measured term that uses dropout the training has the same totals."""
    assert totals(term) == totals()
    assert len(set(totals())) == 3


def test_a_term_in_the_total_draws_as_ever() -> None:
    """What is in the total is the training: its draws stay."""
    torch.manual_seed(0)
    x = torch.ones(100, requires_grad=True)
    Objective(Term("a", noisy))(x)
    here = torch.get_rng_state()
    torch.manual_seed(0)
    DROP(x)
    assert torch.equal(torch.get_rng_state(), here)


def test_also_after_an_error() -> None:
    """A monitor that fails leaves the generators where they were."""

    def broken(x: Tensor) -> Tensor:
        noisy(x)
        raise ZeroDivisionError("of mine")

    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError, match="of mine"):
        Objective(Term("m", broken, role="monitor"))(torch.ones(2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("capturing", [False, True])
def test_not_while_a_graph_is_captured(monkeypatch: pytest.MonkeyPatch, capturing: bool) -> None:
    """While CUDA captures a graph, a generator's state cannot be read; then nothing is done."""
    monkeypatch.setattr("poise.objective.look._capturing", lambda: capturing)
    before = torch.get_rng_state()
    with keeping_random():
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before) is not capturing


def statistics(around: Callable[[nn.Module, Tensor], Tensor]) -> int:
    """How many batches a normalisation has counted after one monitor."""
    norm = nn.BatchNorm1d(2)
    Objective(Term("m", lambda x: around(norm, x), role="monitor"))(torch.rand(4, 2))
    return int(norm.num_batches_tracked)


def test_buffers_are_the_users_as_the_page_says() -> None:
    """A monitor that calls BatchNorm in training mode counts a batch; under `guard` it does not."""

    def guarded(norm: nn.Module, x: Tensor) -> Tensor:
        with guard(norm):
            return norm(x).mean()

    assert statistics(lambda norm, x: norm(x).mean()) == 1
    assert statistics(guarded) == 0
