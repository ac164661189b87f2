"""What a Watch may be made with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from torch.optim import Optimizer

from poise.errors import WatchError

ROLES = ("task", "regulariser", "constraint", "adversary", "monitor", "offset")


def check(
    every: int, budget: float, roles: Mapping[str, str] | None, terms: Iterable[str] | None
) -> None:
    """Refuses arguments that break the contract.

    Raises:
        WatchError: It names the argument.
    """
    if type(every) is not int or every < 1:
        raise WatchError(
            f"Watch: every: expected a number of micro-batches from 1 on, got {every!r}; leave it "
            "out for 50"
        )
    if not 0 <= budget < 1:
        raise WatchError(
            f"Watch: budget: expected a share of the time from 0 up to 1, got {budget!r}; 0.01 is "
            "one percent, and 0 turns measuring off"
        )
    if isinstance(terms, str):
        raise WatchError(f"Watch: terms: expected a list of names, got {terms!r}; put it in a list")
    for name, role in (roles or {}).items():
        if role not in ROLES:
            raise WatchError(
                f"Watch: roles: {name}: expected one of {', '.join(ROLES)}, got {role!r}; choose "
                "the nearest"
            )


def several(optimizer: Optimizer | Sequence[Optimizer] | None) -> Sequence[Optimizer]:
    """The optimizers, however they were given."""
    if optimizer is None:
        return ()
    return optimizer if isinstance(optimizer, (list, tuple)) else (cast(Optimizer, optimizer),)
