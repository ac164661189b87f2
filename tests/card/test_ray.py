"""The way from a perfect prediction to very wrong ones."""

import torch
from torch.nn import functional as F

from poise.card.ray import ray_of, signs
from tests.card.subjects import labels, normal, of


def test_kinds() -> None:
    """Errors for regressions, margins for classifiers, sizes for a penalty."""
    assert ray_of(of(F.mse_loss, normal(8, 3), normal(8, 3))).kind == "error"
    assert ray_of(of(F.cross_entropy, normal(8, 3), labels(8))).kind == "margin"
    binary = labels(8, classes=2).float()
    assert ray_of(of(F.binary_cross_entropy_with_logits, normal(8), binary)).kind == "margin"
    assert ray_of(of(lambda x: x.square().mean(), normal(8))).kind == "magnitude"


def test_perfect_is_the_minimum() -> None:
    """Soft targets have their best logits, log-probabilities the target's logarithm."""
    target = normal(8, 3, seed=1).softmax(1)
    one = of(F.cross_entropy, normal(8, 3), target)
    ray = ray_of(one)
    assert torch.allclose(ray.start.softmax(1), target.double())
    entropy = float(-(target * target.log()).sum(1).mean())
    assert abs(one.at(ray.at(0.0)).value - entropy) < 1e-6


def test_a_margin_points_to_the_wrong_answer() -> None:
    """The loss rises with the error and falls with its opposite."""
    one = of(F.cross_entropy, normal(8, 3), labels(8))
    ray = ray_of(one)
    at = [one.at(ray.at(error)).value for error in (-2.0, 0.0, 2.0)]
    assert at == sorted(at)


def test_signs_are_fixed() -> None:
    """The same pattern each time, and both signs in it."""
    assert torch.equal(signs(torch.zeros(20)), signs(torch.zeros(20)))
    assert set(signs(torch.zeros(20)).tolist()) == {-1.0, 1.0}
