"""Gradients of several terms at one place, against plain autograd."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from poise.errors import GraphError
from poise.probe import Gradients, Graph, at_bottleneck, at_shared, gradients_at
from tests.probe.nets import alone, batch, net, products


@pytest.mark.parametrize("seed", range(4))
def test_shared_parameters_against_autograd(seed: int) -> None:
    """Norms, shares, direction shares and cosines are those of separate backward passes."""
    model = net(seed, "abc")
    terms = model(batch(seed))
    weights = {"a": 0.5, "b": 2.0, "c": -1.0}
    graph = Graph(terms, model)
    assert graph.reach.shared == tuple(
        f"trunk.{name}" for name, _ in model.trunk.named_parameters()
    )
    vectors = {n: weights[n] * g for n, g in alone(terms, list(graph.shared.values())).items()}
    found = at_shared(graph, weights=weights).gradients
    torch.testing.assert_close(found.products, products(vectors), rtol=1e-5, atol=1e-12)
    norms = {name: float(one.norm()) for name, one in vectors.items()}
    whole = sum(vectors.values())
    assert found.norms == pytest.approx(norms, rel=1e-5)
    assert found.shares == pytest.approx({n: x / sum(norms.values()) for n, x in norms.items()})
    along = {n: float(g @ whole / (whole @ whole)) for n, g in vectors.items()}
    assert found.direction_shares == pytest.approx(along, rel=1e-4, abs=1e-6)
    assert sum(found.direction_shares.values()) == pytest.approx(1.0)
    assert found.total_norm == pytest.approx(float(whole.norm()), rel=1e-5)
    cosine = float(vectors["a"] @ vectors["c"]) / norms["a"] / norms["c"]
    assert found.cosine("a", "c") == pytest.approx(cosine, rel=1e-4, abs=1e-6)
    negative = {(x, y) for x in "abc" for y in "abc" if x > y and vectors[x] @ vectors[y] < 0}
    assert set(found.conflicts) == negative
    record = found.to_record()
    assert record["where"] == "shared"
    assert record["weights"] == weights
    assert set(record) == {"where", "terms", "norms", "gramian", "weights", "seconds"}


@pytest.mark.parametrize("seed", range(3))
def test_bottleneck_against_autograd(seed: int) -> None:
    """At the bottleneck the reading is that of a cut at the trunk's output."""
    model = net(seed, "abc")
    graph = Graph(model(batch(seed)), model)
    place = graph.bottleneck()
    assert place is not None
    assert place.shape == (7, 5)
    z = model.trunk(batch(seed)).detach().requires_grad_()
    cut = {n: ((k + 1) * model.heads[n](z)).square().mean() for k, n in enumerate("abc")}
    found = at_bottleneck(graph, place, weights={"b": 3.0})
    vectors = alone(cut, [z])
    vectors["b"] *= 3
    torch.testing.assert_close(found.products, products(vectors), rtol=1e-5, atol=1e-12)
    assert found.where == "edge"


def test_nothing_of_the_training_changes() -> None:
    """After probing, the training's own backward gives the same bits, and .grad was untouched."""
    plain, probed = net(5, norm=True), net(5, norm=True)
    for model in (plain, probed):
        sum(model(batch(1)).values()).backward()
        terms = model(batch(2))
        if model is probed:
            before = [(one.grad, one.grad.clone()) for one in model.parameters()]
            state = torch.get_rng_state()
            graph = Graph(terms, model)
            at_shared(graph, optimizer=torch.optim.Adam(model.parameters()))
            at_bottleneck(graph, graph.bottleneck())
            assert all(
                one.grad is g for one, (g, _) in zip(model.parameters(), before, strict=True)
            )
            assert all(torch.equal(g, kept) for g, kept in before)
            assert torch.equal(state, torch.get_rng_state())
        sum(terms.values()).backward()
    for one, other in zip(plain.parameters(), probed.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    for one, other in zip(plain.buffers(), probed.buffers(), strict=True):
        assert torch.equal(one, other)


def test_absent_detached_and_zero_terms() -> None:
    """A constant is absent; a weight of zero is a gradient of zero."""
    p = torch.ones(2, requires_grad=True)
    q = torch.ones(2, requires_grad=True)
    terms = {"p": p.sum(), "constant": torch.tensor(1.0), "q": q.sum(), "off": 3 * p.sum()}
    found = gradients_at(terms, [p], weights={"off": 0.0})
    assert found.terms == ("p", "off")
    assert found.absent == ("constant", "q")
    assert found.norms == {"p": 2**0.5, "off": 0.0}
    assert math.isnan(found.cosine("p", "off"))
    assert math.isnan(found.cosine("p", "q"))


def test_no_place_and_no_gradient() -> None:
    """Without shared parameters every term is absent and nothing fails."""
    model = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)})
    graph = Graph({name: one(torch.ones(1, 2)).sum() for name, one in model.items()}, model)
    found = at_shared(graph, optimizer=torch.optim.SGD(model.parameters()))
    assert found.gradients.terms == ()
    assert found.gradients.shares == {}
    assert found.update is not None
    assert found.update.reason == "nothing shared"
    assert found.gradients.total_norm == 0.0
    assert graph.bottleneck() is None


