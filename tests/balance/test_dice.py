"""Tests for poise.balance.dice."""

import pytest
import torch

from poise.balance.dice import seeded, thrown


def test_the_numbers_are_those_of_the_seed() -> None:
    """As after torch.manual_seed, in one stretch or in two."""
    state = seeded(3)
    with thrown(state):
        first = torch.rand(2)
    with thrown(state):
        second = torch.rand(2)
    expected = torch.rand(4, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.cat([first, second]), expected)


def test_the_global_generator_comes_back_after_an_error() -> None:
    """Whatever happens inside."""
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="invalid"), thrown(seeded(0)):
        torch.rand(1).reshape(7)
    assert torch.equal(torch.get_rng_state(), before)
