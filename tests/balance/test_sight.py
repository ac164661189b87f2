"""What was seen, of all terms."""

import math
from dataclasses import replace

import pytest
import torch

from poise.balance.sight import Sight, sizes_of
from poise.probe import Gradients

NAMES = ("a", "b", "c")


def sight() -> Sight:
    """Of terms c and a, in this order."""
    products = torch.tensor([[4.0, 1.0], [1.0, 12.0]], dtype=torch.float64)
    return Sight.of(Gradients(where="fork", terms=("c", "a"), products=products), NAMES)


def test_products_are_at_their_terms_places() -> None:
    """A reading may have its terms in any order."""
    assert sight().products.tolist() == [[12.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 4.0]]
    assert sight().present == (1.0, 0.0, 1.0)


def test_rules_see_the_present_terms_with_unit_trace() -> None:
    """The trace is told apart."""
    seen = sight().seen(NAMES, 7)
    assert seen is not None
    assert (seen.terms, seen.order, seen.step, seen.trace) == (("a", "c"), NAMES, 7, 16.0)
    assert seen.products.tolist() == [[0.75, 0.0625], [0.0625, 0.25]]
    assert seen.places == [0, 2]
    assert seen.sizes is None


def test_nothing_seen_is_nothing_to_ask() -> None:
    """Neither absent terms nor zeros are shown to a rule."""
    assert Sight.of(None, NAMES).seen(NAMES, 0) is None
    zero = Gradients(where="fork", terms=("a",), products=torch.zeros(1, 1))
    assert Sight.of(zero, NAMES).seen(NAMES, 0) is None


def test_packing_loses_nothing() -> None:
    """Sent to other processes, or kept in a buffer, it is the same."""
    one = replace(sight(), sizes=torch.ones(3).double(), samples=torch.ones(3).double() * 7)
    other = Sight.unpacked(one.packed(), 3)
    assert one.present == other.present
    assert torch.equal(one.products, other.products)
    assert other.sizes is not None
    assert other.sizes.tolist() == [1.0] * 3
    assert other.samples is not None
    assert other.samples.tolist() == [7.0] * 3


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_faulty_terms_are_named(number: float) -> None:
    """Only the term itself, not those that it spoils inner products with."""
    one = sight()
    one.products[2] = number
    one.products[:, 2] = number
    assert one.faulty(NAMES) == ("c",)


def test_sizes_over_several_tensors() -> None:
    """Tensors with equally many samples are one vector at each; others count on their own."""
    first = torch.tensor([[3.0], [0.0]])
    same = torch.tensor([[4.0], [1.0]])
    more = torch.ones(3)
    sums, counts = sizes_of([[first, None], [same, more]])
    assert sums.tolist() == [6.0, 3.0]
    assert counts.tolist() == [2.0, 3.0]
    sums, counts = sizes_of([[first], [more]])
    assert (sums.item(), counts.item()) == (6.0, 5.0)
    sums, counts = sizes_of([[torch.tensor(-2.0)], [None]])
    assert (sums.item(), counts.item()) == (2.0, 1.0)


def test_sizes_of_complex_and_half_gradients() -> None:
    """Complex numbers are pairs; half precision is measured in single precision."""
    sums, _ = sizes_of([[torch.tensor([[3.0 + 4.0j]]), torch.full((1, 4), 3e4).half()]])
    assert sums.tolist() == pytest.approx([5.0, 6e4], rel=1e-3)
