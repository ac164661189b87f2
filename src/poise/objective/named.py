"""Weights that are functions of one's own, as plain values that can be compared."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from math import isfinite
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, cast


def described(weight: Callable[..., object]) -> dict[str, object]:
    """The function by its name, with all that it is called with.

    Returns:
        `function`: its full name; `args` and `keywords` of a `functools.partial`, `state` of an
        object with `__call__`. `opaque` is true where two that differ could look the same: lambdas,
        functions inside functions, methods, objects whose state is not plain.

    Example:
        >>> described(partial(max, 0.1))
        {'function': 'builtins.max', 'args': [0.1], 'keywords': {}}
        >>> described(lambda step: 0.1)["opaque"]
        True
    """
    if isinstance(weight, partial):
        inner = cast("partial[object]", weight)
        given = {"args": _plain(inner.args), "keywords": _plain(inner.keywords)}
        return _form(described(inner.func), given)
    if isinstance(weight, FunctionType | BuiltinFunctionType):
        loose = isinstance(getattr(weight, "__self__", None), ModuleType | None)
        return _form(_name(weight), {} if loose else {"self": _OPAQUE})
    if isinstance(getattr(type(weight), "__call__", None), FunctionType):  # noqa: B004 -- is it Python's?
        return _form(_name(type(weight)), {"state": _state(weight)})
    kind = weight if hasattr(weight, "__qualname__") else type(weight)
    return _form(_name(kind), {"state": _OPAQUE})


_OPAQUE = object()


def _name(kind: Any) -> dict[str, object]:  # noqa: ANN401 -- a function or a class
    name = f"{kind.__module__}.{kind.__qualname__}"
    # <lambda> and <locals>: many different functions have this name.
    return {"function": name, "opaque": True} if "<" in name else {"function": name}


def _form(named: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    known = {key: value for key, value in given.items() if value is not _OPAQUE}
    return {**named, **known} | ({} if len(known) == len(given) else {"opaque": True})


def _state(weight: object) -> object:
    """The attributes of an object; opaque where there may be others."""
    if is_dataclass(weight) and not isinstance(weight, type):
        return _plain({one.name: getattr(weight, one.name) for one in fields(weight)})
    return _plain(vars(weight)) if hasattr(weight, "__dict__") else _OPAQUE


def _plain(value: object) -> object:
    """The value as JSON would give it back; opaque if it would not."""
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        inner: list[object] = [_plain(one) for _, one in items]
        texts = all(isinstance(key, str) for key, _ in items)
        made: object = dict(zip((key for key, _ in items), inner, strict=True))
    elif isinstance(value, list | tuple):
        inner, texts = [_plain(one) for one in cast("list[object]", value)], True
        made = inner
    else:
        simple = value is None or type(value) in (str, int, bool)
        return value if simple or (type(value) is float and isfinite(value)) else _OPAQUE
    return made if texts and not any(one is _OPAQUE for one in inner) else _OPAQUE
