"""The data of a card."""

from hypothesis import given
from hypothesis import strategies as st

from poise.doctor.card import Card, Curve, Fact, Slope
from poise.doctor.finding import Evidence, Fault, Finding, Severity


def found(severity: Severity) -> Finding:
    """A finding of a severity."""
    evidence = (Evidence(text="t", series="s", steps=(0, 0), value=0.0),)
    return Finding(
        rule="inspect-x",
        fault=Fault.DATA,
        severity=severity,
        terms=("loss",),
        steps=(0, 0),
        summary="s",
        evidence=evidence,
        cause="c",
        action="a",
        verify="v",
    )


def test_lookups() -> None:
    """By name; None for what was not measured."""
    slope = Slope(
        of="value", against="batch", sizes=(1.0, 2.0), values=(1.0, 2.0), slope=1.0, power=True
    )
    fact = Fact(name="knee", value=0.5, text="x")
    card = Card(name="loss", arguments=(), value=1.0, facts=(fact,), slopes=(slope,))
    assert (card.slope("batch"), card.slope("length")) == (1.0, None)
    assert (card.fact("knee"), card.fact("other"), card.curve("error")) == (0.5, None, None)
    assert card.clean
    assert card.worst is None


def test_clean_allows_notes() -> None:
    """Notes leave a card clean, warnings do not; its text names the rule."""
    card = Card(name="loss", arguments=(), value=1.0, findings=(found(Severity.NOTE),))
    assert card.clean
    assert "NOTE data [inspect-x]: s" in str(card)
    assert not Card(name="l", arguments=(), value=1.0, findings=(found(Severity.WARNING),)).clean


@given(st.floats(1e-3, 1e3), st.floats(0.5, 2.0))
def test_a_power_is_interpolated_exactly(x: float, power: float) -> None:
    """Between two points of a power law the curve is that power law; outside it goes on flat."""
    ends = (1e-2, 1e2)
    curve = Curve(
        name="error",
        title="",
        x_label="",
        x=ends,
        lines={"value +": tuple(one**power for one in ends)},
    )
    inside = min(max(x, ends[0]), ends[1])
    assert abs(curve.at("value +", x) / inside**power - 1.0) < 1e-9