def test_sparse_half_and_complex_gradients() -> None:
    """Sparse, half-precision and complex gradients count as what they stand for."""
    table = nn.Embedding(9, 4, sparse=True)
    rows = torch.tensor([1, 1, 5])
    dense = nn.Embedding.from_pretrained(table.weight.detach().clone(), freeze=False)
    expected = gradients_at({"a": dense(rows).square().sum()}, [dense.weight])
    found = gradients_at({"a": table(rows).square().sum()}, [table.weight])
    torch.testing.assert_close(found.products, expected.products)
    half = torch.ones(3, dtype=torch.float16, requires_grad=True)
    assert gradients_at({"a": (half * 60000).sum()}, [half]).norms["a"] == pytest.approx(
        60000 * 3**0.5, rel=1e-3
    )
    z = torch.ones(2, dtype=torch.complex128, requires_grad=True)
    assert gradients_at({"a": z.abs().square().sum()}, [z]).norms == {"a": 8**0.5}


@given(scale=st.floats(-25, 25), weight=st.floats(0.1, 10))
@settings(max_examples=25, deadline=None)
def test_shares_do_not_depend_on_a_common_factor(scale: float, weight: float) -> None:
    """Multiplying all gradients leaves shares, direction shares and cosines as they are."""
    p = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    terms = {"a": (p**2).sum(), "b": p.sum()}
    plain = gradients_at(terms, [p], weights={"a": 1.0, "b": weight})
    by = 10.0**scale
    large = gradients_at(terms, [p], weights={"a": by, "b": weight * by})
    assert large.shares == pytest.approx(plain.shares)
    assert large.direction_shares == pytest.approx(plain.direction_shares)
    assert large.unscaled(by).norms == pytest.approx(plain.norms)
    assert large.unscaled(torch.tensor(by, dtype=torch.float64)).norms == pytest.approx(plain.norms)


def test_non_reentrant_checkpoint_and_batch_norm() -> None:
    """Probing through a checkpoint leaves the final gradients and buffers as without it."""
    results = []
    for probed in (False, True):
        model = net(6, norm=True)

        def part(x: torch.Tensor, model: nn.Module = model) -> torch.Tensor:
            return model.trunk(x)

        z = checkpoint(part, batch(), use_reentrant=False)
        terms = {name: head(z).square().mean() for name, head in model.heads.items()}
        if probed:
            graph = Graph(terms, model)
            kept = [one.clone() for one in model.buffers()]
            assert len(at_shared(graph).gradients.terms) == 2
            assert all(map(torch.equal, kept, model.buffers()))
        sum(terms.values()).backward()
        results.append([one.grad for one in model.parameters()] + list(model.buffers()))
    assert all(map(torch.equal, *results))


def test_loss_scale_keeps_float16_gradients() -> None:
    """By itself or with a scale, gradients that float16 cannot hold are measured, unscaled."""
    layer = nn.Linear(4, 4).half()
    out = layer(torch.ones(2, 4, dtype=torch.float16)).float()
    graph = Graph({"a": 1e-9 * out.sum(), "b": 1e-9 * out.square().sum()}, layer)
    assert at_shared(graph, scale=1.0).gradients.norms["a"] == 0.0
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    found = at_shared(graph, scale=2.0**20, optimizer=optimizer, weights={"a": 2.0})
    expected = 2e-9 * 2 * (4 * 4 + 4) ** 0.5
    own = at_shared(graph, optimizer=optimizer, weights={"a": 2.0})
    assert own.gradients.norms["a"] == pytest.approx(expected, rel=1e-2)
    assert found.gradients.norms["a"] == pytest.approx(expected, rel=1e-2)
    assert found.update is not None
    assert found.update.norms["a"] == pytest.approx(expected, rel=1e-2)
    place = graph.bottleneck()
    assert place is not None
    plain = at_bottleneck(graph, place).norms
    assert at_bottleneck(graph, place, scale=2.0**20).norms["b"] >= plain["b"]


def test_reentrant_checkpoint_says_what_to_do() -> None:
    """A reentrant checkpoint hides its parameters from the graph; the map says so."""
    model = net()
    z = checkpoint(model.trunk, batch().requires_grad_(), use_reentrant=True)
    terms = {name: head(z).square().mean() for name, head in model.heads.items()}
    graph = Graph(terms, model)
    assert graph.reach.opaque == ("CheckpointFunctionBackward",)
    assert "trunk.0.weight" in graph.reach.unreached


def test_freed_graph_says_what_to_do() -> None:
    """After the training's own backward there is nothing left to measure."""
    model = net()
    terms = model(batch())
    graph = Graph(terms, model)
    sum(terms.values()).backward()
    with pytest.raises(
        GraphError, match=r"term 'a': expected a graph .* before the training's own"
    ):
        at_shared(graph)


@pytest.mark.parametrize("bad", [torch.ones(2), 3.0])
def test_terms_must_be_scalars(bad: object) -> None:
    """Anything but a scalar tensor is refused by name."""
    with pytest.raises(GraphError, match="term 'a': expected a scalar tensor, got"):
        gradients_at({"a": bad}, [])  # type: ignore[dict-item]
    with pytest.raises(GraphError, match="expected at least one term"):
        gradients_at({}, [])


def test_record_of_a_nan() -> None:
    """A NaN in one term stays in its own row, shares say NaN."""
    bad = torch.tensor([[1.0, math.nan], [math.nan, math.nan]], dtype=torch.float64)
    found = Gradients(where="edge", terms=("a", "b"), products=bad)
    assert found.norms["a"] == 1.0
    assert math.isnan(found.shares["a"])
    assert math.isnan(found.direction_shares["a"])
