"""A balancer that is saved and loaded goes on as if nothing had happened."""

import copy
import io
import pickle
from collections.abc import Callable, Mapping

import pytest
import torch

from poise.balance.balancer import Balancer
from poise.balance.scalarizer_rule import ScalarizerRule
from tests.contracts.balancers import CASES, NAMES, VALUES, Case, over, step, vectors, weights


def journey(balancer: Balancer, start: int, steps: int, noise: int) -> list[list[float]]:
    """Weights over some steps with changing gradients, values and terms."""
    found: list[list[float]] = []
    torch.manual_seed(noise)
    learned = list(balancer.parameters())
    optimizer = torch.optim.SGD(learned, lr=0.01) if learned else None
    for now in range(start, start + steps):
        present = NAMES if now % 4 else NAMES[:2]
        values = {
            name: VALUES[name] * (1.1 + torch.sin(torch.tensor(now)).item()) for name in NAMES
        }
        step(balancer, {name: vectors(now)[name] for name in present}, values)
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()
        _tell(balancer, now, values)
        torch.rand(3)  # the training draws, too
        found.append(weights(balancer).tolist())
    return found


def _tell(balancer: Balancer, now: int, values: Mapping[str, float]) -> None:
    if not isinstance(balancer.rule, ScalarizerRule):
        return
    if balancer.rule.line.name == "dwa" and now % 5 == 4:
        balancer.rule.epoch()
    if balancer.rule.line.name == "famo" and now % 4:
        balancer.rule.update(
            {
                name: torch.tensor(one * (0.8 + 0.1 * k))
                for k, (name, one) in enumerate(values.items())
                if name in NAMES
            }
        )


@over(CASES)
def test_a_saved_state_goes_on_bit_for_bit(case: Case) -> None:
    """Saved at a step and loaded into a fresh object: the next 100 steps are the same."""
    first = case.make(NAMES, 1)
    journey(first, 0, 7, noise=1)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = case.make(NAMES, 2)
    second.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert journey(first, 7, 100, noise=3) == journey(second, 7, 100, noise=4)


@over(CASES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_goes_on_by_itself(case: Case, copied: Callable[[Balancer], Balancer]) -> None:
    """A deep copy and a pickled one take the same steps, and leave the original where it was."""
    first = case.make(NAMES, 1)
    journey(first, 0, 3, noise=1)
    second = copied(first)
    assert journey(second, 3, 6, noise=2) == journey(first, 3, 6, noise=2)
