"""How finely a log prints its numbers, inferred from the numbers alone."""

from decimal import Decimal

import numpy as np

from poise.run import Floats

_SAMPLE = 256
_FULL_DIGITS = 15
_HALF_BITS = (8, 11)
"""Significant bits of bfloat16 and of IEEE half precision."""


def quantum(values: Floats) -> Floats:
    """Printing step of each value: its rounding error is at most half of this.

    Tells apart a fixed number of decimals (`0.000`, `12.345`), a fixed number of significant
    digits (`1.169`, `76.49`) and full precision, where the step is the spacing of the float type
    that holds all values (half, single or double). Trailing zeros that a number lost on its way
    are made up for by the other numbers of the column. A value that is finer than its column
    gets the spacing of doubles.

    Args:
        values: One column of a log, shape (n,); may hold NaN and infinity.

    Returns:
        Non-negative steps, shape (n,); 0.0 for non-finite values, for zeros printed with
        significant digits, and throughout a column that holds nothing but zeros.

    Example:
        >>> quantum(np.array([0.0, 0.125, 3.5])).tolist()
        [0.001, 0.001, 0.001]
        >>> quantum(np.array([1.169, 76.49, 512.3])).tolist()
        [0.001, 0.01, 0.1]
    """
    finite = np.isfinite(values)
    steps = np.zeros(len(values))
    shown = values[finite & (values != 0)]
    if not len(shown):
        return steps
    if len(shown) > _SAMPLE:
        shown = shown[np.linspace(0, len(shown) - 1, _SAMPLE).astype(np.int64)]
    digits, decimals = _digits(shown)
    if np.mean(digits >= _FULL_DIGITS) >= 0.5 or _is_half(shown, digits):
        steps[finite] = _spacing(values[finite])
        return steps
    short = digits < _FULL_DIGITS
    steps[finite] = _printed(values[finite], digits[short], decimals[short])
    return steps


def _digits(values: Floats) -> tuple[Floats, Floats]:
    """Significant digits and decimals of the shortest decimal that reads back as each value."""
    parts = [Decimal(repr(one)).normalize().as_tuple() for one in np.abs(values).tolist()]
    digits = np.array([len(one.digits) for one in parts], dtype=np.float64)
    decimals = np.array([-int(one.exponent) for one in parts], dtype=np.float64)
    return digits, decimals


def _printed(values: Floats, digits: Floats, decimals: Floats) -> Floats:
    """Steps of values that were printed with few digits."""
    most, last = _upper(digits), _upper(decimals)
    if np.mean(digits == most) > np.mean(decimals == last) + 0.05:
        size = np.abs(np.where(values == 0, 1.0, values))
        # The nudge keeps 1000 from counting as three digits when its logarithm falls short.
        exponent = np.floor(np.log10(size) + 1e-12) + 1 - most
        steps = np.where(values == 0, 0.0, _power(exponent))
    else:
        steps = np.full(len(values), _power(np.array(-last)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(steps > 0, np.abs(values) / steps, 0.0)
        stray = ~(np.abs(ratio - np.rint(ratio)) <= 1e-9 * np.maximum(ratio, 1.0))
    return np.where(stray, np.spacing(np.abs(values)), steps)


def _upper(counts: Floats) -> float:
    """Largest count that at least one in fifty values reaches."""
    ordered = np.sort(counts)[::-1]
    return float(ordered[len(counts) // 50])


def _power(exponent: Floats) -> Floats:
    """Ten to the exponent, where the negative ones are the doubles nearest to the decimals."""
    with np.errstate(over="ignore"):
        down = np.where(exponent >= -22, 1.0 / 10.0 ** np.maximum(-exponent, 0), 10.0**exponent)
    return np.where(exponent >= 0, 10.0 ** np.maximum(exponent, 0), down)


def _is_half(values: Floats, digits: Floats) -> bool:
    """True if the values have at most 11 significant bits although they need many digits."""
    mantissa, _ = np.frexp(values)
    scaled = mantissa * 2.0 ** _HALF_BITS[-1]
    varied = len(np.unique(values)) >= 8 and float(digits.max()) >= 5
    return varied and bool(np.all(scaled == np.rint(scaled)))


def _spacing(values: Floats) -> Floats:
    """Distance of each value to the next one in the coarsest float type that holds them all."""
    mantissa, exponent = np.frexp(values)
    for bits in (*_HALF_BITS, 24, 53):
        scaled = mantissa * 2.0**bits
        if bits == 53 or np.all(scaled == np.rint(scaled)):
            return np.where(values == 0, 0.0, np.ldexp(1.0, exponent - bits))
    raise AssertionError("53 bits hold every double")
