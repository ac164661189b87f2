"""Sequences of peptides from their spectra, with a physical term that starts in the second stage.

The total goes from 2.2 to over 7 at the step at which the precursor term starts. docs/incidents
tells what that was and what it was not.
"""

from poise.recipes.recipe import Metric, Recipe, Variant, trained_by

RECIPE = Recipe(
    name="peptide",
    summary="a recursive decoder from spectra to peptides; a mass term starts in the second stage",
    variants=(
        Variant(name="reported", summary="100 log(1 + ppm / 100), weight 0.01 to 0.1 by stage"),
        Variant(name="note-fix", summary="log(1 + ppm / 1e5), weight 0.01 to 0.08 by stage"),
        Variant(name="cured", summary="Huber in residues, weight 1, ramped up over a stage"),
        Variant(name="no-term", summary="the same without the precursor term"),
        Variant(name="ce-only", summary="cross-entropy alone"),
        Variant(name="clamp", summary="ppm clamped at 100, weight 0.2"),
        Variant(name="weight-1", summary="the note's formula with a weight of 1"),
        Variant(name="weight-0.2", summary="the reported formula with a weight of 0.2"),
    ),
    metric=Metric(name="precursor_error_ppm", unit="ppm"),
    data="mgf",
    needs=("pyteomics",),
    train=trained_by("poise.recipes.peptide.training"),
)
