"""Modules that run although no term reaches their parameters."""

import torch
from torch import nn

from poise.watch.ran import Ran


def model() -> nn.ModuleDict:
    """Two layers and a number of its own."""
    found = nn.ModuleDict({"used": nn.Linear(2, 2), "idle": nn.Linear(2, 2)})
    found.register_parameter("scale", nn.Parameter(torch.ones(())))
    return found


NAMES = ("used.weight", "used.bias", "idle.weight", "scale")


def test_modules_that_run_are_told_with_their_elements() -> None:
    """Under no_grad as well; a number beside the modules does not run."""
    net = model()
    ran = Ran(net, NAMES)
    with torch.no_grad():
        net["used"](torch.ones(1, 2))
    assert ran.end() == {"used": 6}


def test_evaluation_does_not_count() -> None:
    """A module in evaluation mode."""
    net = model().eval()
    ran = Ran(net, NAMES)
    net["used"](torch.ones(1, 2))
    assert ran.end() == {}


def test_hooks_are_gone_afterwards() -> None:
    """Nothing is left on any module."""
    net = model()
    Ran(net, NAMES).end()
    assert not any(one._forward_hooks for one in net.modules())
