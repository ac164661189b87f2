"""Direct supervision, fidelity and regularisation."""

import pytest
import torch
from torch import Tensor

from poise.errors import LossError
from poise.losses.plasticity import direct_mlp, logit_fidelity, regularisation, reported
from tests.losses.plasticity.made import findings, states


def direct(modulated: Tensor, attention: Tensor, mlp: Tensor) -> Tensor:
    """The mean without its count, for the card."""
    return direct_mlp(modulated, attention, mlp).value


def test_direct_is_clean() -> None:
    """No finding, and its value at 0 and at the target is 1 and 0."""
    modulated, attention, mlp = states(3)
    assert findings(direct, (modulated, attention, mlp)) == []
    assert direct(torch.zeros_like(mlp), attention, mlp).item() == pytest.approx(1.0)
    assert direct(attention + mlp, attention, mlp).item() == 0.0


def test_direct_has_no_scale_and_the_reported_one_has() -> None:
    """Everything three times as large: the same, against three times as much."""
    big = [3 * one for one in states(3)]
    torch.testing.assert_close(direct(*big), direct(*states(3)))
    torch.testing.assert_close(
        reported.direct_mlp(*big), 3 * reported.direct_mlp(*states(3)), rtol=1e-4, atol=0
    )


def test_direct_counts_what_its_mask_lets_through() -> None:
    """Tokens outside of the mask change neither value nor gradient, and the count says how many."""
    modulated, attention, mlp = states(3)
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[0, :3] = True
    part = direct_mlp(modulated.requires_grad_(), attention, mlp, mask)
    assert part.count == 3 * 12
    part.value.backward()
    assert modulated.grad is not None
    assert not modulated.grad[~mask].any()
    assert modulated.grad[mask].any()
    alone = direct_mlp(modulated[0, :3], attention[0, :3], mlp[0, :3])
    torch.testing.assert_close(part.value, alone.value)


def test_direct_refuses_what_would_broadcast() -> None:
    """One position against six is an error."""
    modulated, attention, mlp = states(3)
    with pytest.raises(LossError, match="direct_mlp: expected 'attention' to have the shape"):
        direct_mlp(modulated, attention[:, :1], mlp)


def test_fidelity_is_clean_and_sees_what_no_probability_does() -> None:
    """No finding; a constant on all logits of a token costs its square."""
    logits = states(2)
    assert findings(logit_fidelity, logits) == []
    assert logit_fidelity(logits[0] + 2, logits[0]).item() == pytest.approx(4.0)


def test_regularisation_is_even_by_nature() -> None:
    """A penalty on size does not see signs; nothing else is odd about it."""
    found = findings(regularisation, states(2), role="regulariser")
    assert {rule for _, rule in found} == {"inspect-even"}
