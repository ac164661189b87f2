"""One LSTM, read by four heads."""

from collections.abc import Callable, Mapping
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from poise.recipes.multitask.data import FEATURES

HIDDEN = 96
TERMS = ("type", "ptr", "binary", "countdown")

Fork = Callable[[Tensor], Mapping[str, Tensor]]
"""Hands the LSTM's states to the terms, as the fork of a balancer does."""


class Model(nn.Module):
    """A bidirectional LSTM; two heads read the mean of its states, two every state.

    97,543 parameters. Without a fork the heads of a pair drop the same elements out.

    Args:
        unit: Bars that one unit of the countdown head's output stands for.
    """

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = unit
        self.lstm = nn.LSTM(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        self.window = nn.Sequential(nn.Linear(2 * HIDDEN, 64), nn.ReLU(), nn.Dropout(0.6))
        self.type_head = nn.Linear(64, 3)
        self.ptr_head = nn.Linear(64, 2)
        self.binary_head = nn.Linear(2 * HIDDEN, 1)
        self.countdown_head = nn.Linear(2 * HIDDEN, 1)

    def forward(self, inputs: Tensor, fork: Fork | None = None) -> dict[str, Tensor]:
        """Outputs by term.

        Args:
            inputs: Features, shape (b, 105, 12).
            fork: Called with the states, shape (b, 105, 192); None: all terms get the same.

        Returns:
            `type` logits (b, 3), `ptr` fractions of the window (b, 2), `binary` logits (b, 105),
            `countdown` in bars (b, 105).
        """
        states = cast(Tensor, self.lstm(F.dropout(inputs, 0.3, self.training))[0])
        if fork is None:
            kind = pointers = self.window(states.mean(dim=1))
            flags = ahead = F.dropout(states, 0.6, self.training)
        else:
            parts = fork(states)
            kind, pointers = (self.window(parts[name].mean(dim=1)) for name in TERMS[:2])
            flags, ahead = (F.dropout(parts[name], 0.6, self.training) for name in TERMS[2:])
        return {
            "type": self.type_head(kind),
            "ptr": self.ptr_head(pointers).sigmoid(),
            "binary": self.binary_head(flags).squeeze(-1),
            "countdown": self.unit * self.countdown_head(ahead).squeeze(-1),
        }
