"""The forms of the notes: what each does, and what `same` says of the fix."""

import pytest
import torch

import poise
from poise.errors import LossError
from poise.losses.distill import attention_kl, hidden_loss
from poise.losses.distill import reported as notes
from tests.losses.distill.examples import maps, normal, padded, pair


def test_the_fix_of_the_note_is_the_identity() -> None:
    """Same values, same gradients: `same` calls it identical, and the cure different."""
    example = pair()
    verdict = poise.same(notes.raw_hidden_loss, notes.raw_hidden_loss_by_sum, example).verdict
    assert verdict == "identical"
    cure = poise.same(notes.raw_hidden_loss, lambda s, t: hidden_loss(s, t).value, example)
    assert cure.verdict == "different"


@pytest.mark.parametrize("tokens", [50, 512])
def test_the_raw_loss_does_not_grow_with_the_length(tokens: int) -> None:
    """The note has 0.5 at 50 tokens and 5.0 at 512; of unit states it is 2 at any length."""
    found = notes.raw_hidden_loss(normal(2, tokens, 64), normal(2, tokens, 64, seed=1))
    assert float(found) == pytest.approx(2.0, abs=0.1)


def test_the_last_layer_is_never_used() -> None:
    """Neither the teacher's nor the student's."""
    assert notes.reported_layers(3, 4) == (0, 1, 2)


def test_agreed_tokens_count_twice() -> None:
    """A token in both lists has two entries: the value is another one than of the union."""
    student, teacher = torch.tensor([[[2.0, 0.0, 1.9]]]), torch.tensor([[[2.0, 1.9, 0.0]]])
    mask = torch.ones(1, 1, dtype=torch.bool)
    twice = notes.duplicated_union_kl(student, teacher, mask, top_k=2, temperature=1.0)
    both = torch.tensor([0, 2, 0, 1])
    p, q = teacher[0, 0, both].softmax(0), student[0, 0, both].softmax(0)
    torch.testing.assert_close(twice, (p * (p / q).log()).sum())


def test_the_softmax_of_attention_is_all_but_uniform() -> None:
    """The reported form gives one thousandth per query of what the maps differ by."""
    student, teacher = torch.eye(50)[None, None], torch.eye(50).flip(-1)[None, None]
    per_query = float(notes.attention_kl_of_softmax(student, teacher)) / 16
    assert per_query < 1e-3 * float(attention_kl(student, teacher).value)


def test_made_up_denominators() -> None:
    """Twice the width or the length halves them, of the same errors."""
    student, teacher = pair()
    wide = notes.feature_loss_divided_twice(student.repeat(1, 1, 2), teacher.repeat(1, 1, 2))
    torch.testing.assert_close(2 * wide, notes.feature_loss_divided_twice(student, teacher))
    long = notes.alignment_over_length(student.repeat(1, 2, 1), teacher.repeat(1, 2, 1))
    torch.testing.assert_close(2 * long, notes.alignment_over_length(student, teacher))


def test_the_balance_can_hardly_matter() -> None:
    """One expert of eight takes all: less than 0.01 / 8."""
    assert 0 < float(notes.balance_to_uniform(torch.eye(8)[:1].expand(2, 5, 8))) < 0.01 / 8


def test_perplexity_of_a_cap() -> None:
    """Every total from 20 on gives the number of the note."""
    assert {round(notes.capped_perplexity(one), 2) for one in (20.0, 51.66, 177.1)} == {
        485165195.41
    }
    assert notes.capped_perplexity(2.0) == pytest.approx(7.389, abs=1e-3)


def test_shapes_are_still_checked() -> None:
    """A historical form is no excuse for broadcasting."""
    student, teacher = pair(8, 4)
    for loss in (
        notes.raw_hidden_loss,
        notes.raw_hidden_loss_by_sum,
        notes.feature_loss_divided_twice,
        notes.alignment_over_length,
        notes.retention_by_batchmean,
    ):
        with pytest.raises(LossError, match=f"{loss.__name__}: expected student and teacher"):
            loss(student, teacher)
    with pytest.raises(LossError, match="duplicated_union_kl: expected"):
        notes.duplicated_union_kl(student, teacher, padded(), top_k=2, temperature=1.0)
    with pytest.raises(LossError, match="attention_kl_of_softmax: expected"):
        notes.attention_kl_of_softmax(maps()[0], maps()[1][:, :1])
