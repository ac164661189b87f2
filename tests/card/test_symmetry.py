"""What a loss cannot tell apart."""

from torch.nn import functional as F

from poise.card.symmetry import symmetry
from poise.doctor.finding import Fault, Severity
from tests.card.subjects import facts, labels, normal, of, rules

PAIR = (normal(8, 5), normal(8, 5, seed=1))


def test_the_absolute_cosine_is_even() -> None:
    """V and -v score the same: a warning for the prediction, a note for the other."""
    found = symmetry(of(lambda v, a: -F.cosine_similarity(v, a).abs().mean(), *PAIR))
    assert rules(found) == ["inspect-even", "inspect-even"]
    assert [one.severity for one in found.findings] == [Severity.WARNING, Severity.NOTE]
    assert found.findings[0].fault is Fault.NO_EFFECT


def test_even_by_nature() -> None:
    """A penalty on one tensor has nothing to agree with; pairs of samples keep their product."""
    assert facts(symmetry(of(lambda x: x.square().mean(), normal(8, 5)))) == {"even": "x"}
    assert not symmetry(of(lambda x: x.square().mean(), normal(8, 5))).findings
    apart = symmetry(of(lambda x, y: F.cross_entropy(x @ x.T, y), normal(8, 5), labels(8)))
    assert "inspect-even" not in rules(apart)


def test_invariances() -> None:
    """Softmax forgets a shift; a difference forgets the sign of both together."""
    assert facts(symmetry(of(F.cross_entropy, normal(8, 3), labels(8)))) == {"shift-free": True}
    assert facts(symmetry(of(F.mse_loss, *PAIR))) == {"odd-pair": True}
