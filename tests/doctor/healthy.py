"""Healthy trainings, made up, each with something in it that looks like a fault and is none."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from poise.run import Event, Floats, Run
from tests.doctor.build import make_run

Make: TypeAlias = Callable[[np.random.Generator], Run]

N = 400
"""Records of a training."""


def decay(
    rng: np.random.Generator,
    start: float,
    end: float,
    *,
    n: int = N,
    noise: float = 0.05,
    tau: float = 0.2,
) -> Floats:
    """An exponential decay with multiplicative noise."""
    clean = end + (start - end) * np.exp(-np.arange(n) / (tau * n))
    return clean * np.exp(noise * rng.standard_normal(n))


def cosine(n: int = N, *, peak: float = 1e-3, warm: int = 20) -> Floats:
    """Linear warm-up from 0 and a cosine to 0."""
    step = np.arange(n)
    down = 0.5 * (1 + np.cos(np.pi * (step - warm) / (n - 1 - warm)))
    return peak * np.where(step < warm, step / warm, down)


def plain(rng: np.random.Generator) -> Run:
    """Three terms that decay, with warm-up, cosine and a gradient norm."""
    terms = {
        name: decay(rng, a, b) for name, a, b in (("ce", 7, 2), ("kl", 0.4, 0.1), ("l1", 2, 1))
    }
    return make_run(terms, lr=cosine(), grad_norm=decay(rng, 5, 1, noise=0.3))


def evaluated(rng: np.random.Generator) -> Run:
    """Evaluation a little above training, with noise and an undefined metric."""
    terms = {"ce": decay(rng, 7, 2), "box": decay(rng, 3, 0.5)}
    evals = {"ce": 1.2 * decay(rng, 5, 2, n=12), "box": 1.3 * decay(rng, 2, 0.5, n=12)}
    evals["loss"] = evals["ce"] + evals["box"]
    metrics = {"ap_small": np.full(12, np.nan), "ap": 1 - decay(rng, 0.9, 0.5, n=12)}
    return make_run(terms, evals=evals, eval_statistics=metrics)


def adversarial(rng: np.random.Generator) -> Run:
    """Generator and discriminator that swing against each other, without a total."""
    swing = np.sin(np.arange(N) / 15) + 0.3 * rng.standard_normal(N)
    terms = {
        "G_GAN": np.exp(0.5 * swing),
        "D_real": np.exp(-0.5 * swing) / 2,
        "G_L1": decay(rng, 8, 2, noise=0.2),
    }
    return make_run(terms, total=None)


def negative(rng: np.random.Generator) -> Run:
    """A likelihood that becomes negative and slows down."""
    nll = decay(rng, 4, 1, noise=0) - 2 + 0.1 * rng.standard_normal(N)
    return make_run({"nll": nll, "reg": decay(rng, 0.2, 0.1)})


def policy(rng: np.random.Generator) -> Run:
    """A policy gradient around 0 of either sign, with an entropy that is only watched."""
    terms = {
        "policy_loss": 0.02 * rng.standard_normal(N),
        "value_loss": decay(rng, 2, 0.3, noise=0.4),
        "entropy_loss": -decay(rng, 3, 1),
    }
    return make_run(terms, weights={"entropy_loss": 0.0})


def restarted(rng: np.random.Generator) -> Run:
    """Resumed once from the last checkpoint, a little before where it had stopped."""
    first = np.arange(0, 250)
    steps = np.concatenate((first, np.arange(220, 370)))
    ce = np.concatenate((decay(rng, 7, 2)[:250], decay(rng, 7, 2)[220:370]))
    lr = np.concatenate((cosine()[:250], cosine()[220:370]))
    parts = np.repeat([0, 1], [250, 150])
    return make_run({"ce": ce, "kl": 0.1 * ce**1.5}, lr=lr, steps=steps, segments=parts)


def one_class(rng: np.random.Generator) -> Run:
    """A detector of a single class: its classification term is 0 by right."""
    terms = {"box_loss": decay(rng, 3, 1), "cls_loss": np.zeros(N), "obj_loss": decay(rng, 2, 1)}
    return make_run(terms)


def late(rng: np.random.Generator) -> Run:
    """A term that is ramped in after a quarter of the run."""
    ramp = np.clip((np.arange(N) - 100) / 100, 0, 1)
    return make_run({"ce": decay(rng, 7, 2), "aux": ramp * decay(rng, 1, 0.5)}, lr=cosine())


def scheduled(rng: np.random.Generator) -> Run:
    """A short run in which a term has not started yet."""
    terms = {"ce": decay(rng, 7, 5, n=40), "l1": np.zeros(40)}
    return make_run(terms, declared={"total_steps": 4000})


def milestones(rng: np.random.Generator) -> Run:
    """A learning rate that is divided by 10 at three milestones."""
    lr = 0.1 * 10.0 ** -np.searchsorted([120, 240, 300], np.arange(N), side="right")
    return make_run({"ce": decay(rng, 7, 2), "aux": decay(rng, 4, 1)}, lr=lr)


def warm_restarts(rng: np.random.Generator) -> Run:
    """Cosine with warm restarts."""
    lr = 1e-3 * 0.5 * (1 + np.cos(np.pi * (np.arange(N) % 100) / 100))
    return make_run({"ce": decay(rng, 7, 2), "aux": decay(rng, 4, 1)}, lr=lr)


def exponential(rng: np.random.Generator) -> Run:
    """A learning rate that goes on falling, four orders of magnitude in all."""
    lr = 1e-2 * 10.0 ** (-np.arange(N) / 100)
    return make_run({"ce": decay(rng, 7, 2), "aux": decay(rng, 4, 1)}, lr=lr)


def mixed_precision(rng: np.random.Generator) -> Run:
    """A loss scale that settles, and single overflows after it."""
    scale = 2.0 ** np.concatenate((np.arange(16, 11, -1), rng.integers(11, 13, N - 5)))
    events = [Event(name="overflow", step=step, text="overflow") for step in (0, 1, 2, 3, 90, 300)]
    norm = decay(rng, 5, 1, noise=0.3)
    norm[:4] = np.inf
    norm[[90, 300]] = np.inf
    return make_run({"ce": decay(rng, 7, 2)}, loss_scale=scale, grad_norm=norm, events=events)


def rounded(rng: np.random.Generator) -> Run:
    """A log that prints three decimals, and six of a tiny learning rate."""
    terms = {"ce": decay(rng, 7, 2).round(3), "kl": decay(rng, 0.004, 0.0002).round(3)}
    total = (terms["ce"] + decay(rng, 0.004, 0.0002)).round(3)
    lr = np.linspace(0, 5e-6, N).round(6)
    return make_run(terms, total=total, lr=lr, tolerance=5e-4)


def medians(rng: np.random.Generator) -> Run:
    """A log that prints the median of a window for each quantity by itself."""
    raw = {name: np.exp(0.4 * rng.standard_normal((N, 20))) for name in "abc"}
    falling = decay(rng, 5, 1, noise=0)[:, None]
    terms = {name: np.median(one * falling, axis=1) for name, one in raw.items()}
    total = np.median(np.sum(list(raw.values()), axis=0) * falling, axis=1)
    return make_run(terms, total=total)


def running_mean(rng: np.random.Generator) -> Run:
    """A total that is the mean since the start of an epoch, beside momentary terms."""
    terms = {"conf": decay(rng, 9, 3, noise=0.2), "loc": decay(rng, 4, 1, noise=0.2)}
    momentary = terms["conf"] + terms["loc"]
    parts = [np.cumsum(one) / np.arange(1, len(one) + 1) for one in np.split(momentary, 4)]
    return make_run(terms, total=np.concatenate(parts))


def skipped_batch(rng: np.random.Generator) -> Run:
    """A term that is NaN where a batch has no samples for it; the total leaves it out."""
    terms = {"ce": decay(rng, 7, 2), "mask": decay(rng, 2, 1)}
    total = terms["ce"] + terms["mask"]
    empty = rng.choice(N, 20, replace=False)
    total[empty] = terms["ce"][empty]
    terms["mask"][empty] = np.nan
    return make_run(terms, total=total)


def unweighted_eval(rng: np.random.Generator) -> Run:
    """Deep supervision in training only: evaluation lacks the auxiliary terms."""
    terms = {"ce": decay(rng, 7, 2), "aux": decay(rng, 6, 2)}
    ce = decay(rng, 6, 2, n=10)
    return make_run(terms, weights={"aux": 0.4}, evals={"ce": ce, "loss": ce})


def converged(rng: np.random.Generator) -> Run:
    """A full-batch training whose optimizer stops at a minimum."""
    clean = decay(rng, 3, 0.01, noise=0.0, tau=0.05)
    stop = np.minimum(np.arange(N), 300)
    return make_run({"pde": clean[stop], "bc": (0.1 * clean**0.5)[stop]})


def sampled_terms(rng: np.random.Generator) -> Run:
    """A mixture of tasks: each record has the term of one of them."""
    which = rng.integers(0, 3, N)
    values = decay(rng, 5, 1)
    terms = {f"task{k}": (np.flatnonzero(which == k), values[which == k]) for k in range(3)}
    return make_run(terms, total=values)


def generator_total(rng: np.random.Generator) -> Run:
    """The total of a generator, beside the loss of the discriminator that is minimised apart."""
    swing = np.sin(np.arange(N) / 15) + 0.3 * rng.standard_normal(N)
    terms = {
        "loss_gen": np.exp(0.5 * swing),
        "loss_mel": decay(rng, 40, 15),
        "loss_disc": np.exp(-0.5 * swing),
    }
    return make_run(terms, weights={"loss_disc": 0.0})


def curriculum(rng: np.random.Generator) -> Run:
    """Logged weights: one term is ramped in, the other out."""
    ramp = np.clip((np.arange(N) - 100) / 200, 0, 1)
    terms = {"coarse": decay(rng, 5, 2), "fine": decay(rng, 4, 2)}
    total = (1 - ramp) * terms["coarse"] + ramp * terms["fine"]
    history = {"coarse": 1 - ramp, "fine": ramp}
    return make_run(terms, total=total, weights={"coarse": 0.0}, weight_history=history)


def accumulated(rng: np.random.Generator) -> Run:
    """Four records per optimizer step, one for each micro-batch."""
    terms = {"ce": decay(rng, 7, 2, noise=0.2), "z": decay(rng, 0.2, 0.1)}
    return make_run(terms, steps=np.arange(N) // 4, weights={"z": 1e-3})


def stage_of_two(rng: np.random.Generator) -> Run:
    """A second stage with a learning rate of its own, after a short pause at 0."""
    lr = np.concatenate((cosine(200), cosine(200, peak=1e-4)))
    return make_run({"ce": decay(rng, 7, 2), "kl": decay(rng, 1, 0.4)}, lr=lr)


HEALTHY: Mapping[str, Make] = {
    one.__name__: one
    for one in (
        plain,
        evaluated,
        adversarial,
        negative,
        policy,
        restarted,
        one_class,
        late,
        scheduled,
        milestones,
        warm_restarts,
        exponential,
        mixed_precision,
        rounded,
        medians,
        running_mean,
        skipped_batch,
        unweighted_eval,
        converged,
        sampled_terms,
        generator_total,
        curriculum,
        accumulated,
        stage_of_two,
    )
}
"""Every healthy training by name. No rule may find an error or a warning in any of them."""
