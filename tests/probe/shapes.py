"""Graphs of many shapes, each with the tensor where its terms meet."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from poise.probe import Fork

Terms = dict[str, Tensor]


class Case(NamedTuple):
    """Terms, the place that is expected, and what is left aside."""

    terms: Terms
    place: list[Tensor]
    ignored: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


class Parts(nn.Module):
    """Layers of one width, out of which graphs are put together."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.second = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.project = nn.Linear(6, 6)
        self.table = nn.Embedding(6, 6)
        self.lstm = nn.LSTM(6, 6, batch_first=True)
        self.heads = nn.ModuleDict({name: nn.Linear(6, 3) for name in "abcd"})

    def term(self, name: str, z: Tensor) -> Tensor:
        """A term of a head of its own."""
        return self.heads[name](z).square().mean()


def plain(m: Parts, x: Tensor) -> Case:
    """Two heads on one trunk."""
    z = m.trunk(x)
    return Case({n: m.term(n, z) for n in "ab"}, [z])


def several_consumers(m: Parts, x: Tensor) -> Case:
    """Each head reads the trunk more than once."""
    z = m.trunk(x)
    return Case({n: m.term(n, z) + (z * m.term(n, z.tanh())).mean() for n in "abc"}, [z])


def own_views(m: Parts, x: Tensor) -> Case:
    """Each term has its own view of the same tensor."""
    z = m.trunk(x)
    terms = {"a": m.term("a", z.view(-1, 6)), "b": m.term("b", z.unsqueeze(0))}
    return Case(terms | {"c": z[:3].square().mean(), "d": z.t()[2].abs().mean()}, [z])


def slices(m: Parts, x: Tensor) -> Case:
    """The terms read different columns, through one split."""
    z = m.trunk(x)
    one, other = z.split(3, dim=1)
    return Case({"a": one.square().mean(), "b": other.abs().mean()}, [z])


def unbound(m: Parts, x: Tensor) -> Case:
    """The terms read different rows, through one unbind, of which some are not used."""
    z = m.trunk(x)
    rows = z.unbind()
    return Case({"a": rows[0].square().mean(), "b": (rows[1] * rows[4]).mean()}, [z])


def shared_projection(m: Parts, x: Tensor) -> Case:
    """Two of three terms share a projection after the trunk."""
    z = m.trunk(x)
    p = m.project(z)
    terms = {"a": m.term("a", p), "b": m.term("b", p.relu()), "c": m.term("c", z)}
    return Case(terms, [z], beside=("project.weight", "project.bias"))


def two_of_four(m: Parts, x: Tensor) -> Case:
    """Two pairs share a layer each, and all four the trunk."""
    z = m.trunk(x)
    p, q = m.project(z), m.second(z)
    terms = {"a": m.term("a", p), "b": m.term("b", p), "c": m.term("c", q), "d": m.term("d", q)}
    beside = ("second.0.weight", "second.0.bias", "project.weight", "project.bias")
    return Case(terms, [z], beside=beside)


def projection_of_all(m: Parts, x: Tensor) -> Case:
    """All terms share the projection: it is the end of the trunk."""
    z = m.project(m.trunk(x))
    return Case({n: m.term(n, z) for n in "abc"}, [z])


def residual_inside(m: Parts, x: Tensor) -> Case:
    """Residual connections within the trunk change nothing."""
    h = m.trunk(x)
    z = h + m.second(h)
    return Case({n: m.term(n, z) for n in "ab"}, [z])


def residual_past(m: Parts, x: Tensor) -> Case:
    """One term reads an earlier layer, too: that layer carries both."""
    h = m.trunk(x)
    z = m.second(h)
    terms = {"a": m.term("a", z), "b": m.term("b", z + h)}
    return Case(terms, [h], beside=("second.0.weight", "second.0.bias"))


def deep_supervision(m: Parts, x: Tensor) -> Case:
    """Terms at different depths meet at the shallowest."""
    h = m.trunk(x)
    return Case({"a": m.term("a", h), "b": m.term("b", m.second(h))}, [h])


def regularisers(m: Parts, x: Tensor) -> Case:
    """Terms of parameters alone and constants are ignored and listed."""
    case = plain(m, x)
    l2 = sum(one.square().sum() for one in m.parameters())
    l1 = sum(one.abs().sum() for one in m.trunk.parameters())
    terms = {"l2": l2} | case.terms | {"l1": l1, "constant": torch.tensor(1.0)}
    return Case(terms, case.place, ignored=("l2", "l1", "constant"))


