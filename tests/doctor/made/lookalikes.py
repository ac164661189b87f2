"""Healthy trainings that look like a fault: at most a note is right about any of them."""

from collections.abc import Mapping

import numpy as np

from tests.doctor.made.log import Columns, Made
from tests.doctor.made.noise import Maker


def single_class(m: Maker) -> Columns:
    """A detector of one class: classification is 0 by right."""
    box, dfl = m.learned(2), m.learned(1.5)
    return {"train/box_loss": box, "train/cls_loss": np.zeros(m.n), "train/dfl_loss": dfl}


def close_mosaic(m: Maker) -> Columns:
    """Training without mosaics in the last tenth: its losses step down, those of val do not."""
    late = np.where(m.after(0.9), m.rng.uniform(0.6, 0.85), 1)
    names = ("box_loss", "cls_loss", "dfl_loss")
    train = {f"train/{name}": m.learned(2) * late for name in names}
    return train | {f"val/{name}": 1.2 * m.learned(2) for name in names}


def l1_switch(m: Maker) -> Columns:
    """A term that is planned for the last 15 epochs."""
    iou, conf = m.learned(3), m.learned(4)
    l1 = np.where(m.after(0.9), 0.5 * m.scatter(), 0)
    return {"total_loss": iou + conf + l1, "iou_loss": iou, "conf_loss": conf, "l1_loss": l1}


def detached_on_purpose(m: Maker) -> Columns:
    """A loss on a detached embedding trains the decoder only."""
    terms = {f"loss_{name}": m.learned() for name in ("id", "rec", "teacher")}
    return {"loss": sum(terms.values()), **terms}


def vqgan_planned(m: Maker) -> Columns:
    """The adversarial term starts in the middle, with its factor in the log."""
    late = m.after(0.5)
    rec = m.falling(0.6, 0.2)
    g = np.where(late, 0.3 * m.scatter(0.3), 0)
    d = np.where(late, 1 * m.scatter(0.2), 0)
    return {"loss": rec + g, "rec_loss": rec, "g_loss": g, "d_loss": d, "disc_factor": late * 1.0}


def uncertainty_weights(m: Maker) -> Columns:
    """A negative total with log-variances that settle while the terms fall."""
    a, b = m.falling(1, 0.05), m.falling(2, 0.1)
    sa, sb = np.log(np.maximum(a, 0.02)), np.log(np.maximum(b, 0.04))
    sa, sb = (
        np.convolve(np.pad(s, (20, 0), mode="edge"), np.ones(21) / 21, "valid") for s in (sa, sb)
    )
    return {
        "loss": np.exp(-sa) * a + sa + np.exp(-sb) * b + sb,
        "loss_depth": a,
        "loss_normal": b,
        "log_var_depth": sa,
        "log_var_normal": sb,
    }


def negative_duration(m: Maker) -> Columns:
    """The likelihood of a stochastic duration becomes negative."""
    dur = m.falling(4, 1, sigma=0) - m.up(1.5, 4) + 0.1 * m.rng.standard_normal(m.n)
    mel, kl = m.falling(60, 20), m.falling(3, 1.5)
    return {"loss_gen_all": dur + mel + kl, "loss_mel": mel, "loss_dur": dur, "loss_kl": kl}


def contrastive_batches(m: Maker) -> Columns:
    """Evaluation uses smaller batches, so that its contrastive loss is smaller."""
    nce, reg = m.falling(6.2, 2), 0.1 * m.scatter(0.01)
    at = m.evals(15)
    return {
        "loss": nce + reg,
        "contrast_loss": nce,
        "l2_loss": reg,
        "contrast_acc": 1 - m.falling(0.95, 0.2),
        "val/contrast_loss": (at, 0.6 * nce[at]),
    }


