"""Courses of two runs end where both do, and restarts count once."""

from dataclasses import replace

import numpy as np

from poise.comparing.course import aligned_by, only, quantities
from poise.run import Kind
from tests.comparing.build import course, falling, run, table
from tests.doctor.build_probes import watched


def test_the_window_is_the_last_quarter() -> None:
    """Up to the given end, and never fewer than three values."""
    one = course(np.arange(101.0))
    assert one.values[one.until(100.0)].tolist() == list(np.arange(76.0, 101.0))
    assert one.values[one.until(4.0)].tolist() == [2.0, 3.0, 4.0]


def test_runs_of_about_one_length_are_aligned_by_step() -> None:
    """A run of ten times the length is aligned by progress."""
    short, long = run(table({"a": np.ones(10)})), run(table({"a": np.ones(100)}))
    assert aligned_by([short], [short]) == "step"
    assert aligned_by([short], [long]) == "progress"
    assert aligned_by([short], [long], "step") == "step"


def test_progress_runs_from_zero_to_one() -> None:
    """Both runs then end at the same place."""
    short, long = run(table({"a": np.ones(10)})), run(table({"a": np.ones(100)}))
    (one,) = quantities([short], [long], "progress")
    assert one.end == 1.0
    assert one.before[0].at[[0, -1]].tolist() == [0.0, 1.0]


def test_progress_without_a_step_is_that_of_the_micro_batches() -> None:
    """An optimizer that never steps leaves all records at step 0; its training goes on."""
    micro = np.arange(40)
    still = watched({"a": np.ones(40)}, micro=micro, steps=0 * micro)
    (one,) = quantities([still], [run(table({"a": np.ones(10)}))], "progress")
    assert one.before[0].at.tolist() == (micro / 39).tolist()
    stepping = watched({"a": np.ones(40)}, micro=micro, steps=micro // 8)
    (one,) = quantities([stepping], [run(table({"a": np.ones(10)}))], "progress")
    assert one.before[0].at[:9].tolist() == [0.0] * 8 + [0.25]


def test_what_a_restart_overwrote_is_left_out() -> None:
    """Of a step that was trained twice the later value counts."""
    one = table({"a": np.array([1.0, 2.0, 3.0, 20.0, 30.0])})
    again = replace(one, steps=np.array([0, 1, 2, 1, 2]), segments=np.array([0, 0, 0, 1, 1]))
    (found,) = quantities([run(again)], [run(again)], "step")
    assert found.before[0].values.tolist() == [1.0, 20.0, 30.0]


def test_directions() -> None:
    """Lower is better for tasks, higher for accuracy, neither for an adversary or a regulariser."""
    names = ("ce_loss", "kl_loss", "g_loss", "accuracy", "hue")
    kinds = {"accuracy": Kind.STATISTIC, "hue": Kind.STATISTIC}
    one = run(table(dict.fromkeys(names, falling(2.0, 1.0)), kinds=kinds))
    signs = {found.name: found.sign for found in quantities([one], [one], "step")}
    assert signs == {"ce_loss": 1, "kl_loss": 0, "g_loss": 0, "accuracy": -1}


def test_directions_of_names_with_digits() -> None:
    """`f1` and `r2` are read inside of a longer name; `f10` and `layer_2` say nothing."""
    names = ("span_f1", "eval/r2", "f10", "layer_2")
    kinds = dict.fromkeys(names, Kind.STATISTIC)
    one = run(table(dict.fromkeys(names, falling(2.0, 1.0)), kinds=kinds))
    signs = {found.name: found.sign for found in quantities([one], [one], "step")}
    assert signs == {"span_f1": -1, "eval/r2": -1}


def test_terms_of_one_side() -> None:
    """They are listed, not compared."""
    one, two = run(table({"a": np.ones(9), "b": np.ones(9)})), run(table({"a": np.ones(9)}))
    assert only([one], [two]) == ("b",)
    assert [found.name for found in quantities([one], [two], "step")] == ["a"]
