"""Are two loss functions the same objective? Answers "is this fix a fix?"."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast, final

import torch
from torch import Tensor

from poise.card.arguments import argument_names
from poise.card.same_answer import Answer, Asked, Inputs, answer, doubled, measured, resolution
from poise.card.same_draws import SCALES, Draw, Drawer, domain, stays
from poise.card.same_judge import NO_FLOOR, Floor, Match, floor_of, largest, match
from poise.card.same_shrink import shrunk
from poise.card.same_verdict import Relation, Verdict, merged, relation
from poise.card.sameness import Difference, Sameness
from poise.errors import InspectError

EPS = torch.finfo(torch.float64).eps
"""Resolution of float64, in which factors are stated."""

Loss = Callable[..., object]
Example = Tensor | Sequence[object] | Mapping[str, object]


def same(
    loss_a: Loss,
    loss_b: Loss,
    example: Example,
    *,
    wrt: Sequence[int | str] | None = None,
    seed: int = 0,
) -> Sameness:
    """Compares two loss functions at some hundred random inputs like an example.

    Values and the gradients to every floating input are compared over scales from 1e-4 to 1e4,
    errors as small and as large, other batch sizes, lengths and masks, and edge cases: a perfect
    prediction, zeros, masks that are all true or all false. The example says what inputs look
    like: numbers from 0 to 1, probabilities, class indices and masks stay what they are. Equal
    means equal up to rounding, which is measured at each input for each loss.

    Both losses get the same seed at each call. The random state, gradients and buffers stay as
    they are. Losses that give two answers to one input and seed are refused.

    Args:
        loss_a: The first loss, a function or module; returns one real floating tensor.
        loss_b: The second; `factor` and `offset` lead from the first to the second.
        example: The arguments of one call: a tensor, a tuple, or a mapping for keywords. The
            first tensor is taken for the prediction and its first axis for the batch.
        wrt: Positions or names of the inputs whose gradients count; None: the floating ones that
            require a gradient in the example, or all to which both losses give one.
        seed: Seed of the inputs, and of the calls.

    Raises:
        InspectError: Neither loss takes the example, or one is not repeatable.

    Example:
        >>> import torch.nn.functional as F
        >>> fixed = lambda x, y: (x - y).square().sum() / x.numel()
        >>> example = (torch.randn(8, 3), torch.randn(8, 3))
        >>> same(F.mse_loss, fixed, example).verdict
        <Verdict.IDENTICAL: 'identical'>
        >>> same(F.mse_loss, lambda x, y: 3 * F.mse_loss(x, y), example).factor
        3.0
    """
    names, inputs, keywords = _arguments(loss_a, example)
    chosen = _chosen(names, inputs, wrt)
    asked = [
        Asked(name=name, loss=loss, names=names if keywords else (), wrt=chosen, seed=seed)
        for name, loss in (("A", loss_a), ("B", loss_b))
    ]
    if wrt is None:
        chosen = _differentiable(asked, inputs, chosen)
        asked = [replace(one, wrt=chosen) for one in asked]
    pair = _Pair(asked[0], asked[1], resolution(inputs, chosen), names)
    drawer = Drawer(inputs, seed)
    remarks = [note for one in asked for note in _repeatable(one, inputs)]
    draws = [(draw, pair.answers(draw.inputs)) for draw in drawer.draws()]
    if pair.eps == EPS:  # else a call in float64 has measured the rounding error
        pair = replace(pair, floor=floor_of([both for _, both in draws], EPS))
    trials = [_Trial(draw, pair.judged(draw.inputs, both)) for draw, both in draws]
    if trials[0].match.skipped:
        raise InspectError(_refused(trials[0].match))
    return _Answer(pair, trials, drawer, remarks).sameness()


@final
@dataclass(frozen=True, slots=True)
class _Trial:
    draw: Draw
    match: Match


@final
@dataclass(frozen=True, slots=True)
class _Pair:
    """The two losses, asked together."""

    a: Asked
    b: Asked
    eps: float
    names: tuple[str, ...]
    floor: Floor = NO_FLOOR

    def answers(self, inputs: Inputs) -> tuple[Answer, Answer]:
        return measured(self.a, inputs), measured(self.b, inputs)

    def match(self, inputs: Inputs) -> Match:
        return self.judged(inputs, self.answers(inputs))

    def judged(self, inputs: Inputs, both: tuple[Answer, Answer]) -> Match:
        size = largest([inputs[k] for k in self.a.wrt])
        return match(*both, self.eps, replace(self.floor, value=self.floor.value * size))

    def exact(self, inputs: Inputs, rough: Relation) -> float | None:
        """The factor in float64, where both losses take it and it confirms the rough one."""
        if rough.factor is None or rough.factor == 1:
            return rough.factor
        wide = doubled(inputs)
        factor = match(answer(self.a, wide), answer(self.b, wide), EPS).factor
        near = abs(factor - rough.factor) <= 2 * rough.error
        return float(f"{factor:.12g}") if near else rough.factor

    def difference(self, trial: _Trial) -> Difference:
        """The clash of a trial at the simplest input found."""
        kinds = [domain(one) for one in trial.draw.inputs]

        def clashes(some: Inputs) -> bool:
            kept = all(stays(one, kind) for one, kind in zip(some, kinds, strict=True))
            return kept and self.match(some).clash is trial.match.clash

        inputs = shrunk(trial.draw.inputs, clashes)
        clash = self.match(inputs)
        if clash.clash is None:  # a loss with an edge: what was drawn is what shows it
            inputs, clash = trial.draw.inputs, trial.match
        none = torch.zeros(0)
        sides = (clash.a.gradients, clash.b.gradients)
        first, second = (side[clash.wrt] if side else none for side in sides)
        return Difference(
            names=self.names,
            inputs=inputs,
            drawn=_drawn(trial.draw),
            reason=clash.reason,
            values=(clash.a.value, clash.b.value),
            gradients=(first, second),
            wrt=self.names[self.a.wrt[clash.wrt]],
        )


@final
@dataclass(frozen=True, slots=True)
class _Answer:
    """Puts the trials together."""

    pair: _Pair
    trials: list[_Trial]
    drawer: Drawer
    remarks: list[str]

    def sameness(self) -> Sameness:
        compared = [one for one in self.trials if not one.match.skipped and self._counts(one)]
        clashing = [one for one in compared if one.match.clash is not None]
        agreeing = [one for one in compared if one.match.clash is None]
        by_shape = _by_shape(agreeing)
        whole = merged(list(by_shape.values())) if by_shape else Relation(verdict=Verdict.DIFFERENT)
        worst = min(clashing, key=_simplicity, default=None)
        difference = None if worst is None else self.pair.difference(worst)
        verdict = whole.verdict if difference is None else Verdict.DIFFERENT
        factors = _factors(by_shape)
        factor = self.pair.exact(self.trials[0].draw.inputs, whole)
        return Sameness(
            verdict=verdict,
            factor=None if verdict is Verdict.DIFFERENT else factor,
            offset=None if verdict is Verdict.DIFFERENT else whole.offset,
            factors=factors if verdict is Verdict.SCALED else (),
            span=whole.span,
            reason=_reason(whole, factors, factor) if difference is None else difference.reason,
            difference=difference,
            tried=len(compared),
            differing=len(clashing),
            skipped=sum(one.match.skipped for one in self.trials),
            elsewhere=whole.verdict if agreeing else None,
            inputs=self._inputs(),
            wrt=tuple(self.pair.names[k] for k in self.pair.a.wrt),
            remarks=(*self.remarks, *self._outside()),
        )

    def _counts(self, trial: _Trial) -> bool:
        """Numbers that the example has not count only where both losses take them."""
        if "any sign" not in trial.draw.what:
            return True
        sides = (trial.match.a, trial.match.b)
        taken = all(not one.error and bool(one.value.isfinite().all()) for one in sides)
        smooth = taken and all(g.isfinite().all() for one in sides for g in one.gradients)
        return bool(smooth) and not trial.draw.outside

    def _outside(self) -> list[str]:
        """A warning where they agree on the example's range but not beyond it."""
        sides = [one for one in self.trials if one.draw.outside and one.match.clash is not None]
        broken = [one for one in sides if one.match.a.error or one.match.b.error]
        if len(sides) == len(broken):
            return []
        reason = sides[0].match.reason
        return [f"outside the range of the example's inputs they differ: {reason}"]

    def _inputs(self) -> str:
        kinds = zip(self.pair.names, self.drawer.domains, strict=True)
        drawn = "; ".join(f"{name} {kind}" for name, kind in kinds)
        shapes = {one.draw.shape for one in self.trials if not one.match.skipped}
        return f"{drawn}; scales {SCALES[0]:.0e} to {SCALES[-1]:.0e}, {len(shapes)} shapes"


