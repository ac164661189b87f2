"""Weights from gradient norms that are gradient norms."""

from collections.abc import Mapping
from math import isfinite

from poise.errors import LossError


def inverse_norm_weights(norms: Mapping[str, float]) -> dict[str, float]:
    """Weights under which all terms have the same gradient norm.

    The reported form differentiates every loss with respect to itself, which is 1 for each, so its
    weights are equal for ever; and calling it throws the configured weights away
    (`reported.adaptive_weights`). Norms come from the parameters:
    `poise.probe.gradients_at(terms, [*parameters]).norms`, which is also what "monitor the gradient
    norms" needs, and what `poise.Watch` records by itself. For wishes other than equal shares, and
    without a pass for each term: `poise.balance.GradientShare`.

    Args:
        norms: Norm of the unweighted gradient of each term at the parameters they share.

    Returns:
        By term, proportional to 1 / norm, adding up to 1; 0 for a term without a gradient.

    Raises:
        LossError: No term has a gradient, or a norm is negative or not finite.

    Example:
        >>> inverse_norm_weights({"direct": 1.0, "attention": 3.0})
        {'direct': 0.75, 'attention': 0.25}
    """
    for name, norm in norms.items():
        if not isfinite(norm) or norm < 0:
            raise LossError(
                f"inverse_norm_weights: expected the norm of '{name}' to be a finite number from 0 "
                f"on, got {norm}"
            )
    smallest = min((norm for norm in norms.values() if norm > 0), default=None)
    if smallest is None:
        raise LossError(
            "inverse_norm_weights: expected a term with a gradient, got "
            f"{', '.join(norms) or 'no term'} with norm 0; check what the terms reach"
        )
    inverse = {name: smallest / norm if norm > 0 else 0.0 for name, norm in norms.items()}
    whole = sum(inverse.values())
    return {name: one / whole for name, one in inverse.items()}
