"""What is left of the teacher."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.distill import retained_kl, temperature_kl, top_k_overlap
from poise.losses.distill.reported import retention_by_batchmean
from tests.losses.distill.examples import padded, pair


@pytest.mark.parametrize("repeats", [1, 4, 16])
def test_the_length_does_not_matter(repeats: int) -> None:
    """The reported form is multiplied with the number of tokens."""
    student, teacher = (one.repeat(1, repeats, 1) for one in pair())
    once = retained_kl(*pair()).value
    torch.testing.assert_close(retained_kl(student, teacher).value, once)
    reported = 1 - float(retention_by_batchmean(student, teacher))
    assert reported == pytest.approx(5 * repeats * float(once), rel=1e-4)


def test_it_has_no_graph_and_no_temperature() -> None:
    """A measure: the plain divergence, detached."""
    student, teacher = pair()
    found = retained_kl(student.requires_grad_(), teacher, padded()).value
    assert not found.requires_grad
    torch.testing.assert_close(found, temperature_kl(student, teacher, padded()).value.detach())


def test_overlap_counts_sets() -> None:
    """By Python's sets, position by position; the order within the top does not matter."""
    student, teacher = pair()
    mask = padded()
    expected = [
        len({*a.topk(3).indices.tolist()} & {*b.topk(3).indices.tolist()}) / 3
        for a, b in zip(student[mask], teacher[mask], strict=True)
    ]
    found = top_k_overlap(student, teacher, mask, top_k=3).value
    assert float(found) == pytest.approx(sum(expected) / len(expected))
    assert float(top_k_overlap(3 * student + 1, student).value) == 1.0
    assert float(top_k_overlap(student, teacher, top_k=99).value) == 1.0


def test_no_top_is_refused() -> None:
    """At least one token must be looked at."""
    with pytest.raises(LossError, match="top_k_overlap: expected top_k of at least 1, got 0"):
        top_k_overlap(*pair(), top_k=0)
