"""Which inputs matter, and where a gradient arrives: ignored, detached, dead elements."""

from typing import cast

import torch
from torch import Tensor

from poise.card.draws import others, predictions
from poise.card.ray import ray_of
from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.card import Fact
from poise.doctor.finding import Fault, Finding, Severity


def inputs(subject: Subject) -> Seen:
    """Changes every argument by itself and looks whether the value and the gradient notice."""
    reached, moved = _prediction(subject)
    findings: list[Finding | None] = []
    if not moved:
        findings.append(_constant(subject) if bool(reached.any()) else _ignored(subject, 0))
    elif not bool(reached.any()):
        findings.append(_detached(subject))
    else:
        findings.append(_dead(subject, reached))
    further = [at for at, one in enumerate(subject.example) if at and isinstance(one, Tensor)]
    if moved or not bool(reached.any()):  # a constant value says nothing about the arguments
        findings += [_ignored(subject, at) for at in further if ignores(subject, at)]
    return seen(findings=findings, facts=(_flow(subject),))


def _prediction(subject: Subject) -> tuple[Tensor, bool]:
    """Elements that get a gradient somewhere, and whether the value ever changes."""
    reached = torch.zeros(subject.z.shape, dtype=torch.bool)
    values: list[float] = []
    given = _labelled(subject)
    for seed, z in enumerate(predictions(subject)):
        # Another seed each time, and other labels: neither dropout nor a label that is ignored
        # must look like an element that never counts.
        turn = seed % len(given)
        found = subject.call((z, *given[turn][1:]), seed=seed)
        if found.finite:
            if turn == 0:
                values.append(found.value)
            reached |= found.gradient() != 0
    if subject.labels is not None and bool(reached.any()):
        reached |= _relabelled(subject, subject.labels)
    return reached, bool(values) and any(not subject.same(one, values[0]) for one in values)


def _labelled(subject: Subject) -> list[tuple[object, ...]]:
    """The example, and the same with its labels moved on."""
    at = subject.roles.target
    moved = () if at is None or subject.labels is None else others(subject, at)
    return [subject.example, *(subject.replaced(cast(int, at), one) for one in moved)]


def _relabelled(subject: Subject, labels: Tensor) -> Tensor:
    """Elements that get a gradient under other labels: an ignored one must not look dead."""
    reached = torch.zeros(subject.z.shape, dtype=torch.bool)
    at, classes = cast(int, subject.roles.target), cast(int, subject.roles.classes)
    for step in (1, 2):
        other = (labels.clamp(min=0) + step) % subject.z.shape[classes]
        found = subject.call(subject.replaced(at, other))
        if found.finite:
            reached |= found.gradient() != 0
    return reached


def ignores(subject: Subject, position: int) -> bool:
    """Whether no change of an argument changes the value, at any of several predictions."""
    tried = 0
    # Also at a perfect prediction: where a clamp or a sigmoid has saturated, nothing matters.
    starts = (subject.z, subject.z + 1.0, subject.z * -0.5, ray_of(subject).start)
    for z in starts:
        here = subject.at(z, wrt=())
        for other in others(subject, position):
            arguments = (z, *subject.replaced(position, other)[1:])
            there = subject.call(arguments, wrt=())
            if here.raised != there.raised or (here.value != there.value and there.finite):
                return False
            tried += there.finite
    return tried > 0


def _ignored(subject: Subject, at: int) -> Finding:
    name = subject.roles.names[at]
    first = at == 0
    wanted = at in (0, subject.roles.target, subject.roles.mask)
    return finding(
        "inspect-ignored",
        Fault.NO_GRADIENT if first else Fault.NO_EFFECT,
        Severity.ERROR if wanted else Severity.WARNING,
        subject.name,
        f"The value does not depend on {name!r}: whatever it is, the loss stays the same.",
        (
            number(
                f"value {brief(subject.base.value)} for every {name!r} tried",
                name,
                subject.base.value,
            ),
        ),
        cause="The argument is unused, cancels out, or is sliced away (an index that covers the "
        "whole width leaves an empty rest).",
        action=f"Check every use of {name!r} and the shapes of its slices.",
        verify=f"given = list(example); given[{at}] = given[{at}] + 1; "
        "print(loss(*example), loss(*given))  # two numbers",
    )