def _arguments(loss: Loss, example: Example) -> tuple[tuple[str, ...], Inputs, bool]:
    """Names and values of the arguments, and whether they go by keyword."""
    if isinstance(example, Mapping):
        return tuple(example), tuple(example.values()), True
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    return argument_names(loss, len(inputs)), inputs, False


def _chosen(
    names: tuple[str, ...], inputs: Inputs, wrt: Sequence[int | str] | None
) -> tuple[int, ...]:
    tensors = {k: one for k, one in enumerate(inputs) if isinstance(one, Tensor)}
    floating = [k for k, one in tensors.items() if one.is_floating_point()]
    if not floating:
        message = "same: no input of the example is a floating tensor; a gradient needs one"
        raise InspectError(message)
    if wrt is None:
        return tuple([k for k in floating if tensors[k].requires_grad] or floating)
    places = [names.index(one) if isinstance(one, str) and one in names else one for one in wrt]
    unknown = [one for one in places if one not in floating]
    if unknown or not places:
        known = ", ".join(names[k] for k in floating)
        message = f"same: wrt={list(wrt)!r} names no floating input; those of the example: {known}"
        raise InspectError(message)
    return tuple(cast(list[int], places))


def _differentiable(asked: list[Asked], inputs: Inputs, wrt: tuple[int, ...]) -> tuple[int, ...]:
    """The inputs that both losses give a gradient to: torch refuses some, such as targets."""
    if not any(answer(one, inputs).error for one in asked):
        return wrt
    alone = [[answer(replace(one, wrt=(k,)), inputs).error for one in asked] for k in wrt]
    return tuple(k for k, errors in zip(wrt, alone, strict=True) if not any(errors)) or wrt


