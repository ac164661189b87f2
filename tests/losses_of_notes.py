"""The loss functions of five incidents, written from their formulas, with examples of their inputs.

The prediction comes first in each. Examples are drawn from a seed of their own, at the scales
that the incidents document: hidden states near 1, countdowns from -20 to 20, masses in Da.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[..., Tensor]
Example = tuple[Any, ...]


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Normal numbers from a seed of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


# --- several tasks on windows of bars: pointers, countdown, two classifications ------------------

STEPS = 105
"""Bars of a window."""


def countdown(prediction: Tensor, target: Tensor) -> Tensor:
    """Huber with delta 1 on targets from -20 to 20."""
    return F.huber_loss(prediction, target, delta=1.0)


def countdown_multiplied(prediction: Tensor, target: Tensor) -> Tensor:
    """The recommended fix: times the root of the number of outputs."""
    return countdown(prediction, target) * math.sqrt(prediction.shape[1])


def countdown_divided(prediction: Tensor, target: Tensor) -> Tensor:
    """The same note's conclusion: divided by the root of the number of outputs."""
    return countdown(prediction, target) / math.sqrt(prediction.shape[1])


def countdown_batch_normed(prediction: Tensor, target: Tensor) -> Tensor:
    """LossBatchNorm: divides a reduced loss by the root of its own number of elements, 1."""
    loss = countdown(prediction, target)
    return loss / math.sqrt(loss.numel())


def countdown_normalised(prediction: Tensor, target: Tensor) -> Tensor:
    """LossNormalizer at its first step: the loss over its detached value."""
    loss = countdown(prediction, target)
    return loss / loss.detach()


def pointers(prediction: Tensor, target: Tensor) -> Tensor:
    """Huber with delta 0.08 on two fractions of the window."""
    return F.huber_loss(prediction, target, delta=0.08)


def countdown_example() -> Example:
    """Predictions near zero; targets as steps to a start, clipped at 20."""
    starts = torch.randint(0, 102, (8, 1), generator=torch.Generator().manual_seed(1))
    target = (starts - torch.arange(STEPS)).clamp(-20, 20).float()
    return normal(8, STEPS), target


def pointers_example() -> Example:
    """Centres and lengths as fractions of the window."""
    return normal(8, 2).sigmoid(), normal(8, 2, seed=1).sigmoid()


# --- a frozen language model with one modulated layer ------------------------------------------


def rms(tensor: Tensor) -> Tensor:
    """Root mean square."""
    return tensor.square().mean().sqrt()


def direct(modulated: Tensor, attention: Tensor, target: Tensor) -> Tensor:
    """Mean squared error to attention + MLP, over the root mean square of the target."""
    goal = attention + target
    return F.mse_loss(modulated, goal) / (rms(goal) + 1e-6)


def attention_encoding(v_a: Tensor, attention: Tensor) -> Tensor:
    """Scaled squared error plus half the cosine distance."""
    cosine = F.cosine_similarity(v_a, attention, dim=-1)
    return F.mse_loss(v_a, attention) / (rms(attention) + 1e-6) + 0.5 * (1 - cosine).mean()


def decomposed(modulated: Tensor, attention: Tensor, target: Tensor) -> Tensor:
    """Two halves: attention from the first channels, the MLP from the rest."""
    first = modulated[:, :, : attention.size(-1)]
    return 0.5 * F.mse_loss(first, attention) + 0.5 * F.mse_loss(modulated - first, target)


def decomposed_attention(modulated: Tensor, attention: Tensor) -> Tensor:
    """The first half by itself."""
    return 0.5 * F.mse_loss(modulated, attention)


def decomposed_mlp(modulated: Tensor, attention: Tensor, target: Tensor) -> Tensor:
    """The second half by itself: the slice is the full width, so nothing is left of it."""
    first = modulated[:, :, : attention.size(-1)]
    return 0.5 * F.mse_loss(modulated - first, target)


