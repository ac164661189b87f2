"""The same input, the same value."""

from torch import Tensor
from torch.nn import functional as F

from poise.card.determinism import determinism
from tests.card.subjects import facts, normal, of, rules


def test_random_draws_are_a_fact() -> None:
    """Dropout draws; with the seed held it is no oddity."""
    found = determinism(of(lambda x: F.dropout(x).mean(), normal(50)))
    assert facts(found) == {"deterministic": False}
    assert facts(determinism(of(F.mse_loss, normal(8), normal(8)))) == {"deterministic": True}


def test_state_is_a_finding() -> None:
    """A running mean inside the loss changes it from call to call."""
    kept = [1.0]

    def normalised(x: Tensor) -> Tensor:
        value = x.square().mean()
        kept[0] = 0.9 * kept[0] + 0.1 * float(value.detach())
        return value / kept[0]

    assert rules(determinism(of(normalised, 3 * normal(8)))) == ["inspect-stateful"]
