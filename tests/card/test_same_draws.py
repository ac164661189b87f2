"""Draws: domains of an example are kept, scales, shapes, masks and edges are covered."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.card.same_draws import SCALES, Domain, Drawer, domain, stays
from tests.losses_of_notes import normal


def test_domains() -> None:
    """What an example says about its numbers."""
    cases = [
        (normal(3, 4), Domain.REAL),
        (torch.zeros(3), Domain.REAL),
        (normal(3).abs() + 2, Domain.NON_NEGATIVE),
        (torch.tensor([0.2, 0.9, 0.4]), Domain.UNIT),
        (torch.tensor([0.0, 1.0, 1.0]), Domain.BINARY),
        (normal(3, 4).softmax(-1), Domain.SIMPLEX),
        (normal(3, 4).log_softmax(-1), Domain.LOG_SIMPLEX),
        (F.normalize(normal(3, 4), dim=-1), Domain.UNIT_ROWS),
        (torch.tensor([True]), Domain.MASK),
        (torch.tensor([2, -100]), Domain.POOL),
        (torch.zeros(0), Domain.FIXED),
        (torch.zeros(2, dtype=torch.complex64), Domain.FIXED),
        ("mean", Domain.FIXED),
    ]
    assert [domain(one) for one, _ in cases] == [kind for _, kind in cases]


def test_every_draw_stays_in_strict_domains() -> None:
    """Probabilities stay probabilities at every scale and shape; labels come from the example."""
    example = (
        normal(4, 5),
        normal(4, 5, seed=1).softmax(-1),
        torch.tensor([1, 4, -100, 2]),
        torch.tensor([1.0, 0.0, 1.0, 1.0]),
        "sum",
    )
    for draw in Drawer(example, 0).draws():
        _, soft, labels, bits, word = draw.inputs
        assert isinstance(soft, Tensor)
        assert isinstance(labels, Tensor)
        assert torch.allclose(soft.sum(-1), torch.ones(len(soft)), atol=1e-5)
        assert set(labels.tolist()) <= {1, 4, -100, 2}
        assert stays(bits, Domain.BINARY)
        assert word == "sum"


def test_scales_edges_and_shapes() -> None:
    """All scales and error sizes, both edges, both masks, four batch sizes, four lengths."""
    example = (normal(4, 6), normal(4, 6, seed=1), normal(4, 6, seed=2) > 0)
    draws = list(Drawer(example, 0).draws())
    words = {draw.what for draw in draws}
    assert all(f"{kind} {s:.0e}" in words for s in SCALES for kind in ("all", "error", "others"))
    assert {"first equals its target", "first is zero", "mask all true", "mask all false"} <= words
    assert {(4, 6), (1, 6), (2, 6), (3, 6), (8, 6), (4, 1), (4, 2), (4, 12)} == {
        draw.shape for draw in draws
    }
    for draw in draws:
        assert len({one.shape for one in draw.inputs if isinstance(one, Tensor)}) == 1


def test_classes_are_not_a_length() -> None:
    """An axis that only the logits have is not resized."""
    drawer = Drawer((normal(4, 5, 6), torch.arange(24).reshape(4, 6) % 5), 0)
    assert {draw.shape[1] for draw in drawer.draws()} == {5}
    assert {draw.shape[2] for draw in drawer.draws()} == {6, 1, 2, 12}


def test_same_seed_same_draws() -> None:
    """Draws repeat exactly."""
    example = (normal(3, 2), normal(3, 2, seed=1) > 0)
    pair = [list(Drawer(example, 5).draws()) for _ in range(2)]
    for one, two in zip(*pair, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one.inputs, two.inputs, strict=True))  # type: ignore[arg-type]


def test_a_scalar_example() -> None:
    """An input without axes is drawn as well."""
    assert all(draw.shape == () for draw in Drawer((torch.tensor(1.5),), 0).draws())
