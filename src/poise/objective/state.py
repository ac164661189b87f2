"""Saving an objective, and telling two of them apart."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, cast

from poise.errors import StateError
from poise.objective.named import described
from poise.objective.names import listed
from poise.objective.term import Term
from poise.schedule import Schedule, from_dict, to_dict
from poise.schedule.form import KINDS

FORM: Final = "poise.objective/1"
CHOICES: Final = ("same", "saved", "own")
_NAMED: Final = (
    "make it a poise.schedule or a function at the top of a module (functools.partial for its "
    "numbers), or pass weights='own' and check the weights yourself"
)
_FIELDS: Final = ("role", "reduction", "sometimes", "measure")


def save(terms: tuple[Term, ...]) -> dict[str, object]:
    """The terms in plain values."""
    return {"form": FORM, "terms": {one.name: _plain(one) for one in terms}}


def load(terms: tuple[Term, ...], saved: Mapping[str, object], weights: str) -> tuple[Term, ...]:
    """The terms, with the weights that were asked for.

    Raises:
        StateError: The saved terms differ in what must not.
    """
    if weights not in CHOICES:
        raise StateError(
            f"load_state_dict: expected weights to be one of {listed(CHOICES)}, got {weights!r}"
        )
    if saved.get("form") != FORM or not isinstance(saved.get("terms"), Mapping):
        raise StateError(
            f"load_state_dict: expected 'terms' in the form {FORM!r}, got the keys "
            f"{listed(saved)}; is this the state of an Objective?"
        )
    theirs = cast("Mapping[str, Mapping[str, object]]", saved["terms"])
    found = _differences(terms, theirs, with_weights=weights == "same")
    if found:
        hint = "; weights='saved' or 'own' chooses between them" if weights == "same" else ""
        raise StateError(f"load_state_dict: {'; '.join(found)}{hint}")
    if weights != "saved":
        return terms
    return tuple(replace(one, weight=_weight(one, theirs[one.name]["weight"])) for one in terms)


def _plain(term: Term) -> dict[str, object]:
    reduction = None if term.reduction is None else str(term.reduction)
    return {
        "weight": _plain_weight(term.weight),
        "role": str(term.role),
        "reduction": reduction,
        "sometimes": term.sometimes,
        "measure": term.measure,
    }


def _plain_weight(weight: float | Schedule) -> object:
    if not callable(weight):
        return weight
    if type(weight) in KINDS.values():
        return to_dict(weight)
    return described(cast("Callable[..., object]", weight))


def _weight(term: Term, saved: object) -> float | Schedule:
    if not isinstance(saved, Mapping):
        return cast(float, saved)
    form = cast("Mapping[str, object]", saved)
    if "function" not in form:
        return from_dict(form)
    if _plain_weight(term.weight) == form and not form.get("opaque"):
        return term.weight
    todo = _NAMED if form.get("opaque") else "give the term that function"
    raise StateError(
        f"load_state_dict: the saved weight of term {term.name!r} is the function "
        f"{_say(form)!r}, which was saved by name only; {todo}"
    )


def _differences(
    terms: tuple[Term, ...], saved: Mapping[str, Mapping[str, object]], *, with_weights: bool
) -> list[str]:
    own = {one.name: _plain(one) for one in terms}
    missing = [name for name in saved if name not in own]
    added = [name for name in own if name not in saved]
    found = [f"saved terms that this objective does not have: {listed(missing)}"] if missing else []
    found += [f"terms that the saved objective does not have: {listed(added)}"] if added else []
    if not found and list(own) != list(saved):
        found.append(f"saved order of terms {listed(saved)}, here {listed(own)}")
    fields = (*_FIELDS, "weight") if with_weights else _FIELDS
    pairs = (
        (name, field, saved[name].get(field), one[field])
        for name, one in own.items()
        if name in saved
        for field in fields
    )
    return found + [_differ(*one) for one in pairs if one[2] != one[3] or _opaque(one[3])]


def _differ(name: str, field: str, saved: object, here: object) -> str:
    if saved == here:
        return f"term {name!r}: its {field} is {_say(here)}, which cannot be compared; {_NAMED}"
    return f"term {name!r}: saved {field} {_say(saved)}, here {_say(here)}"


def _opaque(value: object) -> bool:
    return isinstance(value, Mapping) and "opaque" in value


def _say(value: object) -> str:
    if not isinstance(value, Mapping):
        return repr(value)
    form = cast("Mapping[str, object]", value)
    if "function" not in form:
        return repr(from_dict(form))
    given = [*cast("list[object]", form.get("args", []))]
    named = cast("Mapping[str, object]", form.get("keywords", form.get("state", {})))
    inner = ", ".join([*map(repr, given), *(f"{key}={one!r}" for key, one in named.items())])
    return f"{form['function']}({inner})" if inner else str(form["function"])
