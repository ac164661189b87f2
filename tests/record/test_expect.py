"""Declared ranges: what may be said, how it is spelled, and that it survives the record."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.errors import ExpectationError
from poise.record import Expect

NUMBERS = st.floats(-1e6, 1e6)
SHARES = st.floats(0, 0.99)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "Expect: name: expected a text that is not empty, got ''"),
        ({"name": 3}, "Expect: name: expected a text that is not empty, got 3"),
        ({"split": ""}, "Expect: split: expected a text that is not empty, got ''"),
        ({"below": None}, r"Expect\('kd'\): expected a bound, got none; pass below=, above="),
        ({"below": float("nan")}, r"Expect\('kd'\): below: expected a finite number, got nan"),
        ({"above": float("-inf")}, r"Expect\('kd'\): above: expected a finite number, got -inf"),
        ({"below": True}, r"Expect\('kd'\): below: expected a finite number, got True"),
        ({"below": "1"}, r"Expect\('kd'\): below: expected a finite number, got '1'"),
        ({"after": None}, r"Expect\('kd'\): after: expected a finite number, got None"),
        ({"above": 1.0}, "expected above < below, got above=1.0 and below=1.0, .*exchange them"),
        ({"after": 1.0}, "0 <= after < until <= 1, got after=1.0 and until=1.0"),
        ({"after": -0.1}, "0 <= after < until <= 1, got after=-0.1"),
        ({"until": 1.1}, "0 <= after < until <= 1, got after=0.0 and until=1.1"),
        ({"after": 20}, "got after=20 and until=1.0; 0.2 is a fifth of it"),
    ],
)
def test_what_cannot_be_expected(given: dict[str, object], message: str) -> None:
    """Every wrong argument is refused by name, with what to write instead."""
    with pytest.raises(ExpectationError, match=message):
        Expect(**({"name": "kd", "below": 1.0} | given))  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    ("text", "expect"),
    [
        ("layerwise<1.0@0.2", Expect("layerwise", below=1.0, after=0.2)),
        ("kd>0.1<5", Expect("kd", below=5.0, above=0.1)),
        ("kd<5>0.1", Expect("kd", below=5.0, above=0.1)),
        ("eval:acc > 0.5 @0.2-0.8", Expect("acc", above=0.5, after=0.2, until=0.8, split="eval")),
        ("kd<1@1e-3-2e-1", Expect("kd", below=1.0, after=0.001, until=0.2)),
        ("train/loss<-1e-3", Expect("train/loss", below=-1e-3)),
        ("log det@p>-5", Expect("log det@p", above=-5.0)),
    ],
)
def test_spelling(text: str, expect: Expect) -> None:
    """What a command line may say."""
    assert Expect.parse(text) == expect


MISSPELT = ["", "kd", "<1", "kd<", "kd<a", "kd<1@", "kd<1@b", "kd<1<2", "kd<1@0.2-", "kd=1"]


@pytest.mark.parametrize("text", [*MISSPELT, "kd<1@0.1-0.2-0.3"])
def test_misspelt(text: str) -> None:
    """Anything else is refused with examples."""
    with pytest.raises(ExpectationError, match=re.escape(f"got {text!r}; write for example")):
        Expect.parse(text)


@given(NUMBERS, NUMBERS, SHARES, SHARES, st.sampled_from(["train", "eval"]))
def test_round_trips(low: float, high: float, after: float, until: float, split: str) -> None:
    """Neither the record nor the spelling loses anything."""
    if not low < high or not after < until:
        return
    for bounds in ({"above": low}, {"below": high}, {"above": low, "below": high}):
        expect = Expect("kd", **bounds, after=after, until=until, split=split)
        assert Expect.of_record(expect.as_record()) == expect
        assert Expect.parse(str(expect)) == expect


@pytest.mark.parametrize("record", [None, 3, {}, {"below": 1.0}, {"name": "kd", "under": 1.0}])
def test_records_that_are_none(record: object) -> None:
    """A record of something else is refused, not guessed at."""
    with pytest.raises(ExpectationError, match="expected an expectation with a name"):
        Expect.of_record(record)
