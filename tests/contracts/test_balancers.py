"""What every balancer must do, from one table; a new method is tested by being in it."""

import warnings

import pytest
import torch

from poise.balance import Method, methods
from poise.errors import PoiseWarning, TermNameError, TermValueError
from tests.contracts.balancers import (
    CASES,
    GRADIENTS,
    NAMES,
    TIGHT,
    VALUES,
    Case,
    over,
    step,
    vectors,
    weights,
)


def test_the_table_is_whole() -> None:
    """Every balancer that `methods()` lists is in the table."""
    assert {case.name.removeprefix("scalarizer ") for case in CASES} == {
        name.removeprefix("scalarizer ") for name in methods()
    }


@over(CASES)
def test_the_gradient_is_the_weighted_sum(case: Case) -> None:
    """What reaches the trunk is the sum of the gradients with the reported weights."""
    balancer, gradients = case.make(NAMES, 0), vectors(0)
    for _ in range(3):
        arrived = step(balancer, gradients)
        meant = sum(balancer.weights[name] * gradients[name] for name in NAMES)
        torch.testing.assert_close(arrived, meant, rtol=1e-6, atol=1e-6)


@over(CASES, "equivariant")
@pytest.mark.parametrize("seed", range(3))
def test_order_does_not_matter(case: Case, seed: int) -> None:
    """With the terms in another order, each has the weight it had."""
    gradients = vectors(seed)
    turned = ("c", "a", "b")
    one, other = case.make(NAMES, 0), case.make(turned, 0)
    for _ in range(2):
        step(one, gradients)
        step(other, {name: gradients[name] for name in turned})
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-4, atol=1e-6)


@over(GRADIENTS)
@pytest.mark.parametrize("scale", [1e-20, 1e-6, 65536.0, 1e12])
def test_a_common_scale_changes_nothing(case: Case, scale: float) -> None:
    """Tiny losses and loss scales leave the weights as they are."""
    gradients = vectors(1)
    one, other = case.make(NAMES, 0), case.make(NAMES, 0)
    for _ in range(2):
        step(one, gradients)
        step(other, {name: row * scale for name, row in gradients.items()})
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-5, atol=1e-9)


@over(GRADIENTS, "own scale")
@pytest.mark.parametrize("scale", [1e-5, 1e4])
def test_a_scale_of_its_own_changes_no_part(case: Case, scale: float) -> None:
    """A term that is multiplied by a constant keeps its part in the weighted sum."""
    gradients = vectors(2)
    one, other = case.make(NAMES, 0), case.make(NAMES, 0)
    step(one, gradients)
    scaled = {**gradients, "b": gradients["b"] * scale}
    step(other, scaled)
    parts = [
        weights(balancer) * torch.stack([rows[name].norm() for name in NAMES])
        for balancer, rows in ((one, gradients), (other, scaled))
    ]
    parts = [part / part.abs().sum() for part in parts]
    torch.testing.assert_close(parts[0], parts[1], rtol=1e-4, atol=1e-6)


@over(CASES, "nonnegative")
def test_no_weight_is_negative(case: Case) -> None:
    """Where a paper promises it."""
    for seed in range(5):
        balancer = case.make(NAMES, 0)
        step(balancer, vectors(seed))
        assert bool((weights(balancer) >= -1e-9).all()), weights(balancer)


@over(CASES, "convex")
def test_the_weights_are_convex(case: Case) -> None:
    """They sum to 1 where a paper promises it, and none is negative."""
    balancer = case.make(NAMES, 0)
    for seed in range(5):
        step(balancer, vectors(seed))
        assert float(weights(balancer).sum()) == pytest.approx(1.0, abs=1e-9)


@over(GRADIENTS, "no conflict")
@pytest.mark.parametrize("ratio", [1.0, 1e-3])
def test_no_term_is_opposed(case: Case, ratio: float) -> None:
    """The weighted sum has no negative cosine with any term, where a paper promises it."""
    for seed in range(8):
        gradients = vectors(seed, length=5)
        gradients["a"] = (gradients["a"] - gradients["b"]) * ratio
        balancer = Method(case.name, NAMES, **TIGHT.get(case.name, {}))
        arrived = step(balancer, gradients)
        for name, one in gradients.items():
            cosine = torch.cosine_similarity(arrived, one, dim=0, eps=1e-30)
            assert float(cosine) > -1e-3, (seed, name, balancer.weights)


@over(CASES)
def test_a_single_term_works(case: Case) -> None:
    """A balancer of one term trains it in its own direction."""
    balancer, gradients = case.make(("a",), 0), vectors(3, ("a",))
    arrived = step(balancer, gradients)
    assert float(torch.cosine_similarity(arrived, gradients["a"], dim=0)) == pytest.approx(1.0)
    if case in GRADIENTS and case.name != "Fixed":
        assert balancer.weights == {"a": pytest.approx(1.0)}


@over(CASES)
def test_two_equal_terms_are_treated_alike(case: Case) -> None:
    """The same term twice: finite weights, and equal ones where the order does not matter."""
    balancer, one = case.make(("a", "b"), 0), vectors(4)["a"]
    arrived = step(balancer, {"a": one, "b": one.clone()}, {"a": 1.5, "b": 1.5})
    assert bool(arrived.isfinite().all())
    first, second = weights(balancer, ("a", "b")).tolist()
    assert first + second > 0
    if case.name in {"mgda", "cr_mogm"}:  # the shortest sum is that of every split
        assert first + second == pytest.approx(1.0)
    elif "equivariant" in case.promises:
        assert first == pytest.approx(second, rel=1e-5)


