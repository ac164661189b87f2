"""A frozen Llama-type model of which one layer's attention acts by bending its MLP (NPT)."""

from poise.recipes.recipe import Metric, Recipe, Variant, trained_by

RECIPE = Recipe(
    name="plasticity",
    summary="a frozen language model with one layer whose attention bends its MLP (NPT)",
    variants=(
        Variant(
            name="reported",
            summary="as reported: the learning rate is 0 in stage 1, the weights jump at stage 3, "
            "and the target lacks the causal mask and RoPE",
        ),
        Variant(
            name="note-fix",
            summary="the note's six losses under its adaptive weighting; the loop as reported",
        ),
        Variant(
            name="cured",
            summary="the scheduler steps every update, the target is that of the real forward "
            "pass, the direct term leads, the modulation is not even in the attention",
        ),
        Variant(name="cured-even", summary="as cured, but even in the attention, as reported"),
        Variant(name="rate-fix", summary="as reported, but the scheduler steps every update"),
        Variant(name="target-fix", summary="as rate-fix, and the target of the real forward pass"),
        Variant(name="direct-only", summary="as target-fix, but only the direct term"),
        Variant(name="attention-10-1", summary="as target-fix, but direct to attention 10:1"),
        Variant(name="stage-1-weights", summary="as target-fix, but stage 1's weights throughout"),
    ),
    metric=Metric(name="relative_error"),
    data="text",
    needs=("transformers",),
    train=trained_by("poise.recipes.plasticity.training"),
)
"""The recipe, without anything heavy imported."""
