"""Loss functions of widely used libraries, written from their published formulas.

Each says where it is found. The prediction comes first.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.losses_of_notes import Example, Loss, normal


def sigmoid_focal(logits: Tensor, target: Tensor) -> Tensor:
    """torchvision.ops.sigmoid_focal_loss: alpha 0.25, gamma 2, mean."""
    p = logits.sigmoid()
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    correct = p * target + (1 - p) * (1 - target)
    alpha = 0.25 * target + 0.75 * (1 - target)
    return (alpha * (1 - correct) ** 2 * cross).mean()


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """monai.losses.DiceLoss(sigmoid=True)."""
    p = logits.sigmoid().flatten(1)
    flat = target.flatten(1)
    return (1 - (2 * (p * flat).sum(1) + 1e-5) / (p.sum(1) + flat.sum(1) + 1e-5)).mean()


def tversky(logits: Tensor, target: Tensor) -> Tensor:
    """segmentation_models_pytorch.losses.TverskyLoss: alpha 0.3, beta 0.7."""
    p = logits.sigmoid()
    right = (p * target).sum()
    wrong = 0.3 * (p * (1 - target)).sum() + 0.7 * ((1 - p) * target).sum()
    return 1 - (right + 1e-7) / (right + wrong + 1e-7)


def generalized_box_iou(boxes: Tensor, target: Tensor) -> Tensor:
    """torchvision.ops.generalized_box_iou_loss of boxes x1 y1 x2 y2, mean."""
    low, high = torch.max(boxes, target)[:, :2], torch.min(boxes, target)[:, 2:]
    overlap = (high - low).clamp(min=0).prod(1)
    areas = [(one[:, 2:] - one[:, :2]).prod(1) for one in (boxes, target)]
    union = areas[0] + areas[1] - overlap
    hull = (torch.max(boxes, target)[:, 2:] - torch.min(boxes, target)[:, :2]).prod(1)
    return (1 - overlap / (union + 1e-7) + (hull - union) / (hull + 1e-7)).mean()


def nt_xent(one: Tensor, two: Tensor) -> Tensor:
    """lightly.loss.NTXentLoss at temperature 0.5."""
    both = F.normalize(torch.cat((one, two)), dim=-1)
    count = len(both)
    scores = both @ both.T / 0.5
    scores = scores.masked_fill(torch.eye(count, dtype=torch.bool, device=both.device), -1e9)
    return F.cross_entropy(scores, torch.arange(count, device=both.device).roll(count // 2))


def barlow_twins(one: Tensor, two: Tensor) -> Tensor:
    """lightly.loss.BarlowTwinsLoss: lambda 0.005."""
    first, second = ((x - x.mean(0)) / (x.std(0) + 1e-6) for x in (one, two))
    correlation = first.T @ second / len(one)
    diagonal = torch.diagonal(correlation)
    off = correlation.square().sum() - diagonal.square().sum()
    return (diagonal - 1).square().sum() + 0.005 * off


def vicreg(one: Tensor, two: Tensor) -> Tensor:
    """lightly.loss.VICRegLoss: 25, 25, 1."""
    spread = sum((F.relu(1 - (x.var(0) + 1e-4).sqrt()).mean() for x in (one, two)), torch.zeros(()))
    covariance = torch.zeros(())
    for x in (one, two):
        matrix = torch.cov(x.T)
        off = matrix.square().sum() - torch.diagonal(matrix).square().sum()
        covariance = covariance + off / x.shape[1]
    return 25 * F.mse_loss(one, two) + 25 * spread / 2 + covariance


def arcface(embedding: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """pytorch_metric_learning.losses.ArcFaceLoss: margin 28.6 degrees, scale 64."""
    cosine = (F.normalize(embedding, dim=-1) @ F.normalize(centres, dim=-1).T).clamp(-1, 1) * 0.9999
    angle = torch.acos(cosine)
    hot = F.one_hot(labels, len(centres)).bool()
    return F.cross_entropy(64 * torch.where(hot, (angle + 0.5).cos(), cosine), labels)


def supervised_contrastive(embedding: Tensor, labels: Tensor) -> Tensor:
    """pytorch_metric_learning.losses.SupConLoss at temperature 0.1."""
    unit = F.normalize(embedding, dim=-1)
    scores = unit @ unit.T / 0.1
    own = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    logs = scores - scores.masked_fill(own, -math.inf).logsumexp(1, keepdim=True)
    alike = (labels[:, None] == labels[None]) & ~own
    return -((logs * alike).sum(1) / alike.sum(1).clamp(min=1)).mean()


def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
    """basicsr.losses.CharbonnierLoss: eps 1e-12."""
    return ((prediction - target).square() + 1e-12).sqrt().mean()


def pinball(prediction: Tensor, target: Tensor) -> Tensor:
    """pytorch_forecasting.metrics.QuantileLoss at the quantiles 0.1, 0.5 and 0.9."""
    levels = torch.tensor([0.1, 0.5, 0.9], device=prediction.device, dtype=prediction.dtype)
    error = target[:, None] - prediction
    return torch.max((levels - 1) * error, levels * error).mean()


def log_cosh(prediction: Tensor, target: Tensor) -> Tensor:
    """Auraloss and keras: log(cosh(error)) in its stable form."""
    error = prediction - target
    return (error + F.softplus(-2 * error) - math.log(2)).mean()


def asymmetric(logits: Tensor, target: Tensor) -> Tensor:
    """timm.loss.AsymmetricLossMultiLabel: gammas 4 and 1, clip 0.05."""
    p = logits.sigmoid()
    other = (1 - p + 0.05).clamp(max=1)
    value = target * p.clamp(min=1e-8).log() + (1 - target) * other.clamp(min=1e-8).log()
    weight = (1 - (p * target + other * (1 - target))) ** (1 * target + 4 * (1 - target))
    return -(value * weight).mean()


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Hinton's term as in torchdistill: temperature 4, batchmean, times 16."""
    log_p = (student / 4).log_softmax(-1)
    return F.kl_div(log_p, (teacher / 4).softmax(-1), reduction="batchmean") * 16