def _constant(subject: Subject) -> Finding:
    value = brief(subject.base.value)
    return finding(
        "inspect-constant-value",
        Fault.STUCK,
        Severity.WARNING,
        subject.name,
        f"The value is {value} for every prediction tried, though a gradient flows: its curve "
        "cannot show progress.",
        (number(f"value {value} everywhere", "value", subject.base.value),),
        cause="The loss is divided by its own detached value, or its value is replaced in the "
        "forward pass. Its gradient no longer grows with the error. Expected of surrogate losses.",
        action="Log the loss before the division; give it a fixed weight if its size should count.",
        verify="print(loss(*example), loss(2 * example[0], *example[1:]))  # two numbers",
    )


def _detached(subject: Subject) -> Finding:
    return finding(
        "inspect-detached",
        Fault.NO_GRADIENT,
        Severity.ERROR,
        subject.name,
        f"The value depends on {subject.roles.names[0]!r}, but no gradient arrives there.",
        (number("gradient 0 at every prediction tried", "gradient", 0.0, 0.0),),
        cause="A detach, .item(), .data, torch.no_grad, rounding or an argmax on the way, or "
        "autograd.grad without create_graph=True.",
        action="Keep the whole way from the prediction to the loss differentiable.",
        verify="loss(example[0].requires_grad_(), *example[1:]).backward(); print(example[0].grad)",
    )


def _dead(subject: Subject, reached: Tensor) -> Finding | None:
    """Elements without a gradient at any prediction, other than masked ones."""
    counted = _counted(subject)
    if counted is not None:
        reached = reached | ~counted
    dead = int((~reached).sum())
    if not dead:
        return None
    share = f"{dead} of {reached.numel()} elements"
    first = [int(one) for one in (~reached).nonzero()[0]]
    return finding(
        "inspect-dead-elements",
        Fault.NO_GRADIENT,
        Severity.WARNING,
        subject.name,
        f"No gradient ever arrives at {share} of {subject.roles.names[0]!r}, the first at {first}.",
        (number(f"{share} have gradient 0 everywhere", "gradient", float(dead), 0.0),),
        cause="The function slices, masks or shifts the prediction. Expected of the last position "
        "of a language model whose labels are shifted, and of channels meant for another term.",
        action="Check that the slice is meant.",
        verify="loss(example[0].requires_grad_(), *example[1:]).backward(); "
        "print((example[0].grad == 0).nonzero())",
    )


def _counted(subject: Subject) -> Tensor | None:
    """Where elements count, as the mask or negative labels say; None without either."""
    at = subject.roles.mask
    mask = None if at is None else cast(Tensor, subject.example[at]).bool()
    if mask is None and subject.labels is not None:
        mask = subject.labels >= 0
        axis = cast(int, subject.roles.classes)
        return mask.unsqueeze(axis).expand(subject.z.shape)
    if mask is None or mask.ndim > subject.z.ndim:
        return None
    if not bool(mask.any()) or not bool((~mask).any()):
        return None
    if mask.shape != subject.z.shape[: mask.ndim]:
        return None
    full = mask.reshape(*mask.shape, *[1] * (subject.z.ndim - mask.ndim)).expand(subject.z.shape)
    # Either side may be the one that counts; the padding probe says which.
    alive = subject.at(subject.z).gradient() != 0
    return full if alive.shape == full.shape and bool(alive[full].any()) else ~full


def _flow(subject: Subject) -> Fact:
    """Where a gradient arrives at the example."""
    places = subject.floating()
    found = subject.call(subject.example, wrt=places)
    there = [at for at in places if bool((found.gradient(at) != 0).any())]
    names = ", ".join(subject.roles.names[at] for at in there) or "nothing"
    return Fact(name="gradient-flows-to", value=names, text=f"a gradient flows to {names}")
