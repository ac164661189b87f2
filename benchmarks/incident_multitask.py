"""The numbers of docs/incidents/multitask.md.

python -m benchmarks.incident_multitask [--seeds 5] [--others 2] [--variants V ...] [--write]
"""

import math
from collections.abc import Mapping

import torch
from benchmarks.incidents import Column, Page, Paths, main, metric, spread, trained
from torch import Tensor

import poise
from poise.losses.multitask import countdown_loss, f1_of_everything, positive_rate, positive_weight
from poise.recipes.multitask.data import REACH, Windows, make_windows
from poise.recipes.multitask.model import TERMS, Model
from poise.recipes.multitask.training import HELD_OUT, HELD_OUT_SEED, losses
from poise.recipes.multitask.weighing import OUTPUTS, WEIGHTS
from poise.report.ending import ending

STARTS = 8
"""Untrained models, with a batch of 32 each, that gradients are averaged over."""


def baselines(_: Paths) -> str:
    """What predicting nothing comes to on the held-out windows."""
    windows = make_windows(HELD_OUT, HELD_OUT_SEED)
    zero, target = torch.zeros_like(windows.countdown), windows.countdown
    each_bar = target.median(dim=0).values.expand_as(target)
    rate = positive_rate(windows.inside)
    centre = windows.inputs.shape[1] * windows.pointers[:, 0]
    off = (centre - centre.median()).abs().mean().item()
    often = windows.kind.bincount().max().item() / len(windows)
    rows = [
        "| prediction | countdown loss, bars | countdown_error, bars |",
        "|---|---|---|",
        *(
            f"| {name} | {countdown_loss(one, target).value.item():.2f} | "
            f"{(one - target).abs().mean().item():.2f} |"
            for name, one in (("0 at every bar", zero), ("each bar's median", each_bar))
        ),
        "",
        f"{rate:.1%} of the bars lie in a span. Predicting one at every bar has an F1 of "
        f"{f1_of_everything(rate):.3f}; a weight of {positive_weight(windows.inside).item():.1f} "
        "for the bars in a span makes both classes weigh the same. A pointer that is the same in "
        f"every window is {off:.1f} bars off at best (pointer_error); the more frequent class "
        f"everywhere is right in {often:.3f} (type_accuracy).",
    ]
    return "\n".join(rows)


def norms(model: Model, batch: Windows, *, rare: bool) -> tuple[dict[str, float], ...]:
    """Gradient norm of each term at the LSTM's parameters, its value, and norms at its output."""
    outputs = model(batch.inputs)
    found = losses(outputs, batch, positive_weight(batch.inside) if rare else None)
    terms = dict(zip(TERMS, found.values(), strict=True))
    parameters = list(model.lstm.parameters())
    trunk, out, element = {}, {}, {}
    for name in TERMS:
        found = torch.autograd.grad(terms[name], parameters, retain_graph=True)
        trunk[name] = math.sqrt(sum(one.square().sum().item() for one in found))
        (at_output,) = torch.autograd.grad(terms[name], [outputs[name]], retain_graph=True)
        out[name], element[name] = at_output.norm().item(), at_output.abs().mean().item()
    return trunk, {name: terms[name].item() for name in TERMS}, out, element


def mean_norms(unit: float, *, rare: bool = False) -> tuple[dict[str, float], ...]:
    """`norms`, averaged over untrained models."""
    found = []
    for seed in range(STARTS):
        torch.manual_seed(seed)
        found.append(norms(Model(unit), make_windows(32, seed), rare=rare))
    return tuple(
        {name: sum(one[kind][name] for one in found) / STARTS for name in TERMS}
        for kind in range(4)
    )


def row(title: str, values: Mapping[str, float]) -> str:
    """One row of the table of gradients."""
    ratio = values["countdown"] / values["ptr"]
    cells = " | ".join(f"{values[name]:.2g}" for name in TERMS)
    return f"| {title} | {cells} | {ratio:.2g} |"