def preference(chosen: Tensor, rejected: Tensor, reference: Tensor) -> Tensor:
    """trl.DPOTrainer, sigmoid, beta 0.1, on log-probabilities of whole answers."""
    return -F.logsigmoid(0.1 * (chosen - rejected - reference)).mean()


def clipped_policy(log_p: Tensor, old: Tensor, advantage: Tensor) -> Tensor:
    """Trl and stable_baselines3: the clipped surrogate of PPO, epsilon 0.2."""
    ratio = (log_p - old).exp()
    return -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """1 - kornia.metrics.ssim with a box of 3."""
    mean_a, mean_b = F.avg_pool2d(image, 3, 1), F.avg_pool2d(target, 3, 1)
    var_a = F.avg_pool2d(image.square(), 3, 1) - mean_a.square()
    var_b = F.avg_pool2d(target.square(), 3, 1) - mean_b.square()
    both = F.avg_pool2d(image * target, 3, 1) - mean_a * mean_b
    top = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
    return 1 - (top / ((mean_a.square() + mean_b.square() + 1e-4) * (var_a + var_b + 9e-4))).mean()


def variational(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Diffusers' divergence of a diagonal Gaussian from the standard one."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(-1).mean()


BITS = (normal(6, 1, 8, 8, seed=1) > 0).float()
BOXES = torch.tensor([[0.1, 0.2, 0.6, 0.9], [0.3, 0.1, 0.8, 0.5], [0.0, 0.0, 0.4, 0.4]])
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2, 3, 3])

LIBRARIES: tuple[tuple[Loss, Example], ...] = (
    (sigmoid_focal, (normal(6, 1, 8, 8), BITS)),
    (dice, (normal(6, 1, 8, 8), BITS)),
    (tversky, (normal(6, 1, 8, 8), BITS)),
    (generalized_box_iou, (BOXES + 0.05, BOXES)),
    (nt_xent, (normal(8, 16), normal(8, 16, seed=1))),
    (barlow_twins, (normal(8, 16), normal(8, 16, seed=1))),
    (vicreg, (normal(8, 16), normal(8, 16, seed=1))),
    (arcface, (normal(8, 16), normal(4, 16, seed=1), CLASSES)),
    (supervised_contrastive, (normal(8, 16), CLASSES)),
    (charbonnier, (normal(4, 3, 8, 8), normal(4, 3, 8, 8, seed=1))),
    (pinball, (normal(8, 3), normal(8, seed=1))),
    (log_cosh, (normal(8, 3), normal(8, 3, seed=1))),
    (asymmetric, (normal(8, 5), (normal(8, 5, seed=1) > 0).float())),
    (distillation, (normal(8, 10), normal(8, 10, seed=1))),
    (preference, (normal(8) - 20, normal(8, seed=1) - 20, normal(8, seed=2))),
    (clipped_policy, (normal(8) - 2, normal(8, seed=1) - 2, normal(8, seed=2))),
    (ssim, (normal(2, 1, 8, 8).sigmoid(), normal(2, 1, 8, 8, seed=1).sigmoid())),
    (variational, (normal(8, 4), normal(8, 4, seed=1))),
)
