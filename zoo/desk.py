"""Where a program of the zoo trains: it may be watched, and prints its ordinary log."""

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor, nn
from torch.optim import Optimizer

from poise.watch import Watch

BUDGET = 0.9
"""Part of the training's time for measuring: as much as it takes. With the default of 1% a busy
machine would measure less often than a quiet one, and the zoo would not be the same twice."""

Scalars = Mapping[str, Tensor]
Weights = Mapping[str, float | Tensor]


def _plain(value: float | Tensor) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


class Printer:
    """Prints one line every so often, in one of the formats that people print.

    `text`: step 10 loss 0.3 ce 0.2; `pairs`: iter=10, loss=0.3; `bracket`: Epoch [1][10/200] as
    detection frameworks do; `csv`; `jsonl`.
    """

    def __init__(self, path: Path, style: str, digits: int) -> None:
        self.path, self.style, self.digits = path, style, digits
        self.columns: list[str] = []
        self.marks: list[tuple[int, int]] = []

    def line(self, step: int, values: Mapping[str, float], micro: int) -> None:
        """Prints the values of one step, or nothing if there are none."""
        number = {name: f"{value:.{self.digits}g}" for name, value in values.items()}
        match self.style:
            case "text":
                out = " ".join([f"step {step}", *(f"{k} {v}" for k, v in number.items())])
            case "pairs":
                out = ", ".join([f"iter={step}", *(f"{k}={v}" for k, v in number.items())])
            case "bracket":
                head = f"Epoch [{step // 200 + 1}][{step % 200 + 1}/200]"
                out = "\t".join([head, ", ".join(f"{k}: {v}" for k, v in number.items())])
            case "jsonl":
                out = json.dumps({"step": step, **values})
            case _:
                out = self._row(step, number)
        self._write(out, micro)

    def _row(self, step: int, number: Mapping[str, str]) -> str:
        if not self.columns:
            self.columns = [*number]
            return ",".join(["step", *self.columns]) + "\n" + self._row(step, number)
        return ",".join([str(step), *(number.get(name, "") for name in self.columns)])

    def _write(self, text: str, micro: int) -> None:
        with self.path.open("a") as log:
            log.write(text + "\n")
            self.marks.append((micro, log.tell()))

    def say(self, text: str, micro: int) -> None:
        """Prints a line of words."""
        self._write(text, micro)


