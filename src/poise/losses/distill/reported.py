"""The forms that two incident notes report, kept to reproduce them; each says what is wrong.

Do not use them: beside each stands the one to use.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.losses.distill.fit import same_shape


def raw_hidden_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error to the teacher's hidden states as they are; use `hidden_loss`.

    What is wrong: large language models have a few channels of thousands at their first token. Two
    elements of (3000, -2000) among 50 x 64 turn a loss near 1 into 4000, nearly all of it about
    those two, and it *falls* with the length, as the same two are averaged over more.

    Args:
        student: Projected hidden states, shape (batch, tokens, features).
        teacher: Same shape.

    Returns:
        Mean over all elements, padding included; from 0 on, shape [].

    Raises:
        LossError: The shapes differ.

    Example:
        >>> teacher = torch.zeros(1, 50, 64)
        >>> teacher[0, 0, :2] = torch.tensor([3000.0, -2000.0])
        >>> raw_hidden_loss(torch.zeros(1, 50, 64), teacher)
        tensor(4062.5000)
    """
    same_shape("raw_hidden_loss", student, teacher, "batch, tokens, features")
    return F.mse_loss(student, teacher)


def raw_hidden_loss_by_sum(student: Tensor, teacher: Tensor) -> Tensor:
    """The fix of the note: the sum over (batch * tokens * features); use `hidden_loss`.

    What is wrong: that *is* the mean. `poise.same` calls it identical to `raw_hidden_loss`, and a
    mean never grew with the length.

    Args:
        student: Projected hidden states, shape (batch, tokens, features).
        teacher: Same shape.

    Returns:
        As `raw_hidden_loss`.

    Raises:
        LossError: The shapes differ.

    Example:
        >>> student, teacher = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
        >>> torch.allclose(raw_hidden_loss_by_sum(student, teacher), F.mse_loss(student, teacher))
        True
    """
    same_shape("raw_hidden_loss_by_sum", student, teacher, "batch, tokens, features")
    batch, tokens, features = student.shape
    return F.mse_loss(student, teacher, reduction="sum") / (batch * tokens * features)


def reported_layers(student: int, teacher: int) -> tuple[int, ...]:
    """Layer int(l * ratio) for each layer l; use `matched_layers`.

    What is wrong: the numbers index `hidden_states`, where 0 are the embeddings, so every pair is
    one layer early and the output of the last layer is never used.

    Args:
        student: Number of layers.
        teacher: Number of layers.

    Example:
        >>> reported_layers(3, 6)
        (0, 2, 4)
    """
    return tuple(int(layer * teacher / student) for layer in range(student))


def duplicated_union_kl(
    student: Tensor, teacher: Tensor, mask: Tensor, *, top_k: int, temperature: float
) -> Tensor:
    """KL over the top-k of both, put beside each other; use `top_k_union_kl`.

    What is wrong: a token in both lists has two entries, each with half of its probability or more,
    so what the models agree on counts differently from what they do not.

    Args:
        student: Logits, shape (batch, tokens, vocabulary).
        teacher: Same shape.
        mask: True where a token counts, bool, shape (batch, tokens).
        top_k: How many of each.
        temperature: T; the value is multiplied with its square.

    Returns:
        In nats times T squared, mean over tokens, shape [].

    Raises:
        LossError: The shapes differ.

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0, 1.0]]])
        >>> mask = torch.ones(1, 1, dtype=torch.bool)
        >>> duplicated_union_kl(logits, logits, mask, top_k=2, temperature=2.0)
        tensor(0.)
    """
    same_shape("duplicated_union_kl", student, teacher, "batch, tokens, vocabulary")
    top = [one.detach().topk(top_k, dim=-1).indices for one in (student, teacher)]
    both = torch.cat(top, dim=-1)
    log_q = (student.gather(-1, both) / temperature).log_softmax(dim=-1)
    log_p = (teacher.gather(-1, both) / temperature).log_softmax(dim=-1)
    each = (log_p.exp() * (log_p - log_q)).sum(dim=-1)
    return (each * mask).sum() / mask.sum().clamp(min=1) * temperature**2


