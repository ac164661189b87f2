"""Windows of bars with one span each, and synthetic ones with the incident's label statistics."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from poise.losses.multitask import countdown_target, pointer_target, span_target

STEPS, FEATURES = 105, 12
REACH = 20.0
"""Bars to a span's start beyond which the countdown target is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows with one span each.

    Attributes:
        inputs: Features, shape (n, 105, 12).
        kind: Class of each window, 0, 1 or 2, shape (n,).
        pointers: Centre and length of the span, in windows, shape (n, 2).
        inside: 1.0 where a bar lies in the span, shape (n, 105).
        countdown: Bars to the start of the span, cut at -20 and 20, shape (n, 105).
    """

    inputs: Tensor
    kind: Tensor
    pointers: Tensor
    inside: Tensor
    countdown: Tensor

    def __len__(self) -> int:
        return len(self.kind)

    def pick(self, rows: Tensor) -> "Windows":
        """The windows with the numbers `rows`, shape (b,)."""
        return Windows(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})


def labelled(inputs: Tensor, kind: Tensor, start: Tensor, end: Tensor) -> Windows:
    """Windows with the targets that follow from the first and last bar of each span.

    Args:
        inputs: Features, shape (n, 105, 12).
        kind: Class, shape (n,), integers.
        start: First bar of the span, shape (n,), from 0.
        end: Last bar of the span, shape (n,).
    """
    return Windows(
        inputs=inputs,
        kind=kind,
        pointers=pointer_target(start, end, STEPS),
        inside=span_target(start, end, STEPS),
        countdown=countdown_target(start, STEPS, reach=REACH),
    )


def make_windows(count: int, seed: int) -> Windows:
    """Windows whose labels have the statistics of the incident's 210.

    Span starts have mean 50.2 and standard deviation 33.5 within 0..101; spans are 7.1 bars long
    on average and 6 in the median (last less first bar: 5), so 7% of the bars lie inside.
    The features are standard normal noise; in a span the first is 3 higher, and the second 1.5
    higher or lower, by the class.

    Args:
        count: How many, n.
        seed: Decides all of them.
    """
    draw = torch.Generator().manual_seed(seed)
    even = 2.0 * torch.rand(count, generator=draw) - 1.0
    start = (50.5 + 50.5 * even.sign() * even.abs() ** 0.634).round()
    length = (5.0 * (0.75 * torch.randn(count, generator=draw)).exp()).round().clamp(min=1)
    end = torch.minimum(start + length, torch.tensor(STEPS - 1.0))
    inside = span_target(start, end, STEPS)
    kind = torch.randint(0, 2, (count,), generator=draw)
    signal = torch.zeros(count, STEPS, FEATURES)
    signal[..., 0] = 3.0 * inside
    signal[..., 1] = 3.0 * inside * (kind[:, None] - 0.5)
    noise = torch.randn(count, STEPS, FEATURES, generator=draw)
    return labelled(signal + noise, kind, start, end)
