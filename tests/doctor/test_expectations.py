"""What is expected of a run, found among its series, or told to be lacking."""

import numpy as np
import pytest

from poise.doctor.diagnose import diagnose
from poise.doctor.expectations import held, unheld, with_expectations
from poise.errors import ExpectationError
from poise.record import Expect
from poise.run import Run
from tests.doctor.build import make_run

STEPS = np.arange(0, 200, 2)
TERM = np.linspace(4.0, 1.0, 100)
KEPT = Expect("kd", below=5.0)


def run_with(*expected: object, total_steps: int | None = None) -> Run:
    """100 records at every other step of a term and a statistic, and four evaluations."""
    records = [one.as_record() if isinstance(one, Expect) else one for one in expected]
    return make_run(
        {"kd": TERM},
        statistics={"layerwise": TERM / 4},
        eval_statistics={"accuracy": np.array([0.1, 0.4, 0.5, 0.6])},
        steps=STEPS,
        declared={"expect": records, "total_steps": total_steps},
    )


@pytest.mark.parametrize(
    ("expect", "first", "last"),
    [
        (Expect("kd", below=5.0), 0, 198),
        (Expect("kd", below=5.0, after=0.5), 100, 198),
        (Expect("kd", below=5.0, until=0.5), 0, 98),
        (Expect("loss", below=5.0, after=0.25, until=0.75), 50, 148),
        (Expect("accuracy", above=0.0, after=0.6, split="val"), 148, 198),
    ],
)
def test_the_part_it_speaks_of(expect: Expect, first: int, last: int) -> None:
    """Shares are of the recorded steps, for terms, totals, statistics and evaluations."""
    (one,) = held(run_with(expect))
    steps = one.steps[one.inside]
    assert (steps[0], steps[-1], one.planned) == (first, last, False)


def test_shares_of_the_declared_steps() -> None:
    """Of 400 declared steps the second half has not begun; a longer training has no end at 1."""
    late = Expect("kd", below=5.0, after=0.5)
    assert unheld(run_with(late, total_steps=400)) == (
        "values of 'kd' in the part that the expectation 'kd<5@0.5' speaks of",
    )
    (one,) = held(run_with(late, total_steps=101))
    assert one.planned
    assert one.steps[one.inside][[0, -1]].tolist() == [50, 198]


def test_nan_is_no_value() -> None:
    """A statistic that is NaN somewhere is held by its other values; NaN throughout by none."""
    values = np.where(np.arange(100) < 50, np.nan, 0.5)
    expect = [Expect("a", below=1.0).as_record(), Expect("b", below=1.0).as_record()]
    statistics = {"a": values, "b": np.full(100, np.nan)}
    run = make_run({"kd": TERM}, statistics=statistics, declared={"expect": expect})
    assert [len(one.values) for one in held(run)] == [50]
    assert len(unheld(run)) == 1


def test_unknown_names_are_not_checked() -> None:
    """The nearest name is told, or the split that has it; the others are checked all the same."""
    run = run_with(Expect("layerwis", below=1.0), Expect("accuracy", above=0.2), {"name": 3}, KEPT)
    assert unheld(run) == (
        "a series 'layerwis' of 'train' (the nearest is 'layerwise') for the expectation "
        "'layerwis<1'",
        "a series 'accuracy' of 'train' (there is 'accuracy' in 'val') for the expectation "
        "'accuracy>0.2'",
        "an expectation that can be read in place of {'name': 3}",
    )
    found = diagnose(run)
    assert "expectation-broken" not in found.passed
    assert [one.needs for one in found.not_checked if one.rule == "expectation-broken"] == [
        unheld(run)
    ]


def test_nothing_declared_is_not_checked() -> None:
    """The need says how to declare something."""
    found = diagnose(run_with())
    told = {one.rule: one.needs for one in found.not_checked}
    assert told["expectation-broken"] == ("declared expectations: Watch(expect=[...]) or --expect",)


def test_given_at_the_diagnosis() -> None:
    """They come on top of the declared ones, as objects or as texts."""
    run = with_expectations(run_with(KEPT), ["val:accuracy>0.2@0.6", Expect("kd", above=0.5)])
    assert [str(one.expect) for one in held(run)] == ["kd<5", "val:accuracy>0.2@0.6", "kd>0.5"]
    assert "expectation-broken" in diagnose(run).passed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layerwis<1", "expected a series of 'train', got 'layerwis'; the nearest is 'layerwise'"),
        ("accuracy>0", "got 'accuracy'; there is 'accuracy' in 'val'"),
        ("test:x>0", "the run has no series at all there; its splits are 'train', 'val'"),
        ("kd", "Expect: expected .*got 'kd'"),
    ],
)
def test_a_wrong_name_at_the_diagnosis_is_refused(text: str, message: str) -> None:
    """Whoever types it is there to correct it."""
    with pytest.raises(ExpectationError, match=message):
        diagnose(run_with(), expect=[text])
