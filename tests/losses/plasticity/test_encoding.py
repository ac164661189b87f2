"""What v_a should be: encoding, bottleneck, orthogonality."""

import pytest
import torch
from torch import Tensor

from poise.errors import LossError
from poise.losses.plasticity import (
    attention_encoding,
    information_bottleneck,
    orthogonality,
    reported,
)
from tests.losses.plasticity.made import findings, normal, states


def test_attention_encoding_is_clean_and_signed() -> None:
    """The function itself has no defect: v_a = a costs 0, v_a = -a costs both parts in full."""
    v_a, attention = states(2)
    assert findings(attention_encoding, (v_a, attention)) == []
    assert attention_encoding(attention, attention).item() == pytest.approx(0.0, abs=1e-6)
    rms = attention.square().mean().sqrt()
    expected = 4 * attention.square().mean() / rms + 1
    torch.testing.assert_close(attention_encoding(-attention, attention), expected)


def test_the_bottleneck_is_signed_and_the_reported_one_even() -> None:
    """v_a and -v_a: the same score as reported (a warning), 0 and 2 in the working form."""
    v_a, attention, hidden = states(3)
    example = v_a, attention, hidden
    assert ("warning", "inspect-even") in findings(reported.information_bottleneck, example)
    assert [one for one in findings(information_bottleneck, example) if one[0] != "note"] == []
    torch.testing.assert_close(
        reported.information_bottleneck(attention, attention, hidden),
        reported.information_bottleneck(-attention, attention, hidden),
    )
    apart = information_bottleneck(-attention, attention, hidden) - information_bottleneck(
        attention, attention, hidden
    )
    assert apart.item() == pytest.approx(2.0)


def test_the_reported_orthogonality_cannot_be_called() -> None:
    """Its card is the shape error; repaired, halving v_a lowers it fourfold."""
    v_a, hidden = normal(2, 8, 12), normal(2, 8, 12, seed=1)
    assert findings(reported.orthogonality, (v_a, hidden)) == [("error", "inspect-raises")]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = reported.orthogonality(v_a, hidden, repaired=True)
        torch.manual_seed(0)
        half = reported.orthogonality(v_a / 2, hidden, repaired=True)
    torch.testing.assert_close(half, whole / 4)


def shares(v_a: Tensor, hidden: Tensor) -> Tensor:
    """The working form with three directions."""
    return orthogonality(v_a, hidden, directions=3)


def test_orthogonality_is_a_share_of_energy() -> None:
    """Shrinking v_a changes nothing, all directions hold all of it, and the sign does not count."""
    v_a, hidden = normal(2, 8, 12), normal(2, 8, 12, seed=1)
    torch.testing.assert_close(shares(v_a, hidden), shares(v_a / 2, hidden))
    whole = orthogonality(v_a, hidden, directions=12)
    assert whole.item() == pytest.approx(1.0, abs=1e-5)
    assert 0 < shares(v_a, hidden) < whole
    found = findings(shares, (v_a, hidden), role="regulariser")
    assert {rule for _, rule in found} == {"inspect-even"}


def test_orthogonality_sends_no_gradient_to_the_hidden_states() -> None:
    """The directions are a fact, not something to be moved."""
    v_a, hidden = states(2)
    hidden.requires_grad_()
    shares(v_a.requires_grad_(), hidden).backward()
    assert hidden.grad is None
    assert v_a.grad is not None


def test_orthogonality_at_zero_is_zero_with_a_finite_gradient() -> None:
    """0 / 0 is not NaN here."""
    v_a = torch.zeros(1, 8, 12, requires_grad=True)
    value = shares(v_a, normal(1, 8, 12))
    value.backward()
    assert value.item() == 0
    assert v_a.grad is not None
    assert v_a.grad.isfinite().all()


def test_orthogonality_refuses_more_directions_than_there_are() -> None:
    """Twelve features have no thirteenth direction."""
    with pytest.raises(LossError, match="expected 1 to 12 directions of 16 hidden states"):
        orthogonality(normal(2, 8, 12), normal(2, 8, 12), directions=13)
