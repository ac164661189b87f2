"""The published methods that look at values only."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from poise.balance.balancer import Balancer
from poise.balance.kept import Peer
from poise.balance.named_options import split
from poise.balance.names import named
from poise.balance.scalarizer_rule import Fields, Lasting, Line, ScalarizerRule
from poise.errors import BalanceError


def _scalarization(name: str) -> Peer:
    return getattr(import_module("torchjd.scalarization"), name)


def _plain(name: str) -> Callable[[int, dict[str, Any]], Peer]:
    return lambda count, options: _scalarization(name)(**options)  # noqa: ARG005 -- one signature


def _sized(name: str) -> Callable[[int, dict[str, Any]], Peer]:
    return lambda count, options: _scalarization(name)(count, **options)


def _put_rates(peer: Peer, fields: Fields) -> None:
    """A term without two epochs behind it, or from zero, counts as one that did not change."""
    known = (fields["epochs"] >= 2) & (fields["older"] != 0)
    one = torch.ones_like(fields["older"])
    pair = [torch.where(known, fields[name], one) for name in ("older", "newer")]
    peer._previous_averages = pair


def _see_sum(fields: Fields, values: Tensor) -> dict[str, Tensor]:
    return {"sum": fields["sum"] + values, "batches": fields["batches"] + 1}


def _end_epoch(fields: Fields) -> dict[str, Tensor]:
    had = fields["batches"] > 0
    average = torch.where(had, fields["sum"] / fields["batches"].clamp(min=1), fields["newer"])
    zero = torch.zeros_like(average)
    return {
        "older": torch.where(had, fields["newer"], fields["older"]),
        "newer": average,
        "epochs": fields["epochs"] + had,
        "sum": zero,
        "batches": zero,
    }


DWA = Lasting(
    fields=dict.fromkeys(("older", "newer", "sum", "batches", "epochs"), 0.0),
    put=_put_rates,
    see=_see_sum,
    epoch=_end_epoch,
)
"""Mean values of the last two epochs, and sums of this one."""


def _put_logits(peer: Peer, fields: Fields) -> None:
    like = peer._w
    with torch.no_grad():
        like.copy_(fields["logit"])
    peer._prev_losses = fields["before"].to(like)
    peer._optimizer = adam = torch.optim.Adam([like], lr=peer.lr, weight_decay=peer.weight_decay)
    adam.state[like] = {
        "step": fields["steps"].max().float().cpu(),
        "exp_avg": fields["mean"].to(like),
        "exp_avg_sq": fields["square"].to(like),
    }


def _see_before(fields: Fields, values: Tensor) -> dict[str, Tensor]:  # noqa: ARG001
    return {"before": values}


def _look_back(peer: Peer, fields: Fields, values: Tensor) -> dict[str, Tensor]:
    if not bool((fields["before"] == fields["before"]).all()):
        raise BalanceError(
            "Scalarizer 'famo': .update(terms) expects terms that .total(terms) has seen before; "
            "call total first"
        )
    peer.update(values)
    state = peer._optimizer.state[peer._w]
    return {
        "logit": peer._w.detach(),
        "mean": state["exp_avg"],
        "square": state["exp_avg_sq"],
        "steps": fields["steps"] + 1,
    }


FAMO = Lasting(
    fields={"before": float("nan"), **dict.fromkeys(("logit", "mean", "square", "steps"), 0.0)},
    put=_put_logits,
    see=_see_before,
    update=_look_back,
)
"""Its logits with the state of the Adam that steps them, and the values before the step."""

LINES = (
    Line(name="mean", make=_plain("Mean"), paper="equal weights 1/K"),
    Line(name="sum", make=_plain("Sum"), paper="equal weights 1"),
    Line(
        name="constant",
        make=_plain("Constant"),
        paper="constant weights",
        equal=("weights",),
        note="unlike Fixed it weighs the heads too",
    ),
    Line(
        name="random",
        make=_plain("Random"),
        paper="https://arxiv.org/abs/2111.10603",
        random=True,
    ),
    Line(
        name="geometric_mean",
        make=_plain("GeometricMean"),
        paper="MultiNet++, CVPR workshops 2019",
        above=True,
    ),
    Line(
        name="stch",
        make=_plain("STCH"),
        paper="https://arxiv.org/abs/2402.19078",
        options={"mu": 1.0},
        equal=("weights",),
        note="mu is in the units of the values",
    ),
    Line(
        name="cosmos",
        make=_plain("COSMOS"),
        paper="https://arxiv.org/abs/2103.13392",
        options={"lambda_": 1.0},
        equal=("weights",),
    ),
    Line(
        name="pbi",
        make=_plain("PBI"),
        paper="https://ieeexplore.ieee.org/document/4358754",
        options={"theta": 5.0},
        equal=("weights",),
    ),
    Line(
        name="dwa",
        make=_plain("DWA"),
        paper="https://arxiv.org/abs/1803.10704",
        lasting=DWA,
        note="call .rule.epoch() after each epoch",
    ),
    Line(
        name="famo",
        make=_sized("FAMO"),
        paper="https://arxiv.org/abs/2306.03792",
        lasting=FAMO,
        above=True,
        note="call .rule.update(terms) after each step, with values of the same batch",
    ),
    Line(
        name="uw",
        make=_sized("UW"),
        paper="https://arxiv.org/abs/1705.07115",
        learned="log_var",
        note="give .parameters() to the optimizer; the total can be negative; Uncertainty has "
        "limits",
    ),
    Line(
        name="imtl_l",
        make=_sized("IMTLL"),
        paper="https://openreview.net/forum?id=IMPnRXEWpvr",
        learned="log_scale",
        note="give .parameters() to the optimizer; the total can be negative",
    ),
)
"""One row a scalarizer."""

SCALARIZERS = {line.name: line for line in LINES}
"""Every scalarizer by its name."""


def listed(name: str) -> Line:
    """The row of a scalarizer.

    Raises:
        BalanceError: There is none of this name.

    Example:
        >>> listed("uw").learned
        'log_var'
    """
    if name in [*SCALARIZERS]:  # a list, since what has no hash may be passed
        return SCALARIZERS[name]
    near = get_close_matches(str(name), SCALARIZERS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise BalanceError(
        f"unknown scalarizer {name!r}; the scalarizers are {', '.join(SCALARIZERS)}.{hint}"
    )


def Scalarizer(
    scalarizer: str, names: Iterable[str], *, seed: int = 0, **options: object
) -> Balancer:
    """A balancer whose total is a published function of the values, by TorchJD.

    It looks at values, not at gradients: what a term does to the parameters can be far from what
    its value says. Its weights reach the heads too.

    Args:
        scalarizer: Its name; `methods()` lists them all.
        names: Names of the terms.
        seed: For `random`, whose generator is part of the state; the global one is left alone.
        **options: Options of the scalarizer of TorchJD that has this name, and those of
            `Balancer`. An option that has one number a term is a dict by name.

    Raises:
        BalanceError: The scalarizer is unknown or does not take these options.
        MissingExtraError: TorchJD is not installed.

    Example:
        >>> balance = Scalarizer("stch", ["a", "b"], mu=0.1)
        >>> balance.total({"a": torch.tensor(1.0), "b": torch.tensor(3.0)})
        tensor(1.5000)
    """
    names = named("Scalarizer", names)
    machinery = split(options)
    rule = ScalarizerRule(listed(scalarizer), names, seed=seed, **options)
    return Balancer(names, rule, **machinery)
