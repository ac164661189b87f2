"""The exact mean over all micro-batches of an optimizer step."""

from collections.abc import Iterable
from typing import cast, final

import torch
from torch import Tensor

from poise.errors import ReductionError
from poise.reduce.ranks import Group, across_ranks, faulty_ranks, global_count, sending_device
from poise.reduce.reduced import Reduced, Reduction, combine, count_tensor


@final
class GlobalMean:
    """Scalars whose gradients add up, over micro-batches and ranks, to that of the exact mean.

    The mean of the means of micro-batches is another objective wherever their counts differ: a
    token in a short micro-batch weighs more. Dividing every *sum* by the count of the whole is
    exact, whatever the accumulation. There are two ways to know that count:

    * **In advance** (`total=`). Counts come from labels and masks; add them up over the
      micro-batches before the first forward pass. Each call returns sum / total. It works with any
      number of terms, as each has its own total.
    * **Afterwards** (no `total`). Each call returns sum / `guess`, and `finish(parameters)`
      multiplies every gradient by guess / count. It works only if all that was back-propagated
      since the gradients were zeroed has this one count: gradients of several terms cannot be told
      apart once they are added up. Call it before clipping.

    One object serves one optimizer step.

    Args:
        total: This rank's count over all micro-batches of the step; None: not known yet.
        guess: Without `total`: a typical count, so that gradients have about their usual size
            until they are corrected, which half precision needs. The same on all ranks.
        group: The process group; None: the default one.
        averaged: The training averages gradients over ranks (DDP, FSDP); False: it sums them.

    Raises:
        ReductionError: Total or guess is no count.

    Example:
        >>> w = torch.zeros((), requires_grad=True)
        >>> parts = [(w - 1.0).expand(2), (w + 2.0).expand(8)]
        >>> mean = GlobalMean(total=10)
        >>> for part in parts:
        ...     mean(Reduced(sum=part.sum(), count=part.numel())).backward()
        >>> w.grad, mean.finish().value
        (tensor(1.), tensor(1.4000))
    """

    def __init__(
        self,
        total: Tensor | float | None = None,
        *,
        guess: float = 1.0,
        group: Group = None,
        averaged: bool = True,
    ) -> None:
        if not guess > 0:
            raise ReductionError(f"GlobalMean: expected guess above 0, got {guess!r}")
        if total is not None:
            # Checked where it is: fetching it would make an accelerator wait.
            place = total.device if isinstance(total, Tensor) else torch.device("cpu")
            count_tensor("GlobalMean: total", total, place)
        self._total, self._guess = total, guess
        self._group, self._averaged = group, averaged
        self._divisor: Tensor | None = None
        self._so_far: Reduced | None = None
        self._finished = False

    def __repr__(self) -> str:
        known = f"guess={self._guess!r}" if self._total is None else f"total={self._total!r}"
        return f"GlobalMean({known}, averaged={self._averaged})"

    def __call__(self, part: Reduced) -> Tensor:
        """The scalar to back-propagate for one micro-batch.

        Args:
            part: The micro-batch, a mean over anything (not `Reduction.SUM`).

        Returns:
            Its part of the mean over the whole, shape of `part.sum`; the values of all
            micro-batches add up to the mean (on several ranks: to the rank's part, times the number
            of ranks if gradients are averaged).

        Raises:
            ReductionError: The part is a plain sum, differs in its reduction from those before, or
                the mean is finished.
        """
        if self._finished:
            raise ReductionError("GlobalMean: already finished; make a new one for each step")
        if part.reduction is Reduction.SUM:
            raise ReductionError(
                "GlobalMean: expected a mean, got a Reduced of reduction 'sum', which has no count "
                "to divide by; back-propagate its value, or use masked_mean or per_token"
            )
        own = part.detach()
        self._so_far = own if self._so_far is None else combine([self._so_far, own])
        if self._total is None:
            return part.over(self._guess)
        if self._divisor is None:
            self._divisor = self._whole(self._total, part.sum.device)
        return part.over(self._divisor)

    def finish(self, parameters: Iterable[Tensor] | None = None) -> Reduced:
        """Checks the counts, or corrects the gradients, and gives the exact mean of all.

        Every rank must call it. It waits for the accelerator once.

        Args:
            parameters: Without `total`: all parameters whose gradients are to be corrected.

        Returns:
            The mean over all micro-batches and ranks, without graph, to be logged.

        Raises:
            ReductionError: On any rank, and then raised on all: the micro-batches do not add up to
                `total` (whole counts exactly, weights to rounding); `parameters` are missing where
                gradients must be corrected, or given where they must not; there was no micro-batch.
        """
        so_far = self._agreed(self._fault(parameters))
        self._finished = True
        if parameters is not None:
            self._correct(parameters, cast(Tensor, so_far.count))
        return across_ranks(so_far, group=self._group, averaged=self._averaged)

    def _agreed(self, fault: str | None) -> Reduced:
        """What there is, if no rank has a fault: else all raise, and none waits for another."""
        device = sending_device(self._group) if self._so_far is None else self._so_far.sum.device
        if self._total is not None and self._divisor is None:
            # A rank without a micro-batch: the others have agreed on the total in their first one.
            self._divisor = self._whole(self._total, device)
        ranks = faulty_ranks(fault is not None, group=self._group, device=device)
        if fault is None and ranks:
            fault = f"finish() failed on {ranks} other rank(s); see the error there"
        if fault is not None or self._so_far is None:
            raise ReductionError(f"GlobalMean: {fault}")
        return self._so_far

    def _fault(self, parameters: Iterable[Tensor] | None) -> str | None:
        """What stands against finishing, on this rank."""
        if self._so_far is None:
            return "expected at least one micro-batch, got none"
        if (self._total is None) != (parameters is not None):
            return (
                "finish() needs the parameters exactly when total was not given: "
                f"total={self._total!r}, parameters {'missing' if parameters is None else 'given'}"
            )
        if isinstance(parameters, Tensor):
            return "finish() expected a list of parameters, got one tensor; pass [parameter]"
        return (
            None
            if self._total is None
            else _mismatch(self._total, cast(Tensor, self._so_far.count))
        )

    def _correct(self, parameters: Iterable[Tensor], count: Tensor) -> None:
        whole = float(self._whole(count, count.device))
        # Tied parameters are listed twice and have one gradient.
        different = {id(one): one for one in parameters}.values()
        grads = [one.grad for one in different if one.grad is not None]
        for grad in grads if whole else ():
            grad.mul_(self._guess / whole)

    def _whole(self, count: Tensor | float, device: torch.device) -> Tensor:
        own = count_tensor("GlobalMean", count, device)
        return global_count(own, group=self._group, averaged=self._averaged)


def _mismatch(total: Tensor | float, count: Tensor) -> str | None:
    """How far the micro-batches are from the total, if they are.

    Whole counts are compared exactly, to what the total can hold if it is a float32 tensor. Sums of
    fractional weights are rounded in an order of their own.
    """
    expected, got = float(total), float(count)
    if count.is_floating_point():
        room = 1e-5
    else:
        held = isinstance(total, Tensor) and total.is_floating_point()
        room = torch.finfo(cast(Tensor, total).dtype).eps if held else 0.0
    if abs(got - expected) <= room * max(got, expected):
        return None
    return (
        f"expected micro-batches with a count of {expected:.10g} in all, got {got:.10g}; one is "
        "missing or counted twice, or total was taken over other masks"
    )
