"""Response of each term to one optimizer step, on the same batch."""

import pytest
import torch
from torch import Tensor, nn

from poise.errors import GraphError
from poise.probe import ResponseProbe
from tests.probe.nets import batch, net


def noisy(seed: int = 0) -> nn.Module:
    """A net with dropout and batch normalisation."""
    model = net(seed, norm=True)
    model.trunk.append(nn.Dropout(0.5))
    return model


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_response_of_a_real_step(seed: int, given: bool) -> None:
    """The change is that of the same forward pass with the same masks, on new parameters."""
    model = noisy(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = ResponseProbe(lambda: model(batch(seed)), model)
    if given:
        probe.mark()
    start = torch.get_rng_state()
    buffers = {name: one.clone() for name, one in model.named_buffers()}
    terms = model(batch(seed))
    if given:
        probe.before(terms)
    else:
        here = torch.get_rng_state()
        again = torch.get_rng_state()
        probe.before()
        assert torch.equal(here, again)
    sum(terms.values()).backward()
    optimizer.step()
    kept = [one.grad.clone() for one in model.parameters()]
    state, moved = torch.get_rng_state(), [one.clone() for one in model.buffers()]
    found = probe.after()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, model.buffers(), moved))
    assert all(torch.equal(one.grad, g) for one, g in zip(model.parameters(), kept, strict=True))
    assert model.training
    if given:
        torch.set_rng_state(start)
        for name, one in model.named_buffers():
            one.copy_(buffers[name])
        with torch.no_grad():
            expected = {name: float(one) for name, one in model(batch(seed)).items()}
        assert found.before == {name: float(one.detach()) for name, one in terms.items()}
        assert found.after == expected
    assert found.to_record() == {"response": found.change}
    change = {name: found.after[name] - found.before[name] for name in found.before}
    assert found.change == change
    assert found.relative["a"] == change["a"] / found.before["a"]


@pytest.mark.parametrize("given", [False, True])
def test_no_step_is_no_change(given: bool) -> None:
    """Without a step the response is exactly 0, whatever dropout does in between."""
    model = noisy()
    probe = ResponseProbe(lambda: model(batch()), model)
    if given:
        probe.mark()
        probe.before(model(batch()))
    else:
        probe.before()
    torch.rand(100)
    model(batch(5))
    assert set(probe.after().change.values()) == {0.0}


def test_closures_may_change_mode_and_gradients() -> None:
    """A closure that evaluates and clears gradients leaves no trace."""
    model = noisy()
    sum(model(batch()).values()).backward()
    kept = [one.grad.clone() for one in model.parameters()]

    def closure() -> dict[str, Tensor]:
        model.zero_grad(set_to_none=False)
        return model.eval()(batch())

    probe = ResponseProbe(closure, model)
    probe.before()
    probe.after()
    assert model.training
    assert all(torch.equal(one.grad, g) for one, g in zip(model.parameters(), kept, strict=True))


def test_without_a_model_and_plain_numbers() -> None:
    """Terms may be plain numbers; a value of zero has no relative change."""
    values = iter([{"a": 0.0}, {"a": 2.0}])
    probe = ResponseProbe(lambda: next(values))
    probe.before()
    found = probe.after()
    assert found.change == {"a": 2.0}
    assert found.relative["a"] != found.relative["a"]


def test_wrong_order_and_other_terms() -> None:
    """Calls out of order and terms that vanish are refused with the next step."""
    values = iter([{"a": 0.0}, {"b": 2.0}])
    probe = ResponseProbe(lambda: next(values))
    with pytest.raises(GraphError, match=r"got after\(\) alone"):
        probe.after()
    with pytest.raises(GraphError, match=r"expected mark\(\) before"):
        probe.before({"a": 1.0})
    probe.before()
    with pytest.raises(GraphError, match="expected the terms a from the closure, got b"):
        probe.after()
