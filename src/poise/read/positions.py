"""Where every record stands: one step axis out of the epochs, iterations and steps of a log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poise.read.frame import Frame
from poise.read.naming import Name, pieces
from poise.read.words import phrases
from poise.run import Floats, Ints, Kind

_RANKED = phrases("""
    global step|globalstep|trainer global step|global steps|optimizer step|optimizer steps
    opt step|num updates|num update|total updates|total timesteps|total timestep|total env steps
    env steps|total env interacts|total interacts|total steps|train step|training step|step|steps
    current step|step num|n step|timesteps|timestep|nb steps|global iter|global iteration
    total iters|total iterations|iteration|iterations|iter|iters|cur iter|current iter|it|n iter
    niter|n updates|nupdates|update|updates|batch|batch idx|batch index|batch num|total frames
    frames|consumed samples|episode|episodes|num episodes|episode num|round|i|idx|index
""")
_EPOCHS = phrases(
    "epoch|epochs|ep|epoch num|num epoch|current epoch|cur epoch|total epochs|num epochs"
)
_PER_EPOCH = phrases(
    "iter total|iters total|step total|steps per epoch|iters per epoch|batches per epoch|"
    "batch total"
)

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """The step axis of one frame.

    Attributes:
        steps: Step of every record, shape (n,).
        name: What the steps count, in the log's words.
        epochs: Whole epochs of every record, shape (n,); None where the log has none.
    """

    steps: Ints
    name: str
    epochs: Ints | None


def positions_of(frame: Frame, names: Mapping[str, Name], anchor: Bools) -> Positions:
    """Choose the step axis of a frame.

    A global step is best, then an iteration (combined with the epoch where it starts anew in each),
    then the epoch, then the number of the record.

    Args:
        frame: The columns.
        names: What they mean.
        anchor: The training records, shape (n,): these must have a position, and where other
            records contradict them (the `iter` of a validation record), these are right.
    """
    if not anchor.any():
        anchor = np.ones(frame.size, dtype=bool)
    return _declared(frame) or _found(frame, names, anchor)


def _declared(frame: Frame) -> Positions | None:
    """The axis that the format declares, if every record mentions it."""
    axis = None if frame.axis is None else frame.columns.get(frame.axis)
    if axis is None or frame.axis is None or len(axis.rows) < frame.size:
        return None
    return Positions(steps=axis.values.astype(np.int64), name=frame.axis, epochs=None)


def _found(frame: Frame, names: Mapping[str, Name], anchor: Bools) -> Positions:
    columns = _by_words(frame, names)
    epochs = _first(columns, sorted(_EPOCHS), frame.size, anchor)
    whole = None if epochs is None else np.floor(epochs[1]).astype(np.int64)
    for words in _RANKED:
        found = _first(columns, [words], frame.size, anchor)
        if found is None or not _counts(found[1], anchor):
            continue
        if whole is None or not _resets(found[1], whole, anchor):
            return Positions(steps=found[1].astype(np.int64), name=found[0], epochs=whole)
        steps = _combined(found[1], whole, anchor, _per_epoch(columns))
        if steps is not None:
            return Positions(steps=steps, name=found[0], epochs=whole)
    if epochs is not None and whole is not None and _counts(epochs[1], anchor):
        same = np.diff(whole[anchor]) == 0
        if not same.size or same.mean() <= 0.5:
            return Positions(steps=whole, name=epochs[0], epochs=whole)
    return Positions(steps=np.arange(frame.size), name="row", epochs=whole)


def _by_words(frame: Frame, names: Mapping[str, Name]) -> dict[str, list[tuple[str, Floats]]]:
    """Position columns, dense, by the words of their names (and of the last part of these)."""
    found: dict[str, list[tuple[str, Floats]]] = {}
    for label, column in frame.columns.items():
        if names[label].kind is not Kind.POSITION:
            continue
        dense = np.full(frame.size, np.nan)
        dense[column.rows] = column.values
        base = names[label].base
        words = {" ".join(pieces(one)) for one in (base, base.rsplit("/", 1)[-1])}
        for one in sorted(words):
            found.setdefault(one, []).append((base.rsplit("/", 1)[-1], dense))
    return found


def _first(
    columns: Mapping[str, list[tuple[str, Floats]]],
    words: Sequence[str],
    size: int,
    anchor: Bools,
) -> tuple[str, Floats] | None:
    """The first column of one of these names that nearly all training records mention, filled."""
    need = 0.9 * anchor.sum()
    for one in words:
        for name, dense in columns.get(one, ()):
            finite = np.isfinite(dense) & (np.abs(dense) < 2**62)
            if size and (finite & anchor).sum() >= need:
                return name, _filled(np.where(finite, dense, np.nan), anchor)
    return None


def _filled(dense: Floats, anchor: Bools) -> Floats:
    """Positions for all records: gaps, and records that contradict the training, are filled."""
    known = anchor & ~np.isnan(dense)
    if not known.any():
        return dense
    before, after = _carried(dense, known), _carried(dense[::-1], known[::-1])[::-1]
    other = ~anchor & ~np.isnan(dense)
    if other.any():
        values = dense[other]
        low, high = before[other], after[other]
        fits = (np.isnan(low) | (values >= low)) & (
            np.isnan(high) | (values <= high) | (high < low)
        )
        if fits.mean() < 0.5:
            dense = np.where(other, np.nan, dense)
    whole = _carried(dense, ~np.isnan(dense))
    return np.where(np.isnan(whole), after, whole)


def _carried(values: Floats, known: Bools) -> Floats:
    """Last known value at or before each place; NaN before the first."""
    index = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.where(index >= 0, values[np.maximum(index, 0)], np.nan)


def _counts(values: Floats, anchor: Bools) -> bool:
    """True for whole numbers that go up more often than down."""
    held = values[anchor]
    if not bool((held == np.round(held)).all()):
        return False
    if len(held) < 2:
        return True
    change = np.diff(held)
    return bool(change.any()) and int((change > 0).sum()) >= int((change < 0).sum())


def _resets(values: Floats, epochs: Ints, anchor: Bools) -> bool:
    """True if the counter starts anew with most epochs."""
    higher = np.diff(epochs[anchor]) > 0
    if not higher.any():
        return False
    return bool((np.diff(values[anchor])[higher] <= 0).mean() >= 0.5)


def _per_epoch(columns: Mapping[str, list[tuple[str, Floats]]]) -> int | None:
    for words in sorted(_PER_EPOCH):
        for _, dense in columns.get(words, ()):
            finite = dense[np.isfinite(dense)]
            if len(finite) and 0 < (middle := float(np.median(finite))) < 2**40:
                return int(middle)
    return None


def _combined(values: Floats, epochs: Ints, anchor: Bools, per_epoch: int | None) -> Ints | None:
    held = values[anchor]
    seen = int(held.max()) + (1 if held.min() == 0 else 0)
    span = max(seen, per_epoch or 0)
    count = epochs - int(epochs[anchor].min())
    if span <= 0 or int(np.abs(count).max()) * span >= 2**62:
        return None
    return (count * span + values).astype(np.int64)
