"""What turns gradients or values of several terms into weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What a gradient rule gets to see: the terms that have a gradient in this step.

    Attributes:
        products: K x K inner products of their unweighted gradients, divided by their trace, so
            that a scale that all terms share is not in it; float64, on the CPU, finite, not all
            zero.
        terms: Names of the present terms, in the order of the rows.
        order: Names of all terms of the rule.
        step: How many times the rule was asked before, from 0.
        trace: What the products were divided by: the sum of the squared norms.
        sizes: Only for rules with `per_sample`: by present term, the mean over the samples of the
            norm of a sample's gradient, in units of the square root of `trace`.

    Example:
        >>> import torch
        >>> products = torch.tensor([[0.9, 0.0], [0.0, 0.1]], dtype=torch.float64)
        >>> seen = Seen(products=products, terms=("a", "c"), order=("a", "b", "c"), step=0)
        >>> seen.places
        [0, 2]
    """

    products: Tensor
    terms: tuple[str, ...]
    order: tuple[str, ...]
    step: int
    trace: float = 1.0
    sizes: Tensor | None = None

    @property
    def places(self) -> list[int]:
        """Where the present terms are in `order`."""
        if self.terms == self.order:
            return list(range(len(self.order)))
        return [self.order.index(name) for name in self.terms]


class Memory(nn.Module):
    """A module whose buffers keep their type and stay on the CPU.

    `model.half()`, `.bfloat16()` or `.to(device)` would round a running norm to nothing, or make
    every step wait for a GPU to look at K numbers.

    Example:
        >>> import torch
        >>> memory = Memory()
        >>> memory.register_buffer("norms", torch.ones(2, dtype=torch.float64))
        >>> memory.bfloat16().norms.dtype
        torch.float64
    """

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:  # noqa: ARG002 -- torch's signature
        return self


class GradientRule(Memory, ABC):
    """Turns inner products of gradients into weights; its memory is in its buffers.

    Attributes:
        alone: Is the rule asked when only one term is present? Otherwise that term's weight is 1.
        absolute: Do its weights depend on the size of the gradients, and not on ratios alone?
        per_sample: Does it need `Seen.sizes`?

    Example:
        >>> import torch
        >>> class Equal(GradientRule):
        ...     def forward(self, seen):
        ...         return torch.ones(len(seen.terms), dtype=torch.float64)
        >>> products = torch.eye(2, dtype=torch.float64) / 2
        >>> Equal()(Seen(products=products, terms=("a", "b"), order=("a", "b"), step=0))
        tensor([1., 1.], dtype=torch.float64)
    """

    alone: bool = False
    absolute: bool = False
    per_sample: bool = False

    def hear(self, terms: Mapping[str, Tensor]) -> None:
        """Gets the values of the terms before each backward pass; few rules need them."""

    @abstractmethod
    def forward(self, seen: Seen) -> Tensor:
        """Weights of `seen.terms`, shape (K,), float64, on the CPU, finite."""


class ValueRule(Memory, ABC):
    """Turns the values of the terms into a total; its memory is in buffers and parameters.

    Example:
        >>> import torch
        >>> class Product(ValueRule):
        ...     def forward(self, values, terms):
        ...         return values.prod()
        >>> Product()(torch.tensor([2.0, 3.0]), ("a", "b"))
        tensor(6.)
    """

    @abstractmethod
    def forward(self, values: Tensor, terms: tuple[str, ...]) -> Tensor:
        """The total of the present terms, a scalar with its graph.

        Args:
            values: Their values with their graph, shape (K,).
            terms: Their names.
        """
