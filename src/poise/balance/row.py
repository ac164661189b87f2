"""What the tables of published methods say about each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, NamedTuple, Self

from torch import Tensor

from poise.balance.kept import Kept, Peer

Promise = Literal["equivariant", "convex", "nonnegative", "no conflict", "own scale"]
"""What a method's paper promises of its weights.

- `equivariant`: the order of the terms does not matter.
- `convex`: no weight is negative and they sum to 1.
- `nonnegative`: no weight is negative.
- `no conflict`: the weighted sum of the gradients opposes no term's gradient.
- `own scale`: a term that is multiplied by a constant keeps its part in the weighted sum.
"""


class Solver(NamedTuple):
    """A method made for a number of terms.

    Attributes:
        peer: The object of TorchJD, for its memory.
        weigh: From the K x K inner products with unit trace to K weights.
    """

    peer: Peer
    weigh: Callable[[Tensor], Tensor]


Make = Callable[[int, dict[str, Any]], Solver]
"""Makes a solver for that many terms with these options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method that needs no more than the inner products of the gradients.

    Attributes:
        name: What it is called here.
        make: Makes its solver.
        paper: Where it is published.
        promises: What the paper promises for the default options.
        needs: Packages besides TorchJD, as they are imported.
        options: Options with their defaults, where TorchJD has none or others.
        kept: Its memory between steps.
        random: Does it draw random numbers?
        primary: Is the first term its main one, without which it cannot work?
        check: The equation that its answer must solve: from weights and products to how far off
            it is, or None where it solves none.
        note: Where it differs from the paper or from TorchJD.
        solver: What it costs beyond the products.

    Example:
        >>> Row(name="none", make=lambda count, options: Solver(None, lambda products: products[0]))
        Row(name='none', ...)
    """

    name: str
    make: Make = field(repr=False)
    paper: str = ""
    promises: frozenset[Promise] = frozenset()
    needs: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    kept: Kept | None = field(default=None, repr=False)
    random: bool = False
    primary: bool = False
    alone: bool = False
    check: Callable[[Tensor, Tensor, Mapping[str, Any]], float] | None = field(
        default=None, repr=False
    )
    note: str = ""
    solver: str = "closed form"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A row is data and functions: nothing in it changes."""
        return self

    def __reduce__(self) -> tuple[Callable[[str], "Row"], tuple[str]]:
        """Its functions have no names to be found by, but the row has one."""
        return _found, (self.name,)


def _found(name: str) -> Row:
    return import_module("poise.balance.method").find(name)
