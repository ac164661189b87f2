"""Agreement of predicted fragment ions with the peaks of a spectrum."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.errors import LossError
from poise.losses.peptide.masses import ion_masses
from poise.reduce import Reduced, Reduction

Directions = Literal["both", "observed", "predicted"]
FAR_DA = 1e5
"""Where ions and peaks that do not count are put: farther from everything than any mass."""


def fragment_mz(
    residues_da: Tensor, mask: Tensor | None, *, charge: int = 1
) -> tuple[Tensor, Tensor]:
    """Mass-to-charge ratios of the b and y ions of peptides, as differentiable functions of masses.

    b_i is the sum of the first i residues, y_i that of the last ones and one water, each with
    `charge` protons, divided by the charge. Both come from a split between two residues, so a
    peptide of n residues has n - 1 of each.

    Args:
        residues_da: Masses along the sequence, shape (batch, length), in Da.
        mask: True at residues, bool, shape (batch, length), one unbroken stretch a row. None: every
            position is one, also behind the end of the sequence.
        charge: Protons on the ion, from 1.

    Returns:
        The ratios, shape (batch, 2 * (length - 1)): b ions, then y ions; and which of them exist,
        bool, of that shape.

    Raises:
        LossError: Shapes do not fit or the charge is below 1.
        MissingExtraError: pyteomics is not installed.

    Example:
        >>> glycines = torch.full((1, 2), 57.02146)
        >>> fragment_mz(glycines, None)[0]
        tensor([[58.0287, 76.0393]])
    """
    if mask is None:
        mask = torch.ones_like(residues_da, dtype=torch.bool)
    if residues_da.ndim != 2 or mask.shape != residues_da.shape or mask.dtype != torch.bool:
        raise LossError(
            "fragment_mz: expected masses and a bool mask of one shape [batch, length], got "
            f"{list(residues_da.shape)} and {mask.dtype} {list(mask.shape)}; reshape them"
        )
    if charge < 1:
        raise LossError(f"fragment_mz: expected a charge of at least 1, got {charge}")
    ions = ion_masses()
    there = torch.where(mask, residues_da, torch.zeros_like(residues_da))
    prefix = there.cumsum(-1)[:, :-1]
    suffix = there.sum(-1, keepdim=True) - prefix
    both = torch.cat([prefix, suffix + ions.water_da], -1)
    # A split is real where there is a residue on both sides of it.
    split = (mask.cumsum(-1)[:, :-1] > 0) & (mask.flip(-1).cumsum(-1).flip(-1)[:, 1:] > 0)
    return both / charge + ions.proton_da, torch.cat([split, split], -1)


def spectrum_match(
    residues_da: Tensor,
    mask: Tensor | None,
    peaks_mz: Tensor,
    intensity: Tensor,
    *,
    directions: Directions = "both",
    charges: tuple[int, ...] = (1,),
    knee_da: float = 0.2,
) -> Reduced:
    """How far peaks are from predicted ions, and ions from peaks.

    From the peaks: the distance of each to the nearest ion, a Huber loss of it, and the mean over
    the peaks weighted by intensity. That direction alone (`observed`, the historical form) is also
    small where a model puts many ions everywhere; `predicted` adds the distance of each ion to the
    nearest peak, with equal weights. `both` is the mean of the two.

    Without a mask, positions behind the end of the sequence make ions too: the historical form,
    under which the right peptide does not come to 0.

    The pull of an ion goes to whichever peak is nearest, right or wrong, so this says little to a
    model that does not yet know most of the peptide.

    Args:
        residues_da: Expected masses along the sequence, shape (batch, length), in Da:
            `expected_residue_masses` or `renormalised_residue_masses`.
        mask: True at residues, bool, shape (batch, length); None: every position.
        peaks_mz: Shape (batch, peaks), in Da per charge.
        intensity: Shape (batch, peaks), from 0; 0 marks a place without a peak.
        directions: `both`, `observed` (peaks to ions) or `predicted` (ions to peaks).
        charges: Charges of the ions, each from 1.
        knee_da: Distance at which the loss becomes linear, in Da: 0.5 d^2, then knee (d - knee/2).

    Returns:
        In Da^2 below the knee, times knee in Da above it; mean over the spectra that have a peak
        and an ion.

    Raises:
        LossError: Shapes do not fit, no charge is given, or the knee is not positive.
        MissingExtraError: pyteomics is not installed.

    Example:
        >>> glycines = torch.full((1, 2), 57.02146)
        >>> peaks = fragment_mz(glycines, None)[0]
        >>> spectrum_match(glycines, None, peaks, torch.ones(1, 2)).value
        tensor(0.)
    """
    _checked(residues_da, peaks_mz, intensity, directions, charges, knee_da)
    # Half precision has no place far away, and steps of 0.5 Da.
    residues_da = residues_da.to(torch.promote_types(residues_da.dtype, torch.float32))
    made = [fragment_mz(residues_da, mask, charge=one) for one in charges]
    ions, real = torch.cat([one[0] for one in made], -1), torch.cat([one[1] for one in made], -1)
    peak = intensity > 0
    distance = (peaks_mz[:, :, None] - ions[:, None, :]).abs()
    distance = distance.masked_fill(~(peak[:, :, None] & real[:, None, :]), FAR_DA)
    parts: list[Tensor] = []
    if directions != "predicted":
        parts.append(_weighted(distance.amin(2), intensity * peak, knee_da))
    if directions != "observed":
        parts.append(_weighted(distance.amin(1), real.to(distance), knee_da))
    usable = peak.any(1) & real.any(1)
    each = torch.stack(parts).mean(0)
    kept = torch.where(usable, each, torch.zeros_like(each))
    return Reduced(sum=kept.sum(), count=usable.sum(), reduction=Reduction.SAMPLE)


def _weighted(distance: Tensor, weight: Tensor, knee_da: float) -> Tensor:
    """Mean of the Huber loss of distances along the last axis, by weight; 0 where all are 0."""
    found = F.huber_loss(distance, torch.zeros_like(distance), delta=knee_da, reduction="none")
    found = torch.where(weight > 0, found, torch.zeros_like(found))
    whole = weight.sum(-1)
    return (found * weight).sum(-1) / torch.where(whole > 0, whole, torch.ones_like(whole))


def _checked(
    residues_da: Tensor,
    peaks_mz: Tensor,
    intensity: Tensor,
    directions: str,
    charges: tuple[int, ...],
    knee_da: float,
) -> None:
    if peaks_mz.shape != intensity.shape or peaks_mz.ndim != 2:
        raise LossError(
            "spectrum_match: expected peaks and intensities of one shape [batch, peaks], got "
            f"{list(peaks_mz.shape)} and {list(intensity.shape)}; pad both with zeros"
        )
    if len(peaks_mz) != len(residues_da):
        raise LossError(
            f"spectrum_match: expected as many spectra as peptides, got {len(peaks_mz)} and "
            f"{len(residues_da)}"
        )
    if directions not in ("both", "observed", "predicted"):
        raise LossError(
            f"spectrum_match: expected directions to be both, observed or predicted, got "
            f"{directions!r}"
        )
    if not charges or not knee_da > 0:
        raise LossError(
            f"spectrum_match: expected at least one charge and a knee above 0, got {charges} and "
            f"{knee_da!r}"
        )