class Session:
    """One start of a training: `watch.total`, `watch.log` and `watch.evaluation`, and a print.

    Args:
        watch: The watch, or None if the training is not watched.
        printer: What prints the log, or None.
        optimizers: Whose learning rate is printed.
        each: Print every so many micro-batches.
        rate: Print the learning rate?
        first: Number of the first step that is printed.
    """

    def __init__(
        self,
        watch: Watch | None,
        printer: Printer | None,
        optimizers: Sequence[Optimizer],
        *,
        each: int,
        rate: bool,
        first: int,
        before: int,
    ) -> None:
        self.watch, self.printer, self.optimizers = watch, printer, optimizers
        self.each, self.rate, self.at, self.before = each, rate, first, before
        self._line: dict[str, float] | None = None
        self._evaluated: list[dict[str, float]] | None = None
        self.micro = 0

    def total(
        self,
        terms: Scalars,
        weights: Weights | None = None,
        *,
        counts: Mapping[str, float] | None = None,
    ) -> Tensor:
        """The weighted sum, watched; begins the line of this step."""
        if self.watch is not None:
            total = self.watch.total(terms, weights, counts=counts)
        else:
            given = dict.fromkeys(terms, 1.0) if weights is None else weights
            total = sum((given[name] * one for name, one in terms.items()), start=0.0)  # type: ignore[assignment]  # a tensor
        values = {"loss": _plain(total), **{name: _plain(one) for name, one in terms.items()}}
        if self._evaluated is not None:
            self._evaluated.append(values)
            return total
        self._end_line()
        self.micro += 1
        self._line = values
        if self.rate:
            self._line["lr"] = self.optimizers[0].param_groups[0]["lr"]
        for name, count in (counts or {}).items():
            self._line[f"n_{name}"] = float(count)
        return total

    def log(self, **scalars: float | Tensor) -> None:
        """Records and prints any other scalars of this step."""
        if self.watch is not None:
            self.watch.log(**scalars)
        self.prints(**scalars)

    def prints(self, **scalars: float | Tensor) -> None:
        """Prints scalars that the watch is not told, or others than it is told."""
        line = self._evaluated[-1] if self._evaluated else self._line
        if line is not None:
            line.update({name: _plain(value) for name, value in scalars.items()})

    def says(self, text: str) -> None:
        """Prints a line of words."""
        self._end_line()
        if self.printer is not None:
            self.printer.say(text, self.before + self.micro)

    @contextmanager
    def evaluation(self, split: str = "val") -> Generator[None]:
        """Totals inside are means over the evaluation data, printed as one line."""
        self._evaluated = []
        if self.watch is None:
            yield
        else:
            with self.watch.evaluation(split):
                yield
        done, self._evaluated = self._evaluated, None
        self._end_line()
        if self.printer is not None and done:
            mean = {f"{split}_{k}": sum(one[k] for one in done) / len(done) for k in done[0]}
            self.printer.line(self.at - 1, mean, self.before + self.micro)

    def _end_line(self) -> None:
        if self._line is None:
            return
        if self.printer is not None and self.at % self.each == 0:
            self.printer.line(self.at, self._line, self.before + self.micro)
        self._line = None
        self.at += 1

    def close(self) -> None:
        """Prints the last line and ends the watch."""
        self._end_line()
        if self.watch is not None:
            self.watch.close()

    def __enter__(self) -> Self:
        """The session itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it, also after an exception."""
        self.close()


class Desk:
    """Gives a program its watch and its log.

    Args:
        folder: Where `run/` and `log.*` are written.
        watched: Attach a watch.
        logged: Print a log.
    """

    def __init__(self, folder: Path, *, watched: bool = True, logged: bool = True) -> None:
        self.folder, self.watched, self.logged = folder, watched, logged
        self.micro = 0
        self._printer: Printer | None = None
        self._session: Session | None = None

    @property
    def run(self) -> Path:
        """Directory of the watched run."""
        return self.folder / "run"

    @property
    def log(self) -> Path | None:
        """The printed log."""
        return None if self._printer is None else self._printer.path

    @property
    def marks(self) -> list[tuple[int, int]]:
        """By printed line: micro-batches done, and bytes of the log so far."""
        return [] if self._printer is None else self._printer.marks

    def open(
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        *,
        style: str = "text",
        each: int = 2,
        rate: bool = True,
        digits: int = 5,
        first: int = 0,
        total_steps: int | None = None,
        roles: Mapping[str, str] | None = None,
        terms: Iterable[str] | None = None,
        shares: Mapping[str, float] | None = None,
        schedules: Mapping[str, object] | None = None,
        averages: Mapping[str, object] | None = None,
    ) -> Session:
        """Starts (or resumes) the training; arguments after `first` are those of `Watch`."""
        several = [optimizer] if isinstance(optimizer, Optimizer) else [*optimizer]
        if self._session is not None:
            self.micro += self._session.micro
        watch = None
        if self.watched:
            watch = Watch(
                self.run,
                model=model,
                optimizer=several,
                total_steps=total_steps,
                budget=BUDGET,
                roles=roles,
                terms=None if terms is None else [*terms],
                shares=shares,
                schedules=schedules,  # type: ignore[arg-type]  # numbers and functions
                averages=averages,  # type: ignore[arg-type]  # modules
            )
        if self.logged and self._printer is None:
            ending = {"csv": "csv", "jsonl": "jsonl"}.get(style, "txt")
            self._printer = Printer(self.folder / f"log.{ending}", style, digits)
        self._session = Session(
            watch, self._printer, several, each=each, rate=rate, first=first, before=self.micro
        )
        return self._session
