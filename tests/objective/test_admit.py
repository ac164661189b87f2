"""What is no value of a term, and what the error says about it."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor

from poise.errors import (
    ReductionError,
    TermError,
    TermGraphError,
    TermNameError,
    TermValueError,
)
from poise.objective import Objective, Term
from poise.reduce import masked_mean, per_feature

X = torch.tensor([1.0, 2.0], requires_grad=True)

BAD: dict[str, tuple[object, type[TermError], str]] = {
    "vector": (X, TermValueError, "term 'kl': expected a scalar, got shape [2]; reduce it with"),
    "one element": (X[:1], TermValueError, "expected a scalar, got shape [1]"),
    "vector of means": (per_feature(X[None]), TermValueError, "expected a scalar, got shape [2]"),
    "complex": (X[0] * 1j, TermValueError, "expected a real number, got torch.complex64; take"),
    "integer": (
        torch.tensor(3),
        TermValueError,
        "expected a floating number, got torch.int64, which",
    ),
    "truth": (torch.tensor(True), TermValueError, "expected a floating number, got torch.bool"),
    "text": ("1.0", TermValueError, "expected a scalar tensor or a poise.reduce.Reduced, got str"),
    "plain truth": (True, TermValueError, "got bool"),
    "tuple": ((X[0], 3), TermValueError, "got tuple"),
    "array": (np.ones(()), TermValueError, "got ndarray"),
    "number": (
        2.0,
        TermGraphError,
        "term 'kl' has no graph: expected a tensor, got the plain number",
    ),
    "detached": (
        X.detach()[0],
        TermGraphError,
        "term 'kl' has no graph: its value does not depend",
    ),
    "detached counted": (masked_mean(X.detach()), TermGraphError, "look for .detach(), .item()"),
    "nothing": (
        None,
        TermNameError,
        "term 'kl' has no value in this batch: its function returned None",
    ),
}


@pytest.mark.parametrize(("value", "kind", "message"), BAD.values(), ids=BAD)
def test_refused(value: object, kind: type[TermError], message: str) -> None:
    """Called or combined, each wrong value is an error that names the term."""
    objective = Objective(Term("ce", lambda: X.sum()), Term("kl", lambda: value))  # pyright: ignore[reportArgumentType]
    with pytest.raises(kind, match=re.escape(message)):
        objective()
    with pytest.raises(kind, match=re.escape(message)):
        objective.combine({"ce": X.sum(), "kl": value})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", [2.0, 2, X.detach()[1], masked_mean(X.detach()[1:])])
def test_no_graph_is_fine_without_gradients(value: Tensor | float) -> None:
    """Under no_grad, or in evaluate, no term needs a graph."""
    objective = Objective(Term("kl", lambda: value))
    assert objective.evaluate().total.item() == 2.0
    with torch.no_grad():
        assert objective().total.item() == 2.0
    with torch.inference_mode():
        assert objective().total.item() == 2.0


def test_declared_reduction_is_held_against_the_value() -> None:
    """A mean over elements where a mean over tokens was declared is an error."""
    objective = Objective(Term("kl", masked_mean, reduction="token"))
    with pytest.raises(
        ReductionError, match="declared reduction 'token', but its function returned"
    ):
        objective(X)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_values_pass(value: float) -> None:
    """A loss that is not finite is for the record and the doctor; it does not stop a training."""
    total = Objective(Term("kl", lambda: X.sum() * value))().total
    assert not torch.isfinite(total)
