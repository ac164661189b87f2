"""The weighted sum of a total."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from poise import Objective, Term
from poise.errors import TermNameError, TermValueError
from poise.watch.terms import given as summed

NUMBERS = st.floats(-(2.0**90), 2.0**90, width=32)


@given(st.lists(st.tuples(NUMBERS, st.floats(-1e3, 1e3)), min_size=1, max_size=6))
def test_sum_from_left_to_right(pairs: list[tuple[float, float]]) -> None:
    """The total is the plain sum in the order of the terms, to the last bit."""
    terms = {str(k): torch.tensor(value) for k, (value, _) in enumerate(pairs)}
    weights = {str(k): weight for k, (_, weight) in reversed(list(enumerate(pairs)))}
    expected = pairs[0][1] * torch.tensor(pairs[0][0])
    for value, weight in pairs[1:]:
        expected = expected + weight * torch.tensor(value)
    found = summed(terms, weights, None)
    assert torch.equal(found.total, expected) or (found.total.isnan() and expected.isnan())
    assert list(found.weights) == list(terms)


def test_numbers_and_learned_weights() -> None:
    """A term may be a plain number where another is a tensor; a weight may carry a graph."""
    weight = torch.tensor(2.0, requires_grad=True)
    found = summed({"a": 0.0, "b": torch.tensor(3.0)}, {"a": 1.0, "b": weight}, {"b": 4})
    found.total.backward()
    assert found.total.item() == 6.0
    assert weight.grad == 3.0
    assert found.counts == {"b": 4}


def test_a_breakdown_may_not_bring_undeclared_terms() -> None:
    """Names of an objective are held against the declared ones as those of a dict are."""
    breakdown = Objective(Term("kl", lambda: torch.ones((), requires_grad=True)))()
    assert summed(breakdown, None, None, declared=("kl", "ce")).values["kl"] == 1.0
    with pytest.raises(TermNameError, match=r"terms: unknown term 'kl'; expected one of 'ce'"):
        summed(breakdown, None, None, declared=("ce",))


@pytest.mark.parametrize(
    ("weights", "counts", "message"),
    [
        ([1.0], None, r"weights: expected numbers by term, got list \[1\.0\]"),
        ({"a": 1.0}, 3, r"counts: expected numbers by term, got int 3"),
        ({"a": 1.0, "b": 1.0}, None, r"'b' has a weight but no value; expected weights of 'a'"),
        ({"ab": 1.0}, None, r"'ab' has a weight but no value.*Did you mean 'a'\?"),
    ],
)
def test_what_is_no_mapping_of_terms(weights: object, counts: object, message: str) -> None:
    """Each error says which argument it is about and what was expected."""
    with pytest.raises(TermNameError, match=message):
        summed({"a": torch.tensor(1.0)}, weights, counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (
            torch.ones(3),
            r"count of 'a': expected a real scalar, got a float32 tensor of shape \[3\]",
        ),
        ("3", r"count of 'a': expected a real scalar, got str '3'"),
        (-1, r"count of 'a': expected a finite number from 0 on, got -1"),
        (float("nan"), r"count of 'a': expected a finite number from 0 on, got nan"),
    ],
)
def test_a_count_is_a_scalar(count: object, message: str) -> None:
    """What counts nothing is refused."""
    with pytest.raises(TermValueError, match=message):
        summed({"a": torch.tensor(1.0)}, None, {"a": count})  # type: ignore[dict-item]


@pytest.mark.parametrize("counts", [{"kl": 3}, {"zzz": 3}, {}])
def test_a_breakdown_carries_its_own_counts(counts: dict[str, float]) -> None:
    """Others beside it would be dropped, so they are refused."""
    breakdown = Objective(Term("kl", lambda: torch.ones((), requires_grad=True)))()
    with pytest.raises(TermNameError, match=r"no counts beside a breakdown.*Reduced"):
        summed(breakdown, None, counts)


def test_a_term_that_is_only_measured_has_no_weight() -> None:
    """A monitor and a term that is measured at weight 0 are recorded as not in the total."""
    objective = Objective(
        Term("a", lambda: torch.ones((), requires_grad=True), weight=0.5),
        Term("seen", lambda: torch.tensor(7.0), role="monitor"),
        Term("later", lambda: torch.tensor(9.0), weight=0.0, measure=True),
    )
    found = summed(objective(), None, None)
    assert {**found.weights} == {"a": 0.5, "seen": 0.0, "later": 0.0}
    parts = dict(objective().items())
    asked = SimpleNamespace(value=torch.tensor(7.0), weight=0.5, weighted=None, count=None)
    given_now = SimpleNamespace(
        total=torch.tensor(0.5), items=lambda: [*parts.items(), ("x", asked)]
    )
    assert summed(given_now, None, None).weights["x"] == 0.0  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_is_finite(weight: float) -> None:
    """A weight that spoils the whole total is refused."""
    with pytest.raises(TermValueError, match="weight of 'a': expected a finite number"):
        summed({"a": torch.tensor(1.0)}, {"a": weight}, None)
