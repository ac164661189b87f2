"""The plain loop, for programs whose mistake is not in the loop."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.desk import Desk

Terms = dict[str, Tensor]
Weights = Mapping[str, float | Tensor]


def fit(
    desk: Desk,
    model: nn.Module,
    optimizer: Optimizer,
    terms: Callable[[int], Terms],
    *,
    steps: int = 300,
    weights: Weights | Callable[[int], Weights] | None = None,
    clip: float | None = None,
    after: Callable[[], object] | None = None,
    logs: Callable[[], Mapping[str, float | Tensor]] | None = None,
    evaluate: Callable[[], Terms] | None = None,
    eval_weights: Weights | None = None,
    eval_each: int = 30,
    **told: Any,  # noqa: ANN401 -- arguments of Desk.open
) -> None:
    """Trains with a total, a backward pass and a step for every batch.

    Args:
        desk: Where the program runs.
        model: What is trained; put into evaluation mode for `evaluate`.
        optimizer: Steps once a batch.
        terms: The losses of the batch of a step.
        steps: Batches.
        weights: Weights by term, fixed or by step; None: each is 1.
        clip: Clip the gradient norm there, and log it.
        after: Called after every step, for a scheduler.
        logs: Other scalars to log.
        evaluate: Losses of one evaluation batch; two are averaged.
        eval_weights: Weights in evaluation; None: those of training.
        eval_each: Steps between evaluations.
        told: Arguments of `Desk.open`.
    """
    with desk.open(model, optimizer, **told) as session:
        for at in range(steps):
            given = weights(at) if callable(weights) else weights
            total = session.total(terms(at), given)
            optimizer.zero_grad()
            total.backward()
            if clip is not None:
                norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
                session.log(grad_norm=norm)
            if logs is not None:
                session.log(**logs())
            optimizer.step()
            if after is not None:
                after()
            if evaluate is not None and (at + 1) % eval_each == 0:
                model.eval()
                with session.evaluation(), torch.no_grad():
                    for _ in range(2):
                        session.total(evaluate(), given if eval_weights is None else eval_weights)
                model.train()
