"""What a breakdown shows."""

import io
from collections.abc import Mapping

import pytest
import torch
from rich.console import Console
from torch import Tensor

from poise.objective import Breakdown, Objective, Term, average
from poise.reduce import masked_mean


def mixed() -> Breakdown:
    """All standings and roles in one."""
    objective = Objective(
        Term("ce", masked_mean),
        Term("kl", lambda x: -x.sum(), weight=0.5),
        Term("total", lambda x: x.sum(), weight=0.0),
        Term("acc", lambda _: 0.75, role="monitor"),
        Term("rare", lambda _: None, weight=0.1, sometimes=True),
    )
    return objective(torch.tensor([1.0, 3.0], requires_grad=True))


SHOWN = """\
term   value  weight  weighted   share  count
ce         2       1         2   50.0%      2
kl        -4     0.5        -2  -50.0%
total              0                           off
acc     0.75       0                           measured
rare             0.1                           absent
total                        0"""


def test_it_is_a_mapping_in_term_order() -> None:
    """Names, entries and length as of a dict."""
    breakdown = mixed()
    assert isinstance(breakdown, Mapping)
    assert list(breakdown) == ["ce", "kl", "total", "acc", "rare"]
    assert [one.name for one in breakdown.values()] == list(breakdown)
    assert (len(breakdown), "kl" in breakdown, "x" in breakdown) == (5, True, False)
    assert breakdown.weights == {"ce": 1.0, "kl": 0.5, "total": 0.0, "acc": 0.0, "rare": 0.1}
    with pytest.raises(KeyError, match=r"unknown term 'kll'; this .*'rare'. Did you mean 'kl'?"):
        breakdown["kll"]


def test_detached_is_plain_numbers_under_the_names_of_the_record() -> None:
    """Floats for a log; a term called total does not hide the total."""
    numbers = mixed().detached()
    assert numbers == {
        "total": 0.0,
        "ce": 2.0,
        "weighted/ce": 2.0,
        "count/ce": 2.0,
        "kl": -4.0,
        "weighted/kl": -2.0,
        "acc": 0.75,
        "weight/ce": 1.0,
        "weight/kl": 0.5,
        "weight/term/total": 0.0,
        "weight/acc": 0.0,
        "weight/rare": 0.1,
    }
    assert {type(one) for one in numbers.values()} == {float}


def test_shares() -> None:
    """Weighted value over the sum of absolute weighted values, signed; 0 out of the total."""
    assert mixed().shares() == {"ce": 0.5, "kl": -0.5, "total": 0.0, "acc": 0.0, "rare": 0.0}
    nothing = Objective(Term("a", weight=0.0)).combine({})
    assert nothing.shares() == {"a": 0.0}


def test_text() -> None:
    """Print shows an aligned table; what is not there is blank."""
    assert str(mixed()) == SHOWN


def test_rich_table_has_the_same_cells() -> None:
    """A rich console prints the same table, and does not read names as markup."""
    out = io.StringIO()
    Console(file=out, width=100, color_system=None, _environ={}).print(mixed())
    assert [line.split() for line in out.getvalue().splitlines()] == [
        line.split() for line in SHOWN.splitlines()
    ]
    strange = Objective(Term("[red]")).combine({"[red]": torch.ones((), requires_grad=True)})
    Console(file=out, width=100, color_system=None, _environ={}).print(strange)
    assert "[red]" in out.getvalue()


def test_differences_are_shown() -> None:
    """What evaluation was asked to change stands under the table."""
    objective = Objective(Term("a", torch.sum, weight=0.1))
    shown = objective.evaluate(torch.ones(2), weights={"a": 1.0})
    assert str(shown).splitlines()[-1] == "weight of 'a' is 1 instead of 0.1"


def test_looking_does_not_touch_the_graph() -> None:
    """After printing and logging, the backward pass gives the same gradient."""
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    breakdown = Objective(Term("a", lambda x: (x**2).sum()))(x)
    str(breakdown)
    breakdown.detached()
    breakdown.total.backward()
    assert isinstance(x.grad, Tensor)
    assert x.grad.tolist() == [2.0, 6.0]


def test_declarations_travel_along() -> None:
    """A breakdown, an evaluation and an average carry the terms as they are declared."""
    objective = Objective(Term("a", lambda x: x, role="constraint"), Term("b", lambda x: x))
    x = torch.tensor(2.0, requires_grad=True)
    evaluated = objective.evaluate(x)
    for one in (objective(x), evaluated, average([evaluated, evaluated])):
        assert one.declared is objective.terms
    assert "declared" not in repr(evaluated)
