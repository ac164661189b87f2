"""The weighted sum of a total."""

import torch
from hypothesis import given
from hypothesis import strategies as st

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
