"""What is declared of the terms, and the rules that hold a live run against it."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import poise
from poise.doctor.case import Case
from poise.doctor.hints import role_of
from poise.errors import TermNameError, WatchError
from poise.objective import Objective, Term
from poise.schedule import Linear, Piecewise, Schedule
from poise.watch import Watch
from poise.watch.declared import Declared, normalised
from tests.doctor.live_runs import Net, batch
from tests.watch.loops import WEIGHTS, batches, lines, made, train

EQUAL = {"kind": 0.5, "numbers": 0.5}


@pytest.fixture(autouse=True)
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is measured, however slow this machine is at the moment."""
    monkeypatch.setattr(
        "poise.watch.budget.Budget.due", lambda self, name, **_: self.accounts[name].part > 0
    )


def honouring(
    terms: Mapping[str, Tensor], net: Net, shares: Mapping[str, float]
) -> dict[str, float]:
    """Weights that give every term exactly its share at the trunk, and gradients of size 1."""
    trunk = list(net.trunk.parameters())
    norms = {}
    for name, term in terms.items():
        found = torch.autograd.grad(term, trunk, retain_graph=True)
        norms[name] = math.sqrt(sum(one.square().sum().item() for one in found))
    return {name: shares[name] / norms[name] for name in terms}


def shared(
    run: Path,
    shares: Mapping[str, float],
    weights: Callable[[Mapping[str, Tensor], Net], Mapping[str, float]],
    *,
    scale: float = 1.0,
) -> set[str]:
    """Trains a class and two numbers, whose targets are `scale` large; the rules that fire.

    Batches are large, so that their noise is no progress.
    """
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    with Watch(run, model=net, optimizer=optimizer, shares=shares, every=5) as watch:
        for _ in range(150):
            x, kind, numbers = batch(512)
            logits, found = net(x)
            terms = {
                "kind": F.cross_entropy(logits, kind),
                "numbers": F.l1_loss(found, scale * numbers),
            }
            watch.total(terms, weights(terms, net)).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert watch.failures == 0
    assert poise.read_run(run).declared["shares"] == pytest.approx(normalised(shares))
    return {one.rule for one in poise.diagnose(run).findings}


def test_a_share_that_is_not_honoured_is_found(tmp_path: Path) -> None:
    """Equal shares are declared, and plain weights leave the class next to nothing."""
    found = shared(tmp_path, EQUAL, lambda *_: {"kind": 0.01, "numbers": 1.0})
    assert "share-not-honoured" in found


def test_a_share_that_is_honoured_is_silent(tmp_path: Path) -> None:
    """The near miss: the weights are balanced to the declared shares at every step."""
    found = shared(tmp_path, EQUAL, lambda terms, net: honouring(terms, net, EQUAL))
    assert not found & {"share-not-honoured", "share-too-small"}


def test_a_share_that_keeps_its_term_still_is_found(tmp_path: Path) -> None:
    """A tenth, honoured exactly, leaves a term where it is whose output has far to go."""
    wish = {"kind": 9, "numbers": 1}
    share = normalised(wish)
    found = shared(tmp_path, wish, lambda terms, net: honouring(terms, net, share), scale=1000)
    assert "share-too-small" in found
    assert "share-not-honoured" not in found


@given(st.dictionaries(st.text(), st.floats(0, 1e6), min_size=1))
def test_shares_sum_to_one(shares: dict[str, float]) -> None:
    """Whatever they sum to, the record has parts of 1 in the same proportions."""
    if not sum(shares.values()) > 1e-6:
        return
    found = normalised(shares)
    assert sum(found.values()) == pytest.approx(1)
    top = max(shares, key=shares.__getitem__)
    for name, one in shares.items():
        assert found[name] * shares[top] == pytest.approx(one * found[top])


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"a": -0.1}, "a: expected a part of the gradient.*got -0.1"),
        ({"a": math.nan}, "got nan"),
        ({"a": math.inf}, "got inf"),
        ({"a": "0.5"}, "got '0.5'"),
        ({"a": 0, "b": 0}, "expected at least one above 0"),
        ({}, "expected at least one above 0"),
    ],
)
def test_shares_that_are_none(tmp_path: Path, shares: dict[str, float], said: str) -> None:
    """What is no share is refused before anything is written."""
    with pytest.raises(WatchError, match=said):
        Watch(tmp_path / "run", shares=shares)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("where", ["shares", "roles", "schedules"])
