"""A fabricated comparison with every kind of verdict."""

from dataclasses import replace

import numpy as np

from poise.comparing.compare import compare
from poise.comparing.comparison import Comparison, Pair
from poise.run import Kind
from tests.comparing.build import falling, noisy, plain, table
from tests.report.builders import HOSTILE, finding


def compared() -> Comparison:
    """One term is better, one rescaled, one has no effect, and the total is another objective."""
    kinds = {"total": Kind.TOTAL, "accuracy": Kind.STATISTIC}
    names = ("ce", "kd", "hint")
    sides = []
    for seed, (ce, kd) in enumerate(((1.0, 1.0), (0.5, 10.0))):
        terms = {
            "ce": noisy(falling(3.0, ce), seed),
            "kd": kd * noisy(falling(2.0, 0.5), 10 + seed),
            "hint": noisy(falling(2.0, 1.0), 20 + seed),
        }
        train = table(
            terms | {"total": (ce + 1) * sum(terms.values(), start=np.zeros(200))}, kinds=kinds
        )
        held = table({"accuracy": noisy(0.7, 30 + seed, size=20)}, kinds=kinds, split="val")
        sides.append(plain(train, held, weights=dict.fromkeys(names, ce + 1)))
    before = replace(sides[0], findings=(finding("starved", terms=("ce",)),))
    found = compare(before, sides[1])
    return replace(
        found,
        gradient_shares={"ce": Pair(before=0.01, after=0.6), "kd": Pair(before=0.99, after=0.4)},
        shares_at="edge",
        motion={"trunk": Pair(before=1e-3, after=2e-3), "head": Pair(before=None, after=1e-3)},
        responses={"ce": Pair(before=-0.001, after=-0.01)},
        only_after=("aux",),
    )


def hostile_comparison() -> Comparison:
    """Names that try to be markup or to move the cursor."""
    values = {name: noisy(falling(3.0, 1.0), seed) for seed, name in enumerate(HOSTILE)}
    other = {name: noisy(falling(3.0, 0.3), seed + 50) for seed, name in enumerate(HOSTILE)}
    return compare(plain(table(values)), plain(table(other)))
