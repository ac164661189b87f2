"""One tensor for several terms: each term's gradient is seen in the one ordinary backward pass."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, cast, final

import torch
from torch import Tensor

from poise.errors import ForkError, PoiseWarning
from poise.probe.gradients import Gradients
from poise.probe.gramian import gramian_of
from poise.probe.quiet import probing
from poise.probe.sharded import sharded
from poise.probe.tree import replaced, tensors
from poise.probe.typed import eager, wrapped
from poise.probe.weighing import Pieces, sum_of

T = TypeVar("T")
Listener = Callable[[Gradients], object]
Scale = float | Tensor | Callable[[], float | Tensor]

_listeners: dict[int, Listener] = {}


class Home(Protocol):
    """What a fork asks in its backward pass, and tells."""

    @property
    def name(self) -> str:
        """Says which fork this is."""
        ...

    @property
    def scale(self) -> Scale | None:
        """Loss scale to divide out of the readings."""
        ...

    def wants_reading(self) -> bool:
        """Whether the coming backward pass is to be measured."""
        ...

    def weigh(self, reading: Gradients | None, pieces: Pieces) -> Sequence[Tensor] | None:
        """What each term's gradient is multiplied with before they are added up; None: nothing.

        Args:
            reading: What was measured; None if nothing was.
            pieces: By forked tensor, the K gradients that arrived, None where a term has none.

        Returns:
            A scalar for each term, absent ones included.
        """
        ...

    def tell(self, reading: Gradients) -> None:
        """Takes a reading; called after `weigh`."""
        ...


def tell_listeners(reading: Gradients) -> None:
    """Hands a reading to those who listen to every fork."""
    for one in tuple(_listeners.values()):
        one(reading)


@final
@dataclass(frozen=True, slots=True)
class Listening:
    """A listener that was added; `remove()` takes it away again."""

    home: dict[int, Listener]
    key: int

    def remove(self) -> None:
        """Ends the listening; a second call does nothing."""
        self.home.pop(self.key, None)

    def __enter__(self) -> "Listening":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def listen(listener: Listener) -> Listening:
    """Calls `listener` with the reading of every fork, in its backward pass.

    The call happens inside `backward()`, on a GPU in a thread of the autograd engine: keep the
    reading and look at its numbers later. A listener that raises does not stop the backward pass:
    its first exception is a `PoiseWarning`.

    Example:
        >>> seen = []
        >>> z = torch.ones(4, requires_grad=True)
        >>> with listen(seen.append):
        ...     parts = fork(z, ["a", "b"], name="trunk")
        ...     (parts["a"].sum() + 3 * parts["b"].sum()).backward()
        >>> seen[0].where, seen[0].shares
        ('fork:trunk', {'a': 0.25, 'b': 0.75})
    """
    return _add(_listeners, listener)


def _add(home: dict[int, Listener], listener: Listener) -> Listening:
    key = max(home, default=0) + 1
    home[key] = _Guarded(listener)
    return Listening(home, key)


@final
@dataclass(slots=True)
class _Guarded:
    """A listener that cannot stop a training: the first failure is a warning, later ones are not.

    A deliberate exception to letting errors through: it is called inside the training's backward.
    """

    listener: Listener
    warned: bool = False

    def __call__(self, reading: Gradients) -> None:
        try:
            self.listener(reading)
        except Exception as error:
            if not self.warned:
                self.warned = True
                warnings.warn(
                    f"{reading.where}: a listener failed with {type(error).__name__}: "
                    f"{error!s:.200}; the gradients are not affected, and its later failures are "
                    "not reported",
                    PoiseWarning,
                    stacklevel=2,
                )


@final
class Fork:
    """A fork that keeps its latest readings; without one, `fork` tells only listeners.

    Readings hold K x K numbers and no tensor of the graph. A copy or pickle of a fork starts
    without readings and listeners, so models that own one can be copied and saved.

    Args:
        terms: Names of the terms; every call hands out one copy for each.
        name: Says which fork this is in readings: `fork:<name>`.
        scale: Loss scale to divide out of the readings, or what returns it at the time of the
            backward pass, such as `scaler.get_scale`. It never changes the gradient itself.
        keep: How many of the latest readings to keep: one for each call and backward pass.

    Attributes:
        measuring: Set to False to hand out copies without measuring.

    Raises:
        ForkError: The names are no different texts, or none.

    Example:
        >>> split = Fork(["a", "b"])
        >>> z = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> parts = split(z)
        >>> (parts["a"].sum() - 3 * parts["b"].sum()).backward()
        >>> z.grad
        tensor([-2., -2.])
        >>> split.last.cosine("a", "b")
        -1.0
    """

    def __init__(
        self, terms: Iterable[str], *, name: str = "fork", scale: Scale | None = None, keep: int = 8
    ) -> None:
        self.terms = _names(terms)
        self.name = name
        self.scale = scale
        self.measuring = True
        self._readings: deque[Gradients] = deque(maxlen=keep)
        self._own: dict[int, Listener] = {}

    def __call__(self, tree: T) -> dict[str, T]:
        """As `fork`, with this fork's names."""
        return handed_out(tree, self.terms, self)

    @property
    def readings(self) -> tuple[Gradients, ...]:
        """The latest readings, oldest first."""
        return tuple(self._readings)

    @property
    def last(self) -> Gradients | None:
        """The latest reading; None before the first backward pass."""
        return self._readings[-1] if self._readings else None

    def clear(self) -> None:
        """Forgets the readings."""
        self._readings.clear()

    def listen(self, listener: Listener) -> Listening:
        """As the function `listen`, for this fork only."""
        return _add(self._own, listener)

    def wants_reading(self) -> bool:
        """Whether the coming backward pass is to be measured."""
        return self.measuring

    def weigh(self, reading: Gradients | None, pieces: Pieces) -> None:
        """Nothing: a fork only looks."""

    def tell(self, reading: Gradients) -> None:
        """Keeps a reading and hands it to the listeners."""
        self._readings.append(reading)
        for one in tuple(self._own.values()):
            one(reading)
        tell_listeners(reading)

    def __deepcopy__(self, memo: object) -> "Fork":
        made = Fork(self.terms, name=self.name, scale=self.scale, keep=self._readings.maxlen or 1)
        made.measuring = self.measuring
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return _made, (self.terms, self.name, self._readings.maxlen, self.measuring)

    def __repr__(self) -> str:
        return f"Fork({list(self.terms)}, name={self.name!r})"


