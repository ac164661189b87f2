"""Tests for poise.balance.method_rule."""

import copy
import warnings

import pytest
import torch
from torch import Tensor

from poise.balance.method import METHODS, Method, find
from poise.balance.method_rule import MethodRule
from poise.balance.row import Row, Solver
from poise.balance.rule import Seen
from poise.errors import BalanceError, MissingExtraError, PoiseWarning, TermNameError

NAMES = ("a", "b", "c")


def seen(*rows: list[float], terms: tuple[str, ...] = NAMES) -> Seen:
    """What a rule sees of these gradients."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    products = matrix @ matrix.T
    return Seen(products=products / products.trace(), terms=terms, order=NAMES, step=0)


EASY = seen([1.0, 0.0, 0.2], [0.1, 2.0, 0.0], [0.0, -0.5, 1.0])


def row(weigh: object) -> Row:
    """A method that answers so."""
    return Row(name="odd", make=lambda *_: Solver(None, weigh))  # type: ignore[arg-type]


def test_a_solver_that_raises_keeps_the_weights_and_says_so() -> None:
    """The reason is told and counted, and nothing else changes."""
    answers = iter([torch.eye(3)[0], torch.tensor([3.0, 4.0, 5.0]), None])

    def weigh(products: Tensor) -> Tensor:
        answer = next(answers)
        if answer is None:
            raise ValueError("no solution")
        return answer.double()

    rule = MethodRule(row(weigh), NAMES)
    assert rule(EASY).tolist() == [3.0, 4.0, 5.0]
    with pytest.warns(PoiseWarning, match=r"'odd'.*a, b, c.*ValueError: no solution.*are kept"):
        assert rule(EASY).tolist() == [3.0, 4.0, 5.0]
    assert (int(rule.failures), rule.seen.tolist()) == (1, [1, 1, 1])


def test_an_answer_that_is_not_finite_is_a_failure() -> None:
    """NaN weights never reach a gradient."""
    rule = MethodRule(row(lambda _: torch.full((3,), torch.nan)), NAMES)
    with pytest.warns(PoiseWarning, match="it returned"):
        assert rule(EASY).tolist() == [1.0, 1.0, 1.0]


def test_an_answer_that_misses_its_equation_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a solver stops early without a word, as SciPy's does, the answer itself is checked."""
    rule = MethodRule(find("fairgrad"), NAMES, max_iters=1)
    with pytest.warns(PoiseWarning, match="its answer is off by"):
        rule(EASY)
    assert int(rule.failures) == 1


def test_a_failure_leaves_the_memory_alone() -> None:
    """A step without answer does not count as a step of any term."""
    rule = MethodRule(find("nash"), NAMES)
    rule(EASY)
    before = {name: one.clone() for name, one in rule.state_dict().items()}
    rule.row = Row(**{**_as_dict(rule.row), "check": lambda *_: 1.0})
    with pytest.warns(PoiseWarning, match="off by 1"):
        rule(seen([1.0, 0.5, 0.2], [0.3, 2.0, 0.0], [0.0, 0.5, 1.0]))
    after = rule.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"failures"}


def _as_dict(one: Row) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


@pytest.mark.parametrize("name", METHODS)
def test_a_zero_gradient_keeps_its_last_weight(name: str) -> None:
    """It has no say: the others get the weights that they get without it."""
    whole, less = MethodRule(find(name), NAMES), MethodRule(find(name), NAMES)
    got = whole(seen([1.0, 0.0, 0.2], [0.1, 2.0, 0.0], [0.0, 0.0, 0.0]))
    expected = less(seen([1.0, 0.0, 0.2], [0.1, 2.0, 0.0], terms=("a", "b")))
    assert got.tolist() == [*expected.tolist(), 1.0]


@pytest.mark.parametrize("name", METHODS)
def test_a_copy_goes_its_own_way(name: str) -> None:
    """A deep copy answers alike, and changes nothing in the original."""
    rule = MethodRule(find(name), NAMES)
    rule(EASY)
    before = {key: one.clone() for key, one in rule.state_dict().items()}
    copied = copy.deepcopy(rule)
    first = copied(EASY)
    assert all(torch.equal(one, before[key]) for key, one in rule.state_dict().items())
    assert torch.equal(rule(EASY), first)


def test_random_numbers_follow_the_seed() -> None:
    """The same seed gives the same weights, another one others."""
    rules = [MethodRule(find("random"), NAMES, seed=seed) for seed in (0, 0, 1)]
    one, same, other = (rule(EASY).tolist() for rule in rules)
    assert one == same != other


def test_the_primary_term_must_be_there() -> None:
    """PCD cannot work without it, and says so."""
    rule = MethodRule(find("pcd"), NAMES)
    with pytest.raises(
        TermNameError, match=r"'pcd'.*primary term 'a'.*got one of b, c; name first"
    ):
        rule(seen([1.0, 0.0], [0.5, 2.0], terms=("b", "c")))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cagrad", {"radius": 1.0}, "radius"),
        ("cagrad", {"c": -1.0}, "non-negative"),
        ("gradvac", {"beta": 2.0}, r"in \[0, 1\]"),
        ("aligned", {"scale_mode": "max"}, "scale_mode"),
    ],
)
def test_wrong_options_are_refused_at_once(
    name: str, options: dict[str, object], words: str
) -> None:
    """An option that TorchJD does not take is an error of the line that made the balancer."""
    with pytest.raises(BalanceError, match=f"'{name}': expected options.*{words}"):
        Method(name, NAMES, **options)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the solver needs, the extra of poise brings it."""

    def make(count: int, options: dict[str, object]) -> Solver:
        raise ImportError("needs ['ecos'] to be installed")

    with pytest.raises(MissingExtraError, match=r"'odd'.*ecos.*pip install 'poise\[balance\]'"):
        MethodRule(Row(name="odd", make=make), NAMES)


def test_the_solvers_say_nothing_of_their_own() -> None:
    """A training with errors for warnings is not stopped by a remark of cvxpy."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MethodRule(find("nash"), NAMES)(EASY)
