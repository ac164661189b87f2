"""Healthy trainings of many fields, written without looking at what the rules do with them."""

from collections.abc import Mapping

import numpy as np

from tests.doctor.made.log import Columns, Made
from tests.doctor.made.noise import Maker


def full_batch(m: Maker) -> Columns:
    """Physics without noise: two terms converge to almost nothing."""
    levels = (("pde", 5, 1e-4), ("bc", 2, 1e-5), ("ic", 1, 1e-6))
    terms = {f"loss_{name}": m.falling(a, b, sigma=0) for name, a, b in levels}
    return {"loss": sum(terms.values()), **terms}


def vicreg(m: Maker) -> Columns:
    """A variance hinge that is satisfied, a covariance that settles higher."""
    sim, std, cov = m.falling(1, 0.2), m.falling(0.9, 0.002), m.falling(0.01, 0.05)
    return {"loss": 25 * sim + 25 * std + cov, "sim_loss": sim, "std_loss": std, "cov_loss": cov}


def sac(m: Maker) -> Columns:
    """Values and their losses grow with the returns, the temperature falls."""
    q = np.geomspace(1, m.rng.uniform(10, 80), m.n)
    return {
        "critic_loss": 0.1 * q * m.scatter(0.4),
        "actor_loss": -q * m.scatter(0.1),
        "alpha_loss": 0.3 * np.sin(m.at / m.n * 20) + 0.1 * m.rng.standard_normal(m.n),
        "alpha": m.falling(1, 0.003),
        "entropy": m.falling(6, -3, sigma=0),
        "mean_reward": q * 10,
    }


def dpo(m: Maker) -> Columns:
    """Preference optimisation starts at ln 2 and leaves it."""
    loss = m.falling(np.log(2), 0.45, sigma=0.03)
    return {
        "loss": loss,
        "rewards/chosen": m.ramp(0, 1) * -0.5 + 0.05 * m.rng.standard_normal(m.n),
        "rewards/rejected": -m.ramp(0, 1) * 2 + 0.05 * m.rng.standard_normal(m.n),
        "rewards/margins": 1.5 * m.ramp(0, 1),
        "rewards/accuracies": 0.5 + 0.3 * m.ramp(0, 0.4),
        "learning_rate": m.cosine(1e-6),
        "logps/chosen": -200 * m.scatter(0.05),
    }


def focal_tiny(m: Maker) -> Columns:
    """A focal loss of a thousandth with a weight of 20."""
    f, d = m.falling(2e-3, 1e-4), m.falling(0.8, 0.3)
    return {"loss": 20 * f + d, "loss_mask": f, "loss_dice": d}


def epochs_sawtooth(m: Maker) -> Columns:
    """Training losses that drop at every epoch."""
    e = m.at // max(1, m.n // 6)
    ce = 4 * 0.6**e * m.scatter()
    return {"loss": ce, "loss_ce": ce, "lr": 1e-3 * 0.97**e}


def clip_style(m: Maker) -> Columns:
    """A contrastive loss that starts at ln B."""
    c = m.falling(np.log(512), 1.2)
    return {
        "loss": c,
        "contrastive_loss": c,
        "logit_scale": 14 + 86 * m.ramp(0, 0.5),
        "lr": m.cosine(5e-4),
    }


def one_cycle(m: Maker) -> Columns:
    """A bump where the learning rate peaks."""
    x = m.at / m.n
    lr = 1e-2 * np.where(x < 0.3, x / 0.3, (1 - x) / 0.7)
    bump = 1 + 0.6 * np.exp(-(((x - 0.3) / 0.1) ** 2))
    ce = m.falling(5, 0.8) * bump
    return {"loss": ce, "loss_ce": ce, "lr": lr, "grad_norm": m.scatter(0.4) * bump}


def wgan(m: Maker) -> Columns:
    """A critic of Wasserstein type, negative throughout."""
    d = -m.falling(20, 3, sigma=0.1) + 0.3 * m.rng.standard_normal(m.n)
    g = 3 * np.sin(m.at / m.n * 9) + 0.5 * m.rng.standard_normal(m.n)
    return {
        "loss_D": d,
        "loss_G": g,
        "gradient_penalty": 0.3 * m.scatter(0.5),
        "wasserstein_distance": -d,
    }


def moe_lb(m: Maker) -> Columns:
    """A balancing loss at its least value, 1."""
    ce = m.falling(8, 2.2)
    lb = 1.0 + 0.01 * m.scatter(0.5)
    return {
        "loss": ce + 0.01 * lb,
        "ce_loss": ce,
        "load_balancing_loss": lb,
        "grad_norm": m.scatter(0.5) + 0.3,
    }


def moe_aux(m: Maker) -> Columns:
    """The same, called aux_loss, at 2."""
    ce = m.falling(8, 2.2)
    lb = 2.0 + 0.01 * m.scatter(0.5)
    return {"loss": ce + 0.01 * lb, "ce_loss": ce, "aux_loss": lb}


def detector_slow(m: Maker) -> Columns:
    """Noisy detection terms of which some hardly fall."""
    a, b, c = m.falling(0.7, 0.1), m.falling(0.6, 0.35, sigma=0.2), m.falling(0.06, 0.05, sigma=0.3)
    return {
        "total_loss": a + b + c,
        "loss_cls": a,
        "loss_box_reg": b,
        "loss_rpn_loc": c,
        "num_fg": m.falling(5, 30, sigma=0.3),
    }


