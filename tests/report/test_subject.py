"""A heading names terms as terms, columns as columns, and calls the end the end."""

import pytest

from poise.report.subject import is_column, subject, where
from poise.run import Run
from tests.report.builders import finding, sick_run


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (("physics",), "in physics"),
        (("quality", "physics", "kinetic"), "in quality, physics and 1 more"),
        (("lr",), "(column lr)"),
        (("lr", "gnorm"), "(columns lr, gnorm)"),
        (("accuracy",), "in accuracy"),
        (("trunk.0",), "in trunk.0"),
        ((), ""),
    ],
)
def test_subject(terms: tuple[str, ...], words: str) -> None:
    """A learning rate is a column of the log; nothing is frozen in it."""
    assert subject(finding(terms=terms), sick_run(), most=2) == words
    assert is_column(finding(terms=terms), sick_run()) is words.startswith("(")


def test_where() -> None:
    """Trouble that lasts says so as its summary does; the whole run is only steps."""
    run = sick_run()
    assert where(finding(steps=(3500, 5490)), run) == "steps 3,500 to 5,490, the end"
    assert where(finding(steps=(3500, 3510)), run) == "steps 3,500 to 3,510"
    assert where(finding(steps=(0, 5490)), run) == "steps 0 to 5,490"
    assert where(finding(steps=(1, 2)), Run(path=run.path, format="csv", tables=())) == (
        "steps 1 to 2"
    )
