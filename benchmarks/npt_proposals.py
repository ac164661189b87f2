"""What the proposals of docs/incidents/plasticity.md come to, measured on made tensors.

python -m benchmarks.npt_proposals
"""

import torch
from torch import Tensor
from torch.nn import functional

from poise import same
from poise.losses.plasticity import (
    Modulation,
    attention_encoding,
    decomposed_target,
    direct_mlp,
    information_bottleneck,
    modulation_guidance,
    orthogonality,
    reported,
    scalars,
)

SHAPE = (2, 16, 64)


def normal(*shape: int, seed: int) -> Tensor:
    """Normal numbers from a seed of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


V_A, ATTENTION, HIDDEN = (normal(*SHAPE, seed=seed) for seed in range(3))


def adaptive() -> str:
    """The weights of six losses after fifty updates."""
    x = V_A.clone().requires_grad_()
    losses = [10.0**k * functional.mse_loss(x, ATTENTION) for k in (-6, -4, -2, 2, 4, 6)]
    norms = torch.zeros(6)
    for _ in range(50):
        weights, norms = reported.adaptive_weights(losses, norms)
    low, high = float(weights.min()), float(weights.max())
    return (
        f"six losses whose gradients span 12 decades have weights {low:.6f} to {high:.6f} after "
        "50 updates: `grad(loss, loss)` is 1"
    )


def decomposed() -> str:
    """What the two halves do."""
    x = (ATTENTION + HIDDEN).requires_grad_()
    first = x[:, :, : ATTENTION.size(-1)]
    second = functional.mse_loss(x - first, HIDDEN)
    (gradient,) = torch.autograd.grad(second, x)
    at_target = float(reported.decomposed_target(x.detach(), ATTENTION, HIDDEN))
    at_attention = float(reported.decomposed_target(ATTENTION, ATTENTION, HIDDEN))
    whole = same(
        lambda m, a, t: sum(decomposed_target(m, a, t), torch.zeros(())),
        lambda m, a, t: direct_mlp(m, a, t).value,
        (V_A, ATTENTION, HIDDEN),
    )
    return (
        f"the MLP half has a gradient of norm {float(gradient.norm()):g}; the target itself costs "
        f"{at_target:.3f}, the attention alone {at_attention:.3f}. The working form: "
        f"its two parts add up to the direct term (`poise.same`: {whole.verdict})"
    )


def guidance() -> str:
    """Where an optimizer takes the two forms."""
    found: list[str] = []
    for form in (reported.modulation_guidance, _bounded):
        x = V_A.clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=0.05)
        start = float(form(x, HIDDEN, ATTENTION).detach())
        for _ in range(2000):
            optimizer.zero_grad()
            form(x, HIDDEN, ATTENTION).backward()
            optimizer.step()
        end = float(form(x, HIDDEN, ATTENTION).detach())
        spread = float((x * HIDDEN).sum(-1).detach().std())
        found.append(
            f"{start:.3g} to {end:.3g}, the scalar's standard deviation ends at {spread:.3g}"
        )
    target = torch.sigmoid(ATTENTION.norm(dim=-1) / HIDDEN.norm(dim=-1))
    return (
        f"2000 steps of Adam take it from {found[0]}; its target lies in "
        f"[{float(target.min()):.2f}, {float(target.max()):.2f}]. The working form: {found[1]}"
    )


def _bounded(v_a: Tensor, hidden: Tensor, attention: Tensor) -> Tensor:
    return modulation_guidance((v_a * hidden).sum(-1), attention, hidden)


def bottleneck() -> str:
    """Scores of v_a = a and v_a = -a."""
    told = [
        [float(form(sign * ATTENTION, ATTENTION, HIDDEN)) for sign in (1, -1)]
        for form in (reported.information_bottleneck, information_bottleneck)
    ]
    old = [float(attention_encoding(sign * ATTENTION, ATTENTION)) for sign in (1, -1)]
    return (
        f"v_a = a scores {told[0][0]:.3f}, v_a = -a {told[0][1]:.3f}; attention encoding gives "
        f"them {old[0]:.3f} and {old[1]:.3f}. The working form: {told[1][0]:.3f} and "
        f"{told[1][1]:.3f}"
    )


def orthogonal() -> str:
    """The error, and what shrinking does."""
    try:
        reported.orthogonality(V_A, HIDDEN)
        raised = "nothing"
    except RuntimeError as error:
        raised = str(error)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = float(reported.orthogonality(V_A, HIDDEN, repaired=True))
        torch.manual_seed(0)
        half = float(reported.orthogonality(V_A / 2, HIDDEN, repaired=True))
    share = [float(orthogonality(one, HIDDEN)) for one in (V_A, V_A / 2)]
    return (
        f"`{raised}`. With that repaired, half of v_a costs {half / whole:.2f} of it; the working "
        f"form stays at {share[1] / share[0]:.2f}"
    )


def curriculum() -> str:
    """How much there is to modulate where it begins."""
    sized = ATTENTION * torch.linspace(0.1, 2.0, SHAPE[1]).view(1, -1, 1)
    norms = sized.norm(dim=-1)
    kept = reported.curriculum_mask(sized, 0)
    part = float(norms[kept].square().sum() / norms.square().sum())
    return (
        f"with attention that grows twentyfold along a sequence, its first stage keeps "
        f"{float(kept.float().mean()):.0%} of the tokens and {part:.1%} of the attention's energy; "
        "where all norms are equal it keeps none"
    )


def even() -> str:
    """How far the layer tells an attention from its negative."""
    found: list[float] = []
    for offset in (False, True):
        modulation = Modulation(
            64, 128, offset=offset, scale=1.0, generator=torch.Generator().manual_seed(0)
        )
        updates = [
            (scalars(HIDDEN, factors).unsqueeze(-1) * factors.v_b).sum(-2).detach()
            for factors in (modulation(ATTENTION), modulation(-ATTENTION))
        ]
        found.append(float((updates[0] - updates[1]).norm() / updates[0].norm()))
    return (
        f"between a and -a the gate's update differs by {found[0]:g} of itself; with the offset by "
        f"{found[1]:.2f}"
    )


ROWS = (
    ("1. modulation guidance", guidance),
    ("2. adaptive weighting", adaptive),
    ("3. decomposed target", decomposed),
    ("4. information bottleneck", bottleneck),
    ("6. curriculum", curriculum),
    ("7. orthogonality", orthogonal),
    ('"one scalar a token is the bottleneck"', even),
)


def table() -> str:
    """A row a proposal."""
    lines = ["| the note's | as written |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {measure()} |" for name, measure in ROWS)])


if __name__ == "__main__":
    print(table())
