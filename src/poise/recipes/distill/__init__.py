"""Distillation between two tokenizers: an optimizer that never steps, and eight losses to blame.

docs/incidents/distill.md tells the incident.
"""

from poise.recipes.recipe import Metric, Recipe, Variant, trained_by

RECIPE = Recipe(
    name="distill",
    summary="a language model taught by another one with a tokenizer of its own, in eight terms",
    variants=(
        Variant(
            name="reported",
            summary="a monitor counts every micro-batch a second time: the optimizer never steps",
        ),
        Variant(
            name="note-fix",
            summary="hidden-state loss as sum over its number of elements, terms of weight 0 "
            "skipped: the notes' remedies",
        ),
        Variant(
            name="cured",
            summary="one counter, one objective with schedules in training and evaluation, states "
            "normalised, tokens aligned by their text, an average that is warmed up",
        ),
        Variant(
            name="no-curriculum",
            summary="the notes' quick remedy: all weights on from the start",
        ),
        Variant(name="accumulation-1", summary="reported, with a step after every micro-batch"),
        Variant(name="counter", summary="reported, with the second count taken out and no more"),
        Variant(name="truncation", summary="cured, with tokens paired by their index"),
        Variant(name="interpolation", summary="cured, with the teacher stretched over time"),
    ),
    metric=Metric(name="student_perplexity"),
    data="text",
    needs=("tokenizers", "transformers"),
    train=trained_by("poise.recipes.distill.training"),
)
"""Notes 002 and 003 of the incidents."""
