"""Curves and scatter of made-up trainings: the parts that faults and look-alikes are built from."""

import numpy as np

from poise.run import Floats, Ints

LENGTHS = (120, 300, 1000, 4000)


class Maker:
    """Draws the curves of one made-up training: length, noise and rates differ by the seed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.n = int(rng.choice(LENGTHS))
        self.at = np.arange(self.n)
        self.sigma = float(10 ** rng.uniform(-2.3, -0.8))

    def scatter(self, sigma: float | None = None) -> Floats:
        """Multiplicative noise around 1: normal, heavy-tailed or correlated, shape (n,)."""
        rng, n = self.rng, self.n
        size = self.sigma if sigma is None else sigma
        kind = rng.integers(3)
        if kind == 0:
            return np.exp(size * rng.standard_normal(n))
        if kind == 1:
            return np.exp(size * rng.standard_t(4, n).clip(-6, 6))
        raw = rng.standard_normal(n + 9)
        return np.exp(size * np.lib.stride_tricks.sliding_window_view(raw, 10).sum(axis=1) / 3.2)

    def falling(self, start: float, end: float, *, sigma: float | None = None) -> Floats:
        """A decay from `start` to `end` at a rate of its own, shape (n,)."""
        tau = self.n * 10 ** self.rng.uniform(-1.6, -0.6)
        return (end + (start - end) * np.exp(-self.at / tau)) * self.scatter(sigma)

    def learned(self, scale: float = 1.0) -> Floats:
        """A loss that is learned: from about `scale` to somewhere below, shape (n,)."""
        return self.falling(scale * self.up(0.8, 1.5), scale * self.up(0.05, 0.5))

    def ramp(self, begin: float, stop: float) -> Floats:
        """0 before `begin`, 1 after `stop`, both as parts of the run, shape (n,)."""
        return np.clip((self.at / self.n - begin) / (stop - begin), 0, 1)

    def after(self, part: float) -> Floats:
        """True from that part of the run on, shape (n,)."""
        return self.at >= part * self.n

    def up(self, low: float, high: float) -> float:
        """A number between two others, on a logarithmic scale."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def cosine(self, peak: float = 3e-4) -> Floats:
        """Warm-up from 0 and a cosine to 0, shape (n,)."""
        warm = max(1, self.n // 20)
        down = 0.5 * (1 + np.cos(np.pi * (self.at - warm) / max(1, self.n - 1 - warm)))
        return peak * np.where(self.at < warm, self.at / warm, down)

    def evals(self, count: int = 12) -> Ints:
        """Record numbers of some evaluations, shape (count,)."""
        return np.linspace(0, self.n - 1, count + 1)[1:].astype(np.int64)
