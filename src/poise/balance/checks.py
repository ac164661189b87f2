"""Options of a balancer: each is what it should be, or refused by name when that is made."""

import math
from collections.abc import Callable
from typing import SupportsFloat, cast

from poise.errors import BalanceError

LARGEST_SEED = 2**63 - 1
"""What torch's generators take."""


def real(
    who: str,
    option: str,
    value: object,
    expected: str = "",
    fits: Callable[[float], bool] = math.isfinite,
) -> float:
    """An option that is one finite number.

    Args:
        who: Whose option it is, for the error.
        option: Its name.
        value: What was passed; also a number of NumPy or a tensor with one number.
        expected: What it should be, in words that follow "a finite number"; empty: no more.
        fits: Whether a finite number is that.

    Raises:
        BalanceError: It is something else.

    Example:
        >>> real("GradNorm", "lr", 1, "above 0", lambda one: one > 0)
        1.0
    """
    found = _float(value)
    if found is None or not math.isfinite(found) or not fits(found):
        raise BalanceError(
            f"{who}: expected {option} to be a finite number{' ' * bool(expected)}{expected}, got "
            f"{value!r:.60}; pass such a number"
        )
    return found


def _float(value: object) -> float | None:
    """None where it is no number: a text like '1' or a bool is a slip."""
    if isinstance(value, (str, bytes, bool)):
        return None
    try:
        return float(cast(SupportsFloat, value))
    except (TypeError, ValueError, RuntimeError, OverflowError):  # tensors raise RuntimeError
        return None


def integer(who: str, option: str, value: object, least: int) -> int:
    """An option that is a whole number, in what 64 bits hold.

    Raises:
        BalanceError: It is something else, or less than `least`.

    Example:
        >>> integer("Balancer", "every", 10, 1)
        10
    """
    if type(value) is not int or not least <= value <= LARGEST_SEED:
        raise BalanceError(
            f"{who}: expected {option} to be a whole number from {least} on, got {value!r:.60}; "
            f"pass one, as {least}"
        )
    return value


def range_of(who: str, option: str, value: object) -> tuple[float, float]:
    """An option that is a least and a largest number, which may be infinite.

    Raises:
        BalanceError: It is something else, or the least is above the largest.

    Example:
        >>> range_of("Uncertainty", "limits", (-10, 10))
        (-10.0, 10.0)
    """
    pair = cast("tuple[object, ...]", value if isinstance(value, (tuple, list)) else ())
    low, high = map(_float, pair) if len(pair) == 2 else (None, None)
    if low is None or high is None or not low <= high:
        raise BalanceError(
            f"{who}: expected {option} to be a pair of numbers, least and largest, got "
            f"{value!r:.60}; pass one, as (-10.0, 10.0)"
        )
    return low, high
