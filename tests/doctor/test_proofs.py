"""Lines that a reader of a finding can run."""

import ast

import pytest
import torch

from poise.doctor.proofs import MOTION, RATES, alone, gradient


@pytest.mark.parametrize("name", ["loss_ce", "train/loss.ce", "ctc loss", "0", "D_A-real"])
def test_lines_are_python_whatever_the_term_is_called(name: str) -> None:
    """Names of logs hold slashes, dots and blanks; the lines must compile all the same."""
    for line in (alone(name, "falls"), gradient(name, "None"), MOTION, RATES):
        assert ast.parse(line)


def test_the_line_on_a_gradient_runs_with_frozen_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It prints a norm for each parameter that the term reaches, and none of the others."""
    model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 1, bias=False) for name in "abc"})
    model["b"].requires_grad_(requires_grad=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.ones(1, 2)
    (model["c"](x)).sum().backward()  # of another term: not to be seen
    loss = (model["a"](x) + model["b"](x)).sum()
    exec(gradient("loss", "norms"), {"loss": loss, "model": model, "optimizer": optimizer})
    assert capsys.readouterr().out == "{'a.weight': tensor(1.4142)}\n"
