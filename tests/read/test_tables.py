"""From one frame to tables: splits, granularities, restarts, repeats."""

import numpy as np

from poise.read.tables import Built, tables_of
from poise.run import Event, Kind, Table
from tests.read.frames import NAN, frame


def _one(built: Built) -> Table:
    (table,) = built.tables
    return table


def test_a_restart_is_a_segment_and_an_event() -> None:
    """Where the step goes back a new segment begins, and the text says where."""
    built = tables_of(frame(step=[10, 20, 30, 10, 20], loss=[3, 2, 1, 3, 2]))
    assert _one(built).segments.tolist() == [0, 0, 0, 1, 1]
    (event,) = built.events
    assert (event.name, event.step) == ("restart", 10)
    assert event.text == "step goes back from 30 to 10 at record 3"


def test_a_restart_that_the_log_tells_is_not_told_twice() -> None:
    """A banner between the records is the restart; its step is that of the record after it."""
    told = Event(name="restart", step=3, text="=== start ===")
    built = tables_of(frame(step=[10, 20, 30, 10], loss=[3, 2, 1, 3], events=[told]))
    assert built.events == [Event(name="restart", step=10, text="=== start ===")]
    assert _one(built).segments.tolist() == [0, 0, 0, 1]


def test_the_first_start_and_the_last_word_are_no_restarts() -> None:
    """A banner before the first or after the last record restarts nothing; other events stay."""
    events = [
        Event(name="restart", step=0, text="start"),
        Event(name="overflow", step=1, text="overflow"),
        Event(name="restart", step=2, text="start"),
        Event(name="crash", step=2, text="x" * 999),
    ]
    built = tables_of(frame(step=[10, 20], loss=[3, 2], events=events))
    assert [(one.name, one.step, len(one.text)) for one in built.events] == [
        ("overflow", 20, 8),
        ("crash", 20, 300),
    ]


def test_two_writers_of_one_step_are_joined() -> None:
    """Neighbours of one step with different columns are one record."""
    built = tables_of(frame(step=[1, 1, 2, 2], loss=[3, None, 2, None], lr=[None, 0.1, None, 0.2]))
    table = _one(built)
    assert table.steps.tolist() == [1, 2]
    assert table.series["lr"].rows.tolist() == table.series["loss"].rows.tolist() == [0, 1]
    assert built.remarks == []


def test_a_writer_that_is_ahead_is_sorted_in() -> None:
    """Engine lines that come a record early are no restart."""
    built = tables_of(
        frame(step=[0, 1, 3, 2, 3], loss=[5, 4, None, 3, 2], lr=[None, None, 0.1, None, None])
    )
    table = _one(built)
    assert built.events == []
    assert table.steps.tolist() == [0, 1, 2, 3]
    assert table.series["loss"].values.tolist() == [5, 4, 3, 2]
    assert table.steps_of(table.series["lr"]).tolist() == [3]


def test_exact_repeats_are_dropped_and_said() -> None:
    """The same record twice is one; a clock may differ, and NaN equals NaN."""
    built = tables_of(frame(step=[1, 2, 2, 3], loss=[3, NAN, NAN, 1], time=[1, 2, 9, 3]))
    assert _one(built).steps.tolist() == [1, 2, 3]
    assert built.remarks == ["1 train records repeat the one before them exactly and are left out"]


def test_repeated_steps_with_other_values_are_kept_and_said() -> None:
    """A painted-over record is not thrown away."""
    built = tables_of(frame(step=[1, 2, 2, 3], loss=[3, 2, 2.5, 1]))
    assert _one(built).steps.tolist() == [1, 2, 2, 3]
    assert "have the step of the one before them and other values" in built.remarks[0]


def test_records_of_metrics_alone_are_an_evaluation() -> None:
    """Where nothing says so but the words: mAP that no training record mentions."""
    built = tables_of(
        frame(
            step=[1, 2, 2, 3],
            loss=[3, 2, None, 1],
            **{"bbox/AP": [None, None, 0.5, None], "time": [1, 1, 1, 1]},
        )
    )
    train, validation = sorted(built.tables, key=lambda one: one.split)
    assert (validation.split, validation.steps.tolist()) == ("val", [2])
    assert train.steps.tolist() == [1, 2, 3]


def test_statistics_that_training_records_mention_too_stay() -> None:
    """A first record without losses is still a training record."""
    built = tables_of(frame(step=[1, 2, 3], loss=[None, 2, 1], accuracy=[0.1, 0.2, 0.3]))
    assert _one(built).steps.tolist() == [1, 2, 3]


def test_records_of_clocks_alone_are_dropped() -> None:
    """A record that holds a time and a position says nothing."""
    built = tables_of(frame(step=[1, 2, 3], loss=[3, 2, None], eta=[9, 8, 7]))
    assert _one(built).steps.tolist() == [1, 2]
    assert len(_one(built).series["eta"]) == 2


def test_the_split_of_a_frame_is_final() -> None:
    """Names of a frame that says its split cannot move a column."""
    built = tables_of(frame(split="val", step=[1, 2], valid_loss=[2, 1], train_mode_loss=[2, 1]))
    table = _one(built)
    assert table.split == "val"
    assert {"loss", "train_mode_loss"} <= set(table.series)


def test_names_that_meet_after_stripping() -> None:
    """Two columns that mean the same name are both kept, the second under its label."""
    table = _one(tables_of(frame(step=[1, 2], loss=[3, 2], train_loss=[4, 3])))
    assert [one.name for one in table.series.values()] == ["loss", "train_loss", "step"]


def test_granularity_of_what_says_none() -> None:
    """A column without suffix goes with the records that it stands in."""
    columns = {
        "a_loss_step": [1, None, 1, None],
        "a_loss_epoch": [None, 2, None, 2],
        "reward": [5, 6, 7, None],
    }
    fine, coarse = sorted(
        tables_of(frame(step=[1, 1, 2, 2], **columns)).tables, key=lambda one: one.grain != "step"
    )
    assert fine.series["reward"].values.tolist() == [5, 7]
    assert coarse.series["reward"].values.tolist() == [6]


def test_series_point_at_increasing_rows() -> None:
    """Rows are strictly increasing and inside the table, whatever was sorted or dropped."""
    random = np.random.default_rng(0)
    for _ in range(30):
        made = frame(
            step=sorted(random.integers(0, 9, 12).tolist()),
            loss=[None if one < 0.3 else one for one in random.random(12).tolist()],
            lr=[None if one < 0.6 else one for one in random.random(12).tolist()],
            val_loss=[None if one < 0.6 else one for one in random.random(12).tolist()],
        )
        for table in tables_of(made).tables:
            assert len(table.steps) == len(table.segments)
            for one in table.series.values():
                assert len(one.rows) == len(one.values) > 0
                assert (np.diff(one.rows) > 0).all()
                assert 0 <= one.rows[0] <= one.rows[-1] < len(table)


def test_positions_are_series_too() -> None:
    """Epochs stay readable beside the losses."""
    table = _one(tables_of(frame(step=[1, 2], epoch=[0.5, 1.0], loss=[2, 1])))
    assert [one.name for one in table.of_kind(Kind.POSITION)] == ["step", "epoch"]