def importance(attention: Tensor, hidden: Tensor) -> Tensor:
    """The target of the modulation: sigmoid of a ratio of norms, which is never negative."""
    return torch.sigmoid(attention.norm(dim=-1) / hidden.norm(dim=-1))


def importance_match(squashed: Tensor, attention: Tensor, hidden: Tensor) -> Tensor:
    """Squared error of a squashed scalar per token to the importance."""
    return F.mse_loss(squashed, importance(attention, hidden))


def modulation_guidance(v_a: Tensor, hidden: Tensor, attention: Tensor) -> Tensor:
    """Squared error to the importance, minus a tenth of the variance."""
    scalar = (v_a * hidden).sum(-1)
    return importance_match(torch.sigmoid(scalar), attention, hidden) - 0.1 * scalar.var()


def information_bottleneck(v_a: Tensor, attention: Tensor, hidden: Tensor) -> Tensor:
    """Absolute cosines: little of the hidden state, much of the attention."""
    to_hidden = F.cosine_similarity(v_a, hidden, dim=-1).abs().mean()
    return 0.01 * to_hidden - F.cosine_similarity(v_a, attention, dim=-1).abs().mean()


def orthogonality(v_a: Tensor, hidden: Tensor) -> Tensor:
    """Projection on principal directions, with one transposition too many."""
    _, _, v = torch.svd_lowrank(hidden.reshape(-1, hidden.size(-1)), q=10)
    return (v_a.reshape(-1, v_a.size(-1)) @ v.T).square().mean() * 0.01


def regularisation(v_a: Tensor, v_b: Tensor) -> Tensor:
    """Mean squares of both factors."""
    return v_a.square().mean() + v_b.square().mean()


def clipped(prediction: Tensor, target: Tensor) -> Tensor:
    """clip_loss of the predecessor: at most 10."""
    return F.mse_loss(prediction, target).clamp(max=10.0)


def terms_of_adaptive(prediction: Tensor, target: Tensor) -> list[Tensor]:
    """Terms whose true gradients span twelve decades."""
    return [10.0**power * F.mse_loss(prediction, target) for power in (-6, -3, 0, 3, 6)]


def adaptive(prediction: Tensor, target: Tensor) -> Tensor:
    """Weights from 'gradient norms' that are grad(loss, loss) = 1 for every term."""
    losses = terms_of_adaptive(prediction, target)
    norms = torch.stack([0.1 * torch.autograd.grad(x, x, retain_graph=True)[0] for x in losses])
    weights = norms.mean() / (norms + 1e-6)
    weights = weights / weights.sum()
    return sum((w * x for w, x in zip(weights, losses, strict=True)), torch.zeros(()))


def equally_weighted(prediction: Tensor, target: Tensor) -> Tensor:
    """What adaptive weighting comes to: the mean of the terms."""
    return torch.stack(terms_of_adaptive(prediction, target)).mean()


def hidden_example(count: int, features: int = 64) -> Example:
    """Hidden states [2, 16, features]."""
    return tuple(normal(2, 16, features, seed=seed) for seed in range(count))


def importance_example() -> Example:
    """A squashed scalar per token, attention and hidden states."""
    return (normal(2, 16, seed=9).sigmoid(), *hidden_example(2))


# --- distillation -------------------------------------------------------------------------------


def layerwise(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error to the teacher's hidden states."""
    return F.mse_loss(student, teacher)


def layerwise_fixed(student: Tensor, teacher: Tensor) -> Tensor:
    """The celebrated fix of the line above."""
    batch, length, features = student.shape
    return F.mse_loss(student, teacher, reduction="sum") / (batch * length * features)


def knowledge_batchmean(student: Tensor, teacher: Tensor) -> Tensor:
    """Divergence of [batch, length, vocabulary] logits, divided by the batch alone."""
    log_p = student.log_softmax(-1)
    return F.kl_div(log_p, teacher.softmax(-1), reduction="batchmean")


def knowledge_mean(student: Tensor, teacher: Tensor) -> Tensor:
    """The same, divided by the number of classes too."""
    return F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="mean")


