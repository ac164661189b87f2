"""The reach map and the bottleneck, found from the graph."""

import pytest
import torch
from torch import nn

from poise.errors import GraphError
from poise.probe import Fork, Graph, at_bottleneck, at_shared
from tests.probe.nets import alone, batch, net, products


def test_reach_against_autograd() -> None:
    """A term reaches exactly the parameters that autograd gives it a gradient for."""
    for seed in range(20):
        made = torch.Generator().manual_seed(seed)
        leaves = nn.ParameterDict({f"p{k}": nn.Parameter(torch.randn(3)) for k in range(6)})
        pool = [one * 1.0 for one in leaves.values()]
        for _ in range(12):
            one, other = torch.randint(len(pool), (2,), generator=made).tolist()
            pool.append(torch.tanh(pool[one] * pool[other]))
        picks = torch.randint(len(pool), (3,), generator=made).tolist()
        terms = {f"t{k}": pool[at].sum() for k, at in enumerate(picks)}
        graph = Graph(terms, leaves)
        for name, term in terms.items():
            found = torch.autograd.grad(
                term, list(leaves.values()), retain_graph=True, allow_unused=True
            )
            there = [n for n, one in zip(leaves, found, strict=True) if one is not None]
            assert list(graph.reach.reached[name]) == there


def test_owned_frozen_unreached_detached() -> None:
    """Every parameter is in exactly one class, and constants are named."""
    model = net(0, ["a", "b", "c"])
    model.spare = nn.Linear(2, 2)
    model.trunk[0].bias.requires_grad_(False)
    terms = model(batch())
    terms["c"] = terms["c"].detach()
    reach = Graph(terms, model).reach
    assert reach.shared == ("trunk.0.weight", "trunk.2.weight", "trunk.2.bias")
    assert reach.owned == {
        "a": ("heads.a.weight", "heads.a.bias"),
        "b": ("heads.b.weight", "heads.b.bias"),
        "c": (),
    }
    assert reach.unreached == ("heads.c.weight", "heads.c.bias", "spare.weight", "spare.bias")
    assert reach.frozen == ("trunk.0.bias",)
    assert reach.detached == ("c",)
    assert reach.sizes["trunk.0.weight"] == 48
    record = reach.to_record()
    assert record["frozen"] == ["trunk.0.bias"]
    assert record["reach"]["c"] == []


def test_tied_weights_and_shared_heads() -> None:
    """Tied parameters appear once; a head that two of three terms share is shared."""
    table = nn.Embedding(5, 4)
    out = nn.Linear(4, 5, bias=False)
    out.weight = table.weight
    model = nn.ModuleDict({"table": table, "out": out, "pair": nn.Linear(4, 1)})
    h = table(torch.tensor([1, 2]))
    terms = {"lm": out(h).sum(), "x": model["pair"](h).sum(), "y": model["pair"](2 * h).sum()}
    reach = Graph(terms, model).reach
    assert reach.reached["lm"] == ("table.weight",)
    assert reach.shared == ("table.weight", "pair.weight", "pair.bias")


def test_through_forks() -> None:
    """A fork hides nothing: the map is exact, and the bottleneck lies before it."""
    model, split = net(1), Fork(["a", "b"])
    graph = Graph(model(batch(), split), model)
    assert graph.reach.owned["a"] == ("heads.a.weight", "heads.a.bias")
    place = graph.bottleneck()
    assert place is not None
    assert place.name == "AddmmBackward0"
    at_shared(graph)
    assert split.last is None  # a probe's passes are not the training's
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    x = torch.ones(1, 2)
    parts = Fork(["a", "b"])((first(x), second(x)))
    terms = {"a": parts["a"][0].sum(), "b": parts["b"][1].sum()}
    reach = Graph(terms, nn.ModuleList([first, second])).reach
    assert reach.reached == {"a": ("0.weight", "0.bias"), "b": ("1.weight", "1.bias")}


def test_without_a_model() -> None:
    """All leaf tensors count as parameters then."""
    p, q = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    graph = Graph({"a": (p * q).sum(), "b": p.sum()})
    assert len(graph.parameters) == 2
    assert len(graph.shared) == 1
    assert next(iter(graph.shared.values())) is p


def test_several_outputs_of_one_operation() -> None:
    """Pieces of one split tensor are told apart; the tensor itself is the bottleneck."""
    layer = nn.Linear(3, 4)
    z = layer(torch.randn(2, 3)).tanh()
    one, other = z.split(2, dim=1)
    graph = Graph({"a": one.sum(), "b": (other * 3).sum()}, layer)
    place = graph.bottleneck()
    assert place is not None
    assert place.name == "TanhBackward0"
    found = at_bottleneck(graph, place)
    vectors = alone(graph.terms, [z])
    torch.testing.assert_close(found.products, products(vectors))


def test_deep_graphs_and_no_parameters() -> None:
    """Neither depth nor the absence of parameters is a problem."""
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(5000):
        y = y + 1
    graph = Graph({"a": y.sum(), "b": (2 * y).sum()})
    assert graph.bottleneck() is not None
    assert Graph({"a": torch.tensor(1.0)}, nn.Identity()).reach.shared == ()
    with pytest.raises(GraphError, match="term 'a': expected a scalar"):
        Graph({"a": y.expand(2)})
