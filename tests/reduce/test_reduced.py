"""A sum that keeps its count."""

import copy
import pickle
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.errors import ReductionError
from poise.reduce import Reduced, Reduction, combine


def test_value_count_and_reduction() -> None:
    """The value is sum over count; a plain sum is not divided."""
    mean = Reduced(sum=torch.tensor(6.0), count=4)
    assert (mean.value.item(), int(mean.count), mean.reduction) == (1.5, 4, Reduction.ELEMENT)
    assert float(Reduced(sum=torch.tensor(6.0), count=4, reduction=Reduction.SUM).value) == 6.0
    assert Reduced(sum=torch.tensor(6.0), count=4, reduction="token").reduction is Reduction.TOKEN


def test_count_never_has_a_gradient() -> None:
    """A count with a graph is detached, so the mean cannot be lowered by counting more."""
    weights = torch.tensor([0.5, 1.5], requires_grad=True)
    part = Reduced(sum=(weights * 3.0).sum(), count=weights.sum())
    (grad,) = torch.autograd.grad(part.value, weights)
    assert grad.tolist() == [1.5, 1.5]
    assert not part.count.requires_grad


def test_count_zero_is_value_zero_and_gradient_zero() -> None:
    """Nothing summed over nothing is 0, with a zero gradient instead of NaN."""
    x = torch.tensor([3.0], requires_grad=True)
    value = Reduced(sum=(x * 0.0).sum(), count=0).value
    value.backward()
    assert (value.item(), x.grad.tolist()) == (0.0, [0.0])


def test_detach() -> None:
    """The detached part has the same numbers and no graph."""
    x = torch.ones(2, requires_grad=True)
    part = Reduced(sum=x.sum(), count=2, reduction=Reduction.SUM).detach()
    assert not part.sum.requires_grad
    assert (part.value.item(), int(part.count), part.reduction) == (2.0, 2, Reduction.SUM)


def test_use_as_a_tensor_points_to_the_value() -> None:
    """Tensor methods and arithmetic say what to take instead; other names say nothing of it."""
    part = Reduced(sum=torch.tensor(6.0), count=4)
    with pytest.raises(AttributeError, match=r"no attribute 'backward'; take .value.backward"):
        part.backward()
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = part.nonsense
    for wrong in (
        lambda: 1.0 + part,
        lambda: part + part,
        lambda: 0.1 * part,
        lambda: part / 4,
        lambda: torch.ones(()) + part,
        lambda: torch.ones(()) * part,
        lambda: sum([part, part]),
    ):
        with pytest.raises(ReductionError, match="expected a tensor in this arithmetic, got a sum"):
            wrong()


def test_copies() -> None:
    """It can be copied and pickled."""
    part = Reduced(sum=torch.tensor(6.0), count=4, reduction="token")
    for other in (copy.copy(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        assert (other.value.item(), int(other.count), other.reduction) == (1.5, 4, "token")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(2**20), 2**20), st.integers(0, 2**20)), min_size=1, max_size=20
    ),
    st.integers(0, 20),
)
def test_combine_is_exact_and_associative(parts: list[tuple[int, int]], cut: int) -> None:
    """Any grouping of parts gives the sum of sums over the sum of counts."""
    made = [Reduced(sum=torch.tensor(float(s), dtype=torch.float64), count=n) for s, n in parts]
    whole = combine(made)
    halves = [combine(half) for half in (made[:cut], made[cut:]) if half]
    count = sum(n for _, n in parts)
    expected = sum(s for s, _ in parts) / (count or 1)
    assert whole.value.item() == float(combine(halves).value) == expected
    assert int(whole.count) == count


BAD: dict[str, tuple[Any, str]] = {
    "no tensor": (lambda: Reduced(sum=1.0, count=1), "Reduced: sum: expected a tensor, got float"),
    "integers": (
        lambda: Reduced(sum=torch.tensor(1), count=1),
        "Reduced: sum: expected real floating numbers, got torch.int64",
    ),
    "complex": (lambda: Reduced(sum=torch.tensor(1j), count=1), "got torch.complex64"),
    "negative": (
        lambda: Reduced(sum=torch.tensor(1.0), count=-1),
        "Reduced: expected a count of 0 or more, got -1",
    ),
    "not a number": (lambda: Reduced(sum=torch.tensor(1.0), count=float("nan")), "got nan"),
    "truth": (lambda: Reduced(sum=torch.tensor(1.0), count=True), "got True"),
    "several": (
        lambda: Reduced(sum=torch.tensor(1.0), count=torch.ones(2)),
        "Reduced: expected a count of shape [], got shape [2]; sum it",
    ),
    "nothing": (lambda: combine([]), "combine: expected at least one Reduced, got none"),
    "mixed": (
        lambda: combine(
            Reduced(sum=torch.tensor(1.0), count=1, reduction=kind) for kind in ("token", "sample")
        ),
        "combine: expected parts of one reduction, got token, sample",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_refused(make: Any, message: str) -> None:  # noqa: ANN401 -- a table of calls
    """Each mistake says what was expected and got."""
    with pytest.raises(ReductionError, match=re.escape(message)):
        make()