def _made(terms: tuple[str, ...], name: str, keep: int, measuring: bool) -> Fork:
    made = Fork(terms, name=name, keep=keep)
    made.measuring = measuring
    return made


@final
@dataclass(frozen=True, slots=True)
class _Loose:
    """The fork that `fork` makes for one call: it has listeners and no memory."""

    name: str
    scale: Scale | None

    def wants_reading(self) -> bool:
        return bool(_listeners)

    def weigh(self, reading: Gradients | None, pieces: Pieces) -> None:
        pass

    def tell(self, reading: Gradients) -> None:
        tell_listeners(reading)


def fork(
    tree: T, terms: Iterable[str], *, name: str = "fork", scale: Scale | None = None
) -> dict[str, T]:
    """Hands every term an identical copy, so that one backward pass shows each term's gradient.

    The copies share memory with the tensor and cost nothing. In the ordinary `backward()` of the
    total the gradients that arrive from the terms are measured (all norms and inner products) and
    passed on as their sum, in the order in which autograd itself would add them up when the terms
    are computed in the order of `terms`. With two terms that use their copy once the result is
    bit-identical to a model without a fork. What was measured goes to the listeners
    (`poise.probe.listen`); use a `Fork` to keep it with the model.

    Args:
        tree: A tensor, or mappings, lists and tuples that hold tensors; their gradients count as
            one vector. Integer tensors and other objects are handed on as they are.
        terms: Names of the terms.
        name: Says which fork this is in readings: `fork:<name>`.
        scale: As in `Fork`.

    Returns:
        What was given, once for each term. The copies must not be changed in place.

    Raises:
        ForkError: The names are no different texts, or none, or a tensor is a DTensor.

    Example:
        >>> z = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> parts = fork(z, ["ce", "kl"])
        >>> total = parts["ce"].sum() + (parts["kl"] ** 2).sum()
        >>> total.backward()
        >>> z.grad
        tensor([3., 5.])
    """
    return handed_out(tree, _names(terms), _Loose(name, scale))


