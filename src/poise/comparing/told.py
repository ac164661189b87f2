"""Findings that are gone, new or kept."""

from collections.abc import Iterator, Sequence

from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Finding

Key = tuple[str, tuple[str, ...]]


def _key(one: Finding) -> Key:
    """A finding is the same one if the same rule says it of the same terms."""
    return one.rule, tuple(sorted(one.terms))


def missing_from(side: Sequence[Diagnosis], other: Sequence[Diagnosis]) -> tuple[Finding, ...]:
    """Findings of more than half of the runs of one side, and of none of the other."""
    known = {_key(one) for each in other for one in each.found}
    return tuple(one for one in _usual(side) if _key(one) not in known)


def kept(before: Sequence[Diagnosis], after: Sequence[Diagnosis]) -> tuple[Finding, ...]:
    """Findings of some run of both sides, as they are after."""
    known = {_key(one) for each in before for one in each.found}
    found = {_key(one): one for each in reversed(after) for one in each.found}
    return tuple(one for key, one in found.items() if key in known)


def _usual(side: Sequence[Diagnosis]) -> Iterator[Finding]:
    seen: set[Key] = set()
    for one in (one for each in side for one in each.found):
        key = _key(one)
        times = sum(any(_key(other) == key for other in each.found) for each in side)
        if key not in seen and 2 * times > len(side):
            seen.add(key)
            yield one
