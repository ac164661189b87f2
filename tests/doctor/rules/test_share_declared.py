"""Declared shares: too small, or not honoured."""

from poise.doctor.finding import Severity
from poise.doctor.rules.share_declared import ShareNotHonoured, ShareTooSmall
from tests.doctor.rules.test_gradient_share import SEEDS, run
from tests.doctor.rules_of import found_by


@SEEDS
def test_a_share_that_is_honoured_may_be_too_small(seed: int) -> None:
    """10% declared and measured, and the term ends at 15.5: the wish is the fault."""
    wish = {"shares": {"big": 0.9, "small": 0.1}}
    (one,) = found_by(ShareTooSmall(), run(seed, share=0.1, declared=wish))
    assert (one.severity, one.terms) == (Severity.WARNING, ("small",))
    assert "10% declared" in one.summary
    assert not found_by(ShareTooSmall(), run(seed, share=0.1, end=9.0, declared=wish))


@SEEDS
def test_a_share_that_is_not_honoured(seed: int) -> None:
    """10% declared and 1% measured; 6% is near enough."""
    wish = {"shares": {"big": 0.9, "small": 0.1}}
    (one,) = found_by(ShareNotHonoured(), run(seed, share=0.01, declared=wish))
    assert one.terms == ("small",)
    assert not found_by(ShareNotHonoured(), run(seed, share=0.06, declared=wish))
