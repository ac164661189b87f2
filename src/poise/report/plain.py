"""Text from logs made safe and short to show: nothing in a name is ever interpreted."""

import ast
import math
import textwrap
import warnings

import numpy as np
from rich.cells import cell_len

from poise.doctor.finding import Finding

NAME_CELLS = 40
"""Longest name shown in running text, in terminal cells."""
COMMANDS = frozenset({"poise", "python", "tail", "grep", "pip", "nvidia-smi"})
"""First words of what is typed into a shell."""
WORD_CELLS = 80
"""Longest word shown in prose; only hostile text has longer ones."""


def plain(text: str) -> str:
    r"""One line in which control, format and bidirectional characters show as escapes.

    Example:
        >>> print(plain("a\x1b[31mb\nc"))
        a\x1b[31mb\nc
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def shorten(text: str, cells: int) -> str:
    """`text` in at most `cells` terminal cells, its middle replaced by three dots.

    Example:
        >>> shorten("decoder_layer_12_attention", 14)
        'decode...ntion'
    """
    if len(text) <= cells and cell_len(text) <= cells:
        return text
    tail = max((cells - 3) // 2, 0)
    head = max(cells - 3 - tail, 0)
    return f"{_fit(text, head)}...{_fit(text[::-1], tail)[::-1]}"


def _fit(text: str, cells: int) -> str:
    """The longest beginning of `text` that fits; marks without width count as one cell."""
    used = 0
    for index, one in enumerate(text):
        used += max(cell_len(one), 1)
        if used > cells:
            return text[:index]
    return text


def name(text: str, cells: int = NAME_CELLS) -> str:
    """A name from a log, escaped and shortened; an empty one is said to be so."""
    return shorten(plain(text), cells) or "(empty name)"


def prose(text: str, finding: Finding) -> str:
    """One line of a finding, with its long names and endless words shortened."""
    text = plain(text.strip())
    for term in sorted(finding.terms, key=len, reverse=True):
        shown = plain(term)
        if cell_len(shown) > NAME_CELLS:
            text = text.replace(shown, name(term))
    return " ".join(shorten(word, WORD_CELLS) for word in text.split(" "))


def lines(text: str) -> list[str]:
    """The lines of a command or snippet, escaped; never shortened, for it may be run."""
    return [plain(one.expandtabs(4).rstrip()) for one in text.strip("\n").split("\n")]


def is_code(text: str) -> bool:
    """Whether a text says what to run: Python, a command, or several lines; the rest is prose.

    Example:
        >>> is_code("print(lr)  # at step 3"), is_code("tail -n 20 LOG"), is_code("Train it alone.")
        (True, True, False)
    """
    words = text.split(maxsplit=1)
    if "\n" in text.strip() or (words and words[0] in COMMANDS):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in names of terms are not ours to judge
            found = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return not all(_is_word(one) for one in found.body)


def _is_word(one: ast.stmt) -> bool:
    return isinstance(one, ast.Expr) and isinstance(one.value, (ast.Name, ast.Constant))


def number(value: float | None) -> str:
    """A logged number in at most four significant digits.

    Example:
        >>> number(1234567.0), number(0.1), number(-0.0), number(float("inf")), number(None)
        ('1.235e+06', '0.1', '-0', 'Infinity', 'unknown')
    """
    if value is None:
        return "unknown"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.4g}"


def brief(value: float) -> str:
    """A number in at most three significant digits, its exponent without padding.

    Example:
        >>> brief(0.123456), brief(1909.0), brief(2.5e-7)
        ('0.123', '1.91e3', '2.5e-7')
    """
    return _unpadded(f"{value:.3g}") if math.isfinite(value) else number(value)


def percent(share: float) -> str:
    """A share in two significant digits, which never rounds to nothing or to all.

    Example:
        >>> percent(0.123), percent(0.0537), percent(3.2e-7), percent(-0.004)
        ('12%', '5.4%', '3.2e-5%', '-0.4%')
        >>> percent(0.9964), percent(0.99999), percent(0.0), percent(1.4)
        ('99.6%', '>99.9%', '0%', '140%')
    """
    if not math.isfinite(share):
        return number(share)
    size = 100.0 * share
    if 99.5 <= abs(size) < 100.0:
        sign = "-" if size < 0 else ""
        return f"{size:.1f}%" if abs(size) < 99.95 else f"{sign}>99.9%"
    return f"{size:.0f}%" if abs(size) >= 9.95 else f"{_unpadded(f'{size:.2g}')}%"


def _unpadded(text: str) -> str:
    head, mark, power = text.partition("e")
    return f"{head}e{int(power)}" if mark else text


def span(steps: tuple[int, int], word: str = "step") -> str:
    """First and last step in words.

    Example:
        >>> span((0, 12000)), span((5, 5))
        ('steps 0 to 12,000', 'step 5')
    """
    first, last = steps
    word = word.removesuffix("s")
    return f"{word} {first:,}" if first == last else f"{word}s {first:,} to {last:,}"


def count(amount: int, noun: str) -> str:
    """A count with its noun.

    Example:
        >>> count(1, "error"), count(1200, "record")
        ('1 error', '1,200 records')
    """
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def listed(words: tuple[str, ...] | list[str], most: int = 6) -> str:
    """Names in one line, the rest counted.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    shown = ", ".join(name(one) for one in words[:most])
    return f"{shown} and {len(words) - most:,} more" if len(words) > most else shown


def ends(values: np.ndarray) -> tuple[float, float] | None:
    """Smallest and largest finite value; None if there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def nonfinite(values: np.ndarray) -> int:
    """How many values are NaN or infinite."""
    return int(values.size - np.isfinite(values).sum())


def strict(value: float | None) -> float | str | None:
    """A number as strict JSON allows it: NaN and the infinities become their names.

    Example:
        >>> strict(float("nan")), strict(float("-inf")), strict(-0.0)
        ('NaN', '-Infinity', -0.0)
    """
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else number(value)
