"""Suggested weights: on made runs with a known answer, and on trainings that then use them."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from poise.doctor.case import Case
from poise.doctor.diagnose import diagnose
from poise.doctor.suggest import Suggestion, parse_shares, parts, suggest, suggested_or_not
from poise.errors import SuggestionError, TermNameError
from poise.run import Run
from poise.watch import Watch
from poise.watch.budget import Budget
from tests.doctor.build import make_run
from tests.doctor.build_probes import fall, watched
from tests.doctor.live_runs import Net, batch

NAMES = ("a", "b", "c")


def made(
    norms: Mapping[str, object], weights: Mapping[str, float] | None = None, **given_: object
) -> Run:
    """Three falling terms with known norms of their weighted gradients at ten probes or so."""
    rng = np.random.default_rng(0)
    terms = {name: fall(2.0, 0.5, rng) for name in norms}
    return watched(terms, norms=norms, weights=weights or dict.fromkeys(norms, 1.0), **given_)  # type: ignore[arg-type]  # passed on


def test_weights_scale_each_term_to_its_share_and_keep_the_total() -> None:
    """Norms 6, 3, 1 at weights 1, 2, 1 become 2, 3, 5: a sum of 10 as before."""
    run = made({"a": [6.0], "b": [3.0], "c": [1.0]}, {"a": 1.0, "b": 2.0, "c": 1.0})
    found = suggest(run, {"a": 0.2, "b": 0.3, "c": 0.5})
    assert found.weights == pytest.approx({"a": 1 / 3, "b": 2.0, "c": 5.0})
    assert (found.source, found.probes) == ("given", 1)
    assert found.code == "weights = {'a': 0.333, 'b': 2.0, 'c': 5.0}"


@given(
    raw=st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3),
    weights=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3),
    wish=st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3),
)
def test_what_is_suggested_does_not_depend_on_what_was_used(
    raw: list[float], weights: list[float], wish: list[float]
) -> None:
    """Whatever the weights were, the new ones have the wished shares and keep the sum."""
    norms = {name: [one * w] for name, one, w in zip(NAMES, raw, weights, strict=True)}
    had = dict(zip(NAMES, weights, strict=True))
    found = suggest(made(norms, had), dict(zip(NAMES, wish, strict=True)))
    new = {name: found.weights[name] * one for name, one in zip(NAMES, raw, strict=True)}
    for name, one in zip(NAMES, wish, strict=True):
        assert new[name] / sum(new.values()) == pytest.approx(one / sum(wish))
    assert sum(new.values()) == pytest.approx(sum(one[0] for one in norms.values()))


def test_a_drift_that_all_terms_share_is_no_spread() -> None:
    """All gradients shrink a thousandfold: the weights are exact, and none is said to move."""
    fade = np.geomspace(1, 1e-3, 16)
    found = suggest(made({"a": 4 * fade, "b": fade}), {"a": 1, "b": 1})
    assert not any(one.moves for one in found.terms)
    assert [one.suggested.low for one in found.terms] == pytest.approx([0.625, 2.5])
    assert [one.expected.high for one in found.terms] == pytest.approx([0.5, 0.5])


def test_a_term_whose_gradient_fades_is_said_to_move() -> None:
    """First and last quarter are told with the quartiles."""
    found = suggest(made({"a": np.ones(16), "b": np.geomspace(1, 0.01, 16)}), {"a": 1, "b": 1})
    second = found.terms[1]
    assert second.moves
    assert second.suggested.first < second.suggested.median < second.suggested.last
    assert second.expected.low < 0.5 < second.expected.high


def test_terms_without_a_wish_keep_their_weights() -> None:
    """A regulariser is left alone; the named ones share their own sum."""
    run = made({"a": [6.0], "b": [3.0], "c": [1.0]}, {"a": 1.0, "b": 2.0, "c": 1e-3})
    found = suggest(run, {"a": 1, "b": 2})
    assert found.weights == pytest.approx({"a": 0.5, "b": 4.0, "c": 1e-3})


def test_a_share_of_zero_is_a_weight_of_zero() -> None:
    """The others get what is left."""
    found = suggest(made({"a": [6.0], "b": [3.0], "c": [1.0]}), {"a": 0, "b": 1, "c": 1})
    assert found.weights == pytest.approx({"a": 0.0, "b": 5 / 3, "c": 5.0})


def test_a_negative_weight_keeps_its_sign() -> None:
    """A term that is maximised stays so."""
    found = suggest(made({"a": [2.0], "b": [2.0]}, {"a": 1.0, "b": -1.0}), {"a": 1, "b": 3})
    assert found.weights == pytest.approx({"a": 0.5, "b": -1.5})


def test_wishes_come_from_the_declaration_then_from_the_weights() -> None:
    """Shares passed win over declared ones, these over weights; a regulariser's is no wish."""
    norms, told = {"a": [1.0], "b": [1.0]}, {"declared": {"shares": {"a": 0.9, "b": 0.1}}}
    assert suggest(made(norms, **told)).source == "declared shares"
    found = suggest(made(norms, {"a": 3.0, "b": 1.0}))
    assert (found.source, found.terms[0].wish) == ("weights", 0.75)
    roles = {"declared": {"roles": {"c": "regulariser"}}}
    found = suggest(made({**norms, "c": [1.0]}, {"a": 3.0, "b": 1.0, "c": 7.0}, **roles))
    assert [one.name for one in found.terms] == ["a", "b"]
    assert found.weights["c"] == 7.0


