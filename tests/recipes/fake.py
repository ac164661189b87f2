"""A recipe of a few steps, for the tests of what runs and shows recipes."""

import torch

from poise.recipes import Job, Metric, Recipe, Variant
from poise.watch import Watch

STEPS = 12


def train(job: Job) -> None:
    """Fits two heads for twelve steps; `reported` has a learning rate of 0."""
    model = torch.nn.ModuleDict({"trunk": torch.nn.Linear(4, 4), "head": torch.nn.Linear(4, 2)})
    rate = 0.0 if job.variant == "reported" else 0.1
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)

    def terms() -> dict[str, torch.Tensor]:
        out = model["head"](model["trunk"](torch.ones(8, 4)).tanh())
        return {"a": (out[:, 0] - 1).square().mean(), "b": (out[:, 1] + 1).square().mean()}

    with Watch(job.out, model=model, optimizer=optimizer) as watch:
        for step in range(STEPS):
            watch.total(terms(), {"a": 0.9, "b": 0.1}).backward()
            optimizer.step()
            optimizer.zero_grad()
            job.progress((step + 1) / STEPS)
        with watch.evaluation(), torch.no_grad():
            found = terms()
            watch.total(found, {"a": 0.9, "b": 0.1})
            watch.log(error=found["a"] + found["b"], drawn=torch.rand(()))


FAKE = Recipe(
    name="fake",
    summary="two heads",
    variants=(
        Variant(name="reported", summary="a learning rate of 0"),
        Variant(name="cured", summary="a learning rate"),
    ),
    metric=Metric(name="error"),
    data="text",
    needs=("torch",),
    train=train,
)
