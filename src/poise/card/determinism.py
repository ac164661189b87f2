"""Is the same input worth the same: random draws and hidden state."""

import math

from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.card import Fact
from poise.doctor.finding import Fault, Severity


def determinism(subject: Subject) -> Seen:
    """Calls again with the same and with other seeds."""
    first = subject.call(subject.example, wrt=()).value
    again = [first, *(subject.call(subject.example, wrt=(), fresh=False).value for _ in range(2))]
    seeded = [subject.call(subject.example, wrt=(), seed=seed).value for seed in (1, 2)]
    if any(_unlike(one, first) for one in again):
        return seen(
            findings=(
                finding(
                    "inspect-stateful",
                    Fault.DATA,
                    Severity.WARNING,
                    subject.name,
                    "The same call gives another value each time: the function keeps a state "
                    f"({brief(again[0])}, {brief(again[1])}, {brief(again[2])}).",
                    (
                        number(
                            f"values {again[0]!r} and {again[2]!r}",
                            "value",
                            again[2],
                            again[0],
                        ),
                    ),
                    cause="A running mean, a counter, or a generator of its own. Expected of a "
                    "loss normaliser; every other number on this card is then a snapshot.",
                    action="Divide such state from the loss: weights belong to the objective.",
                    verify="print(loss(*example), loss(*example))  # the same number twice",
                ),
            )
        )
    random = any(_unlike(one, first) for one in seeded)
    if not random:
        fact = Fact(name="deterministic", value=True, text="the same input gives the same value")
        return seen(facts=(fact,))
    text = f"draws random numbers: {brief(again[0])} or {brief(seeded[0])} at the example"
    return seen(facts=(Fact(name="deterministic", value=False, text=text),))


def _unlike(one: float, other: float) -> bool:
    return one != other and not (math.isnan(one) and math.isnan(other))
