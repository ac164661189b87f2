"""The contract of every probe: in whatever situation it runs, it leaves no bit changed."""

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from poise.probe import (
    Graph,
    MotionProbe,
    RandomState,
    ResponseProbe,
    at_bottleneck,
    at_shared,
    check_finite,
    first_module,
    gradients_at,
    guard,
    probing,
    update_share,
    weight_followed,
)
from tests.probe.nets import batch
from tests.probe.situations import SITUATIONS, Step, Stop, Terms, dense


def state(step: Step) -> dict[str, Any]:
    """Everything that a probe must leave alone, as what can be compared."""
    model = step.model
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "modes": [one.training for one in model.modules()],
        "hooks": [len(getattr(one, name)) for one in model.modules() for name in hooks],
        "tensor hooks": [len(one._backward_hooks or ()) for one in model.parameters()],
        "parameters": [(id(one), one._version, one.requires_grad) for one in model.parameters()],
        "values": [one.detach().clone() for one in model.parameters()],
        "buffers": [(id(one), one._version) for one in model.buffers()],
        "buffer values": [one.clone() for one in model.buffers()],
        "gradients": [(id(one.grad), one.grad is None) for one in model.parameters()],
        "gradient values": [dense(one.grad) for one in model.parameters()],
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": [torch.from_numpy(np.random.get_state()[1].astype(np.int64))],
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), probing()),
        "optimizer": None if step.optimizer is None else len(step.optimizer.state),
    }


def same(one: object, other: object) -> bool:
    """Equal, tensors to the last bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def _graph(step: Step) -> Graph:
    return Graph(step.terms, step.model if list(step.model.parameters()) else None)


def reach(step: Step) -> None:
    """The map, the bottleneck and who owns what."""
    graph = _graph(step)
    graph.bottleneck()
    assert all(graph.owner_of(node) is None or True for node in graph.nodes())


def bottleneck(step: Step) -> None:
    """Gradients where the terms meet."""
    graph = _graph(step)
    if (place := graph.bottleneck()) is not None:
        at_bottleneck(graph, place, scale=4.0)
    else:
        at_shared(graph)


def shared(step: Step) -> None:
    """Gradients and updates at the shared parameters."""
    at_shared(_graph(step), weights={"a": 0.5}, optimizer=step.optimizer)


def chosen(step: Step) -> None:
    """Gradients at parameters, and update shares from them."""
    graph = _graph(step)
    places = list(graph.parameters.values())
    gradients_at(step.terms, places)
    if step.optimizer is not None:
        rows = {
            name: torch.autograd.grad(term, places, retain_graph=True, allow_unused=True)
            for name, term in step.terms.items()
            if not step.model.fails
        }
        update_share(step.optimizer, places, rows)


def weight(step: Step) -> None:
    """Whether gradients follow their weights."""
    weight_followed(step.terms, list(_graph(step).parameters.values()), model=step.model)


def finite(step: Step) -> None:
    """Whether everything is finite."""
    check_finite(_graph(step), closure=lambda: step.model(batch(4)), model=step.model)


def wrong(step: Step) -> None:
    """Where a term that is not finite went wrong, forward and backward."""
    graph = Graph(step.terms | {"bad": step.terms["a"].mul(0).log()}, _graph(step).model)
    check_finite(graph, closure=lambda: step.model(batch(4)), model=step.model)


def module(step: Step) -> None:
    """The first module whose output is not finite."""
    first_module(step.model, lambda: step.model(batch(4) * 1e38))


def motion(step: Step) -> None:
    """Motion, without a step in between."""
    probe = MotionProbe(step.model, step.optimizer)
    probe.before()
    if step.model.fails:
        probe.cancel()
        raise Stop
    assert probe.after().still == tuple(name for name, _ in step.model.named_parameters())


def response(step: Step) -> None:
    """The terms of a batch, twice."""
    probe = ResponseProbe(lambda: step.model(batch(2)), step.model)
    probe.before()
    assert set(probe.after().change.values()) == {0.0}


def evaluated(step: Step) -> None:
    """As response, with a closure that changes modes and clears gradients."""

    def closure() -> Terms:
        step.model.zero_grad(set_to_none=False)
        step.model.eval()
        return step.model(batch(2))

    probe = ResponseProbe(closure, step.model)
    probe.mark()
    probe.before({"a": 1.0})
    probe.after()


def guarded(step: Step) -> None:
    """Whatever runs under a guard."""
    with guard(step.model, copy_gradients=True):
        step.model.eval()
        step.model.train()
        step.model(batch(5))
        torch.rand(3), random.random(), np.random.rand()
        step.model.zero_grad()


PROBES = (
    reach,
    bottleneck,
    shared,
    chosen,
    weight,
    finite,
    wrong,
    module,
    motion,
    response,
    evaluated,
    guarded,
)
PASSING = tuple(one for one in PROBES if one is not reach)
"""Probes that pass through the graph or the model, so that something in there can fail."""


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("probe", PROBES, ids=lambda one: one.__name__)
def test_no_bit_is_changed(probe: Callable[[Step], None], name: str) -> None:
    """State and all that the training does afterwards are those of a twin without the probe."""
    situation = SITUATIONS[name]
    plain, probed = Step(situation), Step(situation)
    kept = RandomState.now()
    expected = plain.finish()
    kept.restore()
    before = state(probed)
    with situation.around():
        for _ in range(situation.uses):
            probe(probed)
    after = state(probed)
    assert [key for key, one in before.items() if not same(one, after[key])] == []
    assert [k for k, one in enumerate(probed.finish()) if not torch.equal(one, expected[k])] == []


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("probe", PASSING, ids=lambda one: one.__name__)
def test_no_bit_is_changed_by_a_failure(probe: Callable[[Step], None], name: str) -> None:
    """The same if something of the user's raises in the middle of the probe."""
    situation = SITUATIONS[name]
    plain, probed = Step(situation), Step(situation)
    kept = RandomState.now()
    expected = plain.finish()
    kept.restore()
    before = state(probed)
    probed.model.fails = True
    with situation.around(), pytest.raises(Stop):
        probe(probed)
    probed.model.fails = False
    after = state(probed)
    assert [key for key, one in before.items() if not same(one, after[key])] == []
    assert [k for k, one in enumerate(probed.finish()) if not torch.equal(one, expected[k])] == []


def test_the_contract_can_fail() -> None:
    """A probe that draws a random number, or adds to a gradient, is caught."""
    situation = SITUATIONS["accumulated grad"]
    for spoil in (
        lambda _: torch.rand(1),
        lambda step: next(step.model.parameters()).grad.add_(1.0),
        lambda step: step.model.eval(),
        lambda step: step.model.register_forward_hook(lambda *_: None),
    ):
        step = Step(situation)
        before = copy.copy(state(step))
        spoil(step)
        after = state(step)
        assert any(not same(one, after[key]) for key, one in before.items())