def gradients(_: Paths) -> str:
    """Gradients of the four terms before training, as written and as weighted."""
    trunk, value, out, element = mean_norms(1.0)
    in_units, cured = mean_norms(REACH)[0], mean_norms(REACH, rare=True)[0]
    divided = {name: trunk[name] / value[name] for name in TERMS}
    reported = {name: WEIGHTS[name] * divided[name] for name in TERMS}
    fixed = {name: math.sqrt(OUTPUTS[name]) * reported[name] for name in TERMS}
    return "\n".join(
        [
            f"| before training, mean of {STARTS} models | "
            + " | ".join(f"`{name}`" for name in TERMS)
            + " | countdown / ptr |",
            "|---|---|---|---|---|---|",
            row("loss value", value),
            row("gradient at its own output, mean size of an element", element),
            row("gradient at its own output, norm", out),
            row("gradient at the LSTM's parameters, norm", trunk),
            row("the same over the loss value (the normaliser)", divided),
            row("the same times 10/70/10/10: `reported`", reported),
            row("the same times sqrt(outputs): `note-fix`", fixed),
            row(
                "plain weights, countdown in units of 20 bars: `unit-output`",
                {name: WEIGHTS[name] * in_units[name] for name in TERMS},
            ),
            row(
                "the same with rare span steps weighted up: `cured`",
                {name: WEIGHTS[name] * cured[name] for name in TERMS},
            ),
        ]
    )


def adam(_: Paths) -> str:
    """A head that one loss trains, under Adam, with that loss weighted down by factors."""
    found: list[str] = []
    for factor in (1.0, 0.1, 0.001):
        torch.manual_seed(0)
        head = torch.nn.Linear(8, 1)
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
        states = torch.randn(256, 8)
        target: Tensor = 20.0 * states[:, :1].sign()
        for _step in range(120):
            loss = torch.nn.functional.huber_loss(head(states), target, delta=1.0)
            optimizer.zero_grad()
            (factor * loss).backward()
            optimizer.step()
        found.append(f"{loss.item():.3f} (weight {factor:g})")
    return f"After 120 steps of AdamW the loss of such a head alone is {', '.join(found)}."


CLAIMS = {
    "unit-output": "plain weights and a head in units, as the finding proposes, cure every term",
    "note-fix": "multiplying by sqrt(outputs) is the correct fix",
    "divide-sqrt": "its conclusion: normalise by dividing by sqrt(outputs), too",
    "loss-batchnorm": "LossBatchNorm normalises by batch statistics; it divides by sqrt(1), so "
    "what acts here is that the normaliser is gone",
    "uncertainty": "uncertainty weighting handles the reduction bias; its sigmas move by 0.001 a "
    "step whatever the data are, and stay near 1, which is nearly the raw sum",
    "raw-sum": "without a normaliser the large countdown would drown the pointers",
    "shares": "10/70/10/10 is a good balance, if only the gradients keep to it",
    "shares-equal": "equal gradients for all let all terms learn",
    "unit-shares": "what balancing can add to the cure: 70% of the gradient for the countdown",
}
"""What was claimed or meant with a variant."""


def claims(paths: Paths) -> str:
    """Each claim with what the runs of its variant come to; what was not run is left out."""
    lines = [
        "| claim | variant | countdown_error, bars | pointer_error, bars | span_f1 |",
        "|---|---|---|---|---|",
    ]
    for name, claim in CLAIMS.items():
        ends = [ending(poise.read_run(path)) for path in paths.get(name, ())]
        if ends:
            cells = [
                spread([metric(one)(end) for end in ends])
                for one in ("countdown_error", "pointer_error", "span_f1")
            ]
            lines.append(f"| {claim} | `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


PAGE = Page(
    recipe="multitask",
    columns=(
        Column(head="countdown loss in training, bars", of=trained("countdown")),
        Column(head="pointer_error, bars", of=metric("pointer_error")),
        Column(head="span_f1", of=metric("span_f1")),
        Column(head="type_accuracy", of=metric("type_accuracy")),
    ),
    curve="countdown",
    blocks={"baselines": baselines, "gradients": gradients, "adam": adam, "claims": claims},
)

if __name__ == "__main__":
    main(PAGE)
