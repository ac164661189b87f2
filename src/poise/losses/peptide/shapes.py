"""Shapes that must fit exactly: nothing here is broadcast."""

import torch
from torch import Tensor

from poise.errors import LossError


def same_shape(who: str, predicted: Tensor, target: Tensor) -> None:
    """Checks that predicted and true masses belong to each other one by one.

    A (B,) against a (B, 1) would become B x B, all pairs, in which a perfect model is as wrong as
    a random one.

    Raises:
        LossError: The shapes differ, or the masses are no floating numbers of shape (batch,).

    Example:
        >>> same_shape("loss", torch.ones(4), torch.ones(4))
    """
    if predicted.shape != target.shape or predicted.ndim != 1:
        raise LossError(
            f"{who}: expected predicted and precursor masses of one shape [batch], got "
            f"{list(predicted.shape)} and {list(target.shape)}; nothing is broadcast (all pairs "
            "would be compared), so reshape one with .squeeze(-1)"
        )
    if not predicted.is_floating_point() or not target.is_floating_point():
        raise LossError(
            f"{who}: expected floating masses in Da, got {predicted.dtype} and {target.dtype}; "
            "convert with .float()"
        )


def token_shapes(who: str, probabilities: Tensor, masses: Tensor, mask: Tensor) -> None:
    """Checks probabilities (batch, length, tokens) against masses (tokens,) and a bool mask.

    Raises:
        LossError: A shape does not fit, or the mask is not bool.

    Example:
        >>> token_shapes("loss", torch.ones(2, 3, 4), torch.ones(4), torch.ones(2, 3).bool())
    """
    shape = probabilities.shape
    if probabilities.ndim != 3 or masses.shape != shape[-1:]:
        raise LossError(
            f"{who}: expected probabilities of shape [batch, length, tokens] and masses of shape "
            f"[tokens], got {list(shape)} and {list(masses.shape)}; take the masses of this very "
            "vocabulary: residue_masses(vocabulary)"
        )
    if mask.shape != shape[:2] or mask.dtype != torch.bool:
        raise LossError(
            f"{who}: expected a bool mask of shape {list(shape[:2])}, got {mask.dtype} of shape "
            f"{list(mask.shape)}; reshape it or pass mask.bool()"
        )
