"""What one probe saw."""

from poise.card.seen import finding, number, seen
from poise.doctor.finding import Fault, Severity


def test_none_is_left_out() -> None:
    """Probes may give None for what they did not find."""
    one = finding(
        "inspect-x",
        Fault.DATA,
        Severity.NOTE,
        "loss",
        "x",
        (number("x", "x", 1.0),),
        cause="c",
        action="a",
        verify="v",
    )
    assert seen((None, one), (None,)).findings == (one,)
    assert (one.terms, one.steps) == (("loss",), (0, 0))
