"""Lines that a reader of a finding can run."""

import ast

import pytest

from poise.doctor.proofs import MOTION, RATES, alone, gradient


@pytest.mark.parametrize("name", ["loss_ce", "train/loss.ce", "ctc loss", "0", "D_A-real"])
def test_lines_are_python_whatever_the_term_is_called(name: str) -> None:
    """Names of logs hold slashes, dots and blanks; the lines must compile all the same."""
    for line in (alone(name, "falls"), gradient(name, "None"), MOTION, RATES):
        assert ast.parse(line)