def gan_swings(m: Maker) -> Columns:
    """Generator and discriminators against each other."""
    wave = np.sin(m.at / m.n * m.rng.uniform(10, 80))
    g, d = np.exp(0.6 * wave) * m.scatter(0.3), 0.5 * np.exp(-0.6 * wave) * m.scatter(0.3)
    return {"G_GAN": g, "D_real": d, "D_fake": d * m.scatter(0.3), "G_L1": m.falling(30, 9)}


def generator_loses(m: Maker) -> Columns:
    """The discriminator slowly wins while the spectra improve."""
    adv = np.linspace(1, m.rng.uniform(2, 6), m.n) * m.scatter(0.2)
    mel, fm, d = m.falling(50, 18), np.linspace(1, 4, m.n) * m.scatter(0.2), m.falling(3, 1.2)
    return {
        "loss/g/total": adv + mel + fm,
        "loss/g/adv": adv,
        "loss/g/mel": mel,
        "loss/g/fm": fm,
        "loss/d/total": d,
    }


def fine_tuning(m: Maker) -> Columns:
    """Nearly flat from the start, with a small auxiliary that falls."""
    ce, aux = m.falling(2.1, 2.0, sigma=0.05), m.falling(0.05, 0.01)
    return {"loss": ce + aux, "loss_ce": ce, "loss_aux": aux, "lr": m.cosine(1e-5)}


def experts(m: Maker) -> Columns:
    """The balancing loss of a mixture of experts stays a little above 1."""
    ce, aux = m.falling(9, 2.5), 1 + 0.02 * np.abs(m.rng.standard_normal(m.n))
    return {
        "loss": ce + 0.01 * aux,
        "lm_loss": ce,
        "moe_aux_loss": aux,
        "router_z_loss": m.learned(0.3),
    }


def growing_returns(m: Maker) -> Columns:
    """Value losses grow with the returns."""
    ret = np.geomspace(1, m.rng.uniform(10, 100), m.n) * m.scatter(0.1)
    return {
        "train/value_loss": (0.1 * ret) ** 2 * m.scatter(0.3),
        "train/policy_gradient_loss": 0.01 * m.rng.standard_normal(m.n),
        "train/entropy_loss": -m.falling(3, 0.4),
        "rollout/ep_rew_mean": ret,
        "train/explained_variance": 1 - m.falling(1, 0.1),
    }


def entropy_bonus(m: Maker) -> Columns:
    """The entropy of a policy that becomes decided."""
    policy, value, entropy = 0.02 * m.rng.standard_normal(m.n), m.learned(2), m.falling(2.5, 0.05)
    return {
        "loss": policy + 0.5 * value - 0.01 * entropy,
        "policy_loss": policy,
        "value_loss": value,
        "entropy": entropy,
        "approx_kl": 0.01 * m.scatter(0.4),
        "clip_fraction": 0.1 * m.scatter(0.4),
    }


def word_perplexity(m: Maker) -> Columns:
    """The perplexity of a language model falls a thousandfold."""
    ce = m.falling(10, 2.5)
    return {
        "loss": ce,
        "lm_loss": ce,
        "perplexity": np.exp(ce),
        "ppl": np.exp(ce),
        "train_ppl": np.exp(ce),
    }


def scheduled_statistics(m: Maker) -> Columns:
    """Temperature, dropout, curriculum and momentum that are scheduled to 0."""
    down = 1 - m.ramp(0, 0.6)
    rec, commit = m.learned(), m.learned(0.2)
    return {
        "loss": rec + commit,
        "rec_loss": rec,
        "commit_loss": commit,
        "temperature": 1 * down,
        "gumbel_temp": 2 * down + 1e-3,
        "dropout": 0.1 * down,
        "teacher_forcing_ratio": down,
        "curriculum": down,
        "ema_decay": 1 - 0.01 * down,
        "noise_std": 0.3 * down,
        "feature_noise_std": 0.3 * down,
        "embed_dropout": 0.2 * down,
        "sigma": down + 1e-3,
        "mask_ratio": down,
        "epsilon": down,
    }


