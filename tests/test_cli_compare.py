"""`poise compare` on the command line."""

import json
from pathlib import Path

from tests.test_cli import poise


def log(path: Path, end: float, *, scale: float = 1.0) -> Path:
    """A log of one term that falls to a level."""
    rows = (f"{k},{scale * (end + (3 - end) * 0.95**k + 0.01 * (k * 7 % 5))}" for k in range(120))
    path.write_text("step,ce_loss\n" + "\n".join(rows) + "\n")
    return path


def test_the_verdict_is_printed(tmp_path: Path) -> None:
    """Both paths, the verdict, the interval; 80 columns."""
    done = poise("compare", log(tmp_path / "a.csv", 1.0), log(tmp_path / "b.csv", 0.4))
    assert done.returncode == 0, done.stderr
    assert "better: ce_loss better" in done.stdout
    assert "change [95% interval]" in done.stdout
    assert max(map(len, done.stdout.split("\n"))) <= 80


def test_json_and_html(tmp_path: Path) -> None:
    """One object, and one page."""
    page = tmp_path / "report.html"
    files = log(tmp_path / "a.csv", 1.0), log(tmp_path / "b.csv", 1.0, scale=0.5)
    done = poise("compare", *files, "--json", "--html", page)
    found = json.loads(done.stdout)
    assert (found["schema"], found["verdict"]) == ("poise.comparison/1", "no effect")
    assert found["totals"][0]["verdict"] == "rescaled"
    assert "rescaled x0.5" in page.read_text()


def test_seeds_of_both_sides(tmp_path: Path) -> None:
    """More seeds are added with options, once for each."""
    before = [log(tmp_path / f"a{k}.csv", 1.0 + 0.01 * k) for k in range(3)]
    after = [log(tmp_path / f"b{k}.csv", 0.9 + 0.01 * k) for k in range(3)]
    words = [*(("--before", one) for one in before[1:]), *(("--after", one) for one in after[1:])]
    done = poise(
        "compare", before[0], after[0], *(word for pair in words for word in pair), "--json"
    )
    found = json.loads(done.stdout)
    assert (len(found["before"]), len(found["after"])) == (3, 3)
    assert found["verdict"] == "better"


def test_wrong_use_is_one_line_and_status_2(tmp_path: Path) -> None:
    """A path that is missing, and an alignment that there is not."""
    one = log(tmp_path / "a.csv", 1.0)
    for words in ((one, tmp_path / "none.csv"), (one, one, "--align", "epoch")):
        done = poise("compare", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1


def test_options_are_frozen() -> None:
    """The options change only on purpose: by editing this test."""
    text = poise("compare", "--help").stdout
    for option in ("--before", "--after", "--align", "--json", "--html"):
        assert option in text
