"""Hidden states made alike."""

import pytest
import torch
from torch.nn import functional as F

from poise.errors import LossError
from poise.losses.distill import FeatureProjector, hidden_loss, largest_share, matched_layers
from poise.losses.distill.reported import raw_hidden_loss
from tests.losses.distill.examples import normal, padded, pair


def massive(tokens: int) -> torch.Tensor:
    """Unit states with channels of 3000 and -2000 at the first token."""
    states = normal(1, tokens, 64, seed=1)
    states[0, 0, :2] = torch.tensor([3000.0, -2000.0])
    return states


def test_it_is_two_times_one_minus_the_correlation() -> None:
    """Against numpy's way of writing it, under the mask."""
    student, teacher = pair()
    mask = padded()
    rows = zip(student[mask], teacher[mask], strict=True)
    expected = torch.stack([2 * (1 - torch.corrcoef(torch.stack(row))[0, 1]) for row in rows])
    found = hidden_loss(student, teacher, mask)
    torch.testing.assert_close(found.value, expected.mean(), rtol=1e-4, atol=1e-5)
    assert int(found.count) == int(mask.sum())


@pytest.mark.parametrize("tokens", [50, 160, 512])
def test_massive_activations_do_not_move_it(tokens: int) -> None:
    """2 for unrelated states whatever the length; the raw form is 80 to 4000 and falls."""
    student = normal(1, tokens, 64)
    assert float(hidden_loss(student, massive(tokens)).value) == pytest.approx(2.0, abs=0.05)
    raw = float(raw_hidden_loss(student, massive(tokens)))
    assert raw == pytest.approx(13e6 / (64 * tokens), rel=0.02)


def test_massive_activations_are_seen_by_the_largest_share() -> None:
    """Two channels hold the raw error; of plain states they hold little more than 2 of 64."""
    student = normal(1, 50, 64)
    assert float(largest_share(student, massive(50))) > 0.99
    assert float(largest_share(student, normal(1, 50, 64, seed=1))) < 0.06
    assert float(largest_share(student, student)) == 0.0


def test_what_the_massive_token_gets_of_the_gradient() -> None:
    """Normalised, the first token gets about its share of the gradient; raw, 9 tenths of it."""

    def share(loss: object) -> float:
        student = normal(1, 50, 64).requires_grad_()
        value = loss(student, massive(50))  # type: ignore[operator]
        getattr(value, "value", value).backward()
        assert student.grad is not None
        each = student.grad.norm(dim=-1)[0]
        return float(each[0] / each.sum())

    assert share(hidden_loss) < 0.04
    assert share(raw_hidden_loss) > 0.8


def test_first_and_last_layers_are_matched() -> None:
    """Embeddings with embeddings, outputs with outputs, in order."""
    assert matched_layers(3, 4) == (0, 1, 3, 4)
    assert matched_layers(4, 4) == (0, 1, 2, 3, 4)
    with pytest.raises(LossError, match="expected layers of the teacher of at least 1, got 0"):
        matched_layers(3, 0)


def test_a_projector_can_learn_what_the_student_does_not() -> None:
    """With the student's states fixed, the loss falls all the same: it is no proof of learning."""
    torch.manual_seed(0)
    student, teacher = normal(4, 5, 8), normal(4, 5, 16, seed=1)
    projector = FeatureProjector(8, 16)
    optimizer = torch.optim.Adam(projector.parameters(), lr=1e-2)
    values = []
    for _ in range(100):
        loss = hidden_loss(projector(student), teacher).value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.3 * values[0]


def test_shapes_must_agree() -> None:
    """Widths are a projector's matter, and the message says so."""
    with pytest.raises(LossError, match="to its width with a projector"):
        hidden_loss(*pair(8, 4))
    with pytest.raises(LossError, match="largest_share: expected"):
        largest_share(*pair(8, 4))


def test_the_mask_keeps_padding_out() -> None:
    """NaN in padding reaches neither value nor gradient."""
    student, teacher = pair()
    teacher = torch.where(padded()[..., None], teacher, torch.nan)
    student.requires_grad_()
    hidden_loss(student, teacher, padded()).value.backward()
    assert student.grad is not None
    assert student.grad[padded()].isfinite().all()
    assert F.mse_loss(student, teacher).isnan()
