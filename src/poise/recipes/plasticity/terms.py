"""The terms of a batch, by name, and the objective of the cure."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from poise import Objective, Term
from poise.losses.plasticity import (
    Factors,
    attention_encoding,
    direct_mlp,
    logit_fidelity,
    regularisation,
    reported,
)
from poise.recipes.plasticity.model import Seen
from poise.reduce import Reduced
from poise.schedule import Linear

ROLES = {"regularisation": "regulariser"}


class Outputs(NamedTuple):
    """Everything the terms look at.

    Example:
        >>> Outputs._fields
        ('seen', 'target', 'modulated', 'factors', 'logits')
    """

    seen: Seen
    """The real forward pass."""
    target: Seen
    """What is supervised with: `seen`, or the reported trainer's idea of it."""
    modulated: Tensor
    """Output of the modulated MLP, [batch, tokens, hidden]."""
    factors: Factors
    """Of the modulation."""
    logits: Tensor
    """Of the model with its modulated layer."""

    @property
    def v_a(self) -> Tensor:
        """The one direction that is read of each token, [batch, tokens, hidden]."""
        return self.factors.v_a[..., 0, :]


def reported_terms(out: Outputs) -> dict[str, Tensor]:
    """The four terms of the reported training.

    Example:
        >>> import inspect
        >>> list(inspect.signature(reported_terms).parameters)
        ['out']
    """
    target = out.target
    return {
        "direct": reported.direct_mlp(out.modulated, target.attention, target.mlp),
        "attention": attention_encoding(out.v_a, target.attention),
        "fidelity": logit_fidelity(out.logits, out.seen.logits),
        "regularisation": regularisation(out.factors.v_a, out.factors.v_b),
    }


def proposed_terms(out: Outputs) -> dict[str, Tensor]:
    """The six terms of the note's improved loss, in its order.

    Example:
        >>> import inspect
        >>> list(inspect.signature(proposed_terms).parameters)
        ['out']
    """
    terms = reported_terms(out)
    attention, x = out.target.attention, out.seen.x
    return {
        "direct": terms["direct"],
        "attention": terms["attention"],
        "guidance": reported.modulation_guidance(out.v_a, x, attention),
        "bottleneck": reported.information_bottleneck(out.v_a, attention, x),
        "fidelity": terms["fidelity"],
        "regularisation": terms["regularisation"],
    }


def adaptive(terms: Mapping[str, Tensor], norms: Tensor) -> tuple[dict[str, float], Tensor]:
    """The note's adaptive weights by term, and what they remember.

    Without a graph, as in an evaluation, they cannot be computed: then they are equal.

    Example:
        >>> import torch
        >>> x = torch.ones(1, requires_grad=True)
        >>> adaptive({"a": x.sum(), "b": 1e6 * x.sum()}, torch.zeros(2))[0]
        {'a': 0.5, 'b': 0.5}
    """
    losses = [*terms.values()]
    if not all(one.requires_grad for one in losses):
        return dict.fromkeys(terms, 1 / len(terms)), norms
    weights, norms = reported.adaptive_weights(losses, norms)
    return {name: float(weights[at]) for at, name in enumerate(terms)}, norms


def _direct(out: Outputs) -> Reduced:
    return direct_mlp(out.modulated, out.target.attention, out.target.mlp)


def _fidelity(out: Outputs) -> Tensor:
    return logit_fidelity(out.logits, out.seen.logits)


def _encoding(out: Outputs) -> Tensor:
    return attention_encoding(out.v_a, out.target.attention)


def _size(out: Outputs) -> Tensor:
    return regularisation(out.factors.v_a, out.factors.v_b)


def cured_objective(ramp: int) -> Objective:
    """The direct term leads from the first step; fidelity, aligned with it, is ramped up beside it.

    Attention encoding is measured and trains nothing.

    Args:
        ramp: Optimizer steps until fidelity has its full weight.

    Example:
        >>> cured_objective(100).names
        ('direct', 'fidelity', 'attention', 'regularisation')
    """
    return Objective(
        Term("direct", _direct),
        Term("fidelity", _fidelity, weight=Linear(0.0, 0.5, stop=ramp)),
        Term("attention", _encoding, role="monitor"),
        Term("regularisation", _size, role="regulariser", weight=1e-4),
    )
