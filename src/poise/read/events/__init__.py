"""TensorBoard event files: one, or all those of one run."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poise.errors import ReadError
from poise.read.events.framing import begins_record
from poise.read.events.points import Points, points_of
from poise.read.events.rows import Log, frames
from poise.read.frame import Frame, Parsed
from poise.read.source import Source
from poise.read.words import SPLITS
from poise.run import Floats

NAME = "tfevents"


def matches(source: Source) -> bool:
    """True for an event file, also one whose beginning is damaged."""
    if begins_record(source.head):
        return True
    named = "tfevents" in source.path.name and b"\0" in source.head[:64]
    return named or b"brain.Event:" in source.head[:64]


def read(source: Source) -> Parsed:
    """Scalars of one event file.

    Raises:
        ReadError: It holds no scalar.
    """
    return read_many((source,))


def run_root(source: Source) -> Path:
    """Directory of the run that an event file belongs to; files with the same one are one run.

    That is the file's own directory, or the one above where the own one is called like a split
    or was made by `add_scalars`, which the first tags tell.
    """
    folder = source.path.absolute().parent
    if folder.name.lower() in SPLITS:
        return folder.parent
    tags = points_of(source.head).tags
    parts = bool(tags) and all(folder.name.startswith(_part_prefix(tag)) for tag in tags)
    return folder.parent if parts else folder


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One event file: where it lies below the run's directory, and what it holds."""

    name: str
    folder: str
    points: Points
    number: int


@dataclass(slots=True)
class _Lane:
    """Files of one directory that continue each other, and their wall times without a step back."""

    folder: str
    files: list[_File]
    tags: set[str]

    def walls(self) -> Floats:
        """Wall time of every scalar, so that a later file never precedes an earlier one."""
        walls = np.concatenate([one.points.wall for one in self.files])
        ordered: Floats = np.maximum.accumulate(np.nan_to_num(walls, nan=-np.inf))
        return ordered


def read_many(sources: Sequence[Source]) -> Parsed:
    """Scalars of all event files of one run.

    Files of one directory that share tags continue each other, in the order of their first wall
    time. Other files were written side by side: their scalars are merged by wall time. A directory
    called `train`, `validation`, `eval` or `test` gives the split; the directories that
    `add_scalars` makes give the end of the name; any other is put before the tag.

    Raises:
        ReadError: None of the files holds a scalar.
    """
    folders = [source.path.absolute().parent for source in sources]
    root = Path(os.path.commonpath(folders)) if folders else Path()
    files: list[_File] = []
    remarks: list[str] = []
    events = 0
    for number, (source, folder) in enumerate(zip(sources, folders, strict=True)):
        points = points_of(source.read())
        about = f"{source.path.name}: " if len(sources) > 1 else ""
        remarks += [about + one for one in points.remarks]
        events += points.events
        if len(points):
            below = folder.relative_to(root).as_posix()
            place = "" if below == "." else below
            files.append(_File(name=source.path.name, folder=place, points=points, number=number))
    if not files:
        where = sources[0].path if len(sources) == 1 else root
        raise ReadError(
            f"{where}: expected TensorBoard scalars, got {events} events without any"
            f"{'; ' + remarks[0] if remarks else ''}; log scalars with SummaryWriter.add_scalar"
        )
    return Parsed(format=NAME, frames=_frames(files, root), remarks=tuple(remarks))


def _frames(files: list[_File], root: Path) -> tuple[Frame, ...]:
    """Frames of all splits."""
    by_split: dict[str | None, list[_Lane]] = {}
    for lane in _lanes(files):
        by_split.setdefault(_split(lane.folder), []).append(lane)
    if tuple(by_split) == (None,) and _is_evaluation(root.name, by_split[None]):
        by_split = {SPLITS[root.name.lower()]: by_split[None]}
    return tuple(
        frame for split, lanes in by_split.items() for frame in frames(_merged(lanes), split)
    )


def _lanes(files: list[_File]) -> list[_Lane]:
    lanes: list[_Lane] = []
    for file in sorted(files, key=lambda one: (float(one.points.wall[0]), one.number)):
        tags = set(file.points.tags)
        for lane in lanes:
            if lane.folder == file.folder and not lane.tags.isdisjoint(tags):
                lane.files.append(file)
                lane.tags |= tags
                break
        else:
            lanes.append(_Lane(file.folder, [file], tags))
    return lanes


def _merged(lanes: list[_Lane]) -> Log:
    """All scalars of one split, merged by wall time."""
    names: dict[str, int] = {}
    files = [(lane, file) for lane in lanes for file in lane.files]
    tags = [
        np.array(
            [names.setdefault(_name(lane.folder, tag), len(names)) for tag in file.points.tags]
        )
        for lane, file in files
    ]
    order = np.argsort(np.concatenate([lane.walls() for lane in lanes]), kind="stable")
    points = [file.points for _, file in files]
    return Log(
        tags=tuple(names),
        tag=np.concatenate([own[one.tag] for own, one in zip(tags, points, strict=True)])[order],
        step=np.concatenate([one.step for one in points])[order],
        value=np.concatenate([one.value for one in points])[order],
        file=np.concatenate([np.full(len(file.points), file.number) for _, file in files])[order],
        continues={file.number: file.name for lane in lanes for file in lane.files[1:]},
    )


def _split(folder: str) -> str | None:
    return SPLITS.get(folder.rpartition("/")[2].lower())


def _is_evaluation(folder: str, lanes: list[_Lane]) -> bool:
    """True if the only directory is called like a split and no tag contradicts it."""
    if SPLITS.get(folder.lower(), "train") == "train":
        return False
    tags = (tag for lane in lanes for tag in lane.tags)
    return not any(tag.lower().startswith("train") for tag in tags)


def _name(folder: str, tag: str) -> str:
    """Name of a tag that was logged in a directory below the run's.

    `SummaryWriter.add_scalars("loss", {"a": ...})` writes the tag `loss` in the directory `loss_a`.
    """
    if not folder:
        return tag
    start = _part_prefix(tag)
    if folder.startswith(start):
        rest = folder.removeprefix(start)
        return f"{rest}/{tag}" if rest.lower() in SPLITS else f"{tag}/{rest}"
    above, _, last = folder.rpartition("/")
    prefix = above if last.lower() in SPLITS else folder
    return f"{prefix}/{tag}" if prefix else tag


def _part_prefix(tag: str) -> str:
    """How `add_scalars` begins the names of the directories for the parts of `tag`."""
    return tag.replace("/", "_") + "_"
