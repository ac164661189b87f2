"""What a fork of a balancer asks in its backward pass."""

import torch

from poise.balance import Balancer, Fixed
from poise.balance.home import BalancedHome, number
from poise.probe.fork import handed_out
from poise.probe.quiet import quiet


def home_of(balance: Balancer, **options: object) -> BalancedHome:
    """The home of one fork."""
    return BalancedHome(balance, balance.keeper, options.pop("lent", None), **options)  # type: ignore[arg-type]  # the keeper of a gradient rule


def test_a_fork_of_some_terms_gets_their_weights() -> None:
    """In the order of the fork, which need not be the balancer's."""
    balance = Fixed({"a": 1.0, "b": 3.0, "c": 5.0})
    z = torch.ones(1, requires_grad=True)
    home = home_of(balance, terms=("c", "a"))
    parts = handed_out(z, home.terms, home)
    (10 * parts["c"] + parts["a"]).sum().backward()
    assert z.grad is not None
    assert z.grad.item() == 51.0


def test_weights_that_the_pass_carries_are_taken_off() -> None:
    """What arrives is seen without them, and only what they lack is applied."""
    balance = Fixed({"a": 2.0, "b": 3.0})
    z = torch.ones(1, requires_grad=True)
    parts = handed_out(z, balance.names, home_of(balance, lent=torch.tensor([2.0, 1.0]).double()))
    (2.0 * parts["a"] + parts["b"]).sum().backward()
    assert z.grad is not None
    assert z.grad.item() == 2.0 + 3.0


def test_a_probe_gets_the_held_weights_and_ends_no_step() -> None:
    """A pass of somebody else's own is no step of the training."""
    balance = Fixed({"a": 2.0, "b": 3.0})
    z = torch.ones(1, requires_grad=True)
    parts = balance.fork(z)
    with quiet():
        (parts["a"] + parts["b"]).sum().backward()
    assert z.grad is not None
    assert z.grad.item() == 2.0
    assert int(balance.keeper.steps) == 0


def test_a_scale_is_a_number_whatever_it_is() -> None:
    """A number, a tensor, or what returns one."""
    assert number(None) == 1.0
    assert number(torch.tensor(4.0)) == number(lambda: torch.tensor(4.0)) == number(4) == 4.0
