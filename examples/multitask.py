"""A multi-task training on windows that goes wrong, watched, and its cure.

Four heads share one bidirectional LSTM: the class of a window of 105 steps, two pointers into it,
a flag per step and a countdown per step (-20 to 20 steps to the start of a span). Every term is
divided by its own running mean and then weighted 10/70/10/10. The countdown never leaves "predict
zero", a loss of about 15.9. With `--cured` the same model trains as the finding proposes: plain
weights, and a countdown head that predicts in units of its range.

    python examples/multitask.py runs/multitask && poise diagnose runs/multitask
    python examples/multitask.py runs/multitask-cured --cured
"""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poise.watch import Watch

WINDOWS, STEPS, FEATURES, HIDDEN, BATCH, UPDATES = 168, 105, 12, 96, 32, 120
WEIGHTS = {"type": 0.10, "ptr": 0.70, "binary": 0.10, "countdown": 0.10}
REACH = 20.0
"""Steps to a span's start beyond which the countdown target is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows with one span each.

    Attributes:
        inputs: Features, shape (n, 105, 12).
        kind: Class of each window, 0 or 1 of 3, shape (n,).
        pointers: Centre and length of the span, in windows, shape (n, 2).
        inside: 1.0 where a step lies in the span, shape (n, 105).
        countdown: Steps to the start of the span, cut at -20 and 20, shape (n, 105).
    """

    inputs: Tensor
    kind: Tensor
    pointers: Tensor
    inside: Tensor
    countdown: Tensor

    def pick(self, rows: Tensor) -> "Windows":
        """The windows with the numbers `rows`, shape (b,)."""
        fields = self.__slots__
        return Windows(**{name: getattr(self, name)[rows] for name in fields})


def make_windows(count: int, seed: int) -> Windows:
    """Windows whose labels have the statistics of the incident.

    Span starts have mean 50.2 and standard deviation 33.5 within 0..101; spans are 7.1 steps long
    on average and 5 in the median, so 7% of the steps lie inside.
    """
    draw = torch.Generator().manual_seed(seed)
    even = 2.0 * torch.rand(count, generator=draw) - 1.0
    start = (50.5 + 50.5 * even.sign() * even.abs() ** 0.634).round()
    length = (5.0 * (0.75 * torch.randn(count, generator=draw)).exp()).round().clamp(min=1)
    end = torch.minimum(start + length, torch.tensor(STEPS - 1.0))
    time = torch.arange(STEPS, dtype=torch.float32)
    inside = ((time >= start[:, None]) & (time <= end[:, None])).float()
    ahead = start[:, None] - time
    kind = torch.randint(0, 2, (count,), generator=draw)
    signal = torch.zeros(count, STEPS, FEATURES)
    signal[..., 0] = 3.0 * inside
    signal[..., 1] = 3.0 * inside * (kind[:, None] - 0.5)
    noise = torch.randn(count, STEPS, FEATURES, generator=draw)
    centre = torch.stack([(start + end) / 2, end - start], dim=1) / STEPS
    return Windows(
        inputs=signal + noise,
        kind=kind,
        pointers=centre,
        inside=inside,
        countdown=ahead.clamp(-REACH, REACH),
    )


class Model(nn.Module):
    """One LSTM, read by four heads.

    Args:
        unit: Steps that one unit of the countdown head's output stands for.
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

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Outputs by term for features of shape (b, 105, 12)."""
        states, _ = self.lstm(F.dropout(inputs, 0.3, self.training))
        window = self.window(states.mean(dim=1))
        each = F.dropout(states, 0.6, self.training)
        return {
            "type": self.type_head(window),
            "ptr": self.ptr_head(window).sigmoid(),
            "binary": self.binary_head(each).squeeze(-1),
            "countdown": self.unit * self.countdown_head(each).squeeze(-1),
        }


class Normaliser:
    """Running means of the terms: plain over the first `warm_up` steps, exponential after them."""

    def __init__(self, momentum: float = 0.95, warm_up: int = 5) -> None:
        self.momentum, self.warm_up, self.step = momentum, warm_up, 0
        self.means: dict[str, float] = {}

    def weights(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """The weights of this step: 10/70/10/10, each over the running mean of its term."""
        self.step += 1
        keep = 1 - 1 / self.step if self.step <= self.warm_up else self.momentum
        for name, one in terms.items():
            self.means[name] = keep * self.means.get(name, 0.0) + (1 - keep) * one.item()
        return {name: WEIGHTS[name] / self.means[name] for name in terms}


def losses(outputs: Mapping[str, Tensor], batch: Windows) -> dict[str, Tensor]:
    """The four terms."""
    return {
        "type": F.cross_entropy(outputs["type"], batch.kind),
        "ptr": F.huber_loss(outputs["ptr"], batch.pointers, delta=0.08),
        "binary": F.binary_cross_entropy_with_logits(outputs["binary"], batch.inside),
        "countdown": F.huber_loss(outputs["countdown"], batch.countdown, delta=1.0),
    }


def train(run: str | os.PathLike[str], *, cured: bool, seed: int = 0) -> dict[str, float]:
    """Trains 120 updates under a watch; returns the mean of each term over the last ten."""
    torch.manual_seed(seed)
    data = make_windows(WINDOWS, seed)
    model = Model(unit=REACH if cured else 1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    normaliser = Normaliser()
    tail: dict[str, list[float]] = {name: [] for name in WEIGHTS}
    with Watch(run, model=model, optimizer=optimizer, total_steps=UPDATES) as watch:
        for update in range(UPDATES):
            batch = data.pick(torch.randperm(WINDOWS)[:BATCH])
            terms = losses(model(batch.inputs), batch)
            total = watch.total(terms, WEIGHTS if cured else normaliser.weights(terms))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            if update >= UPDATES - 10:
                for name, one in terms.items():
                    tail[name].append(one.item())
    return {name: sum(values) / len(values) for name, values in tail.items()}


def main() -> None:
    """Trains into the folder given on the command line."""
    parser = argparse.ArgumentParser(description="a multi-task training that goes wrong")
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/multitask"))
    parser.add_argument("--cured", action="store_true", help="plain weights, unit-scale output")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    last = train(options.run, cured=options.cured, seed=options.seed)
    how = "plain weights and a unit-scale output" if options.cured else "a value normaliser"
    print(
        f"{options.run}: {UPDATES} updates with {how}; countdown ends at {last['countdown']:.2f}, "
        f"pointer at {last['ptr']:.4f}"
    )


if __name__ == "__main__":
    main()
