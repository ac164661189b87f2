"""Balancers against numbers of others, and against the equations that their papers give.

Sources: [1] tests/unit/aggregation/test_values.py of TorchJD 0.18; each vector was recomputed with
LibMTL 1.1.5, conflictfree, the closed forms of CAGrad's toy.py or Samsung's Procrustes solver.
[2] TorchJD's documentation of jac_to_grad. [3] Points of the two-objective toy problem of CAGrad
and Nash-MTL (problem.py, scale 1); MGDA by toy.py's closed form. [4] The formulas of the papers by
hand.
"""

import math

import pytest
import torch
from torch import Tensor

from poise.balance.method import METHODS, Method
from poise.balance.scalarizer import Scalarizer
from tests.contracts.balancers import step, vectors, weights

J = {
    "a": torch.tensor([-4.0, 1.0, 1.0], dtype=torch.float64),
    "b": torch.tensor([6.0, 1.0, 1.0], dtype=torch.float64),
}
NORM = math.sqrt(56.0)
"""Root of the trace of J J^T: the methods that set a size of their own see J divided by it."""

SUMS = [
    ("aligned", {}, (0.2133, 0.9673, 0.9673)),
    ("config", {}, (0.1588, 2.0706, 2.0706)),
    ("dualproj", {}, (0.5563, 1.1109, 1.1109)),
    ("upgrad", {}, (0.2929, 1.9004, 1.9004)),
    ("imtl_g", {}, (0.0767, 1.0, 1.0)),
    ("mgda", {}, (0.0, 1.0, 1.0)),
    ("pcgrad", {}, (0.5848, 3.8012, 3.8012)),
    ("gradvac", {}, (0.5848, 3.8012, 3.8012)),
    ("cagrad", {"c": 0.5}, (0.1835, 1.2041, 1.2041)),
    ("nash", {"max_norm": 1.0}, (0.0542, 0.7061, 0.7061)),
    ("fairgrad", {"alpha": 1.0}, (0.0766, 0.9985, 0.9985)),
]
"""[1] Sums for J."""

WEIGHTS = [
    ("aligned", {}, (0.5591, 0.4083)),
    ("imtl_g", {}, (0.5923, 0.4077)),
    ("mgda", {}, (0.6, 0.4)),
    ("pcgrad", {}, (2.2222, 1.5789)),
    ("dualproj", {}, (0.6109, 0.5)),
    ("upgrad", {}, (1.1109, 0.7894)),
    ("fairgrad", {"alpha": 1.0}, (0.5915, 0.4071)),
    ("cagrad", {"c": 0.5}, (0.7041, 0.5)),
    ("mean", {}, (0.5, 0.5)),
    ("sum", {}, (1.0, 1.0)),
]
"""[1] Weights for J J^T."""

OWN_SIZE = {"nash", "fairgrad"}
RIDGED = {"upgrad": 1e-3, "dualproj": 1e-3}
"""TorchJD's ridge of 1e-4 moves its own numbers by that much; see the exact ones below."""

NAMES = ("a", "b")


@pytest.mark.parametrize(("name", "options", "expected"), SUMS, ids=[row[0] for row in SUMS])
def test_sums(name: str, options: dict[str, object], expected: tuple[float, ...]) -> None:
    """The weighted sum of two given gradients is that of TorchJD."""
    found = step(Method(name, NAMES, **options), J)
    found = found / NORM if name in OWN_SIZE else found
    for one, other in zip(found.tolist(), expected, strict=True):
        assert one == pytest.approx(other, abs=RIDGED.get(name, 1e-4))


@pytest.mark.parametrize(("name", "options", "expected"), WEIGHTS, ids=[row[0] for row in WEIGHTS])
def test_weights(name: str, options: dict[str, object], expected: tuple[float, ...]) -> None:
    """The weights of two given gradients are those of TorchJD."""
    balancer = Method(name, NAMES, **options)
    step(balancer, J)
    found = weights(balancer, NAMES) / (NORM if name in OWN_SIZE else 1.0)
    assert found.tolist() == pytest.approx(expected, abs=RIDGED.get(name, 1e-4))


def test_upgrad_and_dualproj_are_exact() -> None:
    """[4] Projection of each gradient by hand: 1/2 + 11/18 and 1/2 + 11/38; of the mean: 11/18."""
    balancer = Method("upgrad", NAMES)
    step(balancer, J)
    exact = (0.5 + 11 / 18, 0.5 + 11 / 38)
    assert weights(balancer, NAMES).tolist() == pytest.approx(exact, rel=1e-5)
    balancer = Method("dualproj", NAMES)
    step(balancer, J)
    assert weights(balancer, NAMES).tolist() == pytest.approx((11 / 18, 0.5), rel=1e-5)


