"""Every balancer refuses arguments that mean nothing with an error of poise's own."""

import warnings
from collections.abc import Callable

import pytest
import torch

from poise.balance import Fixed, GradientShare, GradNorm, Method, RunningMean, Scalarizer
from poise.balance import Uncertainty as Learned
from poise.balance.balancer import Balancer
from poise.errors import BalanceError, PoiseError, PoiseWarning

NAMES, WEIGHTS = ["a", "b"], {"a": 1.0, "b": 2.0}
NAN, INF = float("nan"), float("inf")
NOTHING: tuple[object, ...] = (None, "x", "", [1], (1,), {}, 1j, torch.ones(2), INF, 10**400)
"""No option of one number takes any of these."""
Make = Callable[..., Balancer]


def running_mean(**options: object) -> Balancer:
    """The normaliser, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoiseWarning)
        return RunningMean(**({"weights": WEIGHTS} | options))


def named(make: Make, *first: object) -> Make:
    """Makes one from names, or whatever else is passed as these."""
    return lambda names=NAMES, **options: make(*first, names, **options)


MAKES: dict[str, Make] = {
    "Fixed": lambda weights=WEIGHTS, **options: Fixed(weights, **options),
    "GradientShare": lambda shares=WEIGHTS, **options: GradientShare(shares, **options),
    "GradNorm": named(GradNorm),
    "RunningMean": running_mean,
    "Uncertainty": named(Learned),
    "mgda": named(Method, "mgda"),
    "random": named(Method, "random"),
    "cagrad": named(Method, "cagrad"),
    "stch": named(Scalarizer, "stch"),
    "Scalarizer random": named(Scalarizer, "random"),
}
NO_NAMES: tuple[object, ...] = (None, 1, NAN, "ab", [], ["a", "a"], [1], 1j)
NO_NUMBERS: tuple[object, ...] = (*NO_NAMES, {}, {"a": "x"}, {"a": None}, {1: 1.0}, {"a": 10**400})
NO_COUNT: tuple[object, ...] = (*NOTHING, True, NAN, 1.5, -1)
ARGUMENTS: dict[tuple[str, str], tuple[object, ...]] = {
    ("Fixed", "weights"): (*NO_NUMBERS, {"a": NAN}, {"a": INF}),
    ("Fixed", "every"): (*NO_COUNT, 0),
    ("Fixed", "heads"): (*NOTHING, True),
    ("Fixed", "optimizer"): NOTHING[1:],
    ("Fixed", "scale"): (*NOTHING[1:], True, NAN, 0, -1.0),
    ("Fixed", "name"): (None, 1, ["x"], b"x"),
    ("GradientShare", "shares"): (*NO_NUMBERS, {"a": -1.0}, {"a": 0.0}, {"a": NAN}),
    ("GradientShare", "total"): (*NOTHING, True, NAN, 0, -1),
    ("GradientShare", "decay"): (*NOTHING, True, NAN, 1.0, -0.1),
    ("GradientShare", "per_sample"): (*NOTHING, 1),
    ("GradientShare", "warmup"): NO_COUNT,
    ("GradientShare", "floor"): (*NOTHING, True, NAN, 1.0, -0.1),
    ("GradNorm", "names"): NO_NAMES,
    ("GradNorm", "alpha"): (*NOTHING, True, NAN, -0.1),
    ("GradNorm", "lr"): (*NOTHING, True, NAN, 0.0, -0.1),
    ("RunningMean", "weights"): (*NO_NUMBERS, {"a": NAN}),
    ("RunningMean", "decay"): (*NOTHING, True, NAN, 1.0, -0.1),
    ("RunningMean", "floor"): (*NOTHING, True, NAN, 0.0),
    ("Uncertainty", "names"): NO_NAMES,
    ("Uncertainty", "start"): (*NOTHING, True, NAN, 11.0),
    ("Uncertainty", "limits"): (*NOTHING, True, (1,), (1, 2, 3), (1, -1), (NAN, 1), ("a", "b")),
    ("mgda", "names"): NO_NAMES,
    ("mgda", "seed"): NO_COUNT,
    ("mgda", "max_iters"): ("x", None, [1], torch.ones(2), NAN),
    ("mgda", "no_such_option"): (1,),
    ("random", "seed"): NO_COUNT,
    ("cagrad", "c"): ("x", None, [1], torch.ones(2), NAN, -1, 10**400),
    ("stch", "names"): NO_NAMES,
    ("stch", "mu"): ("x", None, [1], NAN, 0, -1),
    ("stch", "weights"): ("x", 1, [1], NAN, {"a": 1.0}, {"a": 1.0, "b": "x"}),
    ("stch", "seed"): NO_COUNT,
    ("Scalarizer random", "seed"): NO_COUNT,
}


ROWS = [(who, option, one) for (who, option), values in ARGUMENTS.items() for one in values]


@pytest.mark.parametrize("who", MAKES)
def test_the_defaults_are_fine(who: str) -> None:
    """So that what the table refuses is the one argument that it changes."""
    assert MAKES[who]().names == ("a", "b")


@pytest.mark.parametrize(("who", "option", "value"), ROWS)
def test_a_wrong_argument_is_one_line_with_the_option_or_what_is_expected(
    who: str, option: str, value: object
) -> None:
    """Never an error of Python or of torch, and never accepted to fail in the training."""
    if who == "cagrad":
        pytest.importorskip("cvxpy")
    with pytest.raises(PoiseError, match="expected") as caught:
        MAKES[who](**{option: value})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("make", [Method, Scalarizer])
@pytest.mark.parametrize("name", [None, 1, [], {}, "x", torch.ones(2)])
def test_what_is_no_method_is_refused(make: Make, name: object) -> None:
    """Also what cannot be looked up in a table."""
    with pytest.raises(BalanceError, match=r"^unknown (method|scalarizer) .*; the "):
        make(name, NAMES)


def test_a_scalarizer_may_have_a_name() -> None:
    """The option of every balancer, told apart from which scalarizer it is."""
    assert Scalarizer("mean", NAMES, name="mine").name == "mine"
