"""The success criteria of the note, as ranges that are declared before the training runs."""

from poise.recipes.peptide.curriculum import Curriculum
from poise.record import Expect

NOTED = ("reported", "note-fix")
"""Variants whose training the note sets these targets for."""


def criteria_of(variant: str, curriculum: Curriculum) -> tuple[Expect, ...]:
    """What the note expects of a training; empty for variants it does not speak of.

    * "Total loss should stay at 2 to 3, not jump to 7" while the second stage lasts.
    * "Precursor loss contributes 0.005 to 0.01 to the total", with twice that as the bound.
    * "< 100 ppm" in the last stage, which label smoothing puts out of reach: at its optimum the
      expected mass is still off by thousands of ppm.

    Example:
        >>> total, *_ = criteria_of("reported", Curriculum(first=120, later=20))
        >>> total.shown
        'total<3@0.4-0.467'
        >>> criteria_of("cured", Curriculum(first=120, later=20))
        ()
    """
    if variant not in NOTED:
        return ()
    whole, starts = curriculum.total_steps, curriculum.starts
    second, third, last = starts[0] / whole, starts[1] / whole, starts[-1] / whole
    return (
        Expect("total", below=3.0, after=second, until=third),
        Expect("precursor_contribution", below=0.02, after=second),
        Expect("precursor_error_ppm", below=100.0, after=last, split="eval"),
    )