def test_upgrad_in_the_documentation_of_torchjd() -> None:
    """[2] y = ([-1, 1] p, |p|^2) at p = [1, 2]: gradient [0.5, 2.5], weights [0.5, 0.5]."""
    balancer = Method("upgrad", NAMES)
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    q = balancer.fork(p)
    direction = torch.tensor([-1.0, 1.0])
    balancer.total({"a": (direction * q["a"]).sum(), "b": q["b"].square().sum()}).backward()
    assert p.grad is not None
    assert p.grad.tolist() == pytest.approx([0.5, 2.5], abs=1e-5)
    assert weights(balancer, NAMES).tolist() == pytest.approx([0.5, 0.5], abs=1e-5)


TOY = [
    ((-0.28540, 0.00725), (-0.07399, 0.00874), (-0.073992, 0.008739)),
    ((0.18485, 7.57920), (1.47877, -2.33004), (1.154833, 0.150796)),
]


@pytest.mark.parametrize(("first", "second", "expected"), TOY)
def test_mgda_on_the_toy_problem(
    first: tuple[float, float], second: tuple[float, float], expected: tuple[float, float]
) -> None:
    """[3] The shortest convex sum at two of its points; the gradients are printed to 5 digits."""
    gradients = {
        "a": torch.tensor(first, dtype=torch.float64),
        "b": torch.tensor(second, dtype=torch.float64),
    }
    assert step(Method("mgda", NAMES), gradients).tolist() == pytest.approx(expected, abs=2e-5)


def rows(seed: int) -> tuple[dict[str, Tensor], Tensor]:
    """Gradients of three terms of different size, by name and as a matrix."""
    gradients = vectors(seed, length=20)
    gradients["b"] = gradients["b"] * 30.0
    return gradients, torch.stack(list(gradients.values()))


def found(name: str, gradients: dict[str, Tensor], **options: object) -> tuple[Tensor, Tensor]:
    """Weights and weighted sum of a method."""
    balancer = Method(name, tuple(gradients), **options)
    total = step(balancer, gradients)
    return weights(balancer, tuple(gradients)), total


@pytest.mark.parametrize("seed", range(4))
def test_nash_and_fairgrad_solve_the_bargain(seed: int) -> None:
    """[4] (G w) w is the same for all terms, and with max_norm=0 both have the same weights."""
    gradients, matrix = rows(seed)
    nash, total = found("nash", gradients, max_norm=0.0)
    fair, _ = found("fairgrad", gradients)
    size = matrix.square().sum().sqrt()
    each = (matrix @ total) * nash / size**2
    torch.testing.assert_close(each, torch.ones_like(each), rtol=1e-5, atol=0)
    torch.testing.assert_close(nash, fair, rtol=1e-5, atol=0)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_fairgrad_solves_its_equation(alpha: float) -> None:
    """[4] G w = w^(-1 / alpha) for the products with unit trace."""
    _, matrix = rows(0)
    gradients = dict(zip(("a", "b", "c"), matrix, strict=True))
    weight, _ = found("fairgrad", gradients, alpha=alpha)
    products = matrix @ matrix.T
    products = products / products.trace()
    torch.testing.assert_close(products @ weight, weight ** (-1 / alpha), rtol=1e-3, atol=0)


@pytest.mark.parametrize("seed", range(4))
def test_imtl_g_has_equal_projections(seed: int) -> None:
    """[4] The sum projects equally and positively onto all unit gradients; the weights sum to 1."""
    gradients, matrix = rows(seed)
    weight, total = found("imtl_g", gradients)
    along = (matrix / matrix.norm(dim=1, keepdim=True)) @ total
    torch.testing.assert_close(along, along[:1].expand(3), rtol=1e-8, atol=0)
    assert float(along[0]) > 0
    assert abs(float(weight.sum())) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(4))
def test_config_has_equal_cosines(seed: int) -> None:
    """[4] The sum has the same positive cosine with all, and the summed length of projections."""
    gradients, matrix = rows(seed)
    _, total = found("config", gradients)
    cosines = torch.cosine_similarity(matrix, total[None], dim=1)
    torch.testing.assert_close(cosines, cosines[:1].expand(3), rtol=1e-8, atol=0)
    assert float(cosines[0]) > 0
    assert float(total.norm()) == pytest.approx(float((matrix @ total).sum() / total.norm()))


@pytest.mark.parametrize("seed", range(4))
def test_mgda_is_the_shortest(seed: int) -> None:
    """[4] Its optimality: no gradient has a smaller product with the sum than the sum itself."""
    gradients, matrix = rows(seed)
    _, total = found("mgda", gradients, epsilon=1e-12, max_iters=3000)
    slack = (matrix @ total) / (total @ total) - 1.0
    assert float(slack.min()) > -1e-3


