"""What a prediction is worth, measured alike in all variants."""

import torch
from torch import Tensor

from poise.losses.peptide import mass_error_ppm, peptide_mass
from poise.recipes.peptide.data import UNK, VOCABULARY
from poise.recipes.peptide.terms import Output

_LEUCINE, _ISOLEUCINE = VOCABULARY.index("L"), VOCABULARY.index("I")


def metrics_of(output: Output) -> dict[str, Tensor]:
    """Metrics of the last step of the decoder, each a scalar.

    I and L, which have one mass, count as the same residue.

    Returns:
        `precursor_error_ppm`: mean error of the expected mass, in ppm of the precursor;
        `best_mass_error_da`: mean error of the mass of the most probable tokens, in Da;
        `token_accuracy`: of all tokens from <sos> to <eos>; `residue_accuracy`: of the residues;
        `sequence_accuracy`: of whole peptides; each from 0 to 1.
    """
    batch = output.batch
    best = output.logits[-1].argmax(-1)
    right = _one_mass(best) == _one_mass(batch.tokens)
    best_da = torch.where(batch.mask, output.masses[best], 0.0)
    return {
        "precursor_error_ppm": mass_error_ppm(output.expected_da, batch.precursor_da).mean(),
        "best_mass_error_da": (peptide_mass(best_da) - batch.precursor_da).abs().mean(),
        "token_accuracy": right[batch.mask].float().mean(),
        "residue_accuracy": right[batch.tokens > UNK].float().mean(),
        "sequence_accuracy": (right | ~batch.mask).all(-1).float().mean(),
    }


def _one_mass(tokens: Tensor) -> Tensor:
    return torch.where(tokens == _ISOLEUCINE, _LEUCINE, tokens)
