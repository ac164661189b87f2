"""The order findings are shown in: causes first, with what they explain folded under them."""

from dataclasses import dataclass

from poise.doctor.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One finding that nothing else explains, and all that it explains.

    Attributes:
        cause: Shown in full.
        symptoms: Findings explained by it, directly or through another symptom.
    """

    cause: Finding
    symptoms: tuple[Finding, ...]


def grouped(findings: tuple[Finding, ...]) -> tuple[Group, ...]:
    """Every finding exactly once, as a cause or as a symptom, the worst group first.

    Rules that name each other as causes do not hide one another: the first of them is the cause.
    """
    parents = [_parent(index, findings) for index in range(len(findings))]
    roots = [_root(index, parents) for index in range(len(findings))]
    groups = [
        Group(
            cause=findings[root],
            symptoms=tuple(
                one for index, one in enumerate(findings) if roots[index] == root and index != root
            ),
        )
        for root in dict.fromkeys(sorted(roots))
    ]
    return tuple(sorted(groups, key=_rank))


def _rank(group: Group) -> int:
    return min(one.severity.rank for one in (group.cause, *group.symptoms))


def _parent(index: int, findings: tuple[Finding, ...]) -> int | None:
    """The finding that explains this one; of several, one about the same terms."""
    one = findings[index]
    causes = [
        other
        for other, cause in enumerate(findings)
        if cause.rule in one.caused_by and cause.rule != one.rule
    ]
    related = [other for other in causes if set(findings[other].terms) & set(one.terms)]
    return next(iter(related or causes), None)


def _root(index: int, parents: list[int | None]) -> int:
    path = [index]
    while (parent := parents[path[-1]]) is not None:
        if parent in path:
            return min(path[path.index(parent) :])
        path.append(parent)
    return path[-1]