@pytest.mark.parametrize("seed", range(6))
def test_mgda_of_two_in_closed_form(seed: int) -> None:
    """[4] Two terms: clip((g2 - g1) g2 / |g1 - g2|^2, 0, 1) is the weight of the first."""
    gradients = vectors(seed, NAMES, length=3)
    first, second = gradients.values()
    gap = first - second
    expected = float(((second - first) @ second / (gap @ gap)).clamp(0, 1))
    weight, _ = found("mgda", gradients)
    assert weight.tolist() == pytest.approx([expected, 1 - expected], abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_pcgrad_of_two_in_closed_form(seed: int) -> None:
    """[4] Two terms: each loses its part against the other, if their product is negative."""
    gradients = vectors(seed, NAMES, length=3)
    first, second = gradients.values()
    clash = min(0.0, float(first @ second))
    expected = [1 - clash / float(first @ first), 1 - clash / float(second @ second)]
    weight, _ = found("pcgrad", gradients)
    assert weight.tolist() == pytest.approx(expected, rel=1e-9)


RANDOM = torch.randn(3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NEAR = {"upgrad": 2e-4, "dualproj": 2e-4, "cagrad": 1e-6}


@pytest.mark.parametrize(
    "name", ["upgrad", "dualproj", "aligned", "imtl_g", "cagrad", "mgda", "pcd", "mean", "sum"]
)
def test_the_adapters_change_nothing(name: str) -> None:
    """On gradients of one scale the weights are those that TorchJD itself returns."""
    import torchjd.aggregation as peers

    kinds = {
        "upgrad": peers.UPGradWeighting(),
        "dualproj": peers.DualProjWeighting(),
        "aligned": peers.AlignedMTLWeighting(),
        "imtl_g": peers.IMTLGWeighting(),
        "cagrad": peers.CAGradWeighting(c=0.5),
        "mgda": peers.MGDAWeighting(),
        "pcd": peers.PCDWeighting(),
        "mean": peers.MeanWeighting(),
        "sum": peers.SumWeighting(),
    }
    products = RANDOM @ RANDOM.T
    expected = kinds[name](products / products.trace())
    weight, _ = found(name, dict(zip(("a", "b", "c"), RANDOM, strict=True)))
    torch.testing.assert_close(weight, expected, rtol=NEAR.get(name, 1e-9), atol=1e-12)


def values(*numbers: float) -> dict[str, Tensor]:
    """Terms of these values, with a graph."""
    found = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    return dict(zip(("a", "b", "c"), found.unbind(), strict=False))


def total_of(name: str, *numbers: float, **options: object) -> float:
    """The first total of a scalarizer."""
    terms = values(*numbers)
    return Scalarizer(name, tuple(terms), **options).total(terms).item()


def test_scalarizers() -> None:
    """[1, 4] First totals: UW(0) 3.5, IMTL-L 7, geometric mean 2, STCH(mu=1) of zeros ln 2."""
    assert total_of("uw", 1, 2, 4) == pytest.approx(3.5)
    assert total_of("imtl_l", 1, 2, 4) == pytest.approx(7.0)
    assert total_of("geometric_mean", 1, 2, 4) == pytest.approx(2.0)
    assert total_of("stch", 0, 0, mu=1.0) == pytest.approx(math.log(2))
    assert total_of("famo", 1, 2) == pytest.approx(0.462098, abs=1e-6)


def test_dwa_over_epochs() -> None:
    """[4] Epoch means [1, 1] and [1, 4], then losses [3, 5]: weights .364851, 1.635149."""
    balancer = Scalarizer("dwa", NAMES)
    for means in ((1.0, 1.0), (1.0, 4.0)):
        for factor in (0.5, 1.5):
            balancer.total(values(*(factor * one for one in means)))
        balancer.rule.epoch()
    assert balancer.total(values(3.0, 5.0)).item() == pytest.approx(9.270297, abs=1e-6)
    assert weights(balancer, NAMES).tolist() == pytest.approx([0.364851, 1.635149], abs=1e-6)


def test_famo_looks_back() -> None:
    """[4] Values [1, 2] and then [.5, 1.5]: one step of Adam moves the logits by -+0.025."""
    balancer = Scalarizer("famo", NAMES)
    balancer.total(values(1.0, 2.0))
    balancer.rule.update(values(0.5, 1.5))
    logits = balancer.rule.get_buffer("kept_logit").tolist()
    assert logits == pytest.approx([-0.025, 0.025], abs=1e-6)


def test_every_method_has_an_oracle_or_a_reason() -> None:
    """A new row needs numbers or an equation."""
    seen = {row[0] for row in (*SUMS, *WEIGHTS)}
    elsewhere = {
        "random": "random",
        "pcd": "against TorchJD above",
        "excess": "tests/balance/test_kept.py",
        "cr_mogm": "tests/balance/test_kept.py",
    }
    assert set(METHODS) == seen | set(elsewhere)