def mixed_precision(m: Maker) -> Columns:
    """A loss scale with its usual ups and downs, and single skipped steps."""
    ce, norm = m.falling(8, 3), m.scatter(0.3)
    norm[:3] = np.inf
    norm[int(0.6 * m.n)] = np.inf
    scale = 2.0 ** np.concatenate((np.arange(16, 11, -1), m.rng.integers(11, 13, m.n - 5)))
    return {"loss": ce, "loss_ce": ce, "loss_scale": scale, "grad_norm": norm, "lr": m.cosine()}


def averaged_weights(m: Maker) -> Columns:
    """Evaluation of an average of the parameters lags behind at first."""
    ce, box = m.falling(7, 1), m.falling(2, 0.4)
    at = m.evals(20)
    lag = 1 + 6 * np.exp(-at / (0.15 * m.n))
    return {
        "loss": ce + box,
        "loss_ce": ce,
        "loss_box": box,
        "val/loss": (at, lag * (ce + box)[at]),
        "val/loss_ce": (at, lag * ce[at]),
        "val/loss_box": (at, lag * box[at]),
    }


def tiny_rate(m: Maker) -> Columns:
    """An exponential decay of the learning rate to 1e-8."""
    ce, kl = m.learned(5), m.learned(0.1)
    return {"loss": ce + kl, "loss_ce": ce, "loss_kl": kl, "lr": 1e-3 * 10 ** (-5 * m.at / m.n)}


def long_plateau(m: Maker) -> Columns:
    """Converged early, with heavy noise for the rest."""
    early = np.exp(-m.at / (0.02 * m.n))
    terms = {f"loss_{k}": (1 + 4 * early) * m.scatter(0.5) for k in "abc"}
    return {"loss": sum(terms.values()), **terms, "grad_norm": m.scatter(0.8)}


def few_records(m: Maker) -> Columns:
    """Six epochs."""
    ce, box = m.falling(3, 1)[:6], m.falling(1, 0.5)[:6]
    return {
        "step": np.arange(6),
        "loss": ce + box,
        "loss_ce": ce,
        "loss_box": box,
        "val/loss": 1.1 * (ce + box),
    }


def sparse_evals(m: Maker) -> Columns:
    """Three noisy evaluations."""
    ce, box = m.learned(3), m.learned(1)
    at = m.evals(3)
    val = 1.2 * (ce + box)[at] * np.exp(0.2 * m.rng.standard_normal(3))
    return {"loss": ce + box, "loss_ce": ce, "loss_box": box, "val/loss": (at, val)}


def late_ramp(m: Maker) -> Columns:
    """A term starts late, with a ramp."""
    ce, aux = m.learned(5), m.ramp(0.3, 0.6) * 0.5 * m.scatter()
    return {"loss": ce + aux, "loss_ce": ce, "loss_consistency": aux}


def first_half_zero(m: Maker) -> Columns:
    """A term is exactly 0 for the first half, then trained."""
    ce = m.falling(5, 1)
    aux = np.where(m.after(0.5), 0.4 * m.scatter(), 0)
    return {"loss": ce + aux, "loss_ce": ce, "loss_aux": aux, "lr": m.cosine()}


def reward_rises(m: Maker) -> Columns:
    """A reward goes from negative to positive."""
    kl = 0.1 * m.ramp(0, 1) * m.scatter(0.3)
    return {
        "loss": 0.02 * m.rng.standard_normal(m.n) + 0.04 * kl,
        "reward": -2 + 4 * m.ramp(0, 1) + 0.3 * m.rng.standard_normal(m.n),
        "reward_std": 0.5 * m.scatter(0.3),
        "kl": kl,
        "completion_length": 200 * m.scatter(0.2),
        "grad_norm": m.scatter(0.5),
        "learning_rate": m.cosine(1e-6),
    }


