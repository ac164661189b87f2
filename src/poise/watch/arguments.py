"""What a Watch may be made with, and what it may be told."""

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import cast

from torch import Tensor, nn
from torch.optim import Optimizer

from poise.errors import TermValueError, WatchError

ROLES = ("task", "regulariser", "constraint", "adversary", "monitor", "offset")


def check(
    path: object,
    model: object,
    every: object,
    budget: object,
    roles: Mapping[str, str] | None,
    terms: Iterable[str] | None,
) -> None:
    """Refuses arguments that break the contract.

    Raises:
        WatchError: It names the argument.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise WatchError(
            f"Watch: expected the directory of the run as its first argument, got {_say(path)}; "
            "pass a path such as 'runs/jade'"
        )
    if not isinstance(model, (nn.Module, type(None))):
        raise WatchError(
            f"Watch: model: expected a torch.nn.Module, got {_say(model)}; pass the module whose "
            "parameters are trained"
        )
    _check_numbers(every, budget)
    if isinstance(terms, str):
        raise WatchError(f"Watch: terms: expected a list of names, got {terms!r}; put it in a list")
    for name, role in (roles or {}).items():
        if role not in ROLES:
            raise WatchError(
                f"Watch: roles: {name}: expected one of {', '.join(ROLES)}, got {role!r}; choose "
                "the nearest"
            )


def _check_numbers(every: object, budget: object) -> None:
    if type(every) is not int or every < 1:
        raise WatchError(
            f"Watch: every: expected a number of micro-batches from 1 on, got {every!r}; leave it "
            "out for 50"
        )
    if not isinstance(budget, Real) or not 0 <= float(budget) < 1:
        raise WatchError(
            f"Watch: budget: expected a share of the time from 0 up to 1, got {budget!r}; 0.01 is "
            "one percent, and 0 turns measuring off"
        )


def several(optimizer: object) -> tuple[Optimizer, ...]:
    """The optimizers, however they were given.

    Raises:
        WatchError: Something is no optimizer of torch.
    """
    if optimizer is None:
        return ()
    found: list[Optimizer] = []
    listed = isinstance(optimizer, (list, tuple))
    for one in cast(Sequence[object], optimizer) if listed else (optimizer,):
        if not isinstance(one, Optimizer):
            raise WatchError(
                f"Watch: optimizer: expected a torch.optim.Optimizer, got {type(one).__name__}; "
                "pass the optimizer itself, or a list of them, not a scheduler or wrapper"
            )
        found.append(one)
    return tuple(found)


def expect_logged(name: str, value: object) -> None:
    """Refuses what is no number.

    Raises:
        TermValueError: It says what to do instead.
    """
    if isinstance(value, Tensor):
        if value.numel() == 1 and not value.is_complex():
            return
        got = f"a {value.dtype} tensor of shape {list(value.shape)}".replace("torch.", "")
        several = value.numel() != 1
        then = "reduce it first, for example with .mean()" if several else "log its parts or .abs()"
    elif isinstance(value, Real):
        return
    else:
        got, then = _say(value), "pass a number or a scalar tensor"
    raise TermValueError(f"Watch.log: {name}: expected a real scalar, got {got}; {then}")


def _say(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r:.60}"
