"""What a finding tells to run can be run: Python, or a command that exists."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import poise.card
import poise.doctor.rules as package
from poise.doctor import proofs

COMMANDS = ("poise compare ", "poise diagnose ", "tail ", "grep ")
SOURCES = sorted(
    [*Path(package.__path__[0]).glob("*.py"), *Path(poise.card.__path__[0]).glob("*.py")]
)


def filled(node: ast.expr) -> str | None:
    """A text with `x` for whatever is filled in; None for what a function of `proofs` makes."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(filled(one) or "" for one in node.values)
    if isinstance(node, ast.FormattedValue):
        if isinstance(node.value, ast.Name) and node.value.id.isupper():
            return str(getattr(proofs, node.value.id))
        return "'x'" if node.conversion == ord("r") else "x"
    return None


def verify_texts(source: Path) -> Iterator[str]:
    """All texts that rules of one module give as `verify`."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "verify":
            text = filled(node.value)
            if text is not None:
                yield text


def runs(text: str) -> bool:
    """True for Python, and for a command that is known."""
    if text.startswith(COMMANDS):
        return True
    try:
        return bool(ast.parse(text).body)
    except SyntaxError:
        return False


def test_prose_does_not_run() -> None:
    """The test can fail."""
    assert not runs("Its motion must be above 0.")
    assert not runs("# nothing")
    assert runs("print(1)  # must be 1")


@pytest.mark.parametrize("source", SOURCES, ids=[one.stem for one in SOURCES])
def test_verify_can_be_run(source: Path) -> None:
    """No rule asks for something that is only described."""
    assert not [text for text in verify_texts(source) if not runs(text)]


def test_made_proofs_can_be_run() -> None:
    """What the functions of `proofs` return."""
    made = (proofs.rerun("x", "y"), proofs.gradient("a/b", "0"), proofs.alone("a b", "falls"))
    assert all(map(runs, (*made, proofs.RATES, proofs.MOTION)))
