"""One picture of a growing run, as wide as the terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from poise.doctor.diagnosis import Diagnosis
from poise.report import plain
from poise.report.terminal import COLOURS, GOOD
from poise.view.growing import Growing, numbers
from poise.view.history import ASCII, BLOCKS, History, sparkline
from poise.view.terms import SPARK, last_probe, terms_table

FINDINGS = 6
"""More findings than these are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What is known of the findings.

    Attributes:
        diagnosis: The last one; None before.
        step: The last step that was recorded before it.
        note: Why there is none, or none newer; empty otherwise.
    """

    diagnosis: Diagnosis | None = None
    step: int | None = None
    note: str = ""


def frame(
    run: Growing,
    path: str,
    recording: bool | None,
    examined: Examined,
    console: Console,
    *,
    skipped: int = 0,
) -> Group:
    """Everything about the run, for `console`'s width and characters.

    Args:
        run: The run so far.
        path: What is shown as its name.
        recording: Whether its recorder is at work; None where that is not known.
        examined: The findings.
        console: Where it will be printed.
        skipped: Lines of the record that are no records.
    """
    heights = BLOCKS if "utf" in console.encoding.lower() else ASCII
    parts: list[RenderableType] = [_head(run, path, recording)]
    if skipped:
        parts.append(Text(f"{plain.count(skipped, 'line')} of it cannot be read", "dim"))
    if run.step is not None:
        parts += [_progress(run, recording), *_whole(run, heights)]
    if run.terms:
        parts += [Text(), terms_table(run, console.width, heights), *_measured(run)]
    parts += [*_evals(run), *_events(run), Text(), *_findings(examined)]
    return Group(*parts)


def _head(run: Growing, path: str, recording: bool | None) -> Text:
    state = {True: ", recording", False: ", closed", None: ""}[recording]
    words = plain.count(run.records, "training record") + state
    if not run.header.count and not run.records:
        words = "waiting for the record"
    return Text.assemble((plain.plain(path), "bold"), "  ", (words, "dim"))


def _progress(run: Growing, recording: bool | None) -> RenderableType:
    assert run.step is not None
    done, total, speed = run.step + 1, run.header.total_steps, run.speed
    words = f"step {run.step:,}" + (f" of {total:,}" if total else "")
    if speed:
        words += f"  {plain.brief(speed)} steps/s"
        if total and total > done and recording is not False:
            words += f"  {_duration((total - done) / speed)} left"
    if not total:
        return Text(words)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(ProgressBar(total=total, completed=min(done, total), width=SPARK), words)
    return grid


def _duration(seconds: float) -> str:
    """Seconds in words of one unit.

    Example:
        >>> _duration(59), _duration(3600), _duration(200_000)
        ('59 s', '60 min', '56 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _whole(run: Growing, heights: str) -> Iterator[Text]:
    """Total, learning rates, gradient norm, and what happened to optimizer steps."""
    words: list[str] = []
    if run.total.means:
        words.append(f"total {_drawn(run.total, heights)}")
    if run.grad_norm.means:
        words.append(f"gradient norm {_drawn(run.grad_norm, heights)}")
    for one in words:
        yield Text(one)
    facts: list[str] = []
    if run.rates:
        shown = ", ".join(plain.brief(one) for one in run.rates[:4]) + ", ..." * (
            len(run.rates) > 4
        )
        facts.append(f"learning rate {shown}")
    if run.micro is not None:
        facts.append(f"{run.micro:,} micro-batch{'es' * (run.micro != 1)}")
    facts += [
        f"{count:,} {word}"
        for count, word in ((run.skipped, "skipped"), (run.discarded, "discarded"))
        if count
    ]
    if facts:
        yield Text(", ".join(facts))


def _drawn(one: History, heights: str) -> str:
    return f"{plain.brief(one.last)} {sparkline(one.means, SPARK, heights)}"


def _measured(run: Growing) -> Iterator[Text]:
    """Where and when the gradient shares of the table were measured."""
    if (last := last_probe(run)) is not None:
        where, step, _ = last
        yield Text(f"gradient %: {plain.name(where, 24)}, step {step:,}", "dim")


def _evals(run: Growing) -> Iterator[Text]:
    for split, record in list(run.evals.items())[:4]:
        found = {"total": record.get("total", ""), **numbers(record.get("terms"))}
        told = ", ".join(
            f"{plain.name(name, 24)} {plain.brief(value)}"
            for name, value in list(numbers(found).items())[:8]
        )
        yield Text.assemble(
            (f"{plain.name(split, 24)} ", "bold"), f"step {record['step']:,}: {told}"
        )


def _events(run: Growing) -> Iterator[Text]:
    for step, name, text in run.events:
        where = "" if step is None else f"step {step:,}: "
        told = plain.shorten(plain.plain(f"{name} {text}".strip()), 100)
        yield Text.assemble(("event ", "bold"), where, told)


def _findings(examined: Examined) -> Iterator[Text]:
    found = examined.diagnosis
    if found is not None:
        at = "" if examined.step is None else f" at step {examined.step:,}"
        if not found.findings:
            yield Text.assemble(("no fault found", GOOD), (at, "dim"))
        for one in found.findings[:FINDINGS]:
            about = f" in {plain.listed(one.terms, most=2)}" if one.terms else ""
            yield Text.assemble(
                (one.severity.value, COLOURS[one.severity]),
                (f" {one.fault.value}{about}", "bold"),
                f": {plain.prose(one.summary, one)} ",
                (f"[{one.rule}]", "dim"),
            )
        if (more := len(found.findings) - FINDINGS) > 0:
            yield Text(f"and {plain.count(more, 'more finding')}: poise diagnose", "dim")
        if found.findings:
            yield Text(f"found{at}", "dim")
        if found.accepted:
            yield Text(f"accepted: {plain.count(len(found.accepted), 'finding')}", "dim")
    if examined.note:
        yield Text(examined.note, "dim")
