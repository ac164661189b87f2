"""When a rule is asked."""

import torch
from torch import Tensor

from poise.balance.keeper import Keeper
from poise.balance.rule import GradientRule, Seen
from poise.balance.sight import Sight
from poise.probe import Gradients

NAMES = ("a", "b")


class Sizes(GradientRule):
    """Weights that tell what was seen: the square of each norm."""

    alone = True

    def forward(self, seen: Seen) -> Tensor:
        """The diagonal, with the trace."""
        return seen.products.diagonal() * seen.trace


def sight(a: float, b: float | None) -> Sight:
    """Gradients at right angles with these squared norms; None: absent."""
    squares = [one for one in (a, b) if one is not None]
    reading = Gradients(
        where="fork",
        terms=NAMES[: len(squares)],
        products=torch.diag(torch.tensor(squares, dtype=torch.float64)),
    )
    return Sight.of(reading, NAMES)


def test_without_lag_a_measurement_decides_about_itself() -> None:
    """Each measurement is a step."""
    keeper = Keeper(NAMES, Sizes(), every=1, lagging=False)
    assert keeper.take(sight(1.0, 4.0)).tolist() == [1.0, 4.0]
    assert keeper.take(sight(9.0, None)).tolist() == [9.0, 4.0]
    keeper.stepped()
    assert int(keeper.steps) == 2


def test_with_lag_a_step_decides_about_the_next() -> None:
    """Micro-batches add up, and nothing changes before the step ends."""
    keeper = Keeper(NAMES, Sizes(), every=1, lagging=True)
    assert keeper.take(sight(1.0, 4.0)).tolist() == [1.0, 4.0]  # nothing is known yet
    assert keeper.take(sight(10.0, 20.0)).tolist() == [1.0, 4.0]
    keeper.stepped()
    assert keeper.held.tolist() == [11.0, 24.0]
    assert int(keeper.asked) == 1
    keeper.stepped()  # nothing was seen in this step
    assert keeper.held.tolist() == [11.0, 24.0]
    assert int(keeper.steps) == 2


def test_every_counts_steps() -> None:
    """With lag, all micro-batches of a measured step are measured."""
    keeper = Keeper(NAMES, Sizes(), every=2, lagging=True)
    due = []
    for _ in range(4):
        due.append(keeper.due)
        keeper.take(sight(1.0, 1.0) if keeper.due else None)
        keeper.stepped()
    assert due == [True, False, True, False]
