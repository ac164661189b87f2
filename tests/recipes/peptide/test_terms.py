"""What the variants minimise."""

import random

import pytest
import torch

from poise.losses.peptide import mass_error_ppm
from poise.recipes import find
from poise.recipes.peptide.curriculum import Curriculum
from poise.recipes.peptide.data import (
    VOCABULARY,
    Difficulty,
    batch_of,
    made_spectrum,
    vocabulary_masses,
)
from poise.recipes.peptide.terms import Output, terms_of

CURRICULUM = Curriculum(first=10, later=2)
NAMES = [one.name for one in find("peptide").variants]


def output() -> Output:
    """An untrained model's answer to eight spectra."""
    draw = random.Random(0)
    batch = batch_of([made_spectrum(draw, 4, Difficulty(longest=8)) for _ in range(8)])
    logits = torch.randn(
        3, *batch.tokens.shape, len(VOCABULARY), generator=torch.Generator().manual_seed(0)
    )
    return Output(batch=batch, logits=logits.requires_grad_(), masses=vocabulary_masses())


@pytest.mark.parametrize("variant", NAMES)
def test_every_variant_begins_with_cross_entropy_alone(variant: str) -> None:
    """So that all of them are the same training up to the second stage."""
    terms = terms_of(variant, CURRICULUM)
    assert terms.at(9) == {"ce": 1.0, "spectrum": 0.0, "precursor": 0.0}
    losses = terms.losses(output())
    assert list(losses) == ["ce", "spectrum", "precursor"]
    for one in losses.values():
        assert one.value.requires_grad


@pytest.mark.parametrize(
    ("variant", "first", "last"),
    [
        ("reported", 0.01, 0.10),
        ("note-fix", 0.01, 0.08),
        ("cured", 0.0, 1.0),
        ("no-term", 0.0, 0.0),
        ("ce-only", 0.0, 0.0),
        ("clamp", 0.2, 0.2),
        ("weight-1", 1.0, 1.0),
        ("weight-0.2", 0.2, 0.2),
    ],
)
def test_weights_of_the_precursor_term(variant: str, first: float, last: float) -> None:
    """At the first step of the second stage and at the last step of all."""
    terms = terms_of(variant, CURRICULUM)
    found = (terms.at(10)["precursor"], terms.at(CURRICULUM.total_steps - 1)["precursor"])
    assert found == pytest.approx((first, last))
    assert terms.at(10)["spectrum"] == (0.0 if variant == "ce-only" else 0.05)


def test_forms_of_the_precursor_term() -> None:
    """Each at one output: the reported value is large, the others' are not, the clamp is at 100."""
    given = output()
    with torch.no_grad():
        found = {
            name: terms_of(name, CURRICULUM).losses(given)["precursor"].value.item()
            for name in NAMES
        }
        ppm = mass_error_ppm(given.expected_da, given.batch.precursor_da)
    assert found["reported"] == pytest.approx((100 * torch.log1p(ppm / 100)).mean().item())
    assert found["note-fix"] == pytest.approx(torch.log1p(ppm / 1e5).mean().item())
    assert found["weight-0.2"] == found["reported"]
    assert found["weight-1"] == found["note-fix"]
    assert found["clamp"] == 100.0
    assert 0 < found["cured"] < 10


def test_the_historical_spectrum_term_has_no_mask() -> None:
    """What is predicted behind the end changes it: a fault that all variants keep."""
    given = output()
    terms = terms_of("reported", CURRICULUM)
    changed = given.logits.detach().clone()
    changed[:, ~given.batch.mask] += 5 * torch.arange(len(VOCABULARY))
    other = Output(batch=given.batch, logits=changed, masses=given.masses)
    first, second = terms.losses(given), terms.losses(other)
    assert first["spectrum"].value.item() != pytest.approx(second["spectrum"].value.item())
    for name in ("ce", "precursor"):
        assert first[name].value.item() == pytest.approx(second[name].value.item())
