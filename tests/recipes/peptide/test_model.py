"""The recursive decoder."""

import random
from dataclasses import replace

import torch

from poise.recipes.peptide.data import Batch, Difficulty, batch_of, made_spectrum
from poise.recipes.peptide.model import MassEmbedding, Recursive


def batch(seed: int = 0) -> Batch:
    """Four spectra of different lengths."""
    draw = random.Random(seed)
    return batch_of([made_spectrum(draw, 4, Difficulty(longest=8)) for _ in range(4)])


def made() -> Recursive:
    """A small model in evaluation mode."""
    torch.manual_seed(0)
    return Recursive(length=10, dim=16, heads=2).eval()


def test_logits_come_after_every_step_and_train_everything() -> None:
    """(steps, batch, length, vocabulary); the sum of all of them reaches each parameter."""
    model, given = made(), batch()
    found = model(given)
    assert found.shape == (3, 4, given.tokens.shape[1], 24)
    found.square().sum().backward()
    assert [name for name, one in model.named_parameters() if one.grad is None] == []


def test_steps_share_their_layers_and_improve_on_each_other() -> None:
    """More steps are no more parameters, and each answer depends on the one before."""
    torch.manual_seed(0)
    longer = Recursive(length=10, dim=16, heads=2, steps=5).eval()
    longer.load_state_dict(made().state_dict())
    short, long = made()(batch()), longer(batch())
    assert torch.allclose(short, long[:3], atol=1e-5)
    assert not torch.allclose(long[3], long[4], atol=1e-4)


def test_places_without_a_peak_do_not_count() -> None:
    """Padding with more of them leaves the answer as it is."""
    given = batch()
    zeros = torch.zeros(4, 5)
    padded = replace(
        given,
        mz=torch.cat([given.mz, zeros], 1),
        intensity=torch.cat([given.intensity, zeros], 1),
    )
    assert torch.allclose(made()(given), made()(padded), atol=1e-5)


def test_the_answer_depends_on_peaks_precursor_and_charge() -> None:
    """Each of them is used."""
    given = batch()
    before = made()(given)
    changes = (
        {"mz": given.mz + 1.0 * (given.mz > 0)},
        {"intensity": given.intensity * 0.5},
        {"precursor_da": given.precursor_da + 50.0},
        {"charge": given.charge + 1},
    )
    for change in changes:
        assert not torch.allclose(before, made()(replace(given, **change)), atol=1e-5), change


def test_masses_a_hundredth_of_a_dalton_apart_are_told_apart() -> None:
    """Also where they are large: the phase is taken in double precision."""
    embedding = MassEmbedding()
    one, other = embedding(torch.tensor([1500.00, 1500.02])).detach()
    assert (one - other).abs().max() > 0.5
    assert (one - other).abs().min() < 1e-3
