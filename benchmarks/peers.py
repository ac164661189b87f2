"""What the checks that others build in say of a recorded run: `python benchmarks/peers.py RUN ...`.

They need a series of total losses only, so they run over anything that poise reads. Each is written
down here as the project's own source has it, defaults included, and returns whether it would have
spoken at least once. None of them names a term or a cause.
"""

import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

import poise
from poise.run import Kind

Losses = Sequence[float]


def composer_nan(losses: Losses) -> bool:
    """Composer's NaNMonitor: stops at a loss that is NaN (an infinity passes)."""
    return any(map(math.isnan, losses))


def lightning_spike(
    losses: Losses, *, window: int = 10, warmup: int = 1, relative: float = 2.0
) -> bool:
    """Lightning Fabric's SpikeDetection with mode "min", finite_only and rtol 2.

    A loss that is not finite, or one that has risen and is at least twice the size of the running
    mean of the last 10 away from it.
    """
    recent: deque[float] = deque(maxlen=window)
    last = 0.0
    for index, loss in enumerate(losses):
        if index >= warmup:
            if not math.isfinite(loss):
                return True
            mean = sum(recent) / len(recent) if recent else math.nan
            if loss > last and abs(loss - mean) >= abs(relative * mean):
                return True
        if math.isfinite(loss):
            recent.append(loss)
            last = loss
    return False


def olmo_skip(
    losses: Losses, norms: Losses = (), *, interval: int = 128, sigmas: float = 6.0
) -> bool:
    """OLMo-core's SkipStepOptimizer: skips a step beyond mean + 6 sigma of up to 128 before it.

    The same for gradient norms where they are logged. A comparison with NaN fails, which skips.
    """
    least = max(2, interval // 2)
    for at in range(least - 1, len(losses)):
        for series in (losses, norms):
            before = np.asarray(series[max(at - interval, 0) : at], float)
            if at >= len(series) or len(before) < 2:
                continue
            with np.errstate(all="ignore"):
                if not series[at] - before.mean() <= sigmas * before.std(ddof=1):
                    return True
    return False


def megatron_spike(losses: Losses, *, samples: int = 100, factor: float = 10.0) -> bool:
    """Megatron's rerun state machine: NaN, infinity, or 10 times the largest of the first 100."""
    if not all(map(math.isfinite, losses)):
        return True
    largest = max(map(abs, losses[:samples]), default=math.inf)
    return any(abs(one) >= factor * largest for one in losses[samples:])


def foundry_spike(
    losses: Losses,
    *,
    window: int = 100,
    multiplier: float = 2.0,
    patience: int = 4,
    cap: float = 10.0,
) -> bool:
    """llm-foundry's loss spike callback: five outliers in a row, or half of a window too high.

    An outlier is at least twice the mean of the window, which has a twentieth of the steps and at
    least 100. Too high is above the largest loss of the first window, at most 10.
    """
    size = max(window, round(len(losses) / 20))
    recent: deque[float] = deque(maxlen=size)
    row = 0
    for step, loss in enumerate(losses):
        if len(recent) == size:
            if step == size:
                cap = min(max(recent), cap)
            row = row + 1 if loss >= multiplier * (sum(recent) / size) else 0
            if row > patience:
                return True
            if step >= 2 * size and sum(one > cap for one in recent) >= size / 2:
                return True
        recent.append(loss)
    return False


PEERS: Mapping[str, Callable[[Losses, Losses], bool]] = {
    "Composer NaN": lambda losses, _: composer_nan(losses),
    "Lightning spike": lambda losses, _: lightning_spike(losses),
    "OLMo 6 sigma": olmo_skip,
    "Megatron 10x": lambda losses, _: megatron_spike(losses),
    "llm-foundry spike": lambda losses, _: foundry_spike(losses),
}
"""By name: whether it speaks of these losses and gradient norms."""


def judge(run: poise.Run) -> dict[str, bool]:
    """Which of the peers would have raised an alarm in a run.

    They are given the total of the training, or the sum of its terms where no total is logged, and
    the gradient norm where it is logged.

    Example:
        >>> from poise.record import Recorder
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as path, Recorder(path) as recorder:
        ...     for step in range(3):
        ...         recorder.step(step, total=float("nan") if step == 2 else 1.0)
        ...     [name for name, spoke in judge(poise.read_run(path)).items() if spoke]
        ['Composer NaN', 'Lightning spike', 'Megatron 10x']
    """
    losses, norms = series(run)
    return {name: check(losses, norms) for name, check in PEERS.items()}


def series(run: poise.Run) -> tuple[list[float], list[float]]:
    """Total losses and gradient norms of the training, in order."""
    if not run.tables:
        return [], []
    totals = list(run.train.of_kind(Kind.TOTAL))
    named = run.composition.total if run.composition else None
    total = next((one for one in totals if one.name == named), totals[0] if totals else None)
    if total is not None:
        losses = total.values.tolist()
    else:
        terms = [one.name for one in run.train.of_kind(Kind.TERM)]
        losses = run.train.aligned(terms)[1].sum(axis=1).tolist() if terms else []
    norm = next(run.train.of_kind(Kind.GRAD_NORM), None)
    return losses, [] if norm is None else norm.values.tolist()


def main(paths: Iterable[str]) -> None:
    """Prints a line a run."""
    print("run".ljust(40), *PEERS, "poise", sep="  ")
    for path in paths:
        run = poise.read_run(path)
        spoke = ["yes" if one else "-" for one in judge(run).values()]
        worst = poise.diagnose(run).worst
        cells = [one.ljust(len(name)) for one, name in zip(spoke, PEERS, strict=True)]
        print(path[-40:].ljust(40), *cells, worst or "-", sep="  ")


if __name__ == "__main__":
    main(sys.argv[1:])
