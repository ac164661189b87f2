"""The forward pass of a batch, called again after a step."""

import random

import pytest
import torch
from torch import Tensor, nn

from poise.errors import TermNameError, WatchError
from poise.objective import Objective, Term
from poise.watch.responding import Again, Responding, admit
from poise.watch.terms import Given


class Counted:
    """A forward pass that counts its calls."""

    def __init__(self, model: nn.Module, noise: str = "") -> None:
        self.model, self.noise, self.calls = model, noise, 0
        self.x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))

    def __call__(self) -> dict[str, Tensor]:
        """Two terms; with noise of some generator."""
        self.calls += 1
        drawn = {"": lambda: 0.0, "torch": lambda: torch.rand(()), "python": random.random}
        z = self.model(self.x) + drawn[self.noise]()
        return {"a": z.square().mean(), "b": z.mean()}


def given(terms: dict[str, Tensor]) -> Given:
    """A total of these terms."""
    weights = dict.fromkeys(terms, 1.0)
    return Given(
        total=sum(terms.values(), torch.tensor(0.0)), values=terms, weights=weights, counts={}
    )


def moved(model: nn.Module) -> None:
    """A step of some kind."""
    with torch.no_grad():
        for one in model.parameters():
            one.mul_(0.5)


def test_one_call_where_nothing_is_random() -> None:
    """After a first look, one forward pass a step; the change is that of the values."""
    model = nn.Linear(3, 2)
    forward = Counted(model)
    responding = Responding(model)
    for expected in (2, 1, 1):
        terms = forward()
        forward.calls = 0
        responding.before(given(terms), forward)
        moved(model)
        change = responding.after()
        assert forward.calls == expected
        now = forward()
        assert change == {name: now[name].item() - terms[name].item() for name in terms}
        responding.forget()
        assert not responding.ready


@pytest.mark.parametrize("noise", ["torch", "python"])
def test_the_same_random_numbers_before_and_after(noise: str) -> None:
    """Two forward passes a step, whose noise is the same: without a step nothing changes."""
    model = nn.Linear(3, 2)
    forward = Counted(model, noise)
    responding = Responding(model)
    for _ in range(3):
        terms = forward()
        forward.calls = 0
        responding.before(given(terms), forward)
        assert responding.after() == {"a": 0.0, "b": 0.0}
        assert forward.calls == 2


def test_several_steps_of_one_batch() -> None:
    """Each answer is against the values before the first step."""
    model = nn.Linear(3, 2, bias=False)
    forward = Counted(model)
    responding = Responding(model)
    responding.before(given(forward()), forward)
    moved(model)
    first = responding.after()
    moved(model)
    assert responding.after()["b"] == pytest.approx(1.5 * first["b"])


def test_a_breakdown_will_do() -> None:
    """The values of its terms are taken, those that were not computed are not asked for."""
    model = nn.Linear(3, 1, bias=False)
    objective = Objective(
        Term("a", lambda out: out.square().mean()), Term("off", lambda out: out.mean(), weight=0.0)
    )

    def again() -> object:
        return objective(model(torch.ones(2, 3)))

    responding = Responding(model)
    responding.before(given({"a": model(torch.ones(2, 3)).square().mean()}), again)  # type: ignore[arg-type]  # a Breakdown
    moved(model)
    assert responding.after().keys() == {"a"}


@pytest.mark.parametrize("again", [dict, lambda: {"a": 1.0}, lambda: 3.0])
def test_other_terms(again: Again) -> None:
    """Fewer terms, or no terms at all, are named."""
    with pytest.raises(TermNameError, match="again: expected the terms 'a', 'b', got"):
        Responding(None).before(given({"a": torch.tensor(1.0), "b": torch.tensor(1.0)}), again)


def test_what_is_refused_at_once() -> None:
    """The terms themselves instead of a function, and a watch without a model."""
    admit(None, None)
    with pytest.raises(WatchError, match=r"expected a function without arguments.*got dict"):
        admit({"a": 1.0}, nn.Linear(1, 1))
    with pytest.raises(WatchError, match="expected a watch that knows the model"):
        admit(dict, None)
