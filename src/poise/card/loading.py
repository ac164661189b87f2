"""Finds `MODULE:FUNCTION` and its example, and inspects it: the command `poise inspect`."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import cast

from torch import Tensor, nn

from poise.card.inspecting import inspect
from poise.card.made_example import from_annotations, from_shapes
from poise.doctor.card import Card
from poise.errors import InspectError


def inspect_named(
    spec: str,
    *,
    shapes: Sequence[str] = (),
    example: str | None = None,
    target: str | None = None,
    mask: str | None = None,
    role: str = "task",
) -> Card:
    """The card of a function named on the command line.

    Args:
        spec: `package.module:function` or `file.py:function`; a class of torch modules is made
            with its defaults.
        shapes: As `poise.card.made_example.from_shapes` takes them.
        example: `module:name` of a tuple, or of a function that returns one.
        target: Name of the target.
        mask: Name of the mask.
        role: The term's role.

    Example:
        >>> card = inspect_named("torch.nn:SmoothL1Loss", shapes=["input=8x3", "target=8x3"])
        >>> card.name, card.clean
        ('SmoothL1Loss', True)
    """
    found = named(spec)
    if not callable(found):
        message = f"{spec} is a {type(found).__name__}, expected a loss function"
        raise InspectError(message)
    loss: Callable[..., object] = found
    if isinstance(found, type) and issubclass(found, nn.Module):
        loss = found()
    arguments = _example(spec, loss, shapes, example)
    return inspect(
        loss, arguments, target=target, mask=mask, role=role, name=spec.rpartition(":")[2]
    )


def named(spec: str) -> object:
    """What `module:name` or `file.py:name` stands for.

    Raises:
        InspectError: There is no such module or name, or importing it fails.
    """
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        message = f"{spec!r} names no function; give package.module:function or file.py:function"
        raise InspectError(message)
    found: object = _module(where)
    for part in name.split("."):
        if not hasattr(found, part):
            offered = ", ".join(one for one in vars(found) if not one.startswith("_"))
            message = f"{where} has no {part!r}; it has {offered[:300] or 'nothing'}"
            raise InspectError(message)
        found = cast(object, getattr(found, part))
    return found


def _module(where: str) -> ModuleType:
    try:
        if where.endswith(".py"):
            return _from_file(Path(where))
        if "" not in sys.path:
            sys.path.insert(0, "")  # as `python -m` does: modules beside where one stands
        return importlib.import_module(where)
    except Exception as error:
        # Importing runs the user's code, which may raise anything.
        said = " ".join(str(error).split())
        message = (
            f"cannot import {where}: {type(error).__name__}: {said}; give a module that can be "
            "imported from here, or a file"
        )
        raise InspectError(message) from error


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        message = f"there is no file {path}"
        raise FileNotFoundError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _example(
    spec: str, loss: Callable[..., object], shapes: Sequence[str], example: str | None
) -> tuple[object, ...]:
    if shapes:
        return from_shapes(shapes)
    if example is not None:
        return _tuple(named(example), example)
    where, _, name = spec.rpartition(":")
    beside = vars(_module(where)).get(f"{name}_example")
    if beside is not None:
        return _tuple(beside, f"{name}_example")
    made = from_annotations(loss)
    if made is not None:
        return made
    message = (
        f"{spec} needs an example: say the shapes (--shape prediction=8x5 --shape target=8:int5), "
        f"name a tuple of its arguments (--example module:name), define {name}_example beside it, "
        "or annotate all arguments with jaxtyping"
    )
    raise InspectError(message)


def _tuple(found: object, name: str) -> tuple[object, ...]:
    given = cast(Callable[[], object], found)() if callable(found) else found
    if isinstance(given, Tensor):
        return (given,)
    if isinstance(given, (tuple, list)):
        return tuple(cast(Sequence[object], given))
    message = f"{name} is a {type(given).__name__}, expected a tuple of the function's arguments"
    raise InspectError(message)