def test_unknown_terms_are_refused(tmp_path: Path, where: str) -> None:
    """At once where all terms are named, else with the first total."""
    told = {"shares": {"aa": 1.0}, "roles": {"aa": "task"}, "schedules": {"aa": 1.0}}[where]
    said = f"{where}: unknown term 'aa'; expected one of 'a', 'b'.*Did you mean 'a'"
    with pytest.raises(TermNameError, match=said):
        Watch(tmp_path, terms=["a", "b"], **{where: told})  # type: ignore[arg-type]  # one of three
    with (
        Watch(tmp_path, **{where: told}) as watch,  # type: ignore[arg-type]  # one of three
        pytest.raises(TermNameError, match=said),
    ):
        watch.total({"a": torch.tensor(1.0), "b": torch.tensor(1.0)})


def scheduled(
    run: Path,
    weight: float | Schedule,
    step: Callable[[int], int],
    *,
    accumulate: int = 1,
    total_steps: int | None = None,
) -> set[str]:
    """Trains an objective whose second term has the weight; the rules that fire."""
    net, optimizer = made()
    objective = Objective(
        Term("a", lambda out: out["a"]),
        Term("b", lambda out: out["b"], weight=weight, role="regulariser", reduction="element"),
    )
    with Watch(run, model=net, optimizer=optimizer, total_steps=total_steps) as watch:
        for index, x in enumerate(batches(200)):
            watch.total(objective(net(x), step=step(index))).backward()
            if (index + 1) % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
    assert watch.failures == 0
    return {one.rule for one in poise.diagnose(run).findings}


