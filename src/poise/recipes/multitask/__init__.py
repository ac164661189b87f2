"""Four heads on one LSTM over windows of 105 bars, whose countdown stays at "predict zero".

docs/incidents/multitask.md tells what was reported, what the numbers say, and what cures it.
"""

from poise.recipes.recipe import Metric, Recipe, Variant, trained_by

RECIPE = Recipe(
    name="multitask",
    summary="a BiLSTM on windows of 105 bars: class, pointers, span, countdown",
    variants=(
        Variant(
            name="reported",
            summary="each term over its running mean, then 10/70/10/10: the countdown never learns",
        ),
        Variant(
            name="note-fix",
            summary="the same, times sqrt(outputs): 'correct the reduction bias'",
        ),
        Variant(
            name="cured",
            summary="plain weights, a countdown head in units of its range, rare span steps "
            "weighted up",
        ),
        Variant(
            name="unit-output",
            summary="plain weights, and a countdown head in units of its range",
        ),
        Variant(name="divide-sqrt", summary="the note's conclusion: over sqrt(outputs) instead"),
        Variant(
            name="loss-batchnorm",
            summary="the note's LossBatchNorm: divides reduced losses by sqrt(1), so by nothing",
        ),
        Variant(name="raw-sum", summary="no normaliser, every weight 1"),
        Variant(name="uncertainty", summary="learned sigmas (Kendall), as the note recommends"),
        Variant(name="shares", summary="gradient shares 10/70/10/10 at the LSTM's output"),
        Variant(name="shares-equal", summary="equal gradient shares at the LSTM's output"),
        Variant(
            name="unit-shares",
            summary="the countdown head in units, and 70% of the gradient to the countdown",
        ),
    ),
    metric=Metric(name="countdown_error", unit="bars"),
    data="ohlc",
    needs=(),
    train=trained_by("poise.recipes.multitask.training"),
)
