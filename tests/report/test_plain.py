"""Text from logs is escaped and short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from poise.report import plain
from tests.report.builders import finding


@given(st.text(max_size=60), st.integers(4, 40))
def test_names_are_printable_and_fit(text: str, cells: int) -> None:
    """Whatever a name holds, it shows as one printable line of bounded width, never empty."""
    shown = plain.name(text, cells)
    assert shown.isprintable()
    assert shown
    assert cell_len(shown) <= max(cells, len("(empty name)"))


@given(st.text(max_size=60))
def test_printable_text_is_left_alone(text: str) -> None:
    """Escaping touches nothing that can be shown, and is stable."""
    assert plain.plain(plain.plain(text)) == plain.plain(text)
    if text.isprintable():
        assert plain.plain(text) == text


def test_stacked_marks_count_as_wide() -> None:
    """Hundreds of combining marks, which have no width, do not make a name endless."""
    assert len(plain.name("a" + "\u0301" * 500)) <= 60


def test_a_shortened_name_keeps_both_ends() -> None:
    """The end often tells names apart, so the middle goes."""
    assert plain.shorten("encoder.layer.11.attention.output.loss_1", 21) == "encoder.l...ut.loss_1"


def test_prose_shortens_the_names_of_its_finding() -> None:
    """A long name with blanks is one name, not many words."""
    long = "a very long name " * 20
    shown = plain.prose(f"{long} is bad", finding(terms=(long,)))
    assert shown.endswith("is bad")
    assert cell_len(shown) < 60


@pytest.mark.parametrize(
    ("word", "expected"), [("step", "steps 1 to 2"), ("steps", "steps 1 to 2")]
)
def test_span_has_one_plural(word: str, expected: str) -> None:
    """A log that counts `steps` does not get `stepss`."""
    assert plain.span((1, 2), word) == expected


def test_lines_of_a_command_stay() -> None:
    """Indentation and line breaks of a snippet survive, control characters do not."""
    assert plain.lines("\nfor x:\n\ty\x1b\n") == ["for x:", "    y\\x1b"]


@given(st.floats(min_value=0.0, max_value=1.0, exclude_min=True, exclude_max=True))
def test_a_share_never_rounds_to_nothing_or_to_all(share: float) -> None:
    """Only 0 is printed as 0% and only 1 as 100%, in few characters."""
    shown = plain.percent(share)
    assert shown not in {"0%", "100%"}
    assert len(shown) <= len("3.2e-300%")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("print(model.lr)  # at step 3", True),
        ("model.eval(); print(loss(batch))", True),
        ("poise compare a b", True),
        ("first line\nsecond line", True),
        ("Train 'a' alone: if it falls at once, 'b' held it back.", False),
        ("torch.autograd.set_detect_anomaly(True) for one step.", False),
        ("Shares", False),
        ("", False),
        ("nothing \x00 here", False),
    ],
)
def test_code_and_prose_are_told_apart(text: str, code: bool) -> None:
    """What Python reads, a known command or several lines is code; the rest is prose."""
    assert plain.is_code(text) is code