def _names(terms: Iterable[str]) -> tuple[str, ...]:
    named = tuple(terms)
    texts = not isinstance(terms, str) and all(isinstance(one, str) for one in named)  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
    if texts and named and len(set(named)) == len(named):
        return named
    raise ForkError(
        f"fork: expected the names of the terms, all different, got {terms!r:.60}; pass a list of "
        "str"
    )


# A compiled graph cannot call back into Python from its backward pass, so compilation breaks here:
# what comes before and after the fork is compiled, the fork itself runs as it is.
@eager(
    "poise.fork measures in its backward pass, which a compiled graph cannot hold; leave out "
    "fullgraph=True, or compile what comes before and after the fork on its own"
)
def handed_out(tree: T, terms: tuple[str, ...], home: Home) -> dict[str, T]:
    """As `fork`, for checked names and any home."""
    inputs = list(_differentiable(tree))
    if any(map(sharded, inputs)):
        raise ForkError(
            f"fork '{home.name}': expected a tensor that this process holds whole, got a DTensor; "
            "fork its to_local() or full_tensor()"
        )
    if not inputs or not torch.is_grad_enabled():
        # Containers are new here too, so that evaluation shares no more than training does.
        return {name: replaced(tree, lambda one: one) for name in terms}
    outputs = cast(Callable[..., Sequence[Tensor]], _Copies.apply)((terms, home), *inputs)
    count = len(terms)
    copies = {id(one): outputs[k * count : (k + 1) * count] for k, one in enumerate(inputs)}

    def copy(term: int, one: Tensor) -> Tensor:
        return copies[id(one)][term] if id(one) in copies else one

    return {name: replaced(tree, partial(copy, k)) for k, name in enumerate(terms)}


def _differentiable(tree: object) -> Iterator[Tensor]:
    """The tensors that get copies: each once, those that have a gradient, no vmap or func.grad."""
    seen: set[int] = set()
    for one in tensors(tree):
        if one.requires_grad and not wrapped(one) and id(one) not in seen:
            seen.add(id(one))
            yield one


@final
class _Copies(torch.autograd.Function):
    """M tensors in, K copies of each out; backward measures and adds up."""

    @staticmethod
    def forward(config: tuple[tuple[str, ...], Home], *inputs: Tensor) -> Any:  # noqa: ANN401 -- a tuple of M * K tensors
        return tuple(one.view_as(one) for one in inputs for _ in config[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: object) -> None:  # noqa: ANN401, ARG004
        ctx.terms, ctx.home = inputs[0]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *arrived: Tensor | None) -> Any:  # noqa: ANN401
        count = len(ctx.terms)
        groups = [arrived[k : k + count] for k in range(0, len(arrived), count)]
        reading = None
        if ctx.home.wants_reading() and not probing():
            reading = measured(ctx.terms, ctx.home, groups)
        weights = ctx.home.weigh(reading, groups)
        if reading is not None:
            ctx.home.tell(reading)
        return None, *(sum_of(group, weights) for group in groups)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:  # noqa: ANN401 -- None for the names, then tensors
        return tuple(one.view_as(one) for one in tangents[1:] for _ in ctx.terms)


def measured(terms: tuple[str, ...], home: Home, groups: Pieces) -> Gradients | None:
    """The reading of gradients that arrived, without the loss scale; None if there is none."""
    has = [any(group[k] is not None for group in groups) for k in range(len(terms))]
    kept = [[one for one, there in zip(group, has, strict=True) if there] for group in groups]
    if any(one is not None and wrapped(one) for group in kept for one in group):
        return None  # inside vmap there is no number to measure
    products = gramian_of(kept)
    if products is None:
        return None
    reading = Gradients(
        where=f"fork:{home.name}",
        terms=tuple(one for one, there in zip(terms, has, strict=True) if there),
        absent=tuple(one for one, there in zip(terms, has, strict=True) if not there),
        products=products,
    )
    scale = home.scale
    if scale is not None:
        reading = reading.unscaled(scale if isinstance(scale, int | float | Tensor) else scale())
    return reading
