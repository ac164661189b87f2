"""The published methods that need no more than the inner products of the gradients."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from poise.balance import kept, peers
from poise.balance.balancer import Balancer
from poise.balance.method_rule import MethodRule
from poise.balance.named_options import split
from poise.balance.names import named
from poise.balance.row import Row, Solver
from poise.errors import BalanceError

ROWS = (
    Row(
        name="mean",
        make=peers.plain("MeanWeighting"),
        paper="equal weights 1/K",
        promises=frozenset({"equivariant", "convex", "nonnegative"}),
    ),
    Row(
        name="sum",
        make=peers.plain("SumWeighting"),
        paper="equal weights 1",
        promises=frozenset({"equivariant", "nonnegative"}),
    ),
    Row(
        name="random",
        make=peers.plain("RandomWeighting"),
        paper="https://arxiv.org/abs/2111.10603",
        promises=frozenset({"convex", "nonnegative"}),
        random=True,
    ),
    Row(
        name="upgrad",
        make=peers.projecting("UPGradWeighting"),
        paper="https://arxiv.org/abs/2406.16232",
        promises=frozenset({"equivariant", "nonnegative", "no conflict"}),
        needs=("quadprog", "qpsolvers"),
        note="projected at unit length with a ridge of 1e-6; TorchJD's default is 1e-4",
        solver="K quadratic programs",
    ),
    Row(
        name="dualproj",
        make=peers.projecting("DualProjWeighting"),
        paper="https://arxiv.org/abs/1706.08840",
        promises=frozenset({"equivariant", "nonnegative", "no conflict"}),
        needs=("quadprog", "qpsolvers"),
        note="projected at unit length with a ridge of 1e-6; TorchJD's default is 1e-4",
        solver="a quadratic program",
    ),
    Row(
        name="pcgrad",
        make=peers.plain("PCGradWeighting"),
        paper="https://arxiv.org/abs/2001.06782",
        promises=frozenset({"nonnegative"}),
        random=True,
        note="the sum of the projected gradients, not their mean; deterministic for two terms",
    ),
    Row(
        name="gradvac",
        make=peers.plain("GradVacWeighting"),
        paper="https://arxiv.org/abs/2010.05874",
        promises=frozenset({"nonnegative"}),
        options={"eps": 1e-12},
        kept=kept.PHI,
        random=True,
        note="eps is 1e-12 and not 1e-8, so that a term a million times smaller is treated alike",
    ),
    Row(
        name="mgda",
        make=peers.plain("MGDAWeighting"),
        paper="https://arxiv.org/abs/1810.04650",
        promises=frozenset({"equivariant", "convex", "nonnegative", "no conflict"}),
        note="exact for two terms; above that options epsilon and max_iters set how exact",
        solver="at most 100 steps of Frank-Wolfe",
    ),
    Row(
        name="cagrad",
        make=peers.plain("CAGradWeighting"),
        paper="https://arxiv.org/abs/2110.14048",
        promises=frozenset({"equivariant", "nonnegative"}),
        needs=("cvxpy", "clarabel"),
        options={"c": 0.5, "norm_eps": 1e-8},
        note="not divided by 1 + c; weights are 0 where no direction improves all terms; norm_eps "
        "is 1e-8 and not 1e-4, at which a term 10,000 times smaller than the others stops training",
        solver="a cone program",
    ),
    Row(
        name="nash",
        make=peers.nash,
        paper="https://arxiv.org/abs/2202.01017",
        promises=frozenset({"equivariant", "nonnegative", "no conflict", "own scale"}),
        needs=("cvxpy", "ecos", "scipy"),
        kept=kept.ALPHA,
        check=peers.bargain,
        note="max_norm is in units of the norm of all gradients together; where its solver gives "
        "up, FairGrad's search for the same equation answers",
        solver="up to 20 cone programs",
    ),
    Row(
        name="fairgrad",
        make=peers.fair,
        paper="https://arxiv.org/abs/2402.15638",
        promises=frozenset({"equivariant", "nonnegative", "no conflict", "own scale"}),
        needs=("scipy",),
        options={"alpha": 1.0},
        check=peers.fairness,
        solver="a least-squares search",
    ),
    Row(
        name="aligned",
        make=peers.plain("AlignedMTLWeighting"),
        paper="https://arxiv.org/abs/2305.19000",
        promises=frozenset({"equivariant"}),
        note="the mean of the aligned gradients, not their sum",
        solver="an eigendecomposition",
    ),
    Row(
        name="imtl_g",
        make=peers.impartial,
        paper="https://openreview.net/forum?id=IMPnRXEWpvr",
        promises=frozenset({"equivariant", "no conflict", "own scale"}),
        note="the weights sum to 1, or to -1 where a sum of 1 would climb for every term",
        solver="a pseudo-inverse",
    ),
    Row(
        name="config",
        make=peers.config,
        paper="https://arxiv.org/abs/2408.11104",
        promises=frozenset({"equivariant", "no conflict", "own scale"}),
        solver="a pseudo-inverse",
    ),
    Row(
        name="pcd",
        make=peers.plain("PCDWeighting"),
        paper="https://arxiv.org/abs/2606.29521",
        promises=frozenset({"nonnegative"}),
        kept=kept.NORMS,
        primary=True,
        note="the first name is the primary term; running norms are relative to their step's total",
        solver="an active-set search",
    ),
    Row(
        name="excess",
        make=peers.excess,
        paper="https://proceedings.mlr.press/v235/he24n.html",
        promises=frozenset({"equivariant", "convex", "nonnegative"}),
        kept=kept.EXCESS,
        note="one curvature for each term instead of one for each parameter: products have no "
        "coordinates",
    ),
)
"""One row a method."""


def _smoothed(count: int, options: dict[str, Any]) -> Solver:
    row = find(options.pop("of"))
    if row.kept is not None:
        raise BalanceError(
            f"Method 'cr_mogm': expected a method without memory, got of={row.name!r}; take another"
        )
    own = {key: options.pop(key) for key in ("alpha", "initial_weights") if key in options}
    inner = row.make(count, {**row.options, **options})
    outer = peers.aggregation("CRMOGMWeighting")(inner.weigh, **own)
    return Solver(outer, outer)


METHODS = {row.name: row for row in ROWS}
METHODS["cr_mogm"] = Row(
    name="cr_mogm",
    make=_smoothed,
    paper="https://openreview.net/forum?id=ScwfQ7hdwyP",
    promises=METHODS["mgda"].promises - {"no conflict"},
    options={"of": "mgda"},
    kept=kept.AVERAGE,
    random=True,
    note="of= names the method whose weights are averaged; its options are passed on",
    solver="that of the method",
)
"""Every method by its name."""

LEFT_OUT = {
    "graddrop": "it chooses by coordinate, and products have no coordinates",
    "krum": "it drops all terms but one, to be safe from hostile workers",
    "modo": "it needs two independent batches in every step",
    "sdmgrad": "it needs independent batches in every step",
    "trimmed_mean": "it trims by coordinate, and products have no coordinates",
}
"""Aggregators of TorchJD that are not offered, and why."""


def find(method: str) -> Row:
    """The row of a method.

    Raises:
        BalanceError: There is none of this name.

    Example:
        >>> find("nash").needs
        ('cvxpy', 'ecos', 'scipy')
    """
    if method in [*METHODS]:  # a list, since what has no hash may be passed
        return METHODS[method]
    if method in [*LEFT_OUT]:
        raise BalanceError(f"method {method!r} is not offered: {LEFT_OUT[method]}; take another")
    near = get_close_matches(str(method), METHODS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise BalanceError(f"unknown method {method!r}; the methods are {', '.join(METHODS)}.{hint}")


def Method(method: str, names: Iterable[str], *, seed: int = 0, **options: object) -> Balancer:
    """A balancer with the weights of a published method.

    The method sees the inner products of the gradients with unit trace, so a scale that all terms
    share, as that of a GradScaler, never matters; its weights multiply the gradients as they are.
    A term whose gradient is exactly zero has no say in a step and keeps its last weight. Where a
    solver fails, the last weights are held, the failure is counted in `rule.failures`, and a
    `PoiseWarning` says so.

    Args:
        method: Its name; `methods()` lists them all.
        names: Names of the terms; for `pcd` the primary term first.
        seed: For methods that draw random numbers. They have a generator of their own, which is
            part of the state; the global one is left alone.
        **options: Options of the weighting of TorchJD that has this name, and those of
            `Balancer`. An option that has one number a term is a dict by name.

    Raises:
        BalanceError: The method is unknown or does not take these options.
        MissingExtraError: TorchJD or a solver is not installed.

    Example:
        >>> import torch
        >>> balance = Method("imtl_g", ["a", "b"])
        >>> z = torch.ones(2, requires_grad=True)
        >>> parts = balance.fork(z)
        >>> balance.total({"a": parts["a"].sum(), "b": 3 * parts["b"].sum()}).backward()
        >>> {name: round(weight, 3) for name, weight in balance.weights.items()}
        {'a': 0.75, 'b': 0.25}
    """
    names = named("Method", names)
    machinery = split(options)
    rule = MethodRule(find(method), names, seed=seed, **options)
    return Balancer(names, rule, **machinery)
