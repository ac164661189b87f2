"""Text in pieces, cut in two ways."""

import pytest
import torch

from poise.errors import RecipeError
from poise.losses.distill import align_ends
from poise.recipes.distill.data import (
    MULTIPLE,
    PIECE,
    STUDENT_TOKENS,
    TEACHER_TOKENS,
    Corpus,
    corpus,
)
from poise.recipes.text import read_text


@pytest.fixture(scope="module")
def source() -> Corpus:
    """The topics of pydoc."""
    return corpus(read_text(None))


def test_two_tokenizers_that_share_a_part(source: Corpus) -> None:
    """Of the declared sizes; they share tokens, and each has some of its own."""
    assert source.shared.sizes == (STUDENT_TOKENS, TEACHER_TOKENS)
    assert all(0.4 < one < 1.0 for one in source.shared.share)


def test_offsets_say_what_a_token_covers(source: Corpus) -> None:
    """Both cuts cover the whole piece, in order; padding covers nothing."""
    text = "for x in range(2024): pass"
    batch = source.batch([text, text[:9]])
    for cut in (batch.student, batch.teacher):
        ends = cut.offsets[0][cut.mask[0]]
        assert int(ends[0, 0]) == 0
        assert int(ends[-1, 1]) == len(text)
        assert torch.equal(ends[1:, 0], ends[:-1, 1])
        assert not cut.offsets[~cut.mask].any()
        assert cut.ids.shape[1] % MULTIPLE == 0
    digits = [text[a:b] for a, b in batch.student.offsets[0].tolist() if b - a]
    assert [one for one in digits if one.isdigit()] == ["2", "0", "2", "4"]


def test_pieces_can_be_aligned(source: Corpus) -> None:
    """Most tokens of real text end where one of the other tokenizer ends."""
    (batch,) = source.fixed(1, 8)
    way = align_ends(batch.student.offsets, batch.teacher.offsets)
    share = float(way.mask.sum() / batch.student.mask.sum())
    assert 0.5 < share < 1.0


def test_what_is_held_out_is_not_drawn(source: Corpus) -> None:
    """Every tenth block; the same pieces each time."""
    assert not {*source.train} & {*source.held_out}
    assert len(source.held_out) == pytest.approx(len(source.train) / 9, rel=0.1)
    first, again = source.fixed(1, 4)[0], source.fixed(1, 4)[0]
    assert torch.equal(first.student.ids, again.student.ids)


def test_batches_follow_from_the_generator(source: Corpus) -> None:
    """The same seed, the same text; lengths are within bounds."""

    def drawn(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        (batch,) = source.draw(1, 4, generator)
        length = batch.student.offsets[..., 1].max(dim=1).values
        assert ((length >= PIECE[0]) & (length <= PIECE[1])).all()
        return length

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_a_short_text_is_refused() -> None:
    """Nothing could be learned from it."""
    with pytest.raises(RecipeError, match="expected at least 40000 characters of text, got 5"):
        corpus("short")
