"""A small multi-task training that goes wrong, the plain log it prints, and its cure.

Four heads share one layer: the class of a window of 105 steps, two pointers into it, a flag per
step and a countdown per step (-20 to 20 steps to the start of a span). Every term is divided by
its own running mean and then weighted 10/70/10/10. The countdown hardly leaves "predict zero".
With `--cured` the same model trains with the plain weights, and the countdown head predicts in
units of its range: both things that the finding proposes.

    python examples/incident.py runs/demo && poise diagnose runs/demo/log.txt
    python examples/incident.py runs/demo-cured --cured
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
WINDOWS, STEPS, HIDDEN, BATCH, UPDATES = 168, 105, 24, 32, 120
WEIGHTS = {"type": 0.10, "ptr": 0.70, "binary": 0.10, "countdown": 0.10}
REACH = 20.0


@dataclass(frozen=True)
class Windows:
    """Inputs (n, steps, 5) and the four targets."""

    inputs: Array
    kind: NDArray[np.int64]
    pointers: Array
    inside: Array
    countdown: Array


def make_windows(count: int, rng: np.random.Generator) -> Windows:
    """Windows with one span each: about 7% of the steps lie inside."""
    start = rng.integers(5, STEPS - 20, count)
    length = rng.geometric(1 / 7, count).clip(2, 18)
    time = np.arange(STEPS)
    inside = ((time >= start[:, None]) & (time < (start + length)[:, None])).astype(float)
    distance = start[:, None] - time
    kind = rng.integers(0, 2, count)
    noise = rng.normal(size=(count, STEPS, 5))
    signal = np.stack(
        [
            inside * 2.0,
            np.tanh(distance / 10.0),
            np.broadcast_to(kind[:, None] - 0.5, inside.shape),
            np.broadcast_to(time / STEPS, inside.shape),
            np.broadcast_to((start / STEPS)[:, None], inside.shape),
        ],
        axis=-1,
    )
    pointers = np.stack([(start + length / 2) / STEPS, length / STEPS], axis=-1)
    return Windows(signal + 0.4 * noise, kind, pointers, inside, distance.clip(-REACH, REACH))


def make_parameters(rng: np.random.Generator) -> dict[str, Array]:
    """Small random weights; biases start at zero."""
    shapes = {"trunk": (5, HIDDEN), "type": (HIDDEN, 2), "ptr": (HIDDEN, 2)}
    shapes |= {"binary": (HIDDEN, 1), "countdown": (HIDDEN, 1)}
    parameters = {name: rng.normal(size=size) / size[0] ** 0.5 for name, size in shapes.items()}
    return parameters | {f"{name}.bias": np.zeros(size[1]) for name, size in shapes.items()}


def huber(error: Array, delta: float) -> tuple[float, Array]:
    """Mean Huber loss and its gradient."""
    clipped = error.clip(-delta, delta)
    return float(np.mean(clipped * (error - 0.5 * clipped))), clipped / error.size


def losses(
    p: dict[str, Array], data: Windows, unit: float
) -> tuple[dict[str, float], dict[str, Array], Array]:
    """Value of every term, its gradient at its head's output, and the shared activations.

    The countdown head predicts in units of `unit` steps.
    """
    hidden = np.tanh(data.inputs @ p["trunk"] + p["trunk.bias"])
    pooled = hidden.mean(axis=1)
    logits = pooled @ p["type"] + p["type.bias"]
    logits -= logits.max(axis=1, keepdims=True)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    picked = np.arange(len(data.kind)), data.kind
    values, grads = {}, {}
    values["type"] = float(-np.log(chances[picked]).mean())
    grads["type"] = (chances - np.eye(2)[data.kind]) / len(data.kind)
    pointers = 1 / (1 + np.exp(-(pooled @ p["ptr"] + p["ptr.bias"])))
    values["ptr"], slope = huber(pointers - data.pointers, 0.08)
    grads["ptr"] = slope * pointers * (1 - pointers)
    flag = (hidden @ p["binary"] + p["binary.bias"])[..., 0]
    values["binary"] = float(np.mean(np.logaddexp(0, flag) - flag * data.inside))
    grads["binary"] = ((1 / (1 + np.exp(-flag)) - data.inside) / flag.size)[..., None]
    ahead = (hidden @ p["countdown"] + p["countdown.bias"])[..., 0]
    values["countdown"], slope = huber(unit * ahead - data.countdown, 1.0)
    grads["countdown"] = unit * slope[..., None]
    return values, grads, hidden


def gradients(
    p: dict[str, Array],
    data: Windows,
    grads: dict[str, Array],
    hidden: Array,
    scale: dict[str, float],
) -> dict[str, Array]:
    """Gradient of the scaled sum of the terms at every parameter."""
    result: dict[str, Array] = {}
    upstream = np.zeros_like(hidden)
    pooled = hidden.mean(axis=1)
    for name, grad in grads.items():
        grad = grad * scale[name]
        if grad.ndim == 2:
            result[name] = pooled.T @ grad
            upstream += (grad @ p[name].T)[:, None, :] / STEPS
        else:
            result[name] = np.tensordot(hidden, grad, axes=([0, 1], [0, 1]))
            upstream += grad @ p[name].T
        result[f"{name}.bias"] = grad.reshape(-1, grad.shape[-1]).sum(axis=0)
    upstream *= 1 - hidden**2
    result["trunk"] = np.tensordot(data.inputs, upstream, axes=([0, 1], [0, 1]))
    result["trunk.bias"] = upstream.sum(axis=(0, 1))
    return result


class Adam:
    """Adam with the usual constants."""

    def __init__(self, rate: float) -> None:
        self.rate, self.count = rate, 0
        self.mean: dict[str, Array] = {}
        self.square: dict[str, Array] = {}

    def step(self, p: dict[str, Array], grads: dict[str, Array]) -> None:
        """Moves the parameters in place."""
        self.count += 1
        for name, grad in grads.items():
            self.mean[name] = 0.9 * self.mean.get(name, 0.0) + 0.1 * grad
            self.square[name] = 0.999 * self.square.get(name, 0.0) + 0.001 * grad**2
            mean = self.mean[name] / (1 - 0.9**self.count)
            square = self.square[name] / (1 - 0.999**self.count)
            p[name] -= self.rate * mean / (np.sqrt(square) + 1e-8)


def train(log: Path, *, cured: bool, seed: int = 0) -> float:
    """Trains, writes one line per update, and returns the last countdown loss."""
    rng = np.random.default_rng(seed)
    data, p, adam = make_windows(WINDOWS, rng), make_parameters(rng), Adam(1e-3)
    running: dict[str, float] = {}
    with log.open("w", encoding="utf-8") as out:
        for step in range(UPDATES):
            rows = rng.choice(WINDOWS, BATCH, replace=False)
            batch = Windows(*(getattr(data, name)[rows] for name in Windows.__annotations__))
            values, grads, hidden = losses(p, batch, unit=REACH if cured else 1.0)
            for name, value in values.items():
                running[name] = 0.95 * running.get(name, value) + 0.05 * value
            scale = WEIGHTS if cured else {k: WEIGHTS[k] / running[k] for k in values}
            total = sum(scale[name] * value for name, value in values.items())
            adam.step(p, gradients(p, batch, grads, hidden, scale))
            pairs = " ".join(f"{name}_loss: {value:.6f}" for name, value in values.items())
            head = f"step {step}/{UPDATES} total_loss: {total:.6f}"
            out.write(f"{head} {pairs} lr: {adam.rate:.1e}\n")
    return values["countdown"]


def main() -> None:
    """Trains into the folder given on the command line."""
    parser = argparse.ArgumentParser(description="a multi-task training that goes wrong")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/demo"))
    parser.add_argument("--cured", action="store_true", help="plain weights, unit-scale output")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    last = train(options.folder / "log.txt", cured=options.cured)
    how = "plain weights and a unit-scale output" if options.cured else "a value normaliser"
    print(
        f"{options.folder / 'log.txt'}: {UPDATES} updates with {how}; countdown ends at {last:.2f}"
    )


if __name__ == "__main__":
    main()
