"""Probes a loss function from one example and gives its card."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO

import torch
from torch import Tensor, nn

from poise.card.arguments import Roles, roles
from poise.card.backward import backward
from poise.card.bound import bound
from poise.card.broadcasting import broadcasting
from poise.card.determinism import determinism
from poise.card.error_size import error_size
from poise.card.finite import finite
from poise.card.implied import implied
from poise.card.inputs import inputs
from poise.card.padding import padding
from poise.card.raising import raising
from poise.card.seen import Seen
from poise.card.sizes import sizes
from poise.card.subject import Subject, subject
from poise.card.symmetry import symmetry
from poise.doctor.card import Argument, Card
from poise.doctor.diagnosis import NotChecked
from poise.errors import InspectError
from poise.probe.guard import guard

ROLES = ("task", "regulariser", "constraint", "adversary", "monitor", "offset")

PROBES: dict[str, Callable[[Subject], Seen]] = {
    "inputs": inputs,
    "backward": backward,
    "error size": error_size,
    "sizes": sizes,
    "padding": padding,
    "lower bound": bound,
    "implied target": implied,
    "finiteness": finite,
    "symmetry": symmetry,
    "broadcasting": broadcasting,
    "determinism": determinism,
}
"""Every probe by the name that a card shows."""
OF_PREDICTIONS = ("error size", "padding", "lower bound", "implied target", "symmetry")
"""Probes that move a prediction, and say nothing where a network is asked inside the loss."""


def inspect(
    loss_fn: Callable[..., object],
    example: Sequence[object] | Tensor,
    *,
    target: int | str | None = None,
    mask: int | str | None = None,
    batch: int | None = None,
    length: int | None = None,
    classes: int | None = None,
    role: str = "task",
    name: str | None = None,
) -> Card:
    """Measures a loss function before any training and says what is odd about it.

    Random generators, and the buffers and gradients of a module, are afterwards as they were. What
    the function prints is not shown.
    Calls the function some 300 to 800 times, in float64 where it can: a tenth of a second for a
    small example, seconds for one with millions of elements.

    Args:
        loss_fn: Takes the example's arguments by position and returns one number; a function or
            a module.
        example: Its arguments. The first is the prediction, a floating tensor; the others are
            tensors or anything else, which is passed on as it is. A batch of 4 or more samples of
            typical numbers says most.
        target: Name or position of what the prediction is compared with; inferred from shapes.
        mask: Name or position of the mask; inferred from a Boolean dtype or the name.
        batch: Axis of the prediction with the samples; 0.
        length: Axis of the prediction with positions; inferred for three axes or with a mask.
        classes: Axis of the prediction with classes or features; inferred from labels, else the
            last.
        role: The term's role as in `poise.Role`; an adversary may be unbounded.
        name: Name on the card; the function's own.

    Raises:
        InspectError: The example does not start with a floating tensor, or holds an empty
            prediction or a sparse tensor; an option names nothing; or the function returns no
            single number. A function that raises at the example gets a
            card that explains it.

    Example:
        >>> import torch
        >>> prediction, target = torch.randn(8, 3), torch.randn(8, 3)
        >>> card = inspect(torch.nn.functional.mse_loss, (prediction, target))
        >>> card.clean, card.fact("reduction"), card.slope("batch", "gradient per element")
        (True, 'mean', -1.0)
    """
    if role not in ROLES:
        message = f"role={role!r} is no role of a term; give one of {', '.join(ROLES)}"
        raise InspectError(message)
    given = _arguments_of(example)
    told = roles(
        loss_fn, given, target=target, mask=mask, batch=batch, length=length, classes=classes
    )
    called = name or getattr(loss_fn, "__name__", type(loss_fn).__name__)
    tensors = [one for one in given if isinstance(one, Tensor)]
    module = loss_fn if isinstance(loss_fn, nn.Module) else None
    with guard(module, tensors=tensors), redirect_stdout(StringIO()):
        examined = subject(called, loss_fn, given, told, role)
        if examined.base.raised:
            found = {"call": Seen(findings=(raising(called, told.names, given, examined.base),))}
        else:
            found = {key: _probed(examined, key) for key in PROBES}
        return _card(examined, found)


def _arguments_of(example: Sequence[object] | Tensor) -> tuple[object, ...]:
    """The example as a tuple, after a look at what no probe can change."""
    if isinstance(example, Mapping):
        message = "the example is a mapping; pass a tuple of the arguments, in the function's order"
        raise InspectError(message)
    given = (example,) if isinstance(example, Tensor) else tuple(example)
    for at, one in enumerate(given):
        if isinstance(one, Tensor) and one.layout != torch.strided:
            message = (
                f"argument {at} of the example is sparse ({one.layout}), and probes change single "
                "elements; pass it dense, and wrap the function if it wants it sparse"
            )
            raise InspectError(message)
    return given


def _probed(examined: Subject, key: str) -> Seen:
    if examined.derives and key in OF_PREDICTIONS:
        name = examined.roles.names[0]
        return Seen(needs=(f"a prediction: the loss differentiates by {name!r}, its coordinates",))
    return PROBES[key](examined)


def _card(examined: Subject, found: dict[str, Seen]) -> Card:
    findings = [one for seen in found.values() for one in seen.findings]
    return Card(
        name=examined.name,
        arguments=_arguments(examined),
        value=examined.base.value,
        findings=tuple(sorted(findings, key=lambda one: one.severity.rank)),
        facts=tuple(one for seen in found.values() for one in seen.facts),
        curves=tuple(one for seen in found.values() for one in seen.curves),
        slopes=tuple(one for seen in found.values() for one in seen.slopes),
        not_checked=(
            *(NotChecked(rule=key, needs=seen.needs) for key, seen in found.items() if seen.needs),
            *(
                NotChecked(rule=key, needs=("a call that goes through",))
                for key in PROBES
                if examined.base.raised
            ),
        ),
        passed=tuple(key for key, seen in found.items() if not seen.findings and not seen.needs),
    )


def _arguments(examined: Subject) -> tuple[Argument, ...]:
    gradients: set[int] = set()
    if not examined.base.raised:
        places = examined.floating()
        back = examined.call(examined.example, wrt=places)
        gradients = {at for at in places if bool((back.gradient(at) != 0).any())}
    return tuple(
        Argument(
            name=name,
            shape=tuple(one.shape) if isinstance(one, Tensor) else (),
            dtype=_dtype(one),
            role=role_of(examined.roles, at),
            gradient=at in gradients,
        )
        for at, (name, one) in enumerate(zip(examined.roles.names, examined.given, strict=True))
    )


def _dtype(one: object) -> str:
    if isinstance(one, Tensor):
        return str(one.dtype).removeprefix("torch.")
    return type(one).__name__


def role_of(told: Roles, position: int) -> str:
    """What an argument is for, as a word.

    Example:
        >>> import torch
        >>> told = roles(torch.nn.functional.mse_loss, (torch.zeros(3), torch.zeros(3)))
        >>> role_of(told, 0), role_of(told, 1)
        ('prediction', 'target')
    """
    if position == 0:
        return "prediction"
    if position == told.mask:
        return "mask"
    if position == told.target:
        return "labels" if told.labels else "target"
    return "other"
