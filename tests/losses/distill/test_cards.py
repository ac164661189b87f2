"""Each loss of distillation on its card: exactly the findings that its docstring admits."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import poise
from poise.losses import distill
from poise.losses.distill import reported as notes
from tests.losses.distill.examples import BATCH, TOKENS, WIDTH, maps, normal, padded, pair

Loss = Callable[..., Any]
Example = tuple[Any, ...]

SHARED = distill.shared_vocabulary(
    {str(one): one for one in range(WIDTH)}, {str(one + 2): one for one in range(WIDTH)}
)


def over_shared(student: Tensor, teacher: Tensor, mask: Tensor) -> poise.Reduced:
    """With a fixed match of the vocabularies."""
    return distill.shared_vocabulary_kl(student, teacher, SHARED, mask)


def ids() -> Tensor:
    """Tokens of a batch."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, WIDTH, (BATCH, TOKENS), generator=generator)


def next_token(logits: Tensor, tokens: Tensor, mask: Tensor) -> poise.Reduced:
    """The language model loss."""
    return distill.next_token_loss(logits, tokens, mask)


CARDS: dict[str, tuple[Loss, Example, set[str]]] = {
    "temperature_kl": (distill.temperature_kl, (*pair(), padded()), set()),
    "temperature_kl at 2": (
        partial(distill.temperature_kl, temperature=2.0),
        (*pair(), padded()),
        set(),
    ),
    # What lies outside of the union is not learned from: the docstring says so.
    "top_k_union_kl": (
        partial(distill.top_k_union_kl, top_k=2),
        (*pair(), padded()),
        {"inspect-dead-elements"},
    ),
    # Two certain distributions are alike whatever they are certain of.
    "universal_logit": (
        distill.universal_logit,
        (*pair(WIDTH, WIDTH + 2), padded()),
        {"inspect-saturates"},
    ),
    "shared_vocabulary_kl": (over_shared, (*pair(), padded()), set()),
    "hidden_loss": (distill.hidden_loss, (*pair(), padded()), set()),
    # The gradient at the logits is q - p. It is bounded, and along the card's pattern of signs it
    # passes a flat maximum.
    "attention_kl": (distill.attention_kl, maps(), {"inspect-steepens"}),
    "info_nce": (distill.info_nce, (normal(6, WIDTH), normal(6, WIDTH, seed=1)), set()),
    # The last token of a text predicts nothing that is there.
    "next_token_loss": (
        next_token,
        (normal(BATCH, TOKENS, WIDTH), ids(), padded()),
        {"inspect-dead-elements"},
    ),
    "raw_hidden_loss": (notes.raw_hidden_loss, pair(), set()),
    "raw_hidden_loss_by_sum": (notes.raw_hidden_loss_by_sum, pair(), set()),
    "attention_kl_of_softmax": (
        notes.attention_kl_of_softmax,
        maps(),
        {"inspect-grows-with"},
    ),
    "feature_loss_divided_twice": (
        notes.feature_loss_divided_twice,
        pair(),
        {"inspect-shrinks-with"},
    ),
    "alignment_over_length": (notes.alignment_over_length, pair(), {"inspect-shrinks-with"}),
    "retention_by_batchmean": (notes.retention_by_batchmean, pair(), {"inspect-unbounded"}),
}
"""Loss, example, and the rules of all errors and warnings."""


@pytest.mark.parametrize("name", CARDS)
def test_card(name: str) -> None:
    """Clean where the docstring has nothing to admit; else exactly that."""
    loss, example, expected = CARDS[name]
    card = poise.inspect(loss, example, name=name)
    found = {one.rule for one in card.findings if one.severity != "note"}
    assert found == expected, [one.summary for one in card.findings]


@pytest.mark.parametrize("name", ["temperature_kl", "hidden_loss", "next_token_loss"])
def test_means_over_tokens_stay_with_length_and_padding(name: str) -> None:
    """The value is the same for any length, and what is masked out does not matter."""
    loss, example, _ = CARDS[name]
    card = poise.inspect(loss, example, name=name)
    assert card.fact("reduction") == "mean"
    assert card.fact("padding") == "the mask, True counts"