def proposals_grow(m: Maker) -> Columns:
    """A box loss that grows as proposals become foreground."""
    a, b = m.falling(0.7, 0.1), np.linspace(0.02, 0.3, m.n) ** 0.7 * m.scatter(0.2)
    return {
        "total_loss": a + b,
        "loss_rpn_cls": a,
        "loss_box_reg": b,
        "fg_cls_accuracy": 0.2 + 0.6 * m.ramp(0, 0.5),
    }


def speech(m: Maker) -> Columns:
    """Two alignments with weights, and their evaluation."""
    ctc, att = m.falling(300, 20), m.falling(120, 8)
    at = m.evals(15)
    return {
        "loss": 0.3 * ctc + 0.7 * att,
        "loss_ctc": ctc,
        "loss_att": att,
        "acc": 0.1 + 0.8 * m.ramp(0, 0.6),
        "valid/loss": (at, 1.2 * (0.3 * ctc + 0.7 * att)[at]),
        "valid/loss_ctc": (at, 1.2 * ctc[at]),
        "valid/loss_att": (at, 1.2 * att[at]),
    }


def tts(m: Maker) -> Columns:
    """Five terms of a speech synthesiser."""
    t = {
        "mel_loss": m.falling(4, 0.4),
        "postnet_loss": m.falling(4, 0.38),
        "pitch_loss": m.falling(1, 0.4),
        "energy_loss": m.falling(1, 0.3),
        "duration_loss": m.falling(1.5, 0.05),
    }
    return {"total_loss": sum(t.values()), **t}


def pretrained_eval(m: Maker) -> Columns:
    """Fine-tuning: evaluation loss stays, accuracy rises."""
    ce = m.falling(0.8, 0.05)
    at = m.evals(6)
    return {
        "loss": ce,
        "loss_ce": ce,
        "eval/loss": (at, 0.9 * np.ones(6) * np.exp(0.03 * m.rng.standard_normal(6))),
        "eval/accuracy": (at, np.linspace(0.6, 0.8, 6)),
    }


def two_epoch_llm(m: Maker) -> Columns:
    """A step down where the second epoch begins."""
    level = np.where(m.after(0.5), 1.5, 2.1) * m.scatter(0.08)
    return {
        "loss": level,
        "grad_norm": m.scatter(0.4),
        "learning_rate": m.cosine(2e-5),
        "epoch": m.at / m.n * 2,
    }


def grpo(m: Maker) -> Columns:
    """A policy-gradient loss around 0, rewards that rise."""
    return {
        "loss": np.abs(1e-4 * m.ramp(0, 1) * m.scatter(0.5)),
        "grad_norm": m.scatter(0.6),
        "reward": m.falling(0.2, 1.2),
        "reward_std": m.falling(0.6, 0.1),
        "rewards/format": m.falling(0.1, 0.98),
        "rewards/acc": m.falling(0.05, 0.4),
        "completion_length": 300 * m.scatter(0.2),
        "kl": 0.002 + 0.3 * m.ramp(0, 1) * m.scatter(0.3),
        "learning_rate": m.cosine(1e-6),
    }


def regularised_norms(m: Maker) -> Columns:
    """A sparsity penalty that vanishes, statistics that stay alive."""
    ce, a = m.falling(2, 0.3), m.falling(0.5, 0.001)
    return {
        "loss": ce + a,
        "loss_ce": ce,
        "loss_sparsity": a,
        "active_units": np.full(m.n, 512.0),
        "feature_std": m.falling(1, 0.6),
        "codebook_usage": 0.3 + 0.5 * m.ramp(0, 0.5),
        "codebook_perplexity": 50 + 300 * m.ramp(0, 0.5),
    }


def gated(m: Maker) -> Columns:
    """Entropies of routing and attention that fall by two thirds."""
    ce = m.falling(2, 0.3)
    return {
        "loss": ce,
        "loss_ce": ce,
        "gate/mean": m.falling(0.9, 0.3),
        "router_entropy": m.falling(2, 0.8),
        "gamma": np.full(m.n, 0.99),
        "attn_entropy": m.falling(4, 1.2),
    }


def yolo_epochs(m: Maker) -> Columns:
    """A hundred epochs of detection."""
    n = 100
    m.n = n
    m.at = np.arange(n)
    t = {f"train/{k}": m.learned(2) for k in ("box_loss", "cls_loss", "dfl_loss")}
    v = {f"val/{k}": 1.1 * m.learned(2) for k in ("box_loss", "cls_loss", "dfl_loss")}
    return {
        "step": m.at + 1,
        **t,
        **v,
        "metrics/mAP50(B)": 1 - m.falling(1, 0.3),
        "lr/pg0": m.cosine(0.01),
    }


def label_noise(m: Maker) -> Columns:
    """A term that is mostly label noise."""
    a, b = m.falling(2.3, 2.1, sigma=0.02), m.falling(1, 0.2)
    return {"loss": a + b, "loss_noisy": a, "loss_box": b}


FIELDS: Mapping[str, Made] = {
    one.__name__: one
    for one in (
        full_batch,
        vicreg,
        sac,
        dpo,
        focal_tiny,
        epochs_sawtooth,
        clip_style,
        one_cycle,
        wgan,
        moe_lb,
        moe_aux,
        detector_slow,
        proposals_grow,
        speech,
        tts,
        pretrained_eval,
        two_epoch_llm,
        grpo,
        regularised_norms,
        gated,
        yolo_epochs,
        label_noise,
    )
}
"""Every one of them by name."""
