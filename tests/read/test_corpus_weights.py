"""Weights of real logs, against what careful reading of their numbers shows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poise.read import read_run
from poise.run import Composition

Corpus = Callable[[str], Path]


def weights(one: Composition) -> dict[str, float | None]:
    """Weight of every term."""
    return {term.name: term.weight for term in one.terms}


SUMS = {"04_": 37, "05_": 2, "11_": 3, "14_": 3, "15_": 5, "38_": 4}


@pytest.mark.parametrize(("prefix", "count"), SUMS.items())
def test_plain_sums(corpus: Corpus, prefix: str, count: int) -> None:
    """Logs whose total is the sum of all their terms."""
    found = read_run(corpus(prefix)).composition
    assert found is not None
    assert found.exact
    assert list(weights(found).values()) == [1.0] * count


@pytest.mark.parametrize(("prefix", "count"), [("12_", 4), ("13_", 5)])
def test_plain_means(corpus: Corpus, prefix: str, count: int) -> None:
    """Logs whose total is the mean of all their terms."""
    found = read_run(corpus(prefix)).composition
    assert found is not None
    assert found.exact
    assert list(weights(found).values()) == [1.0 / count] * count


HIDDEN = {
    "26_": [1.0, 5.0],
    "28_": [0.0, 1.0, 0.1, 0.1],
    "30_": [1.0, 0.0, 0.0, 0.0, 0.0],
    "31_": [1.0, 1.0, 1.0, 5.0],
    "46_": [1.0, 0.01, 0.001],
    "24_": [0.04],
}


@pytest.mark.parametrize(("prefix", "expected"), HIDDEN.items())
def test_hidden_weights(corpus: Corpus, prefix: str, expected: list[float]) -> None:
    """Logs whose terms are written down before they are weighted."""
    found = read_run(corpus(prefix)).composition
    assert found is not None
    assert found.exact
    assert list(weights(found).values()) == expected


def test_weights_of_every_decoder_layer(corpus: Corpus) -> None:
    """Raw classification, box and overlap losses enter with 1, 5 and 2 at every layer."""
    found = read_run(corpus("06_")).composition
    assert found is not None
    assert found.exact
    known = {"ce": 1.0, "bbox": 5.0, "giou": 2.0}
    assert all(weight == known[name.split("_")[1]] for name, weight in weights(found).items())


def test_two_optimisers_have_two_totals(corpus: Corpus) -> None:
    """Generator and discriminator each have a total, made of their own terms."""
    found = read_run(corpus("03_")).compositions
    assert [(one.total, len(one.terms), one.exact) for one in found] == [
        ("loss_1", 5, True),
        ("loss_0", 1, True),
    ]


@pytest.mark.parametrize("prefix", ["08_", "09_", "32_", "49_"])
def test_medians_and_running_means_are_no_remainder(corpus: Corpus, prefix: str) -> None:
    """Totals that do not add up because of how they were averaged keep the weight 1."""
    found = read_run(corpus(prefix)).composition
    assert found is not None
    assert not found.exact
    assert set(weights(found).values()) == {1.0}
    assert "scatter" in found.why


def test_half_and_half(corpus: Corpus) -> None:
    """The mean of two terms is seen through the medians."""
    found = read_run(corpus("18_")).composition
    assert found is not None
    assert list(weights(found).values()) == [0.5, 0.5]


def test_one_decimal(corpus: Corpus) -> None:
    """One decimal is enough for the sum, and not for the weight of a silent term."""
    found = read_run(corpus("33_")).composition
    assert found is not None
    assert found.exact
    assert weights(found) == {"iou_loss": 1.0, "l1_loss": None, "conf_loss": 1.0, "cls_loss": 1.0}


def test_leaves_of_a_hierarchy(corpus: Corpus) -> None:
    """The distance is the mean of four leaves, and its parts are sub-totals."""
    found = read_run(corpus("22_")).compositions
    assert list(weights(found[0]).values()) == [0.25] * 4
    assert [len(one.terms) for one in found[1:]] == [2, 2]


def test_what_is_missing_stays_missing(corpus: Corpus) -> None:
    """Two terms of which neither makes up what remains beside the third."""
    found = read_run(corpus("23_")).composition
    assert found is not None
    assert not found.exact
    assert found.remainder > 0.05
    assert weights(found) == {"loss_recon": 1.0, "loss_kl": 0.0, "loss_mmd": 0.0}
