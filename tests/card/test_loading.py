"""`poise inspect MODULE:FUNCTION`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poise.card.loading import inspect_named, named
from poise.cli import app
from poise.errors import InspectError

CODE = """
import torch

def clamped(mass, target):
    return (mass - target).abs().clamp(max=0.1).mean()

clamped_example = (torch.linspace(0, 1, 8), torch.linspace(1, 2, 8))

def made():
    return clamped_example

def plain(mass, target):
    return (mass - target).abs().mean()

number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with loss functions."""
    path = tmp_path / "my_losses.py"
    path.write_text(CODE)
    return path


def test_an_example_beside_the_function(file: Path) -> None:
    """`clamped_example` is found by its name, another by `example`."""
    assert inspect_named(f"{file}:clamped").worst == "error"
    assert inspect_named(f"{file}:plain", example=f"{file}:made").clean


def test_what_cannot_be_found(file: Path) -> None:
    """Each mistake is one line with the next step."""
    with pytest.raises(InspectError, match=r"names no function; give package.module:function"):
        named("losses")
    with pytest.raises(InspectError, match="cannot import no_such_module"):
        named("no_such_module:loss")
    with pytest.raises(InspectError, match=r"has no 'clampd'; it has .*clamped"):
        named(f"{file}:clampd")
    with pytest.raises(InspectError, match="needs an example: say the shapes"):
        inspect_named(f"{file}:plain")
    with pytest.raises(InspectError, match="is a int, expected a loss function"):
        inspect_named(f"{file}:number")


def test_command(file: Path, tmp_path: Path) -> None:
    """Terminal, JSON, HTML and the exit status of `poise inspect`."""
    runner = CliRunner()
    page = tmp_path / "card.html"
    done = runner.invoke(app, ["inspect", f"{file}:clamped", "--html", str(page)])
    assert done.exit_code == 0
    assert "[inspect-clamp]" in done.output
    assert page.read_text().startswith("<!doctype html>")
    done = runner.invoke(app, ["inspect", f"{file}:clamped", "--json", "--fail-on", "error"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["schema"] == "poise.card/1"
    assert found["findings"][0]["fault"] == "saturation"
