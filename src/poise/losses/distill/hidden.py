"""Hidden states of a student made like those of its teacher."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poise.losses.distill.fit import at_least, same_shape
from poise.reduce import Reduced, per_token

FORM = "batch, tokens, features"


def hidden_loss(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Reduced:
    """Squared difference after both are normalised over the features of each token.

    With mean 0 and variance 1 on both sides it is 2 (1 - correlation): bounded, of one scale for
    all layers and lengths, and a token with massive activations (single channels of thousands, as
    large language models have them at their first token) costs no more than any other.

    Args:
        student: Projected hidden states, shape (batch, tokens, features).
        teacher: Hidden states at the same tokens, same shape; take them without a graph.
        mask: True where a token counts, bool, shape (batch, tokens).

    Returns:
        From 0 to 4, no unit; 2 for unrelated states. Mean over features and tokens; count and
        gradient are per token.

    Raises:
        LossError: The shapes differ.
        ReductionError: The mask does not fit.

    Example:
        >>> teacher = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))
        >>> hidden_loss(3 * teacher + 1, teacher).value < 1e-6
        tensor(True)
        >>> teacher[0, 0, :2] = torch.tensor([3000.0, -2000.0])
        >>> hidden_loss(torch.randn(teacher.shape), teacher).value < 4
        tensor(True)
    """
    same_shape("hidden_loss", student, teacher, FORM)
    width = (student.shape[-1],)
    apart = F.layer_norm(student, width) - F.layer_norm(teacher, width)
    return per_token(apart.square().mean(dim=-1), mask)


def matched_layers(student: int, teacher: int) -> tuple[int, ...]:
    """For each layer of the student the layer of the teacher at the same share of the depth.

    Both are counted as `hidden_states` counts them: 0 are the embeddings, the last is the output of
    the last layer, and these two are matched with each other.

    Args:
        student: Number of layers, at least 1.
        teacher: Number of layers, at least 1.

    Returns:
        `student + 1` numbers from 0 to `teacher`.

    Raises:
        LossError: There are no layers.

    Example:
        >>> matched_layers(3, 6)
        (0, 2, 4, 6)
    """
    at_least("matched_layers", "layers of the student", student, 1)
    at_least("matched_layers", "layers of the teacher", teacher, 1)
    return tuple(round(layer * teacher / student) for layer in range(student + 1))


def largest_share(student: Tensor, teacher: Tensor, *, largest: int = 2) -> Tensor:
    """Part of a squared error that its few largest channels make up.

    Near 1 it says that the loss is about single channels and not about the states: then a mean
    squared error is no measure of similarity.

    Args:
        student: Hidden states, shape (batch, tokens, features).
        teacher: The same shape.
        largest: How many of the features.

    Returns:
        From 0 to 1, shape []; 0 if there is no error at all.

    Raises:
        LossError: The shapes differ.

    Example:
        >>> student, teacher = torch.zeros(1, 50, 64), torch.ones(1, 50, 64)
        >>> teacher[0, 0, :2] = torch.tensor([3000.0, -2000.0])
        >>> largest_share(student, teacher)
        tensor(0.9998)
    """
    same_shape("largest_share", student, teacher, FORM)
    squares = (student - teacher).detach().square().sum(dim=(0, 1))
    top = squares.topk(min(largest, len(squares))).values.sum()
    whole = squares.sum()
    return torch.where(whole > 0, top / whole.clamp(min=torch.finfo(whole.dtype).tiny), whole)


class FeatureProjector(nn.Module):
    """From the student's width to the teacher's: linear, norm, GELU, dropout, linear.

    It can learn what the student does not: with the student frozen, training the projector alone
    brings a loss down. So a falling loss behind it does not say that the student learns.

    Args:
        student: Features of the student.
        teacher: Features of the teacher.
        dropout: Share of the inner features that is dropped in training, from 0 to below 1.

    Example:
        >>> FeatureProjector(48, 64)(torch.zeros(2, 5, 48)).shape
        torch.Size([2, 5, 64])
    """

    def __init__(self, student: int, teacher: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(student, teacher),
            nn.LayerNorm(teacher),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(teacher, teacher),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Shape (*, student) to (*, teacher)."""
        return self.layers(hidden)
