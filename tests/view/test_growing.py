"""What is kept of a growing run."""

import math

import pytest

from poise.errors import ReadError
from poise.record.schema import SCHEMA
from poise.view.growing import EVENTS, Growing

HEADER = {"kind": "header", "schema": SCHEMA, "terms": ["a", "b"], "weights": {"a": 1, "b": 0.5}}


def step(number: int, **data: object) -> dict[str, object]:
    """A record of a step, half a second after the one before."""
    return {"kind": "step", "step": number, "wall_s": number / 2} | data


def test_steps() -> None:
    """Terms, weights, rates, counters and pace follow the records."""
    run = Growing()
    run.take([HEADER, step(0, terms={"a": 3.0, "b": 2.0}, total=4.0, lr=[0.1, 0.01], micro=0)])
    run.take([step(1, terms={"a": 1.0}, weights={"b": 2.0}, micro=3, skipped=1, grad_norm="NaN")])
    assert (run.step, run.records, run.micro, run.skipped, run.discarded) == (1, 2, 4, 1, 0)
    assert run.weights == {"a": 1.0, "b": 2.0}
    assert run.rates == (0.1, 0.01)
    assert (run.terms["a"].last, run.terms["a"].recent, run.total.last) == (1.0, 2.0, 4.0)
    assert math.isnan(run.grad_norm.last)
    assert run.speed == 2.0


def test_value_shares() -> None:
    """Weighted, of absolute values; zeros everywhere have no shares."""
    run = Growing()
    run.take([HEADER, step(0, terms={"a": -3.0, "b": 2.0})])
    assert run.shares == {"a": 0.75, "b": 0.25}
    zeros = Growing()
    zeros.take([step(0, terms={"a": 0.0})])
    assert math.isnan(zeros.shares["a"])


def test_pace() -> None:
    """No pace before two steps, nor over a restart, whose clock starts anew."""
    run = Growing()
    run.take([step(0)])
    assert run.speed is None
    run.take([step(10)])
    assert run.speed == 2.0
    run.take([HEADER, step(11)])
    assert run.speed is None


def test_probes_evaluations_events() -> None:
    """The last probe of a place, the last evaluation of a split, the last few events."""
    run = Growing()
    run.take([{"kind": "probe", "step": 4, "where": "shared", "norms": {"a": 3, "b": "NaN"}}])
    assert run.probe == {}
    run.take([{"kind": "probe", "step": 5, "where": "shared", "norms": {"a": 3, "b": 1}}])
    assert run.probe == {"shared": (5, {"a": 0.75, "b": 0.25})}
    run.take([{"kind": "eval", "split": "dev", "step": at, "total": at} for at in (1, 2)])
    assert run.evals["dev"]["total"] == 2
    run.take([{"kind": "event", "name": f"e{at}", "text": "x"} for at in range(EVENTS + 2)])
    assert [name for _, name, _ in run.events] == [f"e{at}" for at in range(2, EVENTS + 2)]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "step"},
        {"kind": "step", "step": "1"},
        {"kind": "later", "step": 3},
        {"kind": "probe", "step": 1, "norms": [1]},
    ],
)
def test_what_is_odd_is_left_out(record: dict[str, object]) -> None:
    """Records that this version does not understand change nothing."""
    run = Growing()
    run.take([record])
    assert (run.step, run.records, run.probe) == (None, 0, {})


def test_odd_values_are_left_out() -> None:
    """A value that is no number is left out, the rest of its record is not."""
    run = Growing()
    run.take([step(1, terms={"a": [1], "b": 2}, total={}, lr=["x", 0.1])])
    assert list(run.terms) == ["b"]
    assert run.rates == (0.1,)
    assert not run.total.means


def test_another_schema_is_refused() -> None:
    """A record of another version is not shown wrongly."""
    with pytest.raises(ReadError, match=r"expected schema 'poise.run/1', got 'poise.run/9'"):
        Growing().take([HEADER | {"schema": "poise.run/9"}])


def test_a_term_that_is_not_finite_takes_no_share_from_the_others() -> None:
    """One NaN would else hide who owns the value."""
    run = Growing()
    run.take([{"kind": "step", "step": 0, "terms": {"a": 3.0, "b": 1.0, "bad": "NaN"}}])
    run.take([{"kind": "step", "step": 1, "terms": {"a": 3.0, "b": 1.0, "bad": math.nan}}])
    assert run.shares == pytest.approx({"a": 0.75, "b": 0.25, "bad": math.nan}, nan_ok=True)
