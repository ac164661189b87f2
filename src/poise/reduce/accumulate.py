"""The exact mean over all micro-batches of an optimizer step."""

from collections.abc import Iterable
from typing import cast, final

import torch
from torch import Tensor

from poise.errors import ReductionError
from poise.reduce.ranks import Group, across_ranks, global_count
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
            ReductionError: The micro-batches do not add up to `total`; `parameters` are missing
                where gradients must be corrected, or given where they must not; there was no
                micro-batch.
        """
        if self._so_far is None:
            raise ReductionError("GlobalMean: expected at least one micro-batch, got none")
        if (self._total is None) != (parameters is not None):
            raise ReductionError(
                "GlobalMean: finish() needs the parameters exactly when total was not given: "
                f"total={self._total!r}, parameters {'missing' if parameters is None else 'given'}"
            )
        self._check(self._so_far)
        self._finished = True
        if parameters is not None:
            self._correct(parameters, cast(Tensor, self._so_far.count))
        return across_ranks(self._so_far, group=self._group, averaged=self._averaged)

    def _check(self, so_far: Reduced) -> None:
        if self._total is None:
            return
        count = float(so_far.count)
        if abs(count - float(self._total)) > 1e-5 * count:
            raise ReductionError(
                f"GlobalMean: expected micro-batches with a count of {float(self._total):g} in "
                f"all, got {count:g}; one is missing or counted twice, or total was taken over "
                "other masks"
            )

    def _correct(self, parameters: Iterable[Tensor], count: Tensor) -> None:
        whole = float(self._whole(count, count.device))
        grads = [one.grad for one in parameters if one.grad is not None]
        for grad in grads if whole else ():
            grad.mul_(self._guess / whole)

    def _whole(self, count: Tensor | float, device: torch.device) -> Tensor:
        own = count_tensor("GlobalMean", count, device)
        return global_count(own, group=self._group, averaged=self._averaged)
