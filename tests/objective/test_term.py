"""A term says what is wrong with its declaration."""

import re
from typing import Any

import pytest
import torch

from poise.errors import ScheduleError, TermError, TermNameError
from poise.objective import Role, Term
from poise.reduce import Reduction
from poise.schedule import Constant, Linear


def test_defaults_and_words() -> None:
    """Words become members, numbers become floats, a monitor has weight 0."""
    term = Term("kl", weight=2, role="constraint", reduction="token")
    assert (term.weight, term.role, term.reduction) == (2.0, Role.CONSTRAINT, Reduction.TOKEN)
    assert Term("acc", role="monitor").weight == 0.0
    assert Term("acc", role="monitor", weight=0.0) == Term("acc", role="monitor")
    assert hash(Term("a", weight=Constant(1.0))) == hash(Term("a", weight=Constant(1.0)))


def test_weight_at() -> None:
    """A number needs no step, a schedule does; a function of one's own is a schedule."""
    assert Term("a", weight=0.5).weight_at(None) == 0.5
    assert Term("a", weight=Linear(0.0, 1.0, stop=4)).weight_at(3) == 0.75
    assert Term("a", weight=lambda step: 1 / (1 + step)).weight_at(1) == 0.5
    with pytest.raises(ScheduleError, match="expected step to be a whole number"):
        Term("a", weight=Linear(0.0, 1.0, stop=4)).weight_at(-1)


BAD: dict[str, tuple[dict[str, Any], type[TermError], str]] = {
    "no name": ({"name": ""}, TermNameError, "expected the name of a term as text, got ''"),
    "number as name": ({"name": 3}, TermNameError, "expected the name of a term as text, got 3"),
    "no function": (
        {"fn": 3.0},
        TermError,
        "term 'a': expected fn to be a function of the objective",
    ),
    "role": (
        {"role": "tsk"},
        TermError,
        "term 'a': expected role to be one of task, regulariser, constraint, adversary, monitor, "
        "offset, got 'tsk'. Did you mean 'task'?",
    ),
    "American": ({"role": "regularizer"}, TermError, "got 'regularizer'. Did you mean 'regulari"),
    "far from any": ({"role": "xyz"}, TermError, "monitor, offset, got 'xyz'."),
    "reduction": ({"reduction": "mean"}, TermError, "expected reduction to be one of sum, element"),
    "weight": ({"weight": "1"}, TermError, "term 'a': expected weight to be a finite number or a"),
    "infinite": ({"weight": float("inf")}, TermError, "got float inf"),
    "learned": (
        {"weight": torch.ones((), requires_grad=True)},
        TermError,
        "a learned factor belongs into the function of the term",
    ),
    "monitor": (
        {"role": "monitor", "weight": 0.5},
        TermError,
        "term 'a': expected no weight for a monitor, as it is never in the total, got 0.5",
    ),
}


@pytest.mark.parametrize(("fields", "kind", "message"), BAD.values(), ids=BAD)
def test_refused(fields: dict[str, Any], kind: type[TermError], message: str) -> None:
    """Each mistake names the term, the field, what was expected and what was got."""
    with pytest.raises(kind, match=re.escape(message)):
        Term(**{"name": "a", **fields})
