"""What an author expects of a number in a training, declared before it runs."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self, cast

from poise.errors import ExpectationError

TRAIN = "train"
"""Split of the training records, whatever a foreign log calls them."""

_TEXT = re.compile(
    r"(?:(?P<split>[^:<>]+):)?(?P<name>[^<>]+?)\s*"
    r"(?P<bounds>(?:[<>][^<>@]+){1,2})"
    r"(?:@(?P<after>[^@-]+?(?:e-\d+)?)(?:-(?P<until>[^@-]+?(?:e-\d+)?))?)?"
)
_BOUND = re.compile(r"([<>])([^<>]+)")


@dataclass(frozen=True, slots=True)
class Expect:
    """The range that a recorded number is expected in, over a part of the training.

    It is held against the run by the rules `expectation-broken`, `expectation-broken-upward` and
    `expectation-broken-downward`. A single step outside of the range breaks nothing: medians count.

    Args:
        name: A term, a total or a statistic, as `poise read` shows it.
        below: The number is to lie below this, in its own units; None: no upper bound.
        above: The number is to lie above this, in its own units; None: no lower bound.
        after: From here on, as a share of the training: of `total_steps` where the run declares
            them, else of the steps that are recorded. 0 is the first step.
        until: Up to here, likewise; 1 is the end, however long the training goes on.
        split: `train` for the training records, else the name of an evaluation split.

    Raises:
        ExpectationError: The bounds or shares leave no range, or something is no number or name.

    Example:
        >>> str(Expect("layerwise", below=1.0, after=0.2))
        'layerwise<1@0.2'
        >>> Expect.parse("eval:accuracy>0.5@0.2-0.8")
        Expect(name='accuracy', below=None, above=0.5, after=0.2, until=0.8, split='eval')
    """

    name: str
    below: float | None = None
    above: float | None = None
    after: float = 0.0
    until: float = 1.0
    split: str = TRAIN

    def __post_init__(self) -> None:
        self._expect_names()
        for field in ("below", "above", "after", "until"):
            value = getattr(self, field)
            if value is None and field in ("below", "above"):
                continue
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise ExpectationError(
                    f"Expect({self.name!r}): {field}: expected a finite number, got {value!r:.60}; "
                    "pass a plain Python number"
                )
        if self.below is None and self.above is None:
            raise ExpectationError(
                f"Expect({self.name!r}): expected a bound, got none; pass below=, above= or both"
            )
        if self.below is not None and self.above is not None and not self.above < self.below:
            raise ExpectationError(
                f"Expect({self.name!r}): expected above < below, got above={self.above!r} and "
                f"below={self.below!r}, a range that holds nothing; exchange them"
            )
        if not 0 <= self.after < self.until <= 1:
            raise ExpectationError(
                f"Expect({self.name!r}): expected shares of the training with 0 <= after < until "
                f"<= 1, got after={self.after!r} and until={self.until!r}; 0.2 is a fifth of it"
            )

    def _expect_names(self) -> None:
        for field in ("name", "split"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value:
                raise ExpectationError(
                    f"Expect: {field}: expected a text that is not empty, got {value!r:.60}; name "
                    "it as `poise read` shows it"
                )

    def __str__(self) -> str:
        """As `parse` reads it."""
        return self._text(_spelled)

    @property
    def shown(self) -> str:
        """The same in few digits, for people.

        Example:
            >>> Expect("total", below=3.0, until=2 / 3).shown
            'total<3@0-0.667'
        """
        return self._text("{:.3g}".format)

    def _text(self, spelled: Callable[[float], str]) -> str:
        split = "" if self.split == TRAIN else f"{self.split}:"
        bounds = "" if self.above is None else f">{spelled(self.above)}"
        bounds += "" if self.below is None else f"<{spelled(self.below)}"
        until = "" if self.until == 1 else f"-{spelled(self.until)}"
        place = f"@{spelled(self.after)}{until}" if self.after or until else ""
        return f"{split}{self.name}{bounds}{place}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """An expectation as a command line spells it: `[SPLIT:]NAME<BELOW>ABOVE[@AFTER[-UNTIL]]`.

        Raises:
            ExpectationError: The text is spelled otherwise, or what it says leaves no range.

        Example:
            >>> Expect.parse("kd>0.1<5@0.2")
            Expect(name='kd', below=5.0, above=0.1, after=0.2, until=1.0, split='train')
        """
        found = _TEXT.fullmatch(text.strip())
        bounds = _BOUND.findall(found["bounds"]) if found else []
        numbers = {sign: _number(value) for sign, value in bounds}
        if found is None or len(numbers) < len(bounds) or None in numbers.values():
            raise _misspelt(text)
        after, until = (_number(found[key] or default) for key, default in _SHARES)
        if after is None or until is None:
            raise _misspelt(text)
        return cls(
            found["name"].strip(),
            below=numbers.get("<"),
            above=numbers.get(">"),
            after=after,
            until=until,
            split=found["split"] or TRAIN,
        )

    def as_record(self) -> dict[str, object]:
        """What stands in a run record: only what differs from the default.

        Example:
            >>> Expect("kd", below=5.0).as_record()
            {'name': 'kd', 'below': 5.0}
        """
        every: dict[str, object] = {
            "name": self.name,
            "below": None if self.below is None else float(self.below),
            "above": None if self.above is None else float(self.above),
            "after": float(self.after),
            "until": float(self.until),
            "split": self.split,
        }
        return {key: one for key, one in every.items() if one != _DEFAULTS.get(key, "")}

    @classmethod
    def of_record(cls, record: object) -> Self:
        """The expectation that stands in a run record.

        Raises:
            ExpectationError: It is none.

        Example:
            >>> Expect.of_record({"name": "kd", "below": 5.0})
            Expect(name='kd', below=5.0, above=None, after=0.0, until=1.0, split='train')
        """
        pairs: Mapping[str, Any] = {}
        if isinstance(record, dict):
            pairs = cast(Mapping[str, Any], record)
        if "name" not in pairs or not pairs.keys() <= {"name", *_DEFAULTS}:
            raise ExpectationError(
                f"run record: expected an expectation with a name and any of {', '.join(_DEFAULTS)}"
                f", got {record!r:.80}; write it as Expect(...).as_record() does"
            )
        return cls(**pairs)


_DEFAULTS: Mapping[str, object] = {
    "below": None,
    "above": None,
    "after": 0.0,
    "until": 1.0,
    "split": TRAIN,
}
_SHARES = (("after", "0"), ("until", "1"))


def _spelled(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _misspelt(text: str) -> ExpectationError:
    return ExpectationError(
        f"Expect: expected [SPLIT:]NAME<BELOW>ABOVE@AFTER-UNTIL, got {text!r:.80}; write for "
        "example 'layerwise<1.0@0.2', 'kd>0.1<5' or 'eval:accuracy>0.5@0.2-0.8'"
    )