@pytest.mark.parametrize(
    ("weight", "accumulate"),
    [
        (Linear(0.0, 0.5, start=20, stop=60), 1),
        (Linear(0.0, 0.5, start=20, stop=60), 4),
        (Piecewise((1.0, 0.0), steps=(20,)), 1),
        (lambda step: [0.1 * one for one in range(200)][step], 1),
        (0.25, 1),
    ],
)
def test_weights_as_declared_are_silent(
    tmp_path: Path, weight: float | Schedule, accumulate: int
) -> None:
    """The near miss: the objective is asked for the optimizer's step, also where it is off."""
    found = scheduled(tmp_path, weight, lambda index: index // accumulate, accumulate=accumulate)
    assert "weight-not-as-declared" not in found
    declared = poise.read_run(tmp_path).declared
    assert declared["roles"] == {"a": "task", "b": "regulariser"}
    assert declared["objective"] == ["a", "b"]
    assert declared["reductions"] == {"b": "element"}
    assert declared["schedules"].keys() == {"a", "b"}  # type: ignore[attr-defined]  # a dict


@pytest.mark.parametrize(
    ("step", "accumulate"), [(lambda _: 0, 1), (lambda index: index, 4), (lambda at: at // 50, 1)]
)
def test_weights_other_than_declared_are_found(
    tmp_path: Path, step: Callable[[int], int], accumulate: int
) -> None:
    """The step is forgotten, counts micro-batches, or counts epochs."""
    weight = Linear(0.0, 0.5, start=0, stop=60)
    found = scheduled(tmp_path, weight, step, accumulate=accumulate, total_steps=200 // accumulate)
    assert "weight-not-as-declared" in found


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_a_plain_loop_declares_its_weights_itself(tmp_path: Path, factor: float) -> None:
    """Half of what `schedules` says is found, the whole is not."""
    net, optimizer = made()
    meant = Linear(0.0, 1.0, stop=40)
    with Watch(tmp_path, model=net, optimizer=optimizer, schedules={"b": meant}) as watch:
        for index, x in enumerate(batches(100)):
            watch.total(net(x), {"a": 1.0, "b": factor * meant(index)}).backward()
            optimizer.step()
            optimizer.zero_grad()
    found = {one.rule for one in poise.diagnose(tmp_path).findings}
    assert ("weight-not-as-declared" in found) is (factor != 1)


def test_weights_are_declared_ahead(tmp_path: Path) -> None:
    """Where nobody says how long the training is, twice as far each time; else to its end."""
    declared = Declared(schedules={"b": Linear(0.0, 1.0, stop=4000)})
    last = {}
    for step in range(5000):
        if news := declared.news(step):
            last[step] = news["schedules"]["b"][-1][0]  # type: ignore[index]  # a dict
    assert last == {0: 1024, 1025: 2050, 2051: 4102, 4103: 8206}
    known = Declared(schedules={"b": 0.5}, total_steps=300)
    assert known.news(0) == {"schedules": {"b": [[0, 0.5], [300, 0.5]]}}
    assert not known.news(300)
    assert known.news(301) == {"schedules": {"b": [[0, 0.5], [602, 0.5]]}}


def test_a_second_objective_is_declared_too(tmp_path: Path) -> None:
    """New weights of the same objective are new declarations."""
    x = torch.tensor(1.0, requires_grad=True)
    objective = Objective(Term("a", lambda x: x, weight=1.0))
    with Watch(tmp_path) as watch:
        watch.total(objective(x))
        objective.load_state_dict(Objective(Term("a", weight=0.5)).state_dict(), weights="saved")
        watch.total(objective(x))
    declared = poise.read_run(tmp_path).declared
    assert declared["schedules"] == {"a": [[0, 0.5], [1024, 0.5]]}


def test_names_that_the_record_needs(tmp_path: Path) -> None:
    """Declarations are of the term's column, whatever the term is called."""
    x = torch.tensor(1.0, requires_grad=True)
    objective = Objective(Term("lr", lambda x: x, role="constraint", reduction="sum"))
    with Watch(tmp_path, shares={"lr": 2}) as watch:
        watch.total(objective(x))
    declared = poise.read_run(tmp_path).declared
    assert declared["schedules"] == {"term/lr": [[0, 1.0], [1024, 1.0]]}
    assert declared["reductions"] == {"term/lr": "sum"}
    assert declared["roles"] == {"term/lr": "constraint"}
    assert declared["shares"] == {"term/lr": 1.0}


def test_a_role_that_is_given_to_the_watch_goes_first(tmp_path: Path) -> None:
    """Of two roles the watch's own holds."""
    x = torch.tensor(1.0, requires_grad=True)
    objective = Objective(Term("a", lambda x: x), Term("b", lambda x: x, role="constraint"))
    with Watch(tmp_path, roles={"a": "adversary"}) as watch:
        watch.total(objective(x))
    assert poise.read_run(tmp_path).declared["roles"] == {"a": "adversary", "b": "constraint"}


@pytest.mark.parametrize(("roles", "judged"), [(None, True), ({"aux": "regulariser"}, False)])
def test_a_term_is_a_task_unless_declared(
    tmp_path: Path, roles: dict[str, str] | None, judged: bool
) -> None:
    """A starved term called `aux` is told of in a watched run, unless it has another role."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    with Watch(tmp_path, model=net, optimizer=optimizer, roles=roles) as watch:
        for _ in range(60):
            x, kind, numbers = batch()
            logits, found = net(x)
            terms = {"kind": F.cross_entropy(logits, kind), "aux": F.mse_loss(found, numbers)}
            watch.total(terms, {"kind": 1.0, "aux": 1e-5}).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert role_of(Case(poise.read_run(tmp_path)), "aux") == ("task" if judged else "regulariser")
    found_rules = {(one.rule, one.terms) for one in poise.diagnose(tmp_path).findings}
    assert (("gradient-starvation", ("aux",)) in found_rules) is judged


def test_a_plain_run_declares_nothing_new(tmp_path: Path) -> None:
    """Without declarations there is one more header, of terms, weights and facts, as ever."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 5)
    headers = lines(tmp_path, "header")
    assert len(headers) == 2
    assert headers[1]["declared"].keys() == {"watch", "optimizers", "parameters"}
    assert headers[1]["weights"] == WEIGHTS


def test_a_training_that_goes_on_in_a_new_record(tmp_path: Path) -> None:
    """The near miss: the objective's steps go on from 5000, those of the record begin at 0."""
    weight = Linear(0.0, 0.5, start=5020, stop=5060)
    found = scheduled(tmp_path, weight, lambda index: 5000 + index)
    assert "weight-not-as-declared" not in found
    assert "weight-not-as-declared" in scheduled(tmp_path / "stuck", weight, lambda _: 5000)


def test_a_resting_term_that_the_watch_does_not_know(tmp_path: Path) -> None:
    """It is not recorded as long as it rests, and refused when it comes."""
    x = torch.tensor(1.0, requires_grad=True)
    later = Piecewise((0.0, 1.0), steps=(3,))
    objective = Objective(Term("a", lambda x: x), Term("b", lambda x: x, weight=later))
    with Watch(tmp_path, terms=["a"]) as watch:
        for step in range(3):
            watch.total(objective(x, step=step))
        with pytest.raises(TermNameError, match="unknown term 'b'"):
            watch.total(objective(x, step=3))
    assert watch.failures == 0
    assert len(lines(tmp_path)) == 3


def test_expected_ranges_reach_the_diagnosis(tmp_path: Path) -> None:
    """They are declared once, come back with the run, and are held against terms and logs."""
    expect = [
        poise.Expect("kl", above=-1.0),
        poise.Expect("spread", below=1.0, after=0.2),
        poise.Expect("accuracy", above=0.5, split="eval"),
    ]
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    path = tmp_path / "run"
    with Watch(path, model=model, optimizer=optimizer, total_steps=20, expect=expect) as watch:
        for _ in range(20):
            watch.total({"kl": model(torch.ones(2, 4)).square().mean()}).backward()
            watch.log(spread=3.0)
            optimizer.step()
            optimizer.zero_grad()
        with watch.evaluation():
            watch.log(accuracy=0.75)
    assert sum("expect" in one.get("declared", {}) for one in lines(path, "header")) == 1
    assert poise.read_run(path).declared["expect"] == [one.as_record() for one in expect]
    found = [one for one in poise.diagnose(path).findings if one.rule == "expectation-broken"]
    assert [one.terms for one in found] == [("spread",)]


@pytest.mark.parametrize("expect", ["kl<1", ["kl<1"], [None], {"kl": 1.0}])
def test_what_is_no_expectation_is_refused(expect: object, tmp_path: Path) -> None:
    """Also a text, which only a command line has to spell."""
    with pytest.raises(WatchError, match=r"expect: expected a list of poise.Expect, got .*write"):
        Watch(tmp_path, expect=expect)  # type: ignore[arg-type]  # on purpose


def test_a_short_training_with_many_stages_is_declared_as_it_is() -> None:
    """Up to its end and no farther, so that 32 points do not overlook stages of four steps."""
    staged = Piecewise(tuple(k / 10 for k in range(10)), steps=tuple(range(60, 96, 4)))
    told = Declared(schedules={"kl": staged}, total_steps=96).news(0)["schedules"]
    assert isinstance(told, dict)
    points = np.array(told["kl"])
    assert points[-1, 0] == 96
    steps = np.arange(97)
    meant = [staged(int(step)) for step in steps]
    assert np.interp(steps, points[:, 0], points[:, 1]) == pytest.approx(meant)
