"""Windows of bytes."""

import pytest
import torch

from poise.errors import RecipeError
from poise.recipes.plasticity.data import batch, windows


def test_no_byte_is_in_both_parts_and_none_is_lost() -> None:
    """All windows of the text, every tenth of them held out."""
    text = "".join(chr(33 + at % 90) for at in range(1000))
    train, held = windows(text, 8)
    assert (len(train), len(held)) == (112, 13)
    whole = torch.tensor([ord(one) for one in text]).view(125, 8)
    assert torch.equal(held, whole[::10])
    assert torch.equal(train[0], whole[1])


def test_a_text_is_taken_as_bytes() -> None:
    """A character of two bytes is two tokens below 256."""
    train, _ = windows("ü" * 400, 8)
    assert set(train.unique().tolist()) == {0xC3, 0xBC}


def test_a_short_text_is_refused_with_the_length_it_needs() -> None:
    """Nineteen windows are too few."""
    with pytest.raises(RecipeError, match="expected a text of 640 bytes or more, got 620"):
        windows("a" * 620)


def test_batches_follow_from_the_generator() -> None:
    """The same seed, the same windows."""
    ids = torch.arange(100).view(50, 2)
    one, other = (batch(ids, 8, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, other)
