"""From what a reader parsed to a Run: names, steps, splits, kinds, compositions."""

from pathlib import Path

from poise.errors import ReadError
from poise.read.frame import Parsed
from poise.read.tables import Built, tables_of
from poise.read.weights.compose import compose
from poise.run import Kind, Run, Table


def assemble(path: Path, parsed: Parsed) -> Run:
    """Understand the columns of a log.

    Args:
        path: The file or directory that was read.
        parsed: What its reader found there.

    Raises:
        ReadError: No record holds a number besides its position.
    """
    built = [tables_of(frame) for frame in parsed.frames]
    tables = sorted((table for one in built for table in one.tables), key=_importance)
    if not tables:
        raise ReadError(
            f"{path}: read as {parsed.format}, but no record holds a number besides its position; "
            "expected records with losses"
        )
    composed, compositions = compose(tuple(tables), parsed.declared)
    return Run(
        path=path,
        format=parsed.format,
        tables=composed,
        events=tuple(event for one in built for event in one.events),
        compositions=compositions,
        declared=parsed.declared,
        remarks=(*parsed.remarks, *_remarks(built)),
    )


def _importance(table: Table) -> tuple[bool, bool, int]:
    """Sort key: losses before none, training before other splits, many records before few."""
    losses = any(table.of_kind(Kind.TOTAL, Kind.TERM))
    return not losses, table.split != "train", -len(table)


def _remarks(built: list[Built]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(remark for one in built for remark in one.remarks))