def test_probes_before_a_term_starts_do_not_count() -> None:
    """A term that has no gradient for half of the run is suggested from the other half."""
    late = np.r_[np.zeros(5), np.ones(5)]
    found = suggest(made({"a": 3 * np.ones(10), "b": late}), {"a": 1, "b": 1})
    assert found.probes == 5
    assert found.weights == pytest.approx({"a": 2 / 3, "b": 2.0})


def test_refusals_say_why() -> None:
    """No probe, no gradient, terms that take turns, shares that are none, unknown terms."""
    rng = np.random.default_rng(0)
    bare = make_run({"a": fall(2, 1, rng), "b": fall(2, 1, rng)})
    with pytest.raises(SuggestionError, match="expected probes"):
        suggest(bare)
    assert suggested_or_not(Case(bare)) is None
    with pytest.raises(SuggestionError, match=r"gradient of 'b'.* got 0 in all 4 probes"):
        suggest(made({"a": np.ones(4), "b": np.zeros(4)}), {"a": 1, "b": 1})
    turns = made({"a": np.r_[1.0, 0.0], "b": np.r_[0.0, 1.0]})
    with pytest.raises(SuggestionError, match="take turns"):
        suggest(turns, {"a": 1, "b": 1})
    refused = suggested_or_not(Case(turns))
    assert refused is not None
    assert "take turns" in str(refused)
    with pytest.raises(TermNameError, match="'cls' is unknown"):
        suggest(turns, {"a": 1, "cls": 1})
    moving = made({"a": [1.0], "b": [1.0]}, weight_history={"b": np.linspace(1, 9, 200)})
    with pytest.raises(SuggestionError, match="weights of 'b' that change; pass shares"):
        suggest(moving)


@pytest.mark.parametrize("bad", [{"a": -1, "b": 1}, {"a": math.nan, "b": 1}, {"a": 1}, {}])
def test_shares_that_are_none_are_refused(bad: dict[str, float]) -> None:
    """Negative, not a number, or one term alone."""
    with pytest.raises(SuggestionError, match="shares: "):
        parts(bad)


@pytest.mark.parametrize("bad", ["a", "a=", "a=x,b=1", ""])
def test_command_line_shares_are_checked(bad: str) -> None:
    """A part that is no name=number is named."""
    with pytest.raises(SuggestionError, match="expected name=number"):
        parse_shares(bad)


def train(run: Path, weights: Mapping[str, float], shares: Mapping[str, float]) -> Suggestion:
    """150 steps of two heads on one trunk under a watch that probes every fifth step."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    with Watch(run, model=net, optimizer=optimizer, shares=shares, every=5, budget=0.9) as watch:
        for _ in range(150):
            x, kind, numbers = batch(256)
            logits, found = net(x)
            terms = {
                "kind": F.cross_entropy(logits, kind),
                "numbers": F.mse_loss(found, 30 * numbers),
            }
            watch.total(terms, weights).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    found = diagnose(run).suggestion
    assert found is not None
    return found


@pytest.mark.parametrize("wish", [{"kind": 0.5, "numbers": 0.5}, {"kind": 0.8, "numbers": 0.2}])
def test_the_suggested_weights_give_the_declared_shares(
    tmp_path: Path, wish: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watched, suggested, trained with that: shares come out as declared, within the stated spread.

    The gradients of the first training are fifty times apart. Once they are balanced, terms learn
    at another pace, so the first suggestion comes near, and those from the trainings after it hold.
    """
    # No probe waits for its budget: which steps are seen must not depend on what else runs here.
    monkeypatch.setattr(Budget, "due", lambda *_, **__: True)
    found = train(tmp_path / "plain", {"kind": 1.0, "numbers": 1.0}, wish)
    off = [abs(math.log(found.terms[0].share.median / wish["kind"]))]
    for number in range(4):
        promised = found
        found = train(tmp_path / f"{number}", promised.weights, wish)
        off.append(abs(math.log(found.terms[0].share.median / wish["kind"])))
    assert off[1] < off[0] / 3
    for before, after in zip(promised.terms, found.terms, strict=True):
        assert before.expected.low <= after.share.median <= before.expected.high
        assert after.share.low <= after.wish <= after.share.high
