"""Learning rates that act and those that are only logged."""

import numpy as np

from poise.doctor.case import Case
from poise.doctor.rates import acting_rates, logged_rates
from poise.run import Kind, Run
from tests.doctor.build import make_run, make_table
from tests.doctor.build_probes import ADAM

N = 30
LOSS = {"a": np.linspace(2, 1, N)}


def run(*names: str, watched: bool) -> Run:
    """A run with learning rates of these names."""
    declared = {"watch": {"every": 5}, "optimizers": ADAM} if watched else {}
    made = make_run(LOSS, declared=declared)
    columns = {
        name: (one.kind, (one.rows, one.values), one.of) for name, one in made.train.series.items()
    }
    columns |= {name: (Kind.LEARNING_RATE, np.full(N, 0.1), None) for name in names}
    table = make_table(columns, steps=made.train.steps)
    return Run(path=made.path, format=made.format, tables=(table,), declared=declared)


def names(made: Run) -> tuple[list[str], list[str]]:
    """Those that act, those that are only logged."""
    case = Case(made)
    acting, logged = acting_rates(case, case.train), logged_rates(case, case.train)
    return [one.name for one in acting], [one.name for one in logged]


def test_in_a_watched_run_the_optimizer_decides() -> None:
    """Names of the record's own columns act, whatever else is called a learning rate."""
    assert names(run("lr", "printed_lr", watched=True)) == (["lr"], ["printed_lr"])
    several = run("lr/0", "lr/1", "lr/head", watched=True)
    assert names(several) == (["lr/0", "lr/1"], ["lr/head"])


def test_in_a_log_all_there_is_counts() -> None:
    """Nobody can tell a printed rate from a used one."""
    assert names(run("lr", "lr_head", watched=False)) == (["lr", "lr_head"], [])


def test_a_watch_without_an_optimizer_has_only_what_is_logged() -> None:
    """Then that is what is judged."""
    assert names(run("printed_lr", watched=True))[0] == ["printed_lr"]
