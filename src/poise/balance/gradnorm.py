"""GradNorm from the norms at a fork: positive weights, and no second backward pass."""

from collections.abc import Iterable, Mapping
from typing import Unpack, final

import torch
from torch import Tensor

from poise.balance.balancer import Balancer, Machinery
from poise.balance.checks import real
from poise.balance.names import named
from poise.balance.ranks import added
from poise.balance.rule import GradientRule, Seen
from poise.errors import BalanceError, TermValueError


@final
class GradNormRule(GradientRule):
    """Weights that learn to make gradients equally large, and larger for terms that lag behind.

    GradNorm (https://arxiv.org/abs/1711.02257) minimises sum_k |w_k n_k - mean(w n) r_k^alpha| over
    the weights, where n_k is the norm of term k's gradient, r_k its value over its first value,
    divided by the mean of these ratios, and the right-hand side counts as constant. Its slope in
    w_k is n_k times the sign of what is between the bars, so norms are all it needs. Here
    w = K softmax(logits): weights are positive and sum to K, and the slope is divided by
    mean(w n), so that no unit enters.

    Args:
        names: Names of all terms, in order.
        alpha: How much a term that lags behind gets; 0: equal norms, and values are not needed.
        lr: Step of the logits.

    Attributes:
        logits: Of all terms, shape (K,).
        first: Each term's first value, NaN before it.
        total: Sum of each term's values since the rule was last asked.
        count: How many these are.

    Example:
        >>> rule = GradNormRule(("a", "b"), alpha=0.0, lr=0.1)
        >>> products = torch.diag(torch.tensor([0.9, 0.1], dtype=torch.float64))
        >>> seen = Seen(products=products, terms=("a", "b"), order=("a", "b"), step=0)
        >>> rule(seen), rule(seen)
        (tensor([1., 1.], dtype=torch.float64), tensor([0.9003, 1.0997], dtype=torch.float64))
    """

    logits: Tensor
    first: Tensor
    total: Tensor
    count: Tensor

    def __init__(self, names: Iterable[str], *, alpha: float = 1.5, lr: float = 0.025) -> None:
        super().__init__()
        self.names = named("GradNorm", names)
        self.alpha = real("GradNorm", "alpha", alpha, "of at least 0", lambda one: one >= 0)
        self.lr = real("GradNorm", "lr", lr, "above 0", lambda one: one > 0)
        count = len(self.names)
        self.register_buffer("logits", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("first", torch.full((count,), torch.nan, dtype=torch.float64))
        self.register_buffer("total", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(count, dtype=torch.float64))

    def hear(self, terms: Mapping[str, Tensor]) -> None:
        """Takes note of the values of a batch; those without a graph and non-finite ones are not.

        Args:
            terms: Value by name.
        """
        if self.alpha == 0:
            return
        for name, one in terms.items():
            value = float(one.detach()) if one.requires_grad else torch.nan
            if value == value and abs(value) != torch.inf:
                self.total[self.names.index(name)] += value
                self.count[self.names.index(name)] += 1

    def forward(self, seen: Seen) -> Tensor:
        """Weights of the present terms, which sum to their number; then the logits move."""
        at = seen.places
        part = self.logits[at].softmax(0)
        weights = len(at) * part
        sizes = weights * seen.products.diagonal().sqrt()
        sizes = sizes / sizes.mean()
        pull = sizes * (sizes - self._wanted(at)).sign()
        self.logits[at] -= self.lr * (pull - part * pull.sum())
        return weights

    def _wanted(self, at: list[int]) -> Tensor:
        """Norm that each term should have, over the mean norm."""
        if self.alpha == 0:
            return torch.ones(len(at), dtype=torch.float64)
        values = added(torch.stack([self.total, self.count]))
        self.total.zero_()
        self.count.zero_()
        means = (values[0] / values[1])[at]
        for place, mean in zip(at, means.unbind(), strict=True):
            _demand(self.names[place], float(mean))
        self.first[at] = torch.where(self.first[at].isnan(), means, self.first[at])
        ratios = means / self.first[at]
        return (ratios / ratios.mean()) ** self.alpha


def _demand(name: str, value: float) -> None:
    if value != value:
        raise BalanceError(
            f"GradNorm: expected a value of term {name!r} from balance.total(terms) or "
            "balance.backward(terms) before the backward pass, got none; call one, or take alpha=0"
        )
    if value <= 0:
        raise TermValueError(
            f"GradNorm: expected positive values, since it takes their ratio to the first one, got "
            f"{value:.3g} for term {name!r}; take alpha=0, or add a constant to the term"
        )


def GradNorm(
    names: Iterable[str],
    *,
    alpha: float = 1.5,
    lr: float = 0.025,
    **machinery: Unpack[Machinery],
) -> Balancer:
    """A balancer that learns weights with which gradients are equally large at a fork.

    Args:
        names: Names of the terms.
        alpha: How much more a term gets whose value has fallen less than the others'; 0: nothing.
        lr: Step of the logits of the weights.
        **machinery: As in `Balancer`.

    Raises:
        BalanceError: An option is out of range.
        TermNameError: The names are no different texts, or none.
        TermValueError: A value is not positive while `alpha` is above 0.

    Example:
        >>> balance = GradNorm(["a", "b"], alpha=0.0, lr=0.02)
        >>> z = torch.ones(2, requires_grad=True)
        >>> for _ in range(100):
        ...     parts = balance.fork(z)
        ...     balance.total({"a": parts["a"].sum(), "b": 9 * parts["b"].sum()}).backward()
        >>> 8 < balance.weights["a"] / balance.weights["b"] < 10
        True
    """
    names = named("GradNorm", names)
    return Balancer(names, GradNormRule(names, alpha=alpha, lr=lr), **machinery)
