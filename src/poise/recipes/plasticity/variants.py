"""What the variants differ in, one row each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from poise.losses.plasticity.reported import stage_weights

Weights = Callable[[int, int], Mapping[str, float]]
"""Weight by term at a counter, given the length of stage 1 in the same counter."""

STAGE_1 = stage_weights(0, 1)


def _always(weights: Mapping[str, float], counter: int, stage: int) -> Mapping[str, float]:
    del counter, stage
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One variant.

    Attributes:
        late_scheduler: Step the scheduler only after stage 1, so that the rate stays 0 in it.
        counted: How much the trainer's counter grows with each batch.
        reported_target: The training target has neither causal mask nor RoPE.
        offset: The modulation is not even in the attention.
        weights: By term; None: the `Objective` of the cure.
        adaptive: The note's six losses under its adaptive weighting, in place of `weights`.
        scale: Factor on all gradients before they are clipped: 10 as reported. It has next to no
            effect (docs/incidents/plasticity.md); variants with weights of our own leave it out.

    Example:
        >>> SETUPS["reported"].counted
        2
    """

    late_scheduler: bool = False
    counted: int = 1
    reported_target: bool = False
    offset: bool = False
    weights: Weights | None = stage_weights
    adaptive: bool = False
    scale: float = 1.0


def _fixed(**weights: float) -> Weights:
    return partial(_always, weights)


SETUPS: Mapping[str, Setup] = {
    "reported": Setup(late_scheduler=True, counted=2, reported_target=True, scale=10.0),
    "note-fix": Setup(
        late_scheduler=True,
        counted=2,
        reported_target=True,
        scale=10.0,
        adaptive=True,
    ),
    "cured": Setup(offset=True, weights=None),
    "cured-even": Setup(weights=None),
    "rate-fix": Setup(counted=2, reported_target=True, scale=10.0),
    "target-fix": Setup(counted=2, scale=10.0),
    "direct-only": Setup(weights=_fixed(direct=1.0)),
    "attention-10-1": Setup(weights=_fixed(direct=1.0, attention=0.1)),
    "stage-1-weights": Setup(weights=_fixed(**STAGE_1)),
}
"""By the name of the variant."""
