"""The report for a bug report never fails, whatever is missing."""

import subprocess
import sys
from importlib import metadata

import pytest

from poise import __version__, env


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def names() -> list[str]:
    """What the report has a line for."""
    return [name for name, _ in env.report()]


def test_what_it_holds() -> None:
    """The lines, in order: poise, machine, every dependency and extra, torch, terminal."""
    found = names()
    assert found[:4] == ["poise", "python", "platform", "processors"]
    assert found[-9:] == [
        "torch build",
        "torch threads",
        "CUDA devices",
        "MPS",
        "torch.distributed",
        "terminal",
        "encoding",
        "TERM",
        "size",
    ]
    assert {"numpy", "rich"} <= {*found}
    (torch,) = (one for one in found if one.startswith("torch ["))
    assert "torch]" in torch
    (torchjd,) = (one for one in found if one.startswith("torchjd ["))
    assert "[balance" in torchjd
    assert len(found) == len({*found})


def test_versions_are_those_installed() -> None:
    """A version is the installed one; what is absent is said to be not installed."""
    found = dict(env.report())
    assert found["poise"].startswith(__version__)
    assert found["numpy"] == metadata.version("numpy")
    assert env._version("no-such-package") == "not installed"


def test_as_a_module() -> None:
    """`python -m poise.env` prints one aligned line each and nothing on standard error."""
    done = subprocess.run([sys.executable, "-m", "poise.env"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(names())
    assert len({line.index(line.split("  ", 1)[1].strip()) for line in lines[:4]}) == 1


def test_without_torch() -> None:
    """Without PyTorch the report says so and still has the rest."""
    done = run("import sys; sys.modules['torch'] = None; import poise.env; poise.env.main()")
    assert (done.returncode, done.stderr) == (0, "")
    assert "torch build" in done.stdout
    assert "cannot be imported" in done.stdout
    assert "CUDA devices" not in done.stdout
    assert "encoding" in done.stdout


def test_a_broken_torch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that fails for any reason becomes one line with the reason."""

    def broken(name: str) -> object:
        raise OSError(f"{name}: libcudart.so.12: cannot open\nmore")

    monkeypatch.setattr(env, "import_module", broken)
    found = dict(env.report())
    assert (
        found["torch build"] == "cannot be imported: OSError: torch: libcudart.so.12: cannot open"
    )
    assert "encoding" in found


def test_nothing_that_breaks_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata, platform and terminal may all fail: each is told, none raises."""

    def broken(*_: object) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr(env.metadata, "requires", broken)
    monkeypatch.setattr(env.platform, "platform", broken)
    monkeypatch.setattr(env.sys, "stdout", None)
    found = dict(env.report())
    assert found["platform"] == "cannot be found out: RuntimeError: no"
    assert found["packages"] == "cannot be found out: RuntimeError: no"
    assert found["terminal"].startswith("cannot be found out: AttributeError")
    monkeypatch.undo()


def test_it_imports_no_torch() -> None:
    """Importing the module does not import PyTorch; only the report does."""
    done = run("import sys, poise.env; print('torch' in sys.modules)")
    assert done.stdout.strip() == "False"
