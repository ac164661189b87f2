"""Appends the records of one training to a run directory."""

import os
import platform
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from poise.errors import PoiseWarning, RecordError
from poise.record.lock import Lock
from poise.record.schema import FILE, MAPS, MAX_STEP, SCHEMA, Record, encode, encode_free

Numbers = Mapping[str, float]


class Recorder:
    """Appends to `directory/run.jsonl`, one line a call, each handed to the system at once.

    Nothing is kept back in this process, so a kill at any moment loses at most the line that is
    being written, and a forked process has nothing of it to write twice. Opening a directory that
    holds a run continues it: a line that was cut off stays as it is, a new header and an event
    `restart` follow.

    A training is never stopped by its record: when writing fails (disk full, closed, permission
    lost) the first failure is a `PoiseWarning` and every line that was not written counts in
    `lost`. Only a directory that cannot be opened at the start and wrong use raise.

    Args:
        directory: Made if it does not exist.
        terms: All term names; a name outside them is refused later. Empty: any name goes.
        weights: Weights by term, in force until a record says otherwise.
        shares: Intended gradient shares by term, fractions of 1.
        roles: Roles by term: `task`, `regulariser`, `constraint`, `adversary`, `monitor`, `offset`.
        total_steps: Optimizer steps the training is meant to have.
        environment: Anything worth keeping about where it runs; by default Python and platform.

    Raises:
        RecordError: The directory cannot be written, another recorder has it open, or an argument
            breaks the contract.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with Recorder(f"{parent}/run", terms=["ce", "kl"], weights={"kl": 0.1}) as recorder:
        ...         recorder.step(0, total=2.3, terms={"ce": 2.2, "kl": 1.0})
        ...     len((recorder.path).read_bytes().splitlines())
        2
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        terms: Iterable[str] = (),
        weights: Numbers | None = None,
        shares: Numbers | None = None,
        roles: Mapping[str, str] | None = None,
        total_steps: int | None = None,
        environment: Mapping[str, object] | None = None,
    ) -> None:
        self.path = Path(directory) / FILE
        self.lost = 0
        self._terms = frozenset(terms := _names(terms))
        self._known: dict[str, dict[str, float]] = {}
        self._fd: int | None = None
        for where, given in (("weights", weights), ("shares", shares), ("roles", roles)):
            self._expect_terms(given or {}, where)
        self._weights = dict(weights or {})
        header: Record = {
            "kind": "header",
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "terms": list(terms),
            "weights": weights,
            "shares": shares,
            "roles": roles,
            "total_steps": None if total_steps is None else _step(total_steps, "total_steps"),
            "environment": _environment() if environment is None else environment,
        }
        self._owed = encode_free(header)
        self._open()
        self._start = time.perf_counter()
        self._write(b"" if self._fresh else encode({"kind": "event", "name": "restart"}))

    def step(
        self,
        step: int,
        *,
        total: float | None = None,
        terms: Numbers | None = None,
        weights: Numbers | None = None,
        counts: Numbers | None = None,
        lr: float | Sequence[float] | None = None,
        grad_norm: float | None = None,
        log: Numbers | None = None,
        micro: int | None = None,
        skipped: int | None = None,
        discarded: int | None = None,
        grad_norm_used: float | None = None,
    ) -> None:
        """Records one optimizer step of the training; what is None is not in the record.

        Args:
            step: Optimizer steps done before this one: 0 for the first.
            total: The weighted sum that is back-propagated.
            terms: Unweighted value by term.
            weights: Weight by term; only what changed since the previous record is written.
            counts: By term, how many elements its mean was taken over.
            lr: Learning rate, or one for each parameter group.
            grad_norm: L2 norm of the gradient of all parameters, before clipping.
            log: Anything else, by name.
            micro: Micro-batches (forward and backward passes) done before this one, from 0.
            skipped: Updates that were thrown away after this one: 1 where mixed precision skips.
            discarded: 1 where gradients were thrown away for any other reason.
            grad_norm_used: As `grad_norm`, but after clipping: what the optimizer was given.

        Raises:
            RecordError: A term that was not declared, or a value that is no number.
        """
        record: Record = {"kind": "step"}
        given = _given(total, terms, weights, counts, lr, grad_norm, log)
        given |= {"micro": micro, "skipped": skipped, "discarded": discarded}
        given |= {"grad_norm_used": grad_norm_used}
        self._measure(record, step, given)

    def eval(
        self,
        step: int,
        *,
        split: str = "eval",
        total: float | None = None,
        terms: Numbers | None = None,
        weights: Numbers | None = None,
        counts: Numbers | None = None,
        lr: float | Sequence[float] | None = None,
        grad_norm: float | None = None,
        micro: int | None = None,
        log: Numbers | None = None,
    ) -> None:
        """Records one evaluation, taken after `step` optimizer steps; otherwise as `step`.

        Args:
            step: Optimizer steps done.
            split: What was evaluated on; anything but `train`.
            total: As in `step`, here over the whole split.
            terms: As in `step`.
            weights: As in `step`; what changed since the previous record of the same split.
            counts: As in `step`.
            lr: As in `step`.
            grad_norm: As in `step`.
            micro: Micro-batches done: tells evaluations apart between which no step was made.
            log: As in `step`.

        Raises:
            RecordError: As in `step`.
        """
        if type(split) is not str or split == "train":
            raise RecordError(
                f"Recorder: eval: expected the name of a split other than 'train', got {split!r}; "
                "record training steps with step()"
            )
        record: Record = {"kind": "eval", "split": split}
        given = _given(total, terms, weights, counts, lr, grad_norm, log)
        self._measure(record, step, given | {"micro": micro})

    def event(self, name: str, text: str = "", *, step: int | None = None) -> None:
        """Records something in words; bytes that are no text appear in it as escapes.

        Raises:
            RecordError: `step` is no integer.
        """
        record: Record = {"kind": "event"}
        if step is not None:
            record["step"] = _step(step)
        for key, value in (("name", name), ("text", text)):
            record[key] = str(value).encode("utf-8", "backslashreplace").decode()
        self._write(encode(record))

    def declare(
        self,
        *,
        terms: Iterable[str] = (),
        weights: Numbers | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Records what became known only after the recorder was opened, as one more header.

        Args:
            terms: Names to declare; others are not refused because of it.
            weights: Weights by term, in force until a record says otherwise.
            facts: Anything else by name, of any shape; goes before an earlier one of the name.

        Raises:
            RecordError: Something in it has no place in JSON.
        """
        header: Record = {"kind": "header", "schema": SCHEMA, "terms": list(_names(terms))}
        header |= {"weights": weights, "declared": facts or {}}
        if self._write(encode_free(header)):
            self._weights |= weights or {}
            self._known.clear()

    def probe(self, step: int, **data: object) -> None:
        """Records a measurement of any shape: mappings, lists, texts, numbers and None.

        Raises:
            RecordError: `data` holds something else, or uses the names `kind` or `wall_s`.
        """
        if taken := data.keys() & {"kind", "wall_s"}:
            raise RecordError(
                f"Recorder: probe: expected names other than 'kind' and 'wall_s', got "
                f"{min(taken)!r}; rename it"
            )
        record: Record = {"kind": "probe", "step": _step(step), "wall_s": self._wall_s()}
        self._write(encode_free(record | data))

    def close(self) -> None:
        """Ends the record and lets others write; a second call does nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            self._lock.release()

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        directory = self.path.parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(directory)
            try:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
                size = os.fstat(self._fd).st_size
                torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
            except BaseException:
                self.close() if self._fd is not None else self._lock.release()
                raise
        except OSError as error:
            raise RecordError(
                f"Recorder: {directory}: expected a directory to write a record in, got "
                f"{error.strerror}; choose another directory or make it writable"
            ) from error
        self._fresh = size == 0
        if torn:
            self._owed = b"\n" + self._owed

    def _measure(self, record: Record, step: int, given: Record) -> None:
        split = str(record.get("split", "train"))
        record["step"] = _step(step)
        record["wall_s"] = self._wall_s()
        for key, value in given.items():
            if value is not None:
                record[key] = self._checked(key, value)
        weights = cast(Numbers, record.pop("weights", {}))
        if changed := self._changed(split, weights):
            record["weights"] = changed
        if self._write(encode(record)) and changed:
            self._known[split] |= changed

    def _checked(self, key: str, value: object) -> object:
        if key == "lr":
            return list(cast(Sequence[object], value)) if isinstance(value, Sequence) else [value]
        if key == "log":
            _expect_mapping(value, key)
        elif key in MAPS:
            self._expect_terms(value, key)
        return value

    def _changed(self, split: str, weights: Numbers) -> Numbers:
        known = self._known.setdefault(split, dict(self._weights))
        if not weights or weights == known:
            return {}
        return {name: value for name, value in weights.items() if known.get(name) != value}

    def _expect_terms(self, given: object, where: str) -> None:
        names = _expect_mapping(given, where).keys()
        if not self._terms or names <= self._terms:
            return
        unknown = next(name for name in names if name not in self._terms)
        raise RecordError(
            f"Recorder: {where}: expected declared terms ({', '.join(sorted(self._terms))}), got "
            f"{unknown!r}; declare it in terms= or record it with log="
        )

    def _wall_s(self) -> float:
        return int((time.perf_counter() - self._start) * 1e6) / 1e6

    def _write(self, line: bytes) -> bool:
        """Appends what earlier failures left owed, then `line`; False if the line is lost."""
        data = self._owed + line
        done = 0
        try:
            if self._fd is None:
                raise OSError("it is closed")
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            if done != len(data) - 1:  # else the record is whole, and only its newline is owed
                self._lose(error, done)
                return False
        self._owed = data[done:]
        return True

    def _lose(self, error: OSError, done: int) -> None:
        """Counts a lost line of which, with what was owed before it, `done` bytes were written."""
        if 0 < done < len(self._owed):
            self._owed = b"\n" + self._owed.lstrip(b"\n")
        elif done:
            self._owed = b"\n" if done > len(self._owed) else b""
        self._known.clear()  # so that the next record says all weights again
        self.lost += 1
        if self.lost == 1:
            why = error.strerror or error
            warnings.warn(
                f"Recorder: {self.path}: a record cannot be written ({why}); the training goes "
                "on, and .lost counts the records that are missing",
                PoiseWarning,
                stacklevel=5,
            )


def _given(
    total: float | None,
    terms: Numbers | None,
    weights: Numbers | None,
    counts: Numbers | None,
    lr: float | Sequence[float] | None,
    grad_norm: float | None,
    log: Numbers | None,
) -> Record:
    """The arguments that `step` and `eval` share, in the order of a line."""
    return {
        "total": total,
        "terms": terms,
        "weights": weights,
        "counts": counts,
        "lr": lr,
        "grad_norm": grad_norm,
        "log": log,
    }


def _expect_mapping(given: object, where: str) -> Mapping[object, object]:
    if type(given) is dict or isinstance(given, Mapping):
        return cast(Mapping[object, object], given)
    kind = type(given).__name__
    raise RecordError(
        f"Recorder: {where}: expected numbers by name, got {kind} {given!r:.60}; pass a dict"
    )


def _names(terms: Iterable[str]) -> tuple[str, ...]:
    named = tuple(terms)
    texts = not isinstance(terms, str) and all(type(one) is str for one in named)
    if texts and len(set(named)) == len(named):
        return named
    raise RecordError(
        f"Recorder: terms: expected names that differ, got {terms!r:.60}; pass a list of str"
    )


def _step(step: int, where: str = "step") -> int:
    if isinstance(step, Integral) and -MAX_STEP <= step <= MAX_STEP:
        return int(step)
    kind = type(step).__name__
    raise RecordError(
        f"Recorder: {where}: expected an integer up to 2**53, got {kind} {step!r:.60}; "
        "count optimizer steps from 0"
    )


def _environment() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "pid": os.getpid(),
    }
