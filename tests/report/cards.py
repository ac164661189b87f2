"""A card made by hand."""

import math

from poise.doctor.card import Argument, Card, Curve, Fact, Slope
from poise.doctor.diagnosis import NotChecked
from poise.doctor.finding import Evidence, Fault, Finding, Severity

X = tuple(10.0**k for k in range(-6, 7))


def card() -> Card:
    """A clamped absolute error."""
    value = tuple(min(x, 0.1) for x in X)
    gradient = tuple(1.0 if x < 0.1 else 0.0 for x in X)
    curve = Curve(
        name="error",
        title="Value and gradient against the error",
        x_label="prediction minus target",
        x=X,
        lines={
            "value +": value,
            "gradient +": gradient,
            "value -": (*value[:-1], math.nan),
            "gradient -": gradient,
        },
    )
    finding = Finding(
        rule="inspect-clamp",
        fault=Fault.SATURATION,
        severity=Severity.ERROR,
        terms=("clamped",),
        steps=(0, 0),
        summary="The gradient is exactly 0 for every error above 0.1.",
        evidence=(
            Evidence(text="gradient 0 above 0.1", series="gradient", steps=(0, 0), value=0.0),
        ),
        cause="The value is clamped.",
        action="Use Huber.",
        verify="card = poise.inspect(clamped, example)",
    )
    return Card(
        name="clamped",
        arguments=(
            Argument(name="mass", shape=(8,), dtype="float32", role="prediction", gradient=True),
            Argument(name="<b>", shape=(8,), dtype="float32", role="target", gradient=False),
        ),
        value=0.1,
        findings=(finding,),
        facts=(Fact(name="perfect", value=0.0, text="a perfect prediction costs 0"),),
        curves=(curve,),
        slopes=(
            Slope(
                of="value",
                against="batch",
                sizes=(8.0, 16.0),
                values=(0.1, 0.1),
                slope=0.0,
                power=True,
            ),
            Slope(
                of="value",
                against="classes",
                sizes=(3.0, 6.0),
                values=(0.1, 0.12),
                slope=0.26,
                power=False,
            ),
        ),
        not_checked=(NotChecked(rule="padding", needs=("a mask",)),),
        passed=("backward", "lower bound"),
    )
