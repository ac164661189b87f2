"""Accepts findings of a run: `poise accept` and `poise.accept`."""

from collections.abc import Iterable, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from poise.doctor.accepted_file import beside, of_project, store
from poise.doctor.acknowledgement import Acknowledgement, main_fact
from poise.doctor.diagnose import diagnose
from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Finding
from poise.doctor.rules import find_rules
from poise.errors import AcceptError
from poise.run import Run


def accept(
    source: str | Path | Run,
    rule: str,
    *,
    why: str,
    terms: Sequence[str] = (),
    project: bool = False,
) -> tuple[Acknowledgement, ...]:
    r"""Writes down that findings of a rule in a run were read and are accepted.

    They are kept with their numbers in a file beside the run, or in the project's. A later
    `diagnose` shows them as accepted, until they grow: docs/accept.md.

    Args:
        source: A run, or the path of any log or run directory.
        rule: Name of the rule.
        why: The reason, for those who read the file later.
        terms: Accept only the findings that are about all of these; by default all of the rule.
        project: Keep them in the project's file, for all of its runs.

    Returns:
        What was accepted, one a finding.

    Raises:
        AcceptError: No reason is given; the rule found nothing in the run, or nothing about the
            terms; the file cannot be written.
        RuleNameError: No rule is called so.
        ReadError: The path holds nothing that can be read as a log.

    Example:
        >>> import tempfile, poise
        >>> log = Path(tempfile.mkdtemp()) / "log.csv"
        >>> _ = log.write_text("step,loss_a,loss_b,loss\n1,2.0,nan,nan\n2,1.9,nan,nan\n")
        >>> poise.accept(log, "nonfinite-term", why="b has no labels yet")[0].terms
        ('loss_b',)
        >>> [one.finding.rule for one in poise.diagnose(log).accepted]
        ['nonfinite-term']
    """
    reason = " ".join(why.split())
    if not reason:
        raise AcceptError(
            f"accept: {rule}: expected a reason, got an empty one; say why the finding is "
            'accepted with --why "..."'
        )
    found = diagnose(source, accepted=())
    file = of_project() if project else beside(found.run.path)
    chosen = _chosen(found, rule, tuple(terms))
    accepted = tuple(_acknowledged(one, reason, file) for one in chosen)
    store(file, accepted)
    return accepted


def _chosen(diagnosis: Diagnosis, rule: str, terms: tuple[str, ...]) -> list[Finding]:
    if rule not in {one.name for one in find_rules(rule)}:
        names = ", ".join(one.name for one in find_rules(rule))
        raise AcceptError(
            f"accept: expected the name of a rule, got the fault class {rule!r}; name one of "
            f"its rules: {names}"
        )
    of_rule = [one for one in diagnosis.findings if one.rule == rule]
    path = diagnosis.run.path
    if not of_rule:
        rules = ", ".join(dict.fromkeys(one.rule for one in diagnosis.findings)) or "none"
        raise AcceptError(
            f"accept: {path}: expected a finding of {rule!r}, got none in this run; rules that "
            f"found something: {rules}"
        )
    known = list(dict.fromkeys(term for one in of_rule for term in one.terms))
    for term in terms:
        if term not in known:
            raise AcceptError(
                f"accept: {path}: expected a term that {rule!r} is about "
                f"({_listed(known)}), got {term!r}{_near(term, known)}"
            )
    chosen = [one for one in of_rule if {*terms} <= {*one.terms}]
    if not chosen:
        raise AcceptError(
            f"accept: {path}: expected one finding of {rule!r} about {_listed(terms)}, got them "
            "in separate findings; accept each by itself"
        )
    return chosen


def _acknowledged(one: Finding, why: str, file: Path) -> Acknowledgement:
    fact = main_fact(one)
    return Acknowledgement(
        rule=one.rule,
        terms=one.terms,
        severity=one.severity,
        why=why,
        when=date.today(),
        series="" if fact is None else fact.series,
        value=None if fact is None else float(fact.value),
        threshold=None if fact is None or fact.threshold is None else float(fact.threshold),
        file=file,
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "it names none"


def _near(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; leave --term out to accept all of it"
