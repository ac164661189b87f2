"""One measurement of all terms of a balancer, present or not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from poise.balance.rule import Seen
from poise.probe.gradients import Gradients
from poise.probe.typed import flags, l2_rows, numbers
from poise.probe.weighing import Pieces


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """Inner products of the unweighted gradients of all K terms, zeros where a term is absent.

    Everything is float64 on the CPU, and everything adds up: over micro-batches and processes.

    Attributes:
        products: K x K inner products.
        present: How many measurements had each term.
        sizes: Sum over the samples of the norm of the term's gradient at that sample, shape (K,);
            None if nobody asked for it.
        samples: How many samples that sum has, shape (K,); None as well.

    Example:
        >>> reading = Gradients(where="fork", terms=("b",), products=torch.full((1, 1), 4.0))
        >>> sight = Sight.of(reading, ("a", "b"))
        >>> sight.seen(("a", "b"), step=0).terms
        ('b',)
    """

    products: Tensor
    present: tuple[float, ...]
    sizes: Tensor | None = None
    samples: Tensor | None = None

    @classmethod
    def of(cls, reading: Gradients | None, names: tuple[str, ...]) -> Self:
        """What a reading says; None is one that saw nothing."""
        count = len(names)
        if reading is None or not reading.terms:
            return cls(
                products=torch.zeros(count, count, dtype=torch.float64), present=(0.0,) * count
            )
        found = reading.products.detach().to("cpu", torch.float64)
        if reading.terms == names:
            return cls(products=found, present=(1.0,) * count)
        at = torch.tensor([names.index(name) for name in reading.terms])
        products = torch.zeros(count, count, dtype=torch.float64)
        products[at[:, None], at] = found
        return cls(products=products, present=tuple(float(one in reading.terms) for one in names))

    @classmethod
    def unpacked(cls, packed: Tensor, count: int) -> Self:
        """The inverse of `packed`."""
        square, rest = packed[: count * count], packed[count * count :].reshape(3, count)
        return cls(
            products=square.reshape(count, count),
            present=tuple(numbers(rest[0])),
            sizes=rest[1],
            samples=rest[2],
        )

    def packed(self) -> Tensor:
        """All numbers in one new vector."""
        nothing = self.products.new_zeros(len(self.present))
        present = torch.tensor(self.present, dtype=torch.float64)
        sizes = nothing if self.sizes is None else self.sizes
        samples = nothing if self.samples is None else self.samples
        return torch.cat([self.products.reshape(-1), present, sizes, samples])

    def faulty(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Terms whose gradient is not finite."""
        if math.isfinite(float(self.products.sum())) and self.sizes is None:
            return ()
        fine = self.products.diagonal().isfinite()
        fine = fine if self.sizes is None else fine & self.sizes.isfinite()
        return tuple(name for name, one in zip(names, flags(fine), strict=True) if not one)

    def seen(self, names: tuple[str, ...], step: int) -> Seen | None:
        """What a rule gets to see; None if no term has a gradient other than zero."""
        trace = float(self.products.trace())
        if not trace > 0:
            return None
        if all(self.present):
            return Seen(
                products=self.products / trace,
                terms=names,
                order=names,
                step=step,
                trace=trace,
                sizes=self._mean(),
            )
        at = [k for k, one in enumerate(self.present) if one]
        sizes = self._mean()
        return Seen(
            products=self.products[at][:, at] / trace,
            terms=tuple(names[k] for k in at),
            order=names,
            step=step,
            trace=trace,
            sizes=None if sizes is None else sizes[at],
        )

    def _mean(self) -> Tensor | None:
        """Mean norm at a sample; None if nobody asked for it."""
        if self.sizes is None or self.samples is None or not bool(self.samples.any()):
            return None
        return self.sizes / self.samples.clamp(min=1.0)


def sizes_of(pieces: Pieces) -> tuple[Tensor, Tensor]:
    """Norms of the gradients of single samples, added up, and how many there are.

    The first dimension counts the samples. Gradients of several tensors at one sample are taken
    as one vector where the tensors have equally many samples, and each on its own otherwise. At
    samples of an absent term its gradient is zero, so that processes and micro-batches add up.

    Args:
        pieces: By tensor, the K gradients, None where a term has none.

    Returns:
        Two vectors of shape (K,) in float64 on the CPU.

    Example:
        >>> sizes_of([[torch.tensor([[3.0, 4.0], [0.0, 1.0]]), None]])
        (tensor([6., 0.], dtype=torch.float64), tensor([2., 2.], dtype=torch.float64))
    """
    found = [_of_term([group[k] for group in pieces]) for k in range(len(pieces[0]))]
    sums, counts = zip(*found, strict=True)
    rows = torch.tensor(counts, dtype=torch.float64)
    return torch.stack([one.cpu() for one in sums]), torch.where(rows > 0, rows, rows.max())


def _of_term(own: Sequence[Tensor | None]) -> tuple[Tensor, float]:
    present = [one for one in own if one is not None]
    if not present:
        return torch.zeros((), dtype=torch.float64), 0.0
    rows = [l2_rows(_rows(one)).double() for one in present]
    if len({len(one) for one in rows}) == 1:
        return torch.stack(rows).square().sum(0).sqrt().sum(), float(len(rows[0]))
    return torch.cat(rows).sum(), float(sum(len(one) for one in rows))


def _rows(one: Tensor) -> Tensor:
    dense = one.detach() if one.layout == torch.strided else one.detach().to_dense()
    real = torch.view_as_real(dense) if dense.is_complex() else dense
    wide = real if real.dtype == torch.float64 else real.float()
    return wide.reshape(len(wide), -1) if wide.dim() else wide.reshape(1, 1)
