"""Growth with batch, length and classes."""

import pytest
import torch
from torch.nn import functional as F

from poise.card.sizes import sizes
from poise.doctor.finding import Fault, Severity
from tests.card.subjects import facts, labels, normal, of, rules


def slope(seen: object, against: str, of: str = "value") -> float:
    """A slope by name."""
    (found,) = (one for one in seen.slopes if (one.against, one.of) == (against, of))  # type: ignore[attr-defined]
    return found.slope


def test_mean_and_sum() -> None:
    """A mean has slope 0 and -1/N per element; a sum has slope 1 and the same per element."""
    mean = sizes(of(F.mse_loss, normal(4, 6, 3), normal(4, 6, 3, seed=1)))
    assert [slope(mean, one) for one in ("batch", "length", "features")] == [0.0, 0.0, 0.0]
    assert slope(mean, "length", "gradient per element") == -1.0
    assert slope(mean, "length", "gradient summed") == 0.0
    assert not mean.findings
    assert facts(mean) == {"reduction": "mean"}
    total = sizes(of(lambda a, b: (a - b).square().sum(), normal(4, 3), normal(4, 3, seed=1)))
    assert slope(total, "batch") == 1.0
    assert slope(total, "batch", "gradient per element") == 0.0
    assert facts(total) == {"reduction": "sum"}
    assert total.findings[0].fault is Fault.SCALE_WITH_LENGTH
    assert total.findings[0].severity is Severity.WARNING


@pytest.mark.parametrize("shape", [(4, 6, 5), (3, 7, 9)])
def test_batchmean_over_three_axes_grows_with_length(shape: tuple[int, ...]) -> None:
    """Batchmean of [B, L, V] divides by B only."""
    p, q = normal(*shape).log_softmax(-1), normal(*shape, seed=1).softmax(-1)
    found = sizes(of(lambda a, b: F.kl_div(a, b, reduction="batchmean"), p, q))
    assert (slope(found, "length"), slope(found, "classes")) == (1.0, 0.0)
    assert rules(found) == ["inspect-grows-with"]


def test_mean_over_classes_divides_by_their_number() -> None:
    """KL with mean is 1/K of the divergence."""
    p, q = normal(8, 5).log_softmax(1), normal(8, 5, seed=1).softmax(1)
    found = sizes(of(lambda a, b: F.kl_div(a, b, reduction="none").mean(), p, q))
    assert slope(found, "classes") == -1.0
    assert rules(found) == ["inspect-shrinks-with"]
    assert found.findings[0].fault is Fault.REDUCTION


def test_cross_entropy_is_no_power_of_the_classes() -> None:
    """Ln K is not a reduction: nothing is said."""
    found = sizes(of(F.cross_entropy, normal(8, 3), labels(8)))
    assert not found.findings
    assert next(one.power for one in found.slopes if one.against == "classes") is False


def test_needs_an_axis_and_a_value() -> None:
    """A scalar prediction has nothing to repeat."""
    assert sizes(of(lambda x: x.square(), torch.tensor(2.0))).needs
