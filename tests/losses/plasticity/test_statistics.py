"""What the note asks to monitor."""

import pytest
import torch

from poise.losses.plasticity import Factors, Modulation, modulation_statistics
from tests.losses.plasticity.made import normal


def test_the_numbers_are_those_of_their_names() -> None:
    """Each against its definition, written out."""
    x, attention = normal(2, 5, 8), normal(2, 5, 8, seed=1)
    factors = Modulation(8, 16, bottleneck=4, generator=torch.Generator().manual_seed(0))(attention)
    found = modulation_statistics(x, attention, factors)
    v_a, v_b = factors.v_a[:, :, 0], factors.v_b[:, :, 0]
    scalar = (v_a * x).sum(-1)
    expected = {
        "v_a_norm": v_a.norm(dim=-1).mean(),
        "v_b_norm": v_b.norm(dim=-1).mean(),
        "v_a_attention_similarity": torch.cosine_similarity(v_a, attention, dim=-1).mean(),
        "modulation_magnitude": (v_b * scalar.unsqueeze(-1)).norm(dim=-1).mean(),
        "modulation_scalar_variance": scalar.var(correction=0),
    }
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.detach())
        assert not found[name].requires_grad


def test_copies_of_the_attention_have_similarity_one() -> None:
    """And a collapsed scalar has variance 0."""
    attention = normal(1, 4, 8)
    factors = Factors(attention.unsqueeze(2), torch.ones(1, 4, 1, 3), torch.zeros(1))
    found = modulation_statistics(0 * attention, attention, factors)
    assert found["v_a_attention_similarity"].item() == pytest.approx(1.0)
    assert found["modulation_scalar_variance"].item() == 0.0