def decay_inside_a_term(m: Parts, x: Tensor) -> Case:
    """A term that also penalises shared parameters reaches them past the trunk's end."""
    case = plain(m, x)
    terms = case.terms | {"b": case.terms["b"] + m.trunk[0].weight.square().sum()}
    return Case(terms, case.place, beside=("trunk.0.weight",))


def activations(m: Parts, x: Tensor) -> Case:
    """A penalty on the trunk's output itself passes it like any other term."""
    z = m.trunk(x)
    return Case({"a": m.term("a", z), "size": z.square().mean()}, [z])


def own_forward_pass(m: Parts, x: Tensor) -> Case:
    """A term of another batch has another tensor: it is listed."""
    z = m.trunk(x)
    terms = {n: m.term(n, z) for n in "ab"} | {"other": m.term("c", m.trunk(x + 1))}
    return Case(terms, [z], ignored=("other",))


def tied_weights(m: Parts, x: Tensor) -> Case:
    """A tied output layer reaches the table past the trunk."""
    ids = torch.arange(6)
    z = m.trunk(m.table(ids))
    terms = {"lm": nn.functional.cross_entropy(z @ m.table.weight.t(), ids), "a": m.term("a", z)}
    return Case(terms, [z], beside=("table.weight",))


def one_head_for_all(m: Parts, x: Tensor) -> Case:
    """Terms that use one head on slices of the trunk meet in the trunk."""
    z = m.trunk(x)
    terms = {"a": m.term("a", z[:3]), "b": m.term("a", z[3:])}
    return Case(terms, [z], beside=("heads.a.weight", "heads.a.bias"))


def two_encoders_joined(m: Parts, x: Tensor) -> Case:
    """Two encoders whose outputs are joined have one end."""
    z = torch.cat([m.trunk(x), m.second(x)], 1).view(-1, 6)
    return Case({n: m.term(n, z) for n in "ab"}, [z])


def two_encoders(m: Parts, x: Tensor) -> Case:
    """Two encoders that all terms read apart have no one tensor."""
    y, z = m.trunk(x), m.second(x)
    return Case({n: m.term(n, y) + m.term(n, z) for n in "ab"}, [])


def two_trunks(m: Parts, x: Tensor) -> Case:
    """Each pair of terms has a trunk of its own: no tensor carries all."""
    y, z = m.trunk(x), m.second(x)
    terms = {"a": m.term("a", y), "b": m.term("b", y), "c": m.term("c", z), "d": m.term("d", z)}
    return Case(terms, [])


def two_trunks_on_one_table(m: Parts, x: Tensor) -> Case:
    """Trunks that start from one embedding meet there."""
    e = m.table(torch.arange(6))
    y, z = m.trunk(e), m.second(e)
    beside = ("trunk.0.weight", "trunk.0.bias", "second.0.weight", "second.0.bias")
    terms = {n: m.term(n, y) + m.term(n, z) for n in "ab"}
    return Case(terms, [e], beside=beside)


def one_term_elsewhere(m: Parts, x: Tensor) -> Case:
    """A term with a trunk of its own shares nothing and is listed."""
    z = m.trunk(x)
    terms = {n: m.term(n, z) for n in "ab"} | {"c": m.term("c", m.second(x))}
    return Case(terms, [z], ignored=("c",))


def apart(m: Parts, x: Tensor) -> Case:
    """Terms that share nothing meet nowhere."""
    return Case({"a": m.term("a", m.trunk(x)), "b": m.term("b", m.second(x))}, [])


def parameters_only(m: Parts, x: Tensor) -> Case:
    """Terms that share a parameter and no tensor meet nowhere else."""
    return Case({"a": m.heads["a"].weight.sum(), "b": m.heads["a"].weight.square().sum()}, [])


def single(m: Parts, x: Tensor) -> Case:
    """One term alone shares nothing."""
    return Case({"a": m.term("a", m.trunk(x))}, [])


def lstm_output(m: Parts, x: Tensor) -> Case:
    """All terms read the output of a recurrent layer, however they pool it."""
    z, _ = m.lstm(x.view(1, -1, 6))
    terms = {"a": m.term("a", z), "b": m.term("b", z.mean(1)), "c": m.term("c", z[:, -1])}
    return Case(terms, [z])


