"""Which scalars are one record, and where a training was restarted."""

import numpy as np

from poise.read.events.rows import Log, frames


def log(points: list[tuple[int, int, int]], continues: dict[int, str] | None = None) -> Log:
    """A log of (tag number, step, file) with its positions as values."""
    tag, step, file = (np.array(one, dtype=np.int64) for one in zip(*points, strict=True))
    names = tuple(f"t{number}" for number in range(int(tag.max()) + 1))
    return Log(
        tags=names,
        tag=tag,
        step=step,
        value=np.arange(float(len(points))),
        file=file,
        continues=continues or {},
    )


def test_a_tag_logged_late_joins_its_step() -> None:
    """Rows are ordered by step within a (re)start, whatever the order of the calls."""
    points = [(tag, step, 0) for step in range(0, 60, 10) for tag in (0, 1)]
    points.insert(8, (2, 20, 0))
    (frame,) = frames(log(points))
    assert frame.columns["step"].values.tolist() == [0, 10, 20, 30, 40, 50]
    assert frame.columns["t2"].rows.tolist() == [2]


def test_two_restarts() -> None:
    """Each begins where the first tag goes back, once for all tags."""
    steps = [0, 1, 2, 1, 2, 3, 0, 1]
    (frame,) = frames(log([(tag, step, 0) for step in steps for tag in (0, 1, 2)]))
    assert frame.columns["step"].values.tolist() == steps
    assert all(len(column.rows) == len(steps) for column in frame.columns.values())


def test_a_continuing_file_begins_a_record() -> None:
    """The same step in both files is two records, and the event is at the second."""
    points = [(0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1), (0, 2, 1)]
    (frame,) = frames(log(points, {1: "second"}))
    assert frame.columns["step"].values.tolist() == [0, 1, 1, 2]
    assert frame.columns["t1"].rows.tolist() == [1, 2]
    assert [(one.name, one.step) for one in frame.events] == [("restart", 2)]


def test_clocks_beyond_the_limit_share_a_frame() -> None:
    """Twenty tags that all count differently do not become twenty frames."""
    points = [(tag, step + 1000 * tag, 0) for step in range(5) for tag in range(20)]
    found = list(frames(log(points)))
    assert len(found) == 8
    assert sum(len(one.columns) - 1 for one in found) == 20
