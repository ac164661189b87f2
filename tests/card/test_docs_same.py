"""The page about `poise.same` prints what it says."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "same.md").read_text()


def test_examples_print_what_the_page_says() -> None:
    """Each block of code is followed by its output, word for word."""
    scope: dict[str, object] = {}
    pairs = re.findall(r"```python\n(.*?)```\n(?:.*?)```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(pairs) == 2
    for code, printed in pairs:
        out = io.StringIO()
        with redirect_stdout(out):
            exec(code, scope)  # noqa: S102, RUF100 -- the page's own code
        assert out.getvalue() == printed
