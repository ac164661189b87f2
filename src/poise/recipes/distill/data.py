"""Text in pieces, tokenized twice: once for the student, once for the teacher."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, final

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor

from poise.errors import RecipeError
from poise.losses.distill import SharedVocabulary, shared_vocabulary

STUDENT_TOKENS: Final = 400
TEACHER_TOKENS: Final = 512
SHORTEST: Final = 40_000
"""Characters from which a text can be split, tokenized and learned from."""
LEARNED_FROM: Final = 150_000
"""Characters that each tokenizer is trained on, at most."""
BLOCK: Final = 2_000
"""Characters of a block; every tenth block is held out."""
PIECE: Final = (64, 128)
"""Characters of a piece, at least and at most."""
MULTIPLE: Final = 8
"""Tokens of a batch are padded to a multiple of this."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """Pieces of text as one tokenizer cuts them.

    Attributes:
        ids: Shape (batch, tokens); 0 is padding.
        mask: True where there is text, bool, shape (batch, tokens).
        offsets: First character of a token and the one after its last, shape (batch, tokens, 2).
    """

    ids: Tensor
    mask: Tensor
    offsets: Tensor


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """The same pieces of text, cut in two ways."""

    student: Tokens
    teacher: Tokens


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """A text, split and ready to be cut.

    Attributes:
        train: Blocks to learn from.
        held_out: Blocks that nothing is learned from, tokenizers included.
        student: The student's tokenizer.
        teacher: The teacher's; trained on other blocks, and it keeps digits together.
        shared: Tokens of the same spelling.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    student: Tokenizer
    teacher: Tokenizer
    shared: SharedVocabulary

    def batch(self, pieces: Sequence[str]) -> Batch:
        """Pieces of text, tokenized for both."""
        return Batch(student=_cut(self.student, pieces), teacher=_cut(self.teacher, pieces))

    def draw(self, count: int, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Batches of random pieces to learn from.

        Args:
            count: Batches.
            size: Pieces of a batch.
            generator: Decides the pieces.
        """
        for _ in range(count):
            yield self.batch([_piece(self.train, generator) for _ in range(size)])

    def fixed(self, count: int, size: int) -> list[Batch]:
        """Batches of held-out pieces, always the same ones."""
        generator = torch.Generator().manual_seed(20)
        return [
            self.batch([_piece(self.held_out, generator) for _ in range(size)])
            for _ in range(count)
        ]


@lru_cache(maxsize=2)
def corpus(text: str) -> Corpus:
    """Splits a text and trains both tokenizers on what may be learned from.

    Raises:
        RecipeError: The text is too short.
    """
    if len(text) < SHORTEST:
        raise RecipeError(
            f"recipe 'distill': expected at least {SHORTEST} characters of text, got {len(text)}; "
            "give a longer file or none"
        )
    blocks = [text[at : at + BLOCK] for at in range(0, len(text) - BLOCK + 1, BLOCK)]
    train = tuple(one for at, one in enumerate(blocks) if at % 10 != 9)
    held_out = tuple(one for at, one in enumerate(blocks) if at % 10 == 9)
    most = LEARNED_FROM // BLOCK
    student = _tokenizer(train[0::2][:most], STUDENT_TOKENS, digits=True)
    teacher = _tokenizer(train[1::2][:most], TEACHER_TOKENS, digits=False)
    return Corpus(
        train=train,
        held_out=held_out,
        student=student,
        teacher=teacher,
        shared=shared_vocabulary(
            student.get_vocab(), teacher.get_vocab(), sizes=(STUDENT_TOKENS, TEACHER_TOKENS)
        ),
    )


def _tokenizer(blocks: Sequence[str], size: int, *, digits: bool) -> Tokenizer:
    """A byte-level BPE; with `digits` each digit is a token of its own."""
    found = Tokenizer(models.BPE())
    bytes_: Any = pre_tokenizers.ByteLevel(add_prefix_space=False)
    parts = [pre_tokenizers.Digits(individual_digits=True), bytes_]
    found.pre_tokenizer = pre_tokenizers.Sequence(parts) if digits else bytes_
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    found.train_from_iterator(blocks, trainer)
    return found


def _piece(blocks: Sequence[str], generator: torch.Generator) -> str:
    """Some characters of a random block."""
    low, high = PIECE
    length, block = _random(low, high + 1, generator), _random(0, len(blocks), generator)
    start = _random(0, BLOCK - length + 1, generator)
    return blocks[block][start : start + length]


def _random(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high, (), generator=generator))


def _cut(tokenizer: Tokenizer, pieces: Sequence[str]) -> Tokens:
    cut = tokenizer.encode_batch(list(pieces))
    longest = max(len(one.ids) for one in cut)
    size = -(-longest // MULTIPLE) * MULTIPLE
    ids = torch.zeros(len(cut), size, dtype=torch.long)
    offsets = torch.zeros(len(cut), size, 2, dtype=torch.long)
    mask = torch.zeros(len(cut), size, dtype=torch.bool)
    for row, one in enumerate(cut):
        count = len(one.ids)
        ids[row, :count] = torch.tensor(one.ids)
        offsets[row, :count] = torch.tensor(one.offsets)
        mask[row, :count] = True
    return Tokens(ids=ids, mask=mask, offsets=offsets)
