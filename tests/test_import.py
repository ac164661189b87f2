"""Importing poise is cheap and never brings in torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import poise

PROBE = """
import sys
{statement}
print("torch" in sys.modules)
"""


def imports_torch(statement: str, path: Path) -> bool:
    """Does running `statement`, with a torch on the path, import torch?"""
    stub = path / "torch" / "__init__.py"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text("")
    code = f"import sys; sys.path.insert(0, {str(path)!r})" + PROBE.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().endswith("True")


EVERYTHING = "; ".join(
    (
        "import poise, poise.cli, poise.doctor, poise.read, poise.record, poise.schedule",
        "import poise.report.html, poise.report.json, poise.report.terminal",
        "[getattr(poise, name) for name in poise._HOMES]",
    )
)


@pytest.mark.parametrize("statement", ["import poise", EVERYTHING])
def test_no_torch(statement: str, tmp_path: Path) -> None:
    """Neither the package nor any of its torch-free modules imports torch."""
    assert not imports_torch(statement, tmp_path)


def test_the_probe_can_fail(tmp_path: Path) -> None:
    """The check above would notice an import of torch, even a lazy one."""
    assert imports_torch("import poise; __import__('torch')", tmp_path)


def test_public_names() -> None:
    """The public face changes only on purpose: by editing this list."""
    assert sorted(poise.__all__) == [
        "Acknowledgement",
        "Breakdown",
        "Card",
        "Comparison",
        "Diagnosis",
        "Evidence",
        "Expect",
        "Fault",
        "Finding",
        "MissingExtraError",
        "Objective",
        "PoiseError",
        "ReadError",
        "RecordError",
        "Recorder",
        "Reduced",
        "Role",
        "Run",
        "Severity",
        "Suggestion",
        "Term",
        "Watch",
        "__version__",
        "accept",
        "compare",
        "diagnose",
        "fork",
        "inspect",
        "read_run",
        "same",
        "suggest",
    ]


def test_without_torch_the_extra_is_named() -> None:
    """A live name asks for the extra in one line; the torch-free half still works."""
    code = """
import sys
sys.modules["torch"] = None
import poise
poise.diagnose
try:
    poise.Watch
except poise.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "poise.Watch needs PyTorch, which is not installed: pip install 'poise[torch]'"
    )


def test_balance_is_a_package_of_the_lazy_face() -> None:
    """`poise.balance` is there without an import of its own, and loads no TorchJD by itself."""
    code = "import sys, poise; poise.balance.GradientShare; print('torchjd' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_public_name_loads_and_is_documented() -> None:
    """Each lazily loaded name exists and says what it is."""
    for name in poise.__all__:
        assert name == "__version__" or getattr(poise, name).__doc__


def test_unknown_name_lists_the_known_ones() -> None:
    """A misspelt attribute gets the public names."""
    with pytest.raises(AttributeError, match="no attribute 'diagnoze'; its public names are"):
        poise.diagnoze  # noqa: B018 -- the access is the test