def lstm_state(m: Parts, x: Tensor) -> Case:
    """The terms read output, hidden and cell state: the layer's outputs together carry them."""
    z, (h, c) = m.lstm(x.view(1, -1, 6))
    terms = {"a": m.term("a", z) + m.term("a", h[0]), "b": m.term("b", c[0]), "c": z.abs().mean()}
    return Case(terms, [z, h, c])


def dropout_past(m: Parts, x: Tensor) -> Case:
    """Each head drops out for itself; the trunk's end lies before that."""
    z = m.trunk(x)
    return Case({n: m.term(n, nn.functional.dropout(z)) for n in "ab"}, [z])


def dropout_in(m: Parts, x: Tensor) -> Case:
    """One dropout for all is the trunk's end."""
    z = nn.functional.dropout(m.trunk(x))
    return Case({n: m.term(n, z) for n in "ab"}, [z])


def autocast(m: Parts, x: Tensor) -> Case:
    """Casts of the output by each head, and of weights once for all, change nothing."""
    with torch.autocast("cpu", torch.bfloat16):
        z = m.trunk(x).float()
        terms = {"a": m.term("a", z), "b": m.term("b", z[:2]) + m.term("a", z[2:])}
    return Case(terms, [z], beside=("heads.a.weight", "heads.a.bias"))


def checkpointed_heads(m: Parts, x: Tensor) -> Case:
    """Heads under a checkpoint that is not reentrant."""
    z = m.trunk(x)
    terms = {n: checkpoint(m.term, n, z, use_reentrant=False) for n in "ab"}
    return Case(terms, [z])


def checkpointed_trunk(m: Parts, x: Tensor) -> Case:
    """A trunk under a checkpoint that is not reentrant."""
    z = checkpoint(m.trunk, x, use_reentrant=False)
    return Case({n: m.term(n, z) for n in "ab"}, [z])


def reentrant_trunk(m: Parts, x: Tensor) -> Case:
    """A reentrant checkpoint hides the trunk's parameters, but not where it ends."""
    z = checkpoint(m.trunk, x.requires_grad_(), use_reentrant=True)
    return Case({n: m.term(n, z) for n in "ab"}, [z])


def in_place_on_a_view(m: Parts, x: Tensor) -> Case:
    """A tensor that was changed through a view of it, and read through older views."""
    z = m.trunk(x) * 1
    old = z[:, :4]
    z[:, 0] = 0.0
    return Case({"a": old.square().mean(), "b": m.term("b", z)}, [z])


def forked(m: Parts, x: Tensor) -> Case:
    """A fork hides nothing: the place lies before it."""
    z = m.trunk(x)
    parts = Fork(["a", "b"])(z)
    return Case({n: m.term(n, parts[n]) for n in "ab"}, [z])


def frozen_trunk(m: Parts, x: Tensor) -> Case:
    """Where the trunk is frozen, the adapter behind it is where the terms meet."""
    m.trunk.requires_grad_(False)
    z = m.second(m.trunk(x))
    return Case({n: m.term(n, z) for n in "ab"}, [z])


def sum_of_terms(m: Parts, x: Tensor) -> Case:
    """A term that contains another meets it in that scalar."""
    one = m.term("a", m.trunk(x))
    return Case({"a": one * 1, "b": 2 * one + m.heads["b"].weight.sum()}, [one])


CASES: tuple[Callable[[Parts, Tensor], Case], ...] = (
    plain,
    several_consumers,
    own_views,
    slices,
    unbound,
    shared_projection,
    two_of_four,
    projection_of_all,
    residual_inside,
    residual_past,
    deep_supervision,
    regularisers,
    decay_inside_a_term,
    activations,
    own_forward_pass,
    tied_weights,
    one_head_for_all,
    two_encoders_joined,
    two_encoders,
    two_trunks,
    two_trunks_on_one_table,
    one_term_elsewhere,
    apart,
    parameters_only,
    single,
    lstm_output,
    lstm_state,
    dropout_past,
    dropout_in,
    autocast,
    checkpointed_heads,
    checkpointed_trunk,
    reentrant_trunk,
    in_place_on_a_view,
    forked,
    frozen_trunk,
    sum_of_terms,
)