@over(CASES)
def test_a_nan_changes_no_memory(case: Case) -> None:
    """A step with a NaN term is named and counted, and the next clean step is as without it."""
    one, other = case.make(NAMES, 0), case.make(NAMES, 0)
    for seed in range(3):
        step(one, vectors(seed))
        step(other, vectors(seed))
    held = one.weights
    spoilt = {**vectors(3), "b": torch.full((12,), torch.nan, dtype=torch.float64)}
    with pytest.warns(PoiseWarning, match="'b' is not finite"):
        step(one, spoilt, {**VALUES, "b": float("nan")})
    assert (one.weights, one.skipped) == (held, 1)
    step(one, vectors(4))
    step(other, vectors(4))
    assert one.weights == other.weights


@over(CASES)
def test_a_term_of_zero_spoils_nothing(case: Case) -> None:
    """A term without gradient gets a finite weight, and the others train."""
    balancer = case.make(NAMES, 0)
    gradients = {**vectors(5), "b": torch.zeros(12, dtype=torch.float64)}
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PoiseWarning)  # GradientShare says that it vanished
            arrived = step(balancer, gradients)
    assert bool(weights(balancer).isfinite().all())
    assert bool(arrived.isfinite().all())
    assert float(arrived.norm()) > 0
    assert float(weights(balancer).abs().max()) < 1e3


@over(CASES)
def test_a_value_of_zero_is_finite_or_named(case: Case) -> None:
    """A value of exactly zero gives a finite gradient, or an error that names the term."""
    balancer = case.make(NAMES, 0)
    try:
        for _ in range(2):
            arrived = step(balancer, vectors(6), {**VALUES, "b": 0.0})
    except TermValueError as error:
        assert "'b'" in str(error)  # noqa: PT017 -- either is right
        return
    assert bool(arrived.isfinite().all())


@over(CASES)
def test_a_missing_term_is_not_aged(case: Case) -> None:
    """A term that is absent keeps its weight, and others go on without it."""
    balancer = case.make(NAMES, 0)
    if case.name == "pcd":
        gone, here = "c", ("a", "b")
    else:
        gone, here = "a", ("b", "c")
    step(balancer, vectors(0))
    before = balancer.weights[gone]
    kept = {name: one.clone() for name, one in balancer.rule.state_dict().items()}
    for seed in range(1, 4):
        arrived = step(balancer, {name: vectors(seed)[name] for name in here})
        assert bool(arrived.isfinite().all())
    assert balancer.weights[gone] == before
    at = NAMES.index(gone)
    for name, one in balancer.rule.state_dict().items():
        if one.dim() == 1 and len(one) == len(NAMES) and name != "logits":
            torch.testing.assert_close(one[at], kept[name][at], rtol=0, atol=0, equal_nan=True)


@over(CASES)
def test_a_late_term_joins(case: Case) -> None:
    """A term that starts late is taken in at once, with a sane weight."""
    balancer = case.make(NAMES, 0)
    for seed in range(20):
        step(balancer, {name: vectors(seed)[name] for name in ("a", "b")})
    for seed in range(20, 23):
        arrived = step(balancer, vectors(seed))
    assert bool(arrived.isfinite().all())
    assert float(weights(balancer).abs().max()) < 1e3


@over(CASES)
def test_an_unknown_term_is_refused(case: Case) -> None:
    """A wrong name says what the right ones are."""
    balancer = case.make(("alpha", "beta"), 0)
    with pytest.raises(TermNameError, match=r"unknown term 'alpah'.*Did you mean 'alpha'"):
        balancer.total({"alpah": torch.ones((), requires_grad=True)})


@over(GRADIENTS)
def test_a_millionfold_ratio_is_survived(case: Case) -> None:
    """One term a million times smaller than the others: finite weights and a working solver."""
    gradients = vectors(7)
    gradients["b"] = gradients["b"] * 1e-6
    balancer = case.make(NAMES, 0)
    for _ in range(2):
        arrived = step(balancer, gradients)
    assert bool(weights(balancer).isfinite().all())
    assert float(arrived.norm()) > 0
    assert int(getattr(balancer.rule, "failures", 0)) == 0


@over(CASES)
@pytest.mark.parametrize(
    ("dtype", "far"), [(torch.float32, 1e-4), (torch.bfloat16, 0.06)], ids=["float32", "bfloat16"]
)
def test_precision_of_the_training_hardly_matters(
    case: Case, dtype: torch.dtype, far: float
) -> None:
    """Weights from low precision are those of float64, up to the rounding of the gradients."""
    gradients = vectors(8)
    one, other = case.make(NAMES, 0), case.make(NAMES, 0)
    step(one, gradients)
    step(other, gradients, dtype=dtype)
    torch.testing.assert_close(weights(one), weights(other), rtol=far, atol=far)
    assert all(buffer.dtype not in {torch.bfloat16, torch.float16} for buffer in other.buffers())


@over(CASES)
def test_the_training_s_random_numbers_are_its_own(case: Case) -> None:
    """A balancer draws from its own generator, not from torch's."""
    balancer = case.make(NAMES, 0)
    torch.manual_seed(0)
    step(balancer, vectors(0))
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3))


@over([case for case in CASES if case.name not in {"Fixed", "GradientShare", "RunningMean"}])
def test_names_are_a_list(case: Case) -> None:
    """A text is not taken for the list of its letters."""
    with pytest.raises(TermNameError, match="the names of the terms, all different, got 'ab'"):
        case.make("ab", 0)  # type: ignore[arg-type]
