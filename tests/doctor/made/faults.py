"""Trainings with one fault each that is visible in the logged values."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tests.doctor.made.log import Columns, Made
from tests.doctor.made.noise import Maker


@dataclass(frozen=True)
class Seeded:
    """A faulty training and what must be said about it.

    Attributes:
        made: Makes the log.
        faults: Any of these fault classes is right.
        about: Part of the name of a quantity that the finding must name; empty for any.
        noted: True if a note is the right severity: the fault has a healthy explanation.
    """

    made: Made
    faults: tuple[str, ...]
    about: str = ""
    noted: bool = False


def aux_constant(m: Maker) -> Columns:
    """A detached auxiliary loss keeps one value."""
    ce, aux = m.learned(4), np.full(m.n, m.up(0.01, 3))
    return {"loss": ce + aux, "loss_ce": ce, "loss_aux": aux}


def kl_zero(m: Maker) -> Columns:
    """The divergence of a distribution from itself."""
    ice, dice = m.learned(2), m.learned()
    return {"loss": ice + dice, "loss_ice": ice, "loss_kl": np.zeros(m.n), "loss_dice": dice}


def ctc_inf(m: Maker) -> Columns:
    """Impossible alignments in 3% of the batches."""
    ctc, att = m.learned(100), m.learned(60)
    ctc[m.rng.random(m.n) < 0.03] = np.inf
    ctc[m.n // 2] = np.inf
    return {"loss": 0.3 * ctc + 0.7 * att, "loss_ctc": ctc, "loss_att": att}


def ctc_absurd(m: Maker) -> Columns:
    """The log-probability of an impossible alignment, negated and averaged."""
    ctc, att = m.learned(100), m.learned(60)
    ctc[int(0.7 * m.n) :: max(2, m.n // 50)] = -1.06e35
    return {"loss": 0.3 * ctc + 0.7 * att, "loss_ctc": ctc, "loss_att": att}


def hidden_nan(m: Maker) -> Columns:
    """The total is NaN from some step on; every printed term is finite."""
    cls, box = m.learned(2), m.learned(0.2)
    total = np.where(m.after(0.3), np.nan, cls + box + 0.2)
    return {"loss": total, "loss_cls": cls, "loss_box": box}


def eval_nan(m: Maker) -> Columns:
    """NaN in evaluation only."""
    ce, reg = m.learned(5), m.learned(0.3)
    return {
        "loss": ce + reg,
        "loss_ce": ce,
        "loss_reg": reg,
        "val/loss": (m.evals(), np.full(12, np.nan)),
    }


def lr_zero(m: Maker) -> Columns:
    """A learning rate that stays 0."""
    ce, box = 7 * m.scatter(), 2 * m.scatter()
    return {"loss": ce + box, "loss_ce": ce, "loss_box": box, "lr": np.zeros(m.n)}


def lr_floor(m: Maker) -> Columns:
    """A scheduler stepped per micro-batch: at its floor after 1/accumulation of the run."""
    part = 1 / float(m.rng.choice([4, 8, 16]))
    lr = 1e-3 * 0.5 * (1 + np.cos(np.pi * np.minimum(1, m.at / m.n / part)))
    ce = m.learned(5)
    return {"loss": ce, "loss_ce": ce, "lr": np.maximum(lr, 1e-9)}


def eval_identical(m: Maker) -> Columns:
    """A stale copy is evaluated."""
    ce, box = m.learned(5), m.learned(2)
    value = np.full(12, float(f"{m.up(1, 9):.6g}") + 1.23456e-1)
    return {
        "loss": ce + box,
        "loss_ce": ce,
        "loss_box": box,
        "val/loss": (m.evals(), value),
        "val/loss_ce": (m.evals(), 0.7 * value),
    }


def accumulation_jump(m: Maker) -> Columns:
    """A sum over micro-batches: 8 become 32 in the middle of the run."""
    ce, kd = m.falling(2, 1.5), m.falling(6, 4)
    factor = np.where(m.after(0.5), 4, 1)
    return {"loss": (ce + kd) * factor, "loss_ce": ce * factor, "loss_kd": kd * factor}


def stuck_dino_small(m: Maker) -> Columns:
    """Ln 4096, while another term falls."""
    dino = np.log(4096) * (1 + 3e-4 * m.rng.standard_normal(m.n))
    ibot = m.falling(8.3, 3)
    return {"loss": dino + ibot, "dino_loss": dino, "ibot_loss": ibot}


def stuck_dino_large(m: Maker) -> Columns:
    """Ln 65536 and nothing else."""
    dino = np.log(65536) * (1 + 3e-4 * m.rng.standard_normal(m.n))
    return {"loss": dino, "dino_loss": dino, "lr": m.cosine()}


def stuck_contrastive(m: Maker) -> Columns:
    """ln(2B - 1): every pair of the batch looks alike."""
    size = int(m.rng.choice([64, 256, 512]))
    nce = np.log(2 * size - 1) * (1 + 5e-4 * m.rng.standard_normal(m.n))
    return {"loss": nce, "info_nce_loss": nce, "lr": m.cosine()}


def codebook_collapse(m: Maker) -> Columns:
    """Few codes are used while the reconstruction improves."""
    rec, commit = m.learned(), m.learned(0.2)
    codes = 2 + 400 * (1 - m.ramp(0.2, 0.5)) * m.scatter(0.05)
    return {
        "loss": rec + commit,
        "rec_loss": rec,
        "commit_loss": commit,
        "codebook_perplexity": codes,
    }


def discriminator_start(m: Maker) -> Columns:
    """An adversarial term starts at once, with a large adaptive weight."""
    rec = m.falling(0.6, 0.15, sigma=0.05)
    late = m.after(0.5)
    rec = np.where(late, 0.4 * m.scatter(0.05), rec)
    adv = np.where(late, 0.8 * m.scatter(0.1), 0)
    return {"loss": rec + adv, "rec_loss": rec, "g_loss": adv}


def sigma_collapse(m: Maker) -> Columns:
    """A log-variance falls on and on, its term is fitted exactly."""
    s = -8 * (m.at / m.n) ** 1.3 + 0.02 * m.rng.standard_normal(m.n)
    easy = np.exp(s) * 0.5 * m.scatter()
    hard = m.learned(2)
    return {
        "loss": np.exp(-s) * easy + s + hard,
        "loss_depth": easy,
        "loss_seg": hard,
        "log_var_depth": s,
    }


def unbounded_likelihood(m: Maker) -> Columns:
    """A likelihood without a floor falls faster and faster."""
    nll = 1 - 60 * (m.at / m.n) ** 3 + 0.1 * m.rng.standard_normal(m.n)
    ce = m.learned(2)
    return {"loss": nll + ce, "nll_loss": nll, "loss_ce": ce}


def physics_dominated(m: Maker) -> Columns:
    """A boundary term of order 1000 beside residuals that hardly fall."""
    boundary = m.falling(2000, 100)
    pde, initial = m.falling(1.1, 0.8, sigma=0.03), m.falling(0.6, 0.45, sigma=0.03)
    return {
        "loss": boundary + pde + initial,
        "loss_bc": boundary,
        "loss_pde": pde,
        "loss_ic": initial,
    }


def starved(m: Maker) -> Columns:
    """A term at a weight of 1/10000 is never learned."""
    ce, box = m.learned(4), m.learned(1)
    depth = m.up(0.2, 4) * m.scatter(0.03)
    return {
        "loss": ce + box + 1e-4 * depth,
        "loss_ce": ce,
        "loss_box": box,
        "loss_depth": depth,
    }


def kl_spike(m: Maker) -> Columns:
    """One record far above all others."""
    policy, kl = m.learned(0.4), 0.02 * m.scatter(0.1)
    kl[int(0.6 * m.n)] = 300.0
    return {"loss": policy + 0.1 * kl, "task_loss": policy, "kl_loss": kl}


def length_dependent(m: Maker) -> Columns:
    """A sum over the tokens of a batch."""
    tokens = m.rng.integers(200, 4000, m.n).astype(float)
    per_token, reg = m.falling(6, 3), m.learned(0.1)
    return {"loss": per_token * tokens, "loss_ce": per_token * tokens, "num_tokens": tokens}


def late_divergence(m: Maker) -> Columns:
    """Falls, then rises far above its best and stays there."""
    ce, box = m.falling(5, 0.5), m.falling(1, 0.3)
    burst = 1 + 25 * m.ramp(m.rng.uniform(0.55, 0.7), 0.8)
    return {"loss": ce * burst + box, "loss_ce": ce * burst, "loss_box": box}


def hidden_summand(m: Maker) -> Columns:
    """Weight decay inside the total, logged nowhere."""
    ce, box = m.falling(3, 1, sigma=0.05), m.falling(1, 0.4, sigma=0.05)
    hidden = 1 + 0.5 * m.at / m.n
    return {"loss": ce + box + hidden, "loss_ce": ce, "loss_box": box}


def never_added(m: Maker) -> Columns:
    """A term is logged, but not summed."""
    ce, box = m.learned(3), m.learned(1)
    dice = m.falling(0.9, 0.7)
    return {"loss": ce + box, "loss_ce": ce, "loss_box": box, "loss_dice": dice}


def only_main(m: Maker) -> Columns:
    """The function returns the reconstruction alone; the auxiliary term is only logged."""
    rec, aux = m.learned(3), m.falling(0.9, 0.6)
    return {"loss": rec, "rec_loss": rec, "aux_loss": aux}


def other_eval_weights(m: Maker) -> Columns:
    """Evaluation weighs its terms otherwise."""
    ce, box = m.learned(3), m.learned(1)
    at = m.evals(20)
    vce, vbox = (1.1 * one[at] * np.exp(0.05 * m.rng.standard_normal(20)) for one in (ce, box))
    return {
        "loss": ce + 5 * box,
        "loss_ce": ce,
        "loss_box": box,
        "val/loss": (at, vce + vbox),
        "val/loss_ce": (at, vce),
        "val/loss_box": (at, vbox),
    }


def overfit(m: Maker) -> Columns:
    """Evaluation rises from a third on while training goes on falling."""
    ce = m.falling(2, 0.1)
    at = m.evals(25)
    part = at / m.n
    rise = 0.9 + 1.1 * np.exp(-part * 12) + 1.5 * np.clip(part - 0.35, 0, 1)
    val = rise * np.exp(0.02 * m.rng.standard_normal(25))
    return {"loss": ce, "loss_ce": ce, "val/loss": (at, val), "val/loss_ce": (at, val)}


def restart_burst(m: Maker) -> Columns:
    """The optimizer state is lost at a restart: the steps go back and the losses burst."""
    ce, box = m.learned(3), m.learned(1)
    cut = int(0.6 * m.n)
    burst = 1 + 4 * np.where(m.at >= cut, np.exp(-(m.at - cut).clip(0) / (0.05 * m.n)), 0)
    step = np.where(m.at < cut, m.at, m.at - m.n // 10)
    return {
        "step": step,
        "loss": (ce + box) * burst,
        "loss_ce": ce * burst,
        "loss_box": box * burst,
    }


def gradient_first(m: Maker) -> Columns:
    """The gradient norm grows long before the loss leaves its range."""
    ce = m.falling(5, 1) * (1 + 30 * m.ramp(0.8, 0.9) ** 2)
    norm = m.scatter(0.2) * np.exp(7 * m.ramp(0.4, 0.9))
    return {"loss": ce, "loss_ce": ce, "grad_norm": norm}


def nan_onset(m: Maker) -> Columns:
    """One term breaks, the total at once, the others a little later."""
    ce, pitch = m.learned(3), m.learned(0.5)
    pitch[int(0.4 * m.n) :] = np.nan
    ce[int(0.4 * m.n) + 3 :] = np.nan
    return {"loss": ce + pitch, "loss_ce": ce, "loss_pitch": pitch}


def kl_overflow(m: Maker) -> Columns:
    """An exponential in the divergence runs away and ends in NaN."""
    rec = m.falling(0.3, 0.18)
    kl = np.exp(np.minimum(700, 25 * m.ramp(0, 0.5))) * m.scatter()
    kl[m.after(0.6)] = np.nan
    return {"loss": rec + kl, "rec_loss": rec, "kl_loss": kl}


def dead_reward(m: Maker) -> Columns:
    """One reward function never fires."""
    return {
        "loss": 0.01 * m.rng.standard_normal(m.n),
        "rewards/format": np.zeros(m.n),
        "rewards/correct": m.falling(0.2, 0.9),
        "kl": 0.01 + 0.1 * m.ramp(0, 1) * m.scatter(0.1),
    }


def negative_kl(m: Maker) -> Columns:
    """Sampled and scored distributions differ: the estimated divergence is negative."""
    kl = -5 * m.ramp(0, 0.7) + 0.3 * m.rng.standard_normal(m.n)
    return {
        "loss": 0.01 * m.rng.standard_normal(m.n),
        "reward": m.falling(0.2, 0.9),
        "objective/kl": kl,
    }


def opposed(m: Maker) -> Columns:
    """A term rises in training and evaluation while the others fall."""
    ce, box = m.learned(3), m.falling(0.8, 1.6, sigma=0.05)
    at = m.evals(10)
    return {
        "loss": ce + box,
        "loss_ce": ce,
        "loss_box": box,
        "val/loss_ce": (at, 1.1 * ce[at]),
        "val/loss_box": (at, 1.1 * box[at]),
    }


def nothing_learned(m: Maker) -> Columns:
    """No loss moves at all although the learning rate is not 0."""
    ce, box = 6.9 * m.scatter(0.02), 1.4 * m.scatter(0.02)
    return {"loss": ce + box, "loss_ce": ce, "loss_box": box, "lr": m.cosine()}


FAULTS: Mapping[str, Seeded] = {
    one.made.__name__: one
    for one in (
        Seeded(aux_constant, ("no-effect", "no-gradient", "frozen"), "aux"),
        Seeded(kl_zero, ("no-effect",), "kl"),
        Seeded(ctc_inf, ("nonfinite",), "ctc"),
        Seeded(ctc_absurd, ("nonfinite", "explosion", "unbounded"), "ctc"),
        Seeded(hidden_nan, ("nonfinite",), "loss"),
        Seeded(eval_nan, ("nonfinite",), "loss"),
        Seeded(lr_zero, ("frozen",), "lr"),
        Seeded(lr_floor, ("schedule",), "lr"),
        Seeded(eval_identical, ("frozen",), "loss"),
        Seeded(accumulation_jump, ("jump", "explosion"), "loss"),
        Seeded(stuck_dino_small, ("stuck",), "dino"),
        Seeded(stuck_dino_large, ("stuck",), "dino"),
        Seeded(stuck_contrastive, ("stuck",), "nce"),
        Seeded(codebook_collapse, ("collapse",), "codebook"),
        Seeded(discriminator_start, ("jump",), noted=True),
        Seeded(sigma_collapse, ("collapse", "unbounded"), ""),
        Seeded(unbounded_likelihood, ("unbounded",), "nll"),
        Seeded(physics_dominated, ("dominance", "starvation"), ""),
        Seeded(starved, ("starvation", "stuck"), "depth"),
        Seeded(kl_spike, ("explosion", "jump"), "kl"),
        Seeded(length_dependent, ("scale-with-length",), "ce"),
        Seeded(late_divergence, ("explosion",), "ce"),
        Seeded(hidden_summand, ("unaccounted",), "loss"),
        Seeded(never_added, ("unaccounted", "no-effect"), "dice", noted=True),
        Seeded(only_main, ("unaccounted",), "aux"),
        Seeded(other_eval_weights, ("eval-mismatch",), "loss"),
        Seeded(overfit, ("generalisation",), "ce"),
        Seeded(restart_burst, ("record",), noted=True),
        Seeded(gradient_first, ("explosion",), "grad"),
        Seeded(nan_onset, ("nonfinite",), "pitch"),
        Seeded(kl_overflow, ("nonfinite", "explosion"), "kl"),
        Seeded(dead_reward, ("no-effect",), "format"),
        Seeded(negative_kl, ("data", "eval-mismatch"), "kl"),
        Seeded(opposed, ("conflict",), "box"),
        Seeded(nothing_learned, ("stuck",), "", noted=True),
    )
}
"""Every faulty training by name."""
