"""A suggestion as plain JSON; docs/json.md is the contract."""

from typing import TypeAlias

from poise.doctor.suggest import Spread, Suggested, Suggestion
from poise.doctor.wish import Wish
from poise.report import plain

Json: TypeAlias = dict[str, object]


def suggestion_to_json(found: Suggestion) -> Json:
    """The object under `suggestion`, and of schema `poise.suggestion/1`.

    Example:
        >>> suggestion_to_json(Suggestion(source="", refused="no probe"))["refused"]
        'no probe'
    """
    return {
        "source": found.source or None,
        "where": found.where,
        "probes": found.probes,
        "steps": list(found.steps),
        "weights": {name: plain.strict(one) for name, one in found.weights.items()},
        "terms": [_term(one) for one in found.terms],
        "wishes": [_wish(one) for one in found.wishes],
        "refused": found.refused or None,
    }


def _term(one: Suggested) -> Json:
    return {
        "name": one.name,
        "wish": plain.strict(one.wish),
        "share": _spread(one.share),
        "weight": _spread(one.weight),
        "suggested": _spread(one.suggested),
        "expected": _spread(one.expected),
        "moves": one.moves,
    }


def _spread(one: Spread) -> Json:
    named = {"median": one.median, "low": one.low, "high": one.high}
    named |= {"first": one.first, "last": one.last}
    return {key: plain.strict(value) for key, value in named.items()}


def _wish(one: Wish) -> Json:
    return {
        "term": one.term,
        "where": one.where,
        "share": plain.strict(one.share),
        "fall": [plain.strict(value) for value in (one.fall, one.low, one.high)],
        "steps": one.steps,
        "goal": plain.strict(one.goal),
        "gain": plain.strict(one.gain),
        "needed": plain.strict(one.needed),
        "wish": plain.strict(one.wish),
        "unit": plain.strict(one.unit),
        "confidence": one.confidence,
        "summary": one.summary,
        "action": one.action,
    }
