"""Event files of one run: restarts, splits, and the directories of `add_scalars`."""

from poise.read import events
from tests.read.binaries import columns, event_file, only, source


def test_files_of_one_directory_continue_each_other() -> None:
    """They are ordered by wall time, whatever the order of the arguments, and say so as events."""
    early = source(event_file([(s, "x", 1.0) for s in range(6)], wall=100.0), "/r/e.tfevents.1")
    late = source(event_file([(s, "x", 2.0) for s in range(3, 9)], wall=900.0), "/r/e.tfevents.2")
    frame = only(events.read_many([late, early]))
    assert frame.columns["step"].values.tolist() == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8]
    assert frame.columns["x"].values.tolist() == [1.0] * 6 + [2.0] * 6
    assert [(one.name, one.step) for one in frame.events] == [("restart", 6)]
    assert "e.tfevents.2" in frame.events[0].text


def test_a_restart_that_leaves_no_gap_is_still_an_event() -> None:
    """The second file begins where the first one stopped."""
    early = source(event_file([(s, "x", 1.0) for s in range(4)], wall=1.0), "/r/a.tfevents")
    late = source(event_file([(s, "x", 1.0) for s in range(4, 8)], wall=50.0), "/r/b.tfevents")
    frame = only(events.read_many([early, late]))
    assert frame.columns["step"].values.tolist() == list(range(8))
    assert [one.step for one in frame.events] == [4]


def test_keras_directories_give_the_split() -> None:
    """`train` and `validation` hold the same tags and are two frames."""
    train = source(event_file([(0, "epoch_loss", 1.0), (1, "epoch_loss", 0.5)]), "/r/train/e.v2")
    val = source(event_file([(0, "epoch_loss", 3.0)]), "/r/validation/e.v2")
    found = {frame.split: columns(frame) for frame in events.read_many([train, val]).frames}
    assert found["train"] == {"epoch_loss": [(0, 1.0), (1, 0.5)]}
    assert found["val"] == {"epoch_loss": [(0, 3.0)]}


def test_add_scalars_directories_give_the_end_of_the_name() -> None:
    """`add_scalars("Loss/parts", {...})` writes a directory for every part, merged by wall time."""
    main = source(event_file([(s, "lr", 0.1) for s in range(5)], wall=10.0), "/r/e.tfevents")
    parts = [
        source(event_file([(s, "Loss/parts", v) for s in range(5)], wall=10.5), f"/r/{name}/e")
        for name, v in (("Loss_parts_ce", 1.0), ("Loss_parts_kl", 2.0), ("Loss_parts_val", 3.0))
    ]
    frame = only(events.read_many([*parts, main]))
    assert frame.size == 5
    assert set(frame.columns) == {
        "step", "lr", "Loss/parts/ce", "Loss/parts/kl", "val/Loss/parts",
    }  # fmt: skip
    assert not frame.events


def test_directories_of_one_run_have_one_root() -> None:
    """Splits and parts belong to the directory above, other directories are runs of their own."""
    data = event_file([(0, "Loss/parts", 1.0)])
    roots = {
        name: str(events.run_root(source(data, f"/r/{name}/e.tfevents")))
        for name in ("train", "validation", "Loss_parts_kl", "Loss_other", "version_0")
    }
    assert roots == {
        "train": "/r", "validation": "/r", "Loss_parts_kl": "/r",
        "Loss_other": "/r/Loss_other", "version_0": "/r/version_0",
    }  # fmt: skip


def test_other_directories_are_part_of_the_name() -> None:
    """Equal tags of two directories stay apart."""
    one = source(event_file([(0, "loss", 1.0)]), "/r/gen/e.tfevents")
    two = source(event_file([(0, "loss", 2.0)]), "/r/disc/e.tfevents")
    found = columns(only(events.read_many([one, two])))
    assert found == {"gen/loss": [(0, 1.0)], "disc/loss": [(0, 2.0)]}


def test_a_lone_evaluation_directory_gives_the_split() -> None:
    """An Estimator's `eval` directory is no training."""
    frame = only(events.read(source(event_file([(1, "loss", 1.0)]), "/r/eval/e.tfevents")))
    assert frame.split == "eval"
    frame = only(events.read(source(event_file([(1, "train/x", 1.0)]), "/r/val/e.tfevents")))
    assert frame.split is None
