"""Shapes that broadcast into another meaning."""

from torch.nn import functional as F

from poise.card.broadcasting import broadcasting
from poise.doctor.finding import Fault, Severity
from tests.card.subjects import normal, of


def test_all_pairs() -> None:
    """(B,) against (B, 1) is an error with both values; the aligned value is the plain mean."""
    a, b = normal(8), normal(8, seed=1)
    (found,) = broadcasting(of(lambda p, t: (p - t).abs().mean(), a, b[:, None])).findings
    assert (found.fault, found.severity) == (Fault.DATA, Severity.ERROR)
    aligned = float((a - b).abs().mean())
    assert abs(found.evidence[0].threshold - aligned) < 1e-6  # type: ignore[operator]


def test_would_go_unnoticed() -> None:
    """A formula by hand gets a note; torch's own warns by itself, and a reshape does not care."""
    pair = (normal(8), normal(8, seed=1))
    (found,) = broadcasting(of(lambda p, t: (p - t).abs().mean(), *pair)).findings
    assert found.severity is Severity.NOTE
    assert not broadcasting(of(F.mse_loss, *pair)).findings
    flat = broadcasting(of(lambda p, t: (p.reshape(-1) - t.reshape(-1)).abs().mean(), *pair))
    assert not flat.findings
