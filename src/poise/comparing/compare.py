"""Compares two trainings, or several seeds of each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from poise.comparing import told
from poise.comparing.comparison import Change, Comparison, Verdict
from poise.comparing.course import Quantity, aligned_by, only, quantities
from poise.comparing.judge import different, judge
from poise.comparing.probed import backing, gradient_shares, motion, responses
from poise.comparing.totals import objectives_differ
from poise.doctor.diagnose import diagnose
from poise.doctor.diagnosis import Diagnosis
from poise.errors import CompareError
from poise.run import Run

Source: TypeAlias = str | Path | Run | Diagnosis
ALIGN = ("auto", "step", "progress")


def compare(
    before: Source | Sequence[Source], after: Source | Sequence[Source], *, align: str = "auto"
) -> Comparison:
    r"""What a change did to every term, and to the training as a whole, beyond what chance does.

    The last quarter of the common course is compared, term by term and unweighted, so that a change
    of weights is not taken for a change of the model. The interval of a difference knows the noise
    within the runs (moving-block bootstrap) and the spread between seeds: what single runs let
    expect, averaged with what several measure, so that one pair of runs shows only large effects.
    Totals have a say only if no terms are known, and only if both are the same objective.

    Args:
        before: A run, its diagnosis, or the path of any log or run directory; or several of them,
            the seeds of one training.
        after: The same with the change.
        align: `step`, `progress` (share of each run's own length), or `auto`: by step where all
            runs count the same steps and none is half as long as another.

    Raises:
        ReadError: A path holds nothing that can be read as a log.
        CompareError: A side is empty, the runs have nothing in common, or `align` is unknown.

    Example:
        >>> import tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, low in (("a.csv", 1.0), ("b.csv", 0.5)):
        ...     rows = [f"{k},{low + (2 - low) * 0.9**k}" for k in range(100)]
        ...     _ = (folder / name).write_text("step,ce_loss\n" + "\n".join(rows))
        >>> compare(folder / "a.csv", folder / "b.csv").verdict.value
        'better'
    """
    sides = _side(before, "before"), _side(after, "after")
    runs = tuple(one.run for one in sides[0]), tuple(one.run for one in sides[1])
    by = aligned_by(runs[0], runs[1], _known(align))
    found = list(quantities(runs[0], runs[1], by))
    if not found:
        raise CompareError(_nothing(*runs))
    shares, where = gradient_shares(*runs)
    moves, steps = motion(*runs), responses(*runs)
    judged = _judged(found, objectives_differ(*runs))
    changes = tuple(_backed(one, backing(one.name, moves, steps)) for one in judged)
    return Comparison(
        before=sides[0],
        after=sides[1],
        verdict=_overall(changes),
        aligned=by,
        changes=changes,
        only_before=only(*runs),
        only_after=only(runs[1], runs[0]),
        gradient_shares=shares,
        shares_at=where,
        motion=moves,
        responses=steps,
        findings_gone=told.missing_from(*sides),
        findings_new=told.missing_from(sides[1], sides[0]),
        findings_kept=told.kept(*sides),
        warnings=tuple(_warnings(runs[0], runs[1], by, align, changes)),
    )


def _side(given: Source | Sequence[Source], which: str) -> tuple[Diagnosis, ...]:
    sources = [given] if isinstance(given, (str, Path, Run, Diagnosis)) else list(given)
    if not sources:
        message = f"compare: expected at least one run {which}, got none; give a path or a run"
        raise CompareError(message)
    return tuple(one if isinstance(one, Diagnosis) else diagnose(one) for one in sources)


def _known(align: str) -> str:
    if align in ALIGN:
        return align
    message = f"compare: align is {align!r}; expected one of {', '.join(ALIGN)}"
    raise CompareError(message)


def _nothing(before: Sequence[Run], after: Sequence[Run]) -> str:
    has, other = (", ".join(one[0].terms[:6]) or "no terms" for one in (before, after))
    return (
        f"{before[0].path} and {after[0].path}: expected a term, total or metric that both have, "
        f"got {has} before and {other} after; name them alike, or compare runs of one training"
    )


def _judged(found: Sequence[Quantity], differ: str) -> Iterator[Change]:
    """Every quantity; a total counts only where no terms are known."""
    terms = any(one.kind == "term" for one in found)
    counted = [one for one in found if one.sign and not (terms and one.kind == "total")]
    tests = max(len(counted), 1)
    for one in found:
        change = judge(one, tests)
        if one.kind != "total":
            yield change
        elif differ:
            yield different(change, f"{differ}: compare the terms, not the totals")
        else:
            yield change if not terms else replace(change, counts=False)


def _backed(change: Change, said: str) -> Change:
    """A rescaled quantity with what motion and step response say to it."""
    if change.verdict is not Verdict.RESCALED or not said:
        return change
    return replace(change, why=f"{change.why}; {said}")


def _overall(changes: Sequence[Change]) -> Verdict:
    seen = {one.verdict for one in changes if one.counts}
    both = seen & {Verdict.BETTER, Verdict.WORSE}
    if len(both) == 2:
        return Verdict.MIXED
    return both.pop() if both else Verdict.NO_EFFECT


def _warnings(
    before: Sequence[Run], after: Sequence[Run], by: str, align: str, changes: Sequence[Change]
) -> Iterator[str]:
    for one in changes:
        if one.kind == "total" and one.verdict is Verdict.DIFFERENT_OBJECTIVE:
            yield f"'{one.name}' ({one.split}) is a different objective on both sides: {one.why}"
    if by == "progress" and align == "auto":
        yield "the runs count different steps or differ in length: aligned by progress"
    if len(before) + len(after) < 3:
        yield (
            "one run a side: seeds differ by more than noise shows, so that only large effects "
            "count; give three seeds a side to see smaller ones"
        )
    if not any(one.counts for one in changes):
        yield "nothing that counts could be compared, so that 'no effect' means only that"
