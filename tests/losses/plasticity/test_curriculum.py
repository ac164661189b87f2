"""The curriculum over tokens."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.plasticity import attention_curriculum, direct_mlp, reported
from tests.losses.plasticity.made import states


def test_the_strongest_come_first() -> None:
    """All kept norms are at least as large as all others; the other way round if asked."""
    attention = states(1)[0]
    norms = attention.norm(dim=-1)
    mask = attention_curriculum(attention, 0.25)
    assert mask.sum() == 3
    assert norms[mask].min() > norms[~mask].max()
    weak = attention_curriculum(attention, 0.25, strongest=False)
    assert norms[weak].max() < norms[~weak].min()


def test_the_reported_mask_starts_where_least_is_to_be_done() -> None:
    """Its first stage keeps the tokens with the smallest norms only."""
    attention = states(1)[0]
    norms = attention.norm(dim=-1)
    first = reported.curriculum_mask(attention, 0)
    assert norms[first].max() < norms[~first].min()
    assert reported.curriculum_mask(attention, 999).sum() > first.sum()
    assert reported.curriculum_mask(attention, 1000).all()


def test_equal_norms_keep_the_right_number() -> None:
    """Where the reported mask keeps none, so that a mean over it is NaN."""
    alike = torch.ones(2, 5, 3)
    assert not reported.curriculum_mask(alike, 0).any()
    assert attention_curriculum(alike, 0.3).sum() == 3


def test_everything_in_the_end() -> None:
    """A share of 1 keeps all tokens; a tiny one keeps one."""
    attention = states(1)[0]
    assert attention_curriculum(attention, 1.0).all()
    assert attention_curriculum(attention, 1e-9).sum() == 1


def test_it_is_the_mask_of_the_direct_term() -> None:
    """The count that travels with the term is that of the kept tokens."""
    modulated, attention, mlp = states(3)
    part = direct_mlp(modulated, attention, mlp, attention_curriculum(attention, 0.5))
    assert part.count == 6 * 12


@pytest.mark.parametrize("kept", [0.0, -0.1, 1.5])
def test_an_impossible_share_is_refused(kept: float) -> None:
    """Above 0 and at most 1."""
    with pytest.raises(LossError, match="expected kept above 0 and at most 1"):
        attention_curriculum(states(1)[0], kept)
