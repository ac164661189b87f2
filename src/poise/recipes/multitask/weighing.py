"""How the variants weigh their terms: the reported normaliser, its fixes, what else was tried."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from poise.balance import GradientShare
from poise.balance.balancer import Balancer
from poise.recipes.multitask.data import REACH

WEIGHTS = {"type": 0.10, "ptr": 0.70, "binary": 0.10, "countdown": 0.10}
UPWEIGHTED = "binary_upweighted"
"""The span term with its rare steps weighted up: another objective, so not called `binary`."""
CURED = {"type": 0.10, "ptr": 0.70, UPWEIGHTED: 0.10, "countdown": 0.10}
OUTPUTS = {"type": 3, "ptr": 2, "binary": 105, "countdown": 105}
"""Numbers that each head puts out for a window, as the note counts them."""
MOST_TO_COUNTDOWN = {"type": 0.10, "ptr": 0.10, "binary": 0.10, "countdown": 0.70}

Terms = Mapping[str, Tensor]
Weigh = Callable[[Terms], Mapping[str, float | Tensor]]


class Normaliser:
    """The reported one: 10/70/10/10 over the running mean of each term's value.

    The mean is plain over the first `warm_up` steps and exponential after them.

    Args:
        momentum: What is left of the mean after a step.
        warm_up: Steps of the plain mean.
        power: Each term is then multiplied by its number of outputs to this power: 0.5 in the
            note's recommendation, -0.5 in its conclusion.
    """

    def __init__(self, momentum: float = 0.95, warm_up: int = 5, power: float = 0.0) -> None:
        self.momentum, self.warm_up, self.power, self.step = momentum, warm_up, power, 0
        self.means: dict[str, float] = {}

    def weights(self, terms: Terms) -> dict[str, float]:
        """The weights of this step."""
        self.step += 1
        keep = 1 - 1 / self.step if self.step <= self.warm_up else self.momentum
        for name, one in terms.items():
            self.means[name] = keep * self.means.get(name, 0.0) + (1 - keep) * one.item()
        return {
            name: OUTPUTS[name] ** self.power * WEIGHTS[name] / self.means[name] for name in terms
        }


class Sigmas(nn.Module):
    """Learned uncertainties as the model of the incident had them: L / (2 sigma^2) + log sigma.

    Kendall, Gal and Cipolla, https://arxiv.org/abs/1705.07115.
    """

    def __init__(self) -> None:
        super().__init__()
        start = {name: -0.30 if name == "ptr" else 0.0 for name in WEIGHTS}
        self.log_sigma = nn.Parameter(torch.tensor(list(start.values())))

    def weights(self, terms: Terms) -> dict[str, Tensor | float]:
        """1 / (2 sigma^2) by term, and 1 for the sum of the log sigmas."""
        del terms
        each = dict(zip(WEIGHTS, 0.5 * (-2 * self.log_sigma).exp(), strict=True))
        return {**each, OFFSET: 1.0}

    def sigmas(self) -> dict[str, float]:
        """Sigma by term."""
        return {name: one.item() for name, one in zip(WEIGHTS, self.log_sigma.exp(), strict=True)}

    def offset(self) -> Tensor:
        """The sum of the log sigmas."""
        return self.log_sigma.sum()


OFFSET = "log_sigma"
"""The term of the total that holds the sum of the log sigmas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """What one variant does differently.

    Attributes:
        unit: Bars that one unit of the countdown head's output stands for.
        weigh: Weights of a step; None where `balance` weighs.
        balance: Balances the gradients at the LSTM's output; None where `weigh` weighs.
        shares: Gradient shares that are declared; None: none are.
        sigmas: Learned uncertainties; None: there are none.
        rare_spans: Weigh the steps in a span up by how rare they are: `binary` is then
            `binary_upweighted`.
    """

    unit: float = 1.0
    weigh: Weigh | None = None
    balance: Balancer | None = None
    shares: Mapping[str, float] | None = None
    sigmas: Sigmas | None = None
    rare_spans: bool = False


def constant(weights: Mapping[str, float]) -> Weigh:
    """The same weights at every step."""
    return lambda terms: weights  # noqa: ARG005 -- whatever they are


def batch_normed(terms: Terms) -> dict[str, float]:
    """The note's LossBatchNorm, in place of the normaliser: each loss over the root of its size.

    A reduced loss is one number, so it is divided by 1: what is left are the plain weights.
    """
    return {name: WEIGHTS[name] / math.sqrt(one.numel()) for name, one in terms.items()}


def _by_shares(shares: Mapping[str, float], unit: float = 1.0) -> Weighing:
    return Weighing(unit=unit, balance=GradientShare(shares), shares=shares)


def _uncertain() -> Weighing:
    sigmas = Sigmas()
    return Weighing(weigh=sigmas.weights, sigmas=sigmas)


WEIGHINGS: Mapping[str, Callable[[], Weighing]] = {
    "reported": lambda: Weighing(weigh=Normaliser().weights),
    "note-fix": lambda: Weighing(weigh=Normaliser(power=0.5).weights),
    "cured": lambda: Weighing(unit=REACH, weigh=constant(CURED), rare_spans=True),
    "unit-output": lambda: Weighing(unit=REACH, weigh=constant(WEIGHTS)),
    "divide-sqrt": lambda: Weighing(weigh=Normaliser(power=-0.5).weights),
    "loss-batchnorm": lambda: Weighing(weigh=batch_normed),
    "raw-sum": lambda: Weighing(weigh=constant(dict.fromkeys(WEIGHTS, 1.0))),
    "uncertainty": _uncertain,
    "shares": lambda: _by_shares(WEIGHTS),
    "shares-equal": lambda: _by_shares(dict.fromkeys(WEIGHTS, 0.25)),
    "unit-shares": lambda: _by_shares(MOST_TO_COUNTDOWN, REACH),
}
"""What each variant does, made anew for every training."""