def small_kl_estimates(m: Maker) -> Columns:
    """A divergence estimated from samples scatters around 0."""
    kl = 0.002 * m.ramp(0, 1) + 0.02 * m.rng.standard_normal(m.n)
    return {
        "loss": 0.1 * m.rng.standard_normal(m.n),
        "policy/approxkl": kl,
        "objective/kl": kl,
        "reward": m.falling(0.1, 0.8),
    }


def with_offset(m: Maker) -> Columns:
    """A constant offset in the total (and in no term)."""
    ce, box = m.learned(1), m.learned(0.5)
    return {"loss": ce + box + 0.03, "loss_ce": ce, "loss_box": box}


def decay_printed(m: Maker) -> Columns:
    """Weight decay is printed as a loss and grows a little."""
    ce = m.learned(3)
    decay = 0.4 * (1 + 0.6 * m.ramp(0, 1))
    return {"total_loss": ce + decay, "loss_ce": ce, "reg_loss": decay, "lr": m.cosine(0.1)}


def warmed_vae(m: Maker) -> Columns:
    """The divergence rises while its factor is warmed up, or from 0."""
    beta = m.ramp(0, 0.3)
    rec, kl = m.falling(120, 60), 0.01 + 12 * m.ramp(0, 0.2) * m.scatter(0.05)
    return {"loss": rec + beta * kl, "recon_loss": rec, "kld_loss": kl, "beta": beta}


def vae_penalty(m: Maker) -> Columns:
    """A divergence that rises from a high start and settles, unweighted."""
    rec, kl = m.falling(400, 90), 2 + 18 * m.ramp(0, 0.4) * m.scatter(0.05)
    at = m.evals(12)
    return {
        "loss": rec + kl,
        "recon_loss": rec,
        "kl_loss": kl,
        "val/loss": (at, (rec + kl)[at]),
        "val/recon_loss": (at, rec[at]),
        "val/kl_loss": (at, kl[at]),
    }


def triplet(m: Maker) -> Columns:
    """Exactly the margin in the beginning, 0 in the end."""
    margin = 0.3
    hinge = np.maximum(0, margin * (1 - 1.3 * m.ramp(0.05, 0.6)) * m.scatter(0.1))
    hinge = np.where(m.after(0.05), hinge, margin)
    ce = m.falling(6, 0.5)
    return {"loss": hinge + ce, "triplet_loss": hinge, "id_loss": ce}


def perceptual(m: Maker) -> Columns:
    """A reconstruction with small penalties by design."""
    l1, style, tv = m.falling(50, 20), m.falling(0.02, 0.012), 0.001 * m.scatter(0.05)
    return {"loss": l1 + style + tv, "l1_loss": l1, "style_loss": style, "tv_loss": tv}


def converged_initial(m: Maker) -> Columns:
    """Physics: initial and boundary terms converge to almost nothing."""
    pde, bc, ic = m.falling(10, 1), m.falling(3, 1e-4), m.falling(2, 1e-5)
    return {"loss": pde + bc + ic, "loss_pde": pde, "loss_bc": bc, "loss_ic": ic}


def noisy_diffusion(m: Maker) -> Columns:
    """A denoising loss that falls at once and is noise from then on."""
    simple = (0.05 + 0.95 * np.exp(-m.at / (0.01 * m.n))) * m.scatter(0.3)
    vlb = 1e-3 * (1 + 3 * np.exp(-m.at / (0.05 * m.n))) * m.scatter(0.5)
    return {"loss": simple, "loss_simple": simple, "loss_vlb": vlb, "grad_norm": m.scatter(0.4)}


def harder_stage(m: Maker) -> Columns:
    """A planned second stage with more tasks: total and count of samples step up by a half."""
    late = m.after(0.5)
    ce = m.falling(3, 1) * np.where(late, 1.3, 1)
    return {"loss": ce, "loss_ce": ce, "lr": np.where(late, 1e-4, 1e-3)}


