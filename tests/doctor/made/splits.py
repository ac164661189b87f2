"""Healthy trainings whose evaluation differs from training, as it may."""

from collections.abc import Mapping

import numpy as np

from tests.doctor.made.log import Columns, Made
from tests.doctor.made.noise import Maker


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


def sparse_evals(m: Maker) -> Columns:
    """Three noisy evaluations."""
    ce, box = m.learned(3), m.learned(1)
    at = m.evals(3)
    val = 1.2 * (ce + box)[at] * np.exp(0.2 * m.rng.standard_normal(3))
    return {"loss": ce + box, "loss_ce": ce, "loss_box": box, "val/loss": (at, val)}


def dropout_gap(m: Maker) -> Columns:
    """Evaluation below training (dropout), noisy, best in the middle by chance."""
    ce, kd = m.falling(3, 1.4), m.falling(1, 0.6)
    at = m.evals(30)

    terms = {"loss_ce": ce, "loss_kd": kd}
    evals = {
        f"val/{name}": (at, 0.7 * one[at] * np.exp(0.1 * m.rng.standard_normal(30)))
        for name, one in terms.items()
    }
    return {"loss": ce + kd, **terms, **evals}


def mild_overfit(m: Maker) -> Columns:
    """Evaluation rises by a tenth after its best, as it often does."""
    ce = m.falling(2, 0.6)
    at = m.evals(25)
    part = at / m.n
    val = (0.9 + 1.1 * np.exp(-part * 12) + 0.1 * part) * np.exp(0.03 * m.rng.standard_normal(25))
    return {"loss": ce, "loss_ce": ce, "val/loss": (at, val), "val/loss_ce": (at, val)}


SPLITS: Mapping[str, Made] = {
    one.__name__: one
    for one in (contrastive_batches, averaged_weights, sparse_evals, dropout_gap, mild_overfit)
}
"""Every one of them by name."""
