"""TorchJD's weightings, fed so that the scales of the terms do not spoil their solvers.

Some methods give the same answer for gradients of unit length, up to a division of each weight by
the length. Those are solved there: a millionfold difference in scale then costs no digits.
"""

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor

from poise.balance.kept import Peer
from poise.balance.row import Make, Solver

_eigh = cast(Callable[[Tensor], tuple[Tensor, Tensor]], torch.linalg.eigh)
_pinv = cast(Callable[[Tensor], Tensor], torch.linalg.pinv)

RIDGE = 1e-6
"""Added to the cosines before a projection, so that two equal gradients can be told from a
singular matrix; TorchJD's own 1e-4 is visible in the fourth digit of the weights."""


OFF = 1e-3
"""How far an answer may be from the equation that it must solve. Where the solvers work they leave
1e-6 and less (tests/balance/test_peers.py); Nash-MTL's search stops at 1e-3 by itself."""


def aggregation(name: str) -> Peer:
    """A class of `torchjd.aggregation`."""
    return getattr(import_module("torchjd.aggregation"), name)


@contextmanager
def calm() -> Generator[None]:
    """Keeps remarks of solvers to themselves; what they return is checked instead.

    Example:
        >>> with calm():
        ...     warnings.warn("Solution may be inaccurate")
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are solving a parameterized problem")
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="torchjd|numpy|scipy")
        yield


def cosines(products: Tensor) -> tuple[Tensor, Tensor]:
    """Inner products of the gradients at unit length, and their lengths.

    Example:
        >>> cosines(torch.tensor([[4.0, 2.0], [2.0, 4.0]]))
        (tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]]), tensor([2., 2.]))
    """
    lengths = products.diagonal().sqrt()
    return products / lengths[:, None] / lengths, lengths


def factor(products: Tensor) -> Tensor:
    """K vectors of K coordinates that have these inner products.

    Example:
        >>> rows = factor(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
        >>> rows @ rows.T
        tensor([[2.0000, 1.0000],
                [1.0000, 2.0000]])
    """
    values, vectors = _eigh(products)
    return vectors * values.clamp(min=0.0).sqrt()


def plain(name: str) -> Make:
    """A weighting that is called on the products as they are."""

    def make(count: int, options: dict[str, Any]) -> Solver:  # noqa: ARG001 -- one signature for all
        weighting = aggregation(name)(**options)
        return Solver(weighting, weighting)

    return make


def projecting(name: str) -> Make:
    """UPGrad and DualProj: solved at unit length, where the preference carries the lengths."""

    def make(count: int, options: dict[str, Any]) -> Solver:
        projector = import_module("torchjd.linalg").QuadprogProjector
        equal = torch.full((count,), 1.0 / count, dtype=torch.float64)
        wish = cast(Tensor, options.pop("pref_vector", equal))
        options.setdefault("projector", projector(norm_eps=0.0, reg_eps=RIDGE))
        weighting = aggregation(name)(**options)

        def weigh(products: Tensor) -> Tensor:
            unit, lengths = cosines(products)
            weighting.pref_vector = wish * lengths
            return cast(Tensor, weighting(unit)) / lengths

        return Solver(weighting, weigh)

    return make


def impartial(count: int, options: dict[str, Any]) -> Solver:  # noqa: ARG001
    """IMTL-G: solved at unit length; the sign is the one that descends for all terms."""
    weighting = aggregation("IMTLGWeighting")(**options)

    def weigh(products: Tensor) -> Tensor:
        unit, lengths = cosines(products)
        weights = cast(Tensor, weighting(unit)) / lengths
        total = weights.sum().abs()
        return weights / total if total > 0 else weights

    return Solver(weighting, weigh)


def config(count: int, options: dict[str, Any]) -> Solver:  # noqa: ARG001
    """ConFIG: the direction in the space that the gradients span, then its weights."""
    aggregator = aggregation("ConFIG")(**options)

    def weigh(products: Tensor) -> Tensor:
        unit, lengths = cosines(products)
        rows = factor(unit)
        direction = cast(Tensor, aggregator(rows * lengths[:, None]))
        return _pinv(rows.T) @ direction / lengths

    return Solver(aggregator, weigh)


def nash(count: int, options: dict[str, Any]) -> Solver:
    """Nash-MTL: solved at unit length, and by FairGrad's search where its own solver gives up.

    The bargain and FairGrad with alpha 1 are one equation, which has one positive solution.
    """
    weighting = aggregation("NashMTL")(n_tasks=count, **options).weighting
    search = aggregation("FairGradWeighting")(1.0)

    def weigh(products: Tensor) -> Tensor:
        unit, lengths = cosines(products)
        found = cast(Tensor, weighting(factor(unit)))
        if not bargain(found, unit, options) <= OFF:
            found = cast(Tensor, search(unit))
            weighting.prvs_alpha = found.numpy().copy()
            size = float((found @ unit @ found).sqrt())
            if 0 < weighting.max_norm < size:
                found = found * (weighting.max_norm / size)
        return found / lengths

    return Solver(weighting, weigh)


def fair(count: int, options: dict[str, Any]) -> Solver:  # noqa: ARG001
    """FairGrad: solved at unit length where `alpha` is 1, which is where that changes nothing."""
    weighting = aggregation("FairGradWeighting")(**options)

    def weigh(products: Tensor) -> Tensor:
        if options["alpha"] != 1:
            return weighting(products)
        unit, lengths = cosines(products)
        return cast(Tensor, weighting(unit)) / lengths

    return Solver(weighting, weigh)


def excess(count: int, options: dict[str, Any]) -> Solver:  # noqa: ARG001
    """ExcessMTL with one curvature for each term, since products have no coordinates."""
    weighting = aggregation("ExcessMTLWeighting")(**options)

    def weigh(products: Tensor) -> Tensor:
        return weighting(products.diagonal().sqrt()[:, None])

    return Solver(weighting, weigh)


def bargain(weights: Tensor, products: Tensor, options: Mapping[str, Any]) -> float:  # noqa: ARG001
    """How far Nash's answer is from (G w) w being the same for all terms."""
    each = (products @ weights) * weights
    return float((each / each.mean() - 1.0).abs().max())


def fairness(weights: Tensor, products: Tensor, options: Mapping[str, Any]) -> float:
    """How far FairGrad's answer is from G w = w^(-1 / alpha)."""
    if options["alpha"] == 0:
        return 0.0
    each = (products @ weights) * weights ** (1.0 / options["alpha"])
    return float((each - 1.0).abs().max())
