"""Two answers: which pairs clash, how, and with which factor."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from poise.card.same_answer import Answer
from poise.card.same_judge import Clash, floor_of, match

EPS = 1e-7
INF, NAN = float("inf"), float("nan")


def result(value: float, *slopes: float, noise: float = 0.0) -> Answer:
    """An answer with one gradient."""
    gradient = torch.tensor(slopes, dtype=torch.float64)
    return Answer(
        value=torch.tensor([value], dtype=torch.float64),
        gradients=(gradient,),
        gradient_noise=(noise,),
    )


FAILED = Answer(value=torch.zeros(0), error="ValueError: no")

CLASHES = [
    (result(1, 1.0), FAILED, Clash.RAISES, "B raises ValueError: no"),
    (FAILED, result(1, 1.0), Clash.RAISES, "A raises ValueError: no"),
    (result(INF, 1.0), result(1, 1.0), Clash.VALUE, "the value is inf in A and 1 in B"),
    (result(1, 1.0), result(1, NAN), Clash.GRADIENT, "the gradient is 1 in A and nan in B"),
    (result(1, 0.0), result(1, 2.0), Clash.VANISHES, "the gradient of A is 0, that of B up to 2"),
    (result(1, 2.0), result(1, 0.0), Clash.VANISHES, "the gradient of B is 0, that of A up to 2"),
    (result(1, 1.0), result(1, -2.0), Clash.OPPOSED, "the gradients are opposed (B = -2 x A)"),
    (result(1, 1, 0), result(1, 1, 1), Clash.ANGLE, "the gradients are not parallel"),
    (result(1, 1, 1), result(1, 1, 1.001), Clash.ANGLE, "parallel but for 0.0005 of their size"),
    (
        Answer(value=torch.zeros(2), shape=(2,)),
        Answer(value=torch.zeros(1)),
        Clash.SHAPE,
        "A returns shape [2], B []",
    ),
]


@pytest.mark.parametrize(("a", "b", "clash", "words"), CLASHES)
def test_clashes(a: Answer, b: Answer, clash: Clash, words: str) -> None:
    """Each way to differ has its own name and numbers."""
    found = match(a, b, EPS)
    assert found.clash is clash
    assert words in found.reason


AGREEING = [
    (FAILED, FAILED),
    (result(INF, NAN), result(NAN, INF)),
    (result(1, 0.0), result(1, 0.0)),
    (result(1, 1.0), result(1, 1.0 + 1e-6)),
    (result(1, 1e-9, noise=1e-9), result(1, -1e-9, noise=1e-9)),
    (result(1, 0.0, noise=1e-9), result(1, 5e-9, noise=1e-9)),
]


@pytest.mark.parametrize(("a", "b"), AGREEING)
def test_what_rounding_explains_is_no_clash(a: Answer, b: Answer) -> None:
    """Both raise, both are not finite, both vanish, or the difference is noise."""
    assert match(a, b, EPS).clash is None


@given(factor=st.floats(1e-8, 1e8), size=st.floats(1e-30, 1e30))
def test_factor(factor: float, size: float) -> None:
    """The factor is found over sixty decades of gradients."""
    found = match(result(0, size, -2 * size), result(0, factor * size, -2 * factor * size), EPS)
    assert found.clash is None
    assert found.factor == pytest.approx(factor, rel=1e-12)
    assert found.factor_error < 1e-4 * factor


def test_factor_is_the_predictions() -> None:
    """A clash at another input is told there, with the factor of the first."""
    one = Answer(
        value=torch.zeros(1),
        gradients=(torch.tensor([1e-3]), torch.tensor([5.0])),
        gradient_noise=(0.0, 0.0),
    )
    two = Answer(
        value=torch.zeros(1),
        gradients=(torch.tensor([1e-3]), torch.tensor([0.0])),
        gradient_noise=(0.0, 0.0),
    )
    assert match(one, two, EPS).wrt == 1


def test_what_is_left_of_larger_terms_is_no_gradient() -> None:
    """A floor hides a vanishing gradient, and nothing that stands above it."""
    small = Answer(
        value=torch.tensor([1.0]), gradients=(torch.tensor([1e-15, 0.0]),), gradient_noise=(0.0,)
    )
    turned = replace(small, gradients=(torch.tensor([0.0, 1e-15]),))
    large = replace(small, gradients=(torch.tensor([1.0, 0.0]),))
    floor = floor_of([(large, large), (large, large), (small, turned)], 2.2e-16)
    assert floor.gradients == pytest.approx((64 * 2.2e-16,))
    assert match(small, turned, 2.2e-16).clash is Clash.ANGLE
    assert match(small, turned, 2.2e-16, floor).clash is None
    across = replace(large, gradients=(torch.tensor([1.0, 1e-9]),))
    assert match(large, across, 2.2e-16, floor).clash is Clash.ANGLE