def attention_kl_of_softmax(student: Tensor, teacher: Tensor) -> Tensor:
    """KL of the softmax of attention probabilities; use `attention_kl`.

    What is wrong: the maps are probabilities already. The softmax of numbers between 0 and 1/4 is
    all but uniform whatever they are: at 50 keys the loss cannot exceed some thousandths of a nat
    per query. `batchmean` then divides by the batch only, and the factor 16 / tokens is made up.

    Args:
        student: Attention probabilities, shape (batch, heads, tokens, tokens).
        teacher: Same shape.

    Returns:
        From 0 on, shape []; sums over heads and queries are inside.

    Raises:
        LossError: The shapes differ.

    Example:
        >>> one = torch.eye(50)[None, None]
        >>> attention_kl_of_softmax(one, one.flip(-1)) < 0.1  # attention could not differ more
        tensor(True)
    """
    same_shape("attention_kl_of_softmax", student, teacher, "batch, heads, queries, keys")
    log_q = (student / 4).log_softmax(dim=-1)
    p = (teacher / 4).softmax(dim=-1)
    return F.kl_div(log_q, p, reduction="batchmean") * 16 / student.shape[-1]


def feature_loss_divided_twice(projected: Tensor, routed: Tensor) -> Tensor:
    """Mean squared error over the width again; use `hidden_loss`.

    What is wrong: the mean over features has the width in its denominator already, so a wider
    teacher counts less by its width; and `routed` is not normalised: see `raw_hidden_loss`.

    Args:
        projected: Student's states in the teacher's width, shape (batch, tokens, features).
        routed: Routed states of the teacher, same shape.

    Returns:
        From 0 on, shape [].

    Raises:
        LossError: The shapes differ.

    Example:
        >>> feature_loss_divided_twice(torch.zeros(1, 2, 64), torch.ones(1, 2, 64))
        tensor(0.0156)
    """
    same_shape("feature_loss_divided_twice", projected, routed, "batch, tokens, features")
    return F.mse_loss(projected, routed) / projected.shape[-1]


def alignment_over_length(attended: Tensor, goal: Tensor) -> Tensor:
    """Mean squared error to a trained goal, over the length; use `hidden_loss` and a detached goal.

    What is wrong: the goal is the output of a trained compressor, so the loss is 0 as soon as that
    gives 0 for everything. A mean over tokens that is divided by their number shrinks with it.

    Args:
        attended: Shape (batch, tokens, features).
        goal: Same shape, with its graph.

    Returns:
        From 0 on, shape [].

    Raises:
        LossError: The shapes differ.

    Example:
        >>> alignment_over_length(torch.zeros(1, 4, 8), torch.ones(1, 4, 8))
        tensor(0.2500)
    """
    same_shape("alignment_over_length", attended, goal, "batch, tokens, features")
    return F.mse_loss(attended, goal) / attended.shape[1]


def balance_to_uniform(gates: Tensor) -> Tensor:
    """0.01 times the squared error of the mean gates to uniform; use `load_balance`.

    What is wrong: at most 0.01 / experts, and padding counts; a weight nobody sees makes it vanish
    beside anything.

    Args:
        gates: From 0 to 1, shape (batch, tokens, experts).

    Returns:
        From 0 to 0.01 / experts, shape [].

    Example:
        >>> balance_to_uniform(torch.eye(4)[:1].expand(1, 5, 4))
        tensor(0.0019)
    """
    mean = gates.mean(dim=(0, 1))
    return 0.01 * F.mse_loss(mean, torch.full_like(mean, 1 / len(mean)))


def retention_by_batchmean(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - KL with `batchmean` over (batch, tokens, vocabulary); use `retained_kl`.

    What is wrong: `batchmean` divides by the batch only, so the KL is multiplied with the number of
    tokens. A KL of 1 nat per token gives a "retention" of -127 at 128 tokens.

    Args:
        student: Logits, shape (batch, tokens, vocabulary).
        teacher: Same shape.

    Returns:
        At most 1, without a lower bound, shape [].

    Raises:
        LossError: The shapes differ.

    Example:
        >>> student, teacher = torch.zeros(1, 1, 2), torch.tensor([[[2.0, 0.0]]])
        >>> retention_by_batchmean(student, teacher)
        tensor(0.6722)
        >>> retention_by_batchmean(student.expand(1, 9, 2), teacher.expand(1, 9, 2))
        tensor(-1.9503)
    """
    same_shape("retention_by_batchmean", student, teacher, "batch, tokens, vocabulary")
    kl = F.kl_div(student.log_softmax(dim=-1), teacher.softmax(dim=-1), reduction="batchmean")
    return 1 - kl


def capped_perplexity(total: float, cap: float = 20.0) -> float:
    """exp(min(total, cap)); use `perplexity` of the language model loss.

    What is wrong: the total of all terms is no likelihood, and from the cap on the number is a
    constant: 485165195.41 is exp(20), whatever the model does.

    Args:
        total: Sum of all weighted terms.
        cap: Where it is cut off.

    Example:
        >>> round(capped_perplexity(51.66), 2)
        485165195.41
    """
    return math.exp(min(total, cap))
