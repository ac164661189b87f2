"""What each variant minimises: three terms, of which the precursor's form and weight differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from poise.losses.peptide import (
    deep_supervision,
    expected_residue_masses,
    peptide_mass,
    precursor_clamped_ppm,
    precursor_huber,
    precursor_log_ppm,
    spectrum_match,
)
from poise.recipes.peptide.curriculum import REDUCED, REPORTED, SPECTRUM, Curriculum
from poise.recipes.peptide.data import Batch
from poise.reduce import Reduced
from poise.schedule import Schedule

SMOOTHING = 0.1
"""Label smoothing of the cross-entropy."""
Precursor = Callable[[Tensor, Tensor], Reduced]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A batch and what the model made of it.

    Attributes:
        batch: The batch.
        logits: After each step of the decoder, shape (steps, batch, length, vocabulary).
        masses: Of the vocabulary, shape (vocabulary,), in Da.
    """

    batch: Batch
    logits: Tensor
    masses: Tensor

    @property
    def expected_da(self) -> Tensor:
        """Expected neutral mass of each peptide after the last step, shape (batch,), in Da.

        Special tokens count with mass 0 and are inside the mask, as in the original: the metric of
        all variants, and what all forms of the precursor term are given.
        """
        probabilities = self.logits[-1].softmax(-1)
        return peptide_mass(expected_residue_masses(probabilities, self.masses, self.batch.mask))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The three terms of a variant and what they weigh.

    Attributes:
        precursor: Form of the precursor term, of predicted and measured masses in Da.
        weights: Weight of each term, a number or a schedule of the optimizer step.
    """

    precursor: Precursor
    weights: Mapping[str, Schedule | float]

    def losses(self, output: Output) -> dict[str, Reduced]:
        """All terms, also those whose weight is 0, each with its graph and its count."""
        batch = output.batch
        return {
            "ce": deep_supervision(
                output.logits, batch.tokens, batch.mask, label_smoothing=SMOOTHING
            ),
            "spectrum": _spectrum(output),
            "precursor": self.precursor(output.expected_da, batch.precursor_da),
        }

    def at(self, step: int) -> dict[str, float]:
        """Weight of each term at an optimizer step."""
        return {name: one(step) if callable(one) else one for name, one in self.weights.items()}


def terms_of(variant: str, curriculum: Curriculum) -> Terms:
    """What a variant minimises; variants differ in the precursor term alone, but for `ce-only`."""
    forms: dict[str, tuple[Precursor, Schedule | float]] = {
        "reported": (precursor_log_ppm, curriculum.staged(REPORTED)),
        "note-fix": (_repaired, curriculum.staged(REDUCED)),
        "cured": (precursor_huber, curriculum.ramped(1.0)),
        "no-term": (precursor_huber, 0.0),
        "ce-only": (precursor_huber, 0.0),
        "clamp": (precursor_clamped_ppm, curriculum.switched(0.2)),
        "weight-1": (_repaired, curriculum.switched(1.0)),
        "weight-0.2": (precursor_log_ppm, curriculum.switched(0.2)),
    }
    form, weight = forms[variant]
    spectrum = 0.0 if variant == "ce-only" else curriculum.staged(SPECTRUM)
    return Terms(precursor=form, weights={"ce": 1.0, "spectrum": spectrum, "precursor": weight})


def _repaired(predicted_da: Tensor, precursor_da: Tensor) -> Reduced:
    return precursor_log_ppm(predicted_da, precursor_da, scale_ppm=1e5, factor=1.0)


def _spectrum(output: Output) -> Reduced:
    """The historical form: from the peaks only, and with no mask behind the end."""
    batch = output.batch
    probabilities = output.logits[-1].softmax(-1)
    everywhere = batch.mask.new_ones(batch.mask.shape)
    residues = expected_residue_masses(probabilities, output.masses, everywhere)[:, 1:-1]
    return spectrum_match(residues, None, batch.mz, batch.intensity, directions="observed")