def accuracy_to_error(m: Maker) -> Columns:
    """Error rates and gaps that shrink to almost nothing, as they should."""
    ce, aux = m.falling(4, 0.1), m.falling(1, 0.2)
    return {
        "loss": ce + aux,
        "loss_ce": ce,
        "loss_aux": aux,
        "error_rate": m.falling(0.9, 0.01),
        "output_error": m.falling(0.9, 0.01),
        "codes_wrong": m.falling(90, 1),
        "feature_mse": m.falling(2, 0.02),
        "update_std": m.falling(1, 0.03),
        "grad_var": m.falling(3, 0.05),
    }


def vocabulary_warmup(m: Maker) -> Columns:
    """A language model starts at ln V and learns."""
    ce, z = m.falling(np.log(32000), 3), m.falling(0.01, 0.002)
    return {
        "loss": ce + z,
        "lm_loss": ce,
        "z_loss": z,
        "lr": m.cosine(),
        "grad_norm": m.falling(5, 0.6),
        "num_tokens": m.rng.integers(9e5, 1e6, m.n),
    }


def running_tokens(m: Maker) -> Columns:
    """Tokens seen so far, not the size of a batch; lengths that make samples a little harder."""
    length = m.rng.integers(100, 900, m.n).astype(float)
    ce = m.falling(6, 2) * (length / 400) ** 0.1
    return {"loss": ce, "loss_ce": ce, "num_tokens": np.cumsum(length), "seq_length": length}


def weighted_small(m: Maker) -> Columns:
    """A tiny weight on a term that is learned all the same."""
    ce, aux = m.learned(2), m.falling(400, 60)
    return {"loss": ce + 1e-4 * aux, "loss_ce": ce, "loss_feat": aux}


def dropout_gap(m: Maker) -> Columns:
    """Evaluation below training (dropout), noisy, best in the middle by chance."""
    ce, kd = m.falling(3, 1.4), m.falling(1, 0.6)
    at = m.evals(30)

    def noisy(x):
        return 0.7 * x[at] * np.exp(0.1 * m.rng.standard_normal(30))

    return {
        "loss": ce + kd,
        "loss_ce": ce,
        "loss_kd": kd,
        "val/loss_ce": (at, noisy(ce)),
        "val/loss_kd": (at, noisy(kd)),
    }


def mild_overfit(m: Maker) -> Columns:
    """Evaluation rises by a tenth after its best, as it often does."""
    ce = m.falling(2, 0.6)
    at = m.evals(25)
    part = at / m.n
    val = (0.9 + 1.1 * np.exp(-part * 12) + 0.1 * part) * np.exp(0.03 * m.rng.standard_normal(25))
    return {"loss": ce, "loss_ce": ce, "val/loss": (at, val), "val/loss_ce": (at, val)}


HEALTHY: Mapping[str, Made] = {
    one.__name__: one
    for one in (
        single_class,
        close_mosaic,
        l1_switch,
        detached_on_purpose,
        vqgan_planned,
        uncertainty_weights,
        negative_duration,
        contrastive_batches,
        gan_swings,
        generator_loses,
        fine_tuning,
        experts,
        growing_returns,
        entropy_bonus,
        word_perplexity,
        scheduled_statistics,
        mixed_precision,
        averaged_weights,
        tiny_rate,
        long_plateau,
        few_records,
        sparse_evals,
        late_ramp,
        first_half_zero,
        reward_rises,
        small_kl_estimates,
        with_offset,
        decay_printed,
        warmed_vae,
        vae_penalty,
        triplet,
        perceptual,
        converged_initial,
        noisy_diffusion,
        harder_stage,
        accuracy_to_error,
        vocabulary_warmup,
        running_tokens,
        weighted_small,
        dropout_gap,
        mild_overfit,
    )
}
"""Every healthy look-alike by name."""