def _repeatable(asked: Asked, inputs: Inputs) -> list[str]:
    """Refuses a loss with a memory; says so if it draws random numbers."""
    first, second = answer(asked, inputs), answer(asked, inputs)
    if first.error or second.error:
        return []
    if not _equal(first.value, second.value):
        message = (
            f"loss {asked.name} gives {first.value[0].item():.6g}, then "
            f"{second.value[0].item():.6g} for the same input and seed: it keeps a state, or draws "
            "from a generator of its own; pass a function that starts afresh at each call"
        )
        raise InspectError(message)
    if _equal(first.value, answer(replace(asked, seed=asked.seed + 1), inputs).value):
        return []
    return [f"{asked.name} draws random numbers; each call starts from seed {asked.seed}"]


def _equal(one: Tensor, two: Tensor) -> bool:
    if one.shape != two.shape:
        return False
    return torch.allclose(one, two, rtol=1e-6, atol=0.0, equal_nan=True)


def _refused(first: Match) -> str:
    return (
        f"same: neither loss takes the example: A raises {first.a.error}; B raises "
        f"{first.b.error}; the example is the arguments of one call, in order"
    )


def _by_shape(trials: list[_Trial]) -> dict[tuple[int, ...], Relation]:
    groups: dict[tuple[int, ...], list[Match]] = {}
    for one in trials:
        groups.setdefault(one.draw.shape, []).append(one.match)
    return {shape: relation(matches) for shape, matches in groups.items()}


def _factors(
    by_shape: dict[tuple[int, ...], Relation],
) -> tuple[tuple[tuple[int, ...], float], ...]:
    """The factor at each shape; empty if one factor holds at all."""
    known = [(shape, one.factor, one.error) for shape, one in by_shape.items() if one.factor]
    if not known:
        return ()
    _, factor, error = known[0]
    if all(abs(other - factor) <= 2 * (error + slack) for _, other, slack in known):
        return ()
    return tuple((shape, other) for shape, other, _ in known)


def _simplicity(trial: _Trial) -> tuple[float, int, float]:
    """Ordinary numbers before edge cases, then few, then near 1."""
    numbers = sum(one.numel() for one in trial.draw.inputs if isinstance(one, Tensor))
    return (float(trial.draw.size > 8), numbers, trial.draw.size)


def _drawn(draw: Draw) -> str:
    return f"{draw.what}, first input of shape {list(draw.shape)}"


def _reason(
    whole: Relation, factors: tuple[tuple[tuple[int, ...], float], ...], factor: float | None
) -> str:
    low, high = whole.span
    if whole.verdict is Verdict.IDENTICAL:
        return "B has the value and the gradient of A"
    if whole.verdict is Verdict.OFFSET:
        return f"B = A {whole.offset or 0:+.6g}; the gradients are equal"
    if whole.verdict is Verdict.SAME_DIRECTION:
        if whole.factor is not None:
            by = "equal" if whole.factor == 1 else f"{whole.factor:.6g} x A's in B"
            return f"the gradients are {by}; the values differ by the input"
        return f"B's gradient is {low:.4g} to {high:.4g} x A's, by the input"
    if whole.verdict is Verdict.DIFFERENT:
        return "neither has a gradient, and their values differ"
    offset = f" {whole.offset:+.6g}" if whole.offset else ""
    if not factors:
        return f"B = {factor:.6g} x A{offset}"
    distinct = {f"{factor:.5g}": shape for shape, factor in reversed(factors)}
    shown = list(reversed(distinct.items()))[:4]
    listed = ", ".join(f"{factor} at {list(shape)}" for factor, shape in shown)
    return f"B = factor x A{offset}, and the factor depends on the shape: {listed}"
