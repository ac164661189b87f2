"""Expected mass of a peptide under predicted probabilities, and what special tokens do to it."""

import torch
from torch import Tensor

from poise.losses.peptide.masses import ion_masses
from poise.losses.peptide.shapes import token_shapes


def expected_residue_masses(probabilities: Tensor, masses: Tensor, mask: Tensor) -> Tensor:
    """Expected mass at every position, special tokens counted as tokens of mass 0.

    This is the form of the historical training. 5, 9 or 50% of probability on a special token at
    the positions of residues make the peptide too light by as much: 49,000, 88,000 and 491,000 ppm
    (the water is what is left out). `renormalised_residue_masses` cures that.

    Args:
        probabilities: Shape (batch, length, tokens), each position sums to 1.
        masses: Shape (tokens,), in Da: `residue_masses`; special tokens have 0.
        mask: True where a position counts, bool, shape (batch, length).

    Returns:
        Shape (batch, length), in Da; 0 where the mask is false.

    Raises:
        LossError: Shapes do not fit or the mask is not bool.

    Example:
        >>> half = torch.tensor([[[0.5, 0.5]]])
        >>> expected_residue_masses(half, torch.tensor([0.0, 57.0]), torch.tensor([[True]]))
        tensor([[28.5000]])
    """
    token_shapes("expected_residue_masses", probabilities, masses, mask)
    mass = _mean_masses(probabilities, masses)
    return torch.where(mask, mass, torch.zeros((), dtype=mass.dtype))


def renormalised_residue_masses(probabilities: Tensor, masses: Tensor, mask: Tensor) -> Tensor:
    """Expected mass at every position given that there is a residue.

    The probabilities of the residues are divided by their sum. The mask must hold residues alone:
    at the position of an <eos> the residues hold next to nothing, and dividing by next to nothing
    puts a whole residue there (0.1% of leakage at <sos> and <eos> is some 200,000 ppm, against less
    than 100 without renormalisation). `residue_mask` makes such a mask.

    Args:
        probabilities: Shape (batch, length, tokens), each position sums to 1.
        masses: Shape (tokens,), in Da: `residue_masses`; a mass of 0 marks a special token.
        mask: True at positions of residues only, bool, shape (batch, length).

    Returns:
        Shape (batch, length), in Da; 0 where the mask is false. A position whose residues have no
        probability at all has 0 and no gradient.

    Raises:
        LossError: Shapes do not fit or the mask is not bool.

    Example:
        >>> half = torch.tensor([[[0.5, 0.5]]])
        >>> renormalised_residue_masses(half, torch.tensor([0.0, 57.0]), torch.tensor([[True]]))
        tensor([[57.]])
    """
    token_shapes("renormalised_residue_masses", probabilities, masses, mask)
    residues = probabilities * (masses > 0).to(probabilities.device)
    held = residues.sum(-1)
    usable = mask & (held > 0)
    # The divisor is made harmless before the division: NaN times 0 would be NaN in the gradient.
    mass = _mean_masses(residues, masses) / torch.where(usable, held, torch.ones_like(held))
    return torch.where(usable, mass, torch.zeros((), dtype=mass.dtype))


def _mean_masses(weights: Tensor, masses: Tensor) -> Tensor:
    """Masses by weight, in single precision at least, also under autocast.

    In half precision a peptide of 1000 Da is known to 0.5 Da, which is 500 ppm.
    """
    exact = weights.to(torch.promote_types(weights.dtype, torch.float32))
    with torch.autocast(exact.device.type, enabled=False):
        return exact @ masses.to(exact)


def residue_mask(tokens: Tensor, masses: Tensor) -> Tensor:
    """Where a sequence of tokens has residues: not at <sos>, <eos>, <pad> or <unk>.

    Args:
        tokens: Indices into the vocabulary, integers of any shape.
        masses: Shape (tokens,), in Da: `residue_masses`.

    Returns:
        bool, shape of `tokens`.

    Example:
        >>> residue_mask(torch.tensor([[0, 1, 1]]), torch.tensor([0.0, 57.0]))
        tensor([[False,  True,  True]])
    """
    return (masses > 0)[tokens]


def peptide_mass(residues_da: Tensor) -> Tensor:
    """Neutral mass of peptides from the masses at their positions: their sum, and one water.

    Args:
        residues_da: Shape (batch, length), in Da, 0 where there is no residue.

    Returns:
        Shape (batch,), in Da.

    Raises:
        MissingExtraError: pyteomics is not installed.

    Example:
        >>> peptide_mass(torch.tensor([[57.02146, 57.02146]]))
        tensor([132.0535])
    """
    return residues_da.sum(-1) + ion_masses().water_da