def knowledge_token(student: Tensor, teacher: Tensor) -> Tensor:
    """The same per token."""
    return F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="none").sum(-1).mean()


def with_zero_weight(student: Tensor, teacher: Tensor) -> Tensor:
    """A term of weight zero that is still added."""
    return layerwise(student, teacher) + 0.0 * student.mean()


def feature_matching(student: Tensor, routed: Tensor) -> Tensor:
    """A mean over channels that is divided by their number once more."""
    return F.mse_loss(student, routed) / student.shape[-1]


def attention_alignment(student: Tensor, teacher: Tensor) -> Tensor:
    """A mean over positions that is divided by their number once more."""
    return F.mse_loss(student, teacher) / student.shape[1]


def contrastive(student: Tensor, teacher: Tensor) -> Tensor:
    """InfoNCE at temperature 0.07 on vectors averaged over positions."""
    one = F.normalize(student.mean(1), dim=-1)
    two = F.normalize(teacher.mean(1), dim=-1)
    return F.cross_entropy(one @ two.T / 0.07, torch.arange(len(one), device=one.device))


def language_model(logits: Tensor, labels: Tensor) -> Tensor:
    """Shifted cross-entropy with logits clamped at 20 and padding ignored."""
    shifted = logits[:, :-1].clamp(-20, 20)
    return F.cross_entropy(
        shifted.reshape(-1, logits.shape[-1]),
        labels[:, 1:].reshape(-1),
        ignore_index=-100,
        label_smoothing=0.1,
    )


def knowledge_retention(student: Tensor, teacher: Tensor) -> Tensor:
    """The score 1 - divergence, batch-averaged over [batch, length, vocabulary]."""
    return 1 - knowledge_batchmean(student, teacher)


def language_example() -> Example:
    """Logits [4, 12, 9] and token ids, some of them padding."""
    labels = torch.randint(0, 9, (4, 12), generator=torch.Generator().manual_seed(1))
    labels[:, 9:] = -100
    return normal(4, 12, 9), labels


# --- masses of peptides -------------------------------------------------------------------------

HEAVY = 1000.0
"""Mass of a peptide, in Da."""


def ppm(mass: Tensor, target: Tensor) -> Tensor:
    """Relative error in parts per million."""
    return 1e6 * (mass - target).abs() / target


def mass_clamped(mass: Tensor, target: Tensor) -> Tensor:
    """At most 100 ppm."""
    return ppm(mass, target).clamp(max=100.0).mean()


def mass_log(mass: Tensor, target: Tensor) -> Tensor:
    """The old formula of the note: 100 log(1 + ppm / 100)."""
    return 100.0 * torch.log1p(ppm(mass, target) / 100.0).mean()


def mass_log_weak(mass: Tensor, target: Tensor) -> Tensor:
    """The fix of the note: log(1 + ppm / 1e5)."""
    return torch.log1p(ppm(mass, target) / 1e5).mean()


def mass_residues(mass: Tensor, target: Tensor) -> Tensor:
    """The later repair: smooth L1 in units of a residue's mass."""
    return F.smooth_l1_loss((mass - target) / 110.0, torch.zeros_like(mass), beta=0.1)


def mass_broadcast(mass: Tensor, target: Tensor) -> Tensor:
    """(B,) minus (B, 1): all pairs."""
    return ppm(mass, target).mean()


def mass_expected(logits: Tensor, target: Tensor) -> Tensor:
    """Norm of the error, whose gradient at a perfect prediction is 0 / 0."""
    return (logits - target).square().sum(-1).sqrt().mean()


def mass_example(error: float = 50.0, columns: int = 0) -> Example:
    """Masses around 1000 Da that are off by `error` Da; the target as a column if asked."""
    target = HEAVY + normal(16, seed=1, scale=100.0)
    mass = target + normal(16, seed=2, scale=error)
    return mass, target[:, None] if columns else target
