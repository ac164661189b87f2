"""Examines one run with every rule and ranks what they saw."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from poise.doctor.accepted_file import beside, load, of_project
from poise.doctor.acknowledgement import Acknowledgement, sort_out
from poise.doctor.case import Case
from poise.doctor.diagnosis import Diagnosis, NotChecked
from poise.doctor.expectations import with_expectations
from poise.doctor.finding import Fault, Finding
from poise.doctor.needs import missing, wanting
from poise.doctor.rule import Rule
from poise.doctor.rules import RULES
from poise.doctor.rules.expected import EXPECTATIONS
from poise.doctor.suggest import suggested_or_not
from poise.read import read_run
from poise.record import Expect
from poise.run import Run

CAUSE_FIRST: tuple[Fault, ...] = (
    Fault.NONFINITE,
    Fault.NO_GRADIENT,
    Fault.FROZEN,
    Fault.DATA,
    Fault.EXPLOSION,
    Fault.UNACCOUNTED,
    Fault.EVAL_MISMATCH,
    Fault.SCHEDULE,
    Fault.SCALE_WITH_LENGTH,
    Fault.REDUCTION,
    Fault.JUMP,
    Fault.NO_EFFECT,
    Fault.UNBOUNDED,
    Fault.COLLAPSE,
    Fault.DOMINANCE,
    Fault.STARVATION,
    Fault.CLIPPING,
    Fault.CONFLICT,
    Fault.STUCK,
    Fault.SATURATION,
    Fault.GENERALISATION,
    Fault.RECORD,
)
"""Findings of one severity stand in this order: what can cause others comes before what it causes.
Structural faults first, then bookkeeping, scale, balance, symptoms, and the log itself."""

LOCAL = frozenset((Fault.STARVATION, Fault.NO_EFFECT, Fault.STUCK, Fault.SATURATION, Fault.JUMP))
"""Faults that explain others in the same terms (and in a total) only."""
LOCAL_RULES = frozenset(("parameters-untrained", "term-reaches-nothing", "gradient-jump"))
"""Rules of which the same holds, but what they find explains findings about parameters and about
the norm of all gradients too."""


def _ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Worst first, then causes first; what another finding explains stands behind that one.

    Broken expectations stand last within their severity: any fault can be behind them.
    """
    place = {one.rule: CAUSE_FIRST.index(one.fault) for one in findings}

    def rank(one: Finding) -> tuple[int, bool, int, bool, int]:
        cause = min((place[name] for name in one.caused_by), default=0)
        fault, hoped = max(CAUSE_FIRST.index(one.fault), cause), one.rule in EXPECTATIONS
        return (one.severity.rank, hoped, fault, bool(one.caused_by), one.steps[0])

    return sorted(findings, key=rank)


def _linked(findings: Sequence[Finding], run: Run) -> list[Finding]:
    """The findings with only those causes that were found and concern them."""
    totals, terms = {one.total for one in run.compositions}, {*run.terms}
    found: list[Finding] = []
    for one in findings:
        others = [cause for cause in findings if cause.rule in {*one.caused_by} - {one.rule}]
        present = {cause.rule for cause in others if _explains(cause, one, totals, terms)}
        found.append(replace(one, caused_by=tuple(n for n in one.caused_by if n in present)))
    return found


def _explains(cause: Finding, finding: Finding, totals: set[str], terms: set[str]) -> bool:
    """True unless the cause is milder, or a fault of single terms other than the finding's."""
    if cause.severity.rank > finding.severity.rank:
        return False
    about = {*finding.terms}
    if not about or totals & about or about & {*cause.terms}:
        return True
    if cause.rule in LOCAL_RULES:
        return not about & terms
    return cause.fault not in LOCAL


def diagnose(
    source: str | Path | Run,
    *,
    rules: Sequence[Rule] = RULES,
    expect: Sequence[Expect | str] = (),
    progress: Callable[[float], None] | None = None,
    accepted: Iterable[Acknowledgement] | None = None,
) -> Diagnosis:
    r"""Examines a run, or the log at a path, with every rule.

    Args:
        source: A run, or the path of any log or run directory that `poise.read_run` reads.
        rules: The rules to apply.
        expect: Ranges that numbers of the run are expected in, beside those that it declares; a
            text is read by `Expect.parse`.
        progress: Called with the share of the work that is done, from 0 to 1.
        accepted: Findings that were read and accepted. By default those in the file beside the run
            and in the project's (docs/accept.md); an empty sequence accepts none.

    Returns:
        The findings, worst first; those that were accepted; which rules could not run and why;
        which found nothing.

    Raises:
        ReadError: The path holds nothing that can be read as a log.
        ExpectationError: An expectation is spelled wrongly, or names what the run does not have.
        AcceptError: A file of accepted findings is damaged.

    Example:
        >>> import tempfile, pathlib
        >>> log = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
        >>> _ = log.write_text("step,loss_a,loss_b,loss\n1,2.0,nan,nan\n2,1.9,nan,nan\n")
        >>> diagnose(log).findings[0].fault
        <Fault.NONFINITE: 'nonfinite'>
    """
    run = source if isinstance(source, Run) else read_run(source, progress=progress)
    run = with_expectations(run, expect)
    known = load((beside(run.path), of_project())) if accepted is None else accepted
    case = Case(run)
    findings: list[Finding] = []
    not_checked: list[NotChecked] = []
    passed: list[str] = []
    for rule in rules:
        lacks = missing(case, rule.needs)
        found = [] if lacks else list(rule.check(case))
        findings.extend(found)
        if lacks := lacks or wanting(case, rule.needs):
            not_checked.append(NotChecked(rule=rule.name, needs=lacks))
        elif not found:
            passed.append(rule.name)
    left, covered = sort_out(_ranked(_linked(findings, run)), known)
    return Diagnosis(
        run=run,
        findings=tuple(left),
        accepted=tuple(covered),
        not_checked=tuple(not_checked),
        passed=tuple(passed),
        suggestion=suggested_or_not(case),
    )
