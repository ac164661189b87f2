"""That what the page on balancing shows runs as pasted, and that its table is the catalogue."""

import ast
import re
from pathlib import Path

import pytest

from poise.balance import Balancer, methods
from poise.balance.method import METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "balance.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line{_line(block)}")
def test_blocks_run_alone(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every block runs without the others, and leaves no measurement out."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block, "balance.md", "exec"), names)
    balance = names["balance"]
    assert isinstance(balance, Balancer)
    assert balance.skipped == 0
    capsys.readouterr()


def test_the_readme_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """Its block on balancing needs nothing else, and prints the declared shares."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (block,) = (
        one for one in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "balance" in one
    )
    exec(compile(block, "README.md", "exec"), {})
    printed = ast.literal_eval(capsys.readouterr().out)
    assert printed == pytest.approx({"kind": 0.3, "ptr": 0.7})


def test_switch_is_three_lines() -> None:
    """The first block marks what changes, and its shares are the declared ones."""
    assert len(re.findall(r"# \d", BLOCKS[0])) == 3
    names: dict[str, object] = {}
    exec(compile(BLOCKS[0], "balance.md", "exec"), names)
    assert names["balance"].last.shares["ptr"] == pytest.approx(0.7, abs=0.05)  # type: ignore[attr-defined]


def test_heads_block_honours_shares() -> None:
    """A term that starts late has its share at once."""
    block = next(one for one in BLOCKS if "heads=" in one)
    names: dict[str, object] = {}
    exec(compile(block, "balance.md", "exec"), names)
    assert names["balance"].last.shares["b"] == pytest.approx(0.8, abs=0.01)  # type: ignore[attr-defined]


def test_table_is_the_catalogue() -> None:
    """One row a balancer, in order, with its promises and what it costs."""
    rows = [
        line for line in PAGE.splitlines() if re.match(r"\| `[^`]+` \| (gradients|values) \|", line)
    ]
    assert rows == list(table())


def table() -> list[str]:
    """The rows of the table."""
    rows = []
    for name, one in methods().items():
        promises = ", ".join(p for p in one.promises if p != "equivariant") or "-"
        solver = METHODS[name].solver if name in METHODS and one.by == "gradients" else "-"
        memory = "yes" if one.memory else "no"
        made = one.make.replace("'", '"')
        rows.append(f"| `{made}` | {one.by} | {promises} | {memory} | {solver} | {one.note} |")
    return rows


def _line(block: str) -> int:
    return PAGE[: PAGE.index(block)].count("\n") + 1
