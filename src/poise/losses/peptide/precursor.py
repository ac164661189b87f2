"""Distance between a predicted and a measured precursor mass, in every form a training has used.

All take two masses in Da of one shape and return the mean over the peptides with its count. They
differ in where their gradient is: what `poise.inspect` finds is said in each docstring. Logarithms
of ppm have `inspect-half` besides: a mass that is 6.6% off is more ppm than float16 can hold.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.errors import LossError
from poise.losses.peptide.masses import RESIDUE_DA
from poise.losses.peptide.shapes import same_shape
from poise.reduce import Reduced, per_sample

PPM = 1e6
"""Parts per million in one."""


def mass_error_ppm(predicted_da: Tensor, precursor_da: Tensor) -> Tensor:
    """Relative error of each predicted mass, in parts per million of the precursor mass.

    Args:
        predicted_da: Neutral masses, shape (batch,), in Da.
        precursor_da: Neutral masses as measured, shape (batch,), in Da, positive.

    Returns:
        Shape (batch,), in ppm, from 0.

    Raises:
        LossError: The shapes differ: (batch,) against (batch, 1) would compare all pairs.

    Example:
        >>> mass_error_ppm(torch.tensor([1000.1]), torch.tensor([1000.0])).round()
        tensor([100.])
    """
    same_shape("mass_error_ppm", predicted_da, precursor_da)
    return PPM * (predicted_da - precursor_da).abs() / precursor_da


def precursor_huber(
    predicted_da: Tensor,
    precursor_da: Tensor,
    *,
    unit_da: float = RESIDUE_DA,
    knee_residues: float = 0.1,
) -> Reduced:
    """Error in units of a residue, quadratic up to a knee and linear above: the form to take.

    The gradient is 1 per residue wherever the prediction is off by more than the knee, and shrinks
    with the error below it: bounded, never zero and smooth at 0. It is a Huber loss divided by its
    knee (torch's smooth L1), so that the knee does not change the slope above it.

    `poise.inspect` has nothing to warn of; it notes that the gradient stops growing at
    `knee_residues * unit_da`.

    Args:
        predicted_da: Neutral masses, shape (batch,), in Da.
        precursor_da: Neutral masses as measured, shape (batch,), in Da.
        unit_da: What counts as an error of 1, in Da.
        knee_residues: Error at which it becomes linear, in that unit.

    Returns:
        In residues (of `unit_da`); mean over the peptides.

    Raises:
        LossError: The shapes differ, or unit or knee are not positive.

    Example:
        >>> precursor_huber(torch.tensor([1110.0]), torch.tensor([1000.0])).value
        tensor(0.9500)
    """
    same_shape("precursor_huber", predicted_da, precursor_da)
    unit, knee = _positive("precursor_huber", unit_da=unit_da, knee_residues=knee_residues)
    one, other = predicted_da / unit, precursor_da / unit
    return per_sample(F.smooth_l1_loss(one, other, beta=knee, reduction="none"))


def precursor_clamped_ppm(
    predicted_da: Tensor, precursor_da: Tensor, *, limit_ppm: float = 100.0
) -> Reduced:
    """Error in ppm, cut off at a limit: DEFAULT_CURRICULUM's form.

    Above the limit the gradient is exactly 0, which is where a model begins: 100 ppm are 0.1 Da of
    1000. At weight 0.2 it was 90% of the loss value and 0% of the gradient (`inspect-clamp`).

    Args:
        predicted_da: Neutral masses, shape (batch,), in Da.
        precursor_da: Neutral masses as measured, shape (batch,), in Da.
        limit_ppm: Largest error that counts, in ppm.

    Returns:
        In ppm, from 0 to `limit_ppm`; mean over the peptides.

    Raises:
        LossError: The shapes differ, or the limit is not positive.

    Example:
        >>> precursor_clamped_ppm(torch.tensor([1110.0]), torch.tensor([1000.0])).value
        tensor(100.)
    """
    (limit,) = _positive("precursor_clamped_ppm", limit_ppm=limit_ppm)
    return per_sample(mass_error_ppm(predicted_da, precursor_da).clamp(max=limit))


def precursor_log_ppm(
    predicted_da: Tensor, precursor_da: Tensor, *, scale_ppm: float = 100.0, factor: float = 100.0
) -> Reduced:
    """`factor * log(1 + ppm / scale_ppm)`: the form of the incident, and of its first repair.

    Its gradient is factor / (scale_ppm + ppm) per ppm: it *grows as the error shrinks*, up to
    factor / scale_ppm, and changes its sign at 0 at full size (`inspect-steepens`). The peptide
    that is predicted best pulls hardest.

    * factor 100, scale 100 (the incident): of a mass of 1000 Da at weight 0.01, 0.006 per Da at an
      error of 171 Da, 9.9 at 0.001 Da.
    * factor 1, scale 1e5 (the repair): the same shape, smaller by 158 at the first and by 99,000 at
      the second error, so that nothing is left of it at the same weight.

    Args:
        predicted_da: Neutral masses, shape (batch,), in Da.
        precursor_da: Neutral masses as measured, shape (batch,), in Da.
        scale_ppm: Error up to which it is about linear, in ppm.
        factor: What the logarithm is multiplied with.

    Returns:
        Without unit, from 0; mean over the peptides.

    Raises:
        LossError: The shapes differ, or scale or factor are not positive.

    Example:
        >>> predicted, precursor = torch.tensor([1170.0]), torch.tensor([1000.0])
        >>> precursor_log_ppm(predicted, precursor).value.round()
        tensor(744.)
        >>> precursor_log_ppm(predicted, precursor, scale_ppm=1e5, factor=1.0).value
        tensor(0.9933)
    """
    scale, times = _positive("precursor_log_ppm", scale_ppm=scale_ppm, factor=factor)
    return per_sample(times * torch.log1p(mass_error_ppm(predicted_da, precursor_da) / scale))


def precursor_l1_da(predicted_da: Tensor, precursor_da: Tensor) -> Reduced:
    """Absolute error in Da.

    The gradient is 1 per Da at every error, however small, and changes its sign at 0 (a kink: the
    card says `smooth` is false). Its unit makes it large beside a cross-entropy; it was used with a
    weight of 0.004.

    Args:
        predicted_da: Neutral masses, shape (batch,), in Da.
        precursor_da: Neutral masses as measured, shape (batch,), in Da.

    Returns:
        In Da; mean over the peptides.

    Raises:
        LossError: The shapes differ.

    Example:
        >>> precursor_l1_da(torch.tensor([1110.0]), torch.tensor([1000.0])).value
        tensor(110.)
    """
    same_shape("precursor_l1_da", predicted_da, precursor_da)
    return per_sample((predicted_da - precursor_da).abs())


def _positive(who: str, **options: float) -> tuple[float, ...]:
    """The options, all above 0.

    Raises:
        LossError: One is not.
    """
    for name, value in options.items():
        if not value > 0:
            raise LossError(f"{who}: expected {name} above 0, got {value!r}")
    return tuple(options.values())
