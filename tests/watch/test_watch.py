"""A watched training: what is recorded, and what it must not change."""

import gc
import math
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import poise
from poise.errors import PoiseWarning, TermNameError, TermValueError, WatchError
from poise.objective import Objective, Term, average
from poise.probe import Fork
from poise.reduce import Reduced, masked_sum
from poise.run import Kind
from poise.watch import Watch
from tests.watch.loops import WEIGHTS, Net, batches, lines, made, train


@pytest.fixture(autouse=True)
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is measured, however slow this machine is at the moment."""
    monkeypatch.setattr(
        "poise.watch.budget.Budget.due", lambda self, name, **_: self.accounts[name].part > 0
    )


def test_every_step_is_recorded(tmp_path: Path) -> None:
    """Steps, terms, total, weights and rates are those of the loop, to the last digit."""
    net, optimizer = made(lr=0.012345678901234567)
    values = []
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for x in batches(5):
            terms = net(x)
            total = watch.total(terms, WEIGHTS)
            values.append((total.item(), {name: one.item() for name, one in terms.items()}))
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
    found = lines(tmp_path)
    assert [(one["total"], one["terms"]) for one in found] == values
    assert [one["step"] for one in found] == [one["micro"] for one in found] == list(range(5))
    assert [one["lr"] for one in found] == [[0.012345678901234567]] * 5
    run = poise.read_run(tmp_path)
    assert run.declared["weights"] == WEIGHTS
    assert run.composition is not None
    assert run.composition.exact
    assert watch.failures == 0


def test_total_is_the_plain_sum_with_its_graph(tmp_path: Path) -> None:
    """The total and its gradients are those of the sum written by hand, bit for bit."""
    net, _ = made()
    x = next(batches(1))
    net.eval()
    terms = net(x)
    by_hand = 1.0 * terms["a"] + 0.25 * terms["b"]
    by_hand.backward()
    expected = [one.grad.clone() for one in net.parameters() if one.grad is not None]
    net.zero_grad()
    with Watch(tmp_path) as watch:
        total = watch.total(net(x), WEIGHTS)
    assert torch.equal(total, by_hand)
    total.backward()
    found = [one.grad for one in net.parameters() if one.grad is not None]
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_a_watched_training_is_the_same_bit_for_bit(
    tmp_path: Path, kind: type[torch.optim.Optimizer]
) -> None:
    """Parameters, buffers and random numbers after 40 probed steps are those without a watch."""
    ends = []
    for watched in (False, True):
        torch.manual_seed(3)
        net = Net()
        optimizer = kind(net.parameters(), lr=0.05)
        watch = Watch(tmp_path, model=net, optimizer=optimizer, every=1) if watched else None
        for x in batches(40):
            terms = net(x)
            plain = 1.0 * terms["a"] + 0.25 * terms["b"]
            total = plain if watch is None else watch.total(terms, WEIGHTS)
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
        if watch is not None:
            watch.close()
            assert watch.failures == 0
            accounts = watch.budget.accounts.items()
            assert min(one.uses for name, one in accounts if name != "response") > 3
        ends.append([*net.state_dict().values(), torch.rand(3)])
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


def test_gradients_are_untouched_while_accumulating(tmp_path: Path) -> None:
    """A probe leaves the gradients that are there exactly as they are."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
        for x in batches(4):
            terms = net(x)
            before = [None if one.grad is None else one.grad.clone() for one in net.parameters()]
            total = watch.total(terms, WEIGHTS)
            after = [one.grad for one in net.parameters()]
            assert all(
                one is two is None or torch.equal(one, two)  # type: ignore[arg-type]
                for one, two in zip(before, after, strict=True)
            )
            total.backward()


def test_accumulation_is_counted(tmp_path: Path) -> None:
    """Micro-batches of one optimizer step share its number and have their own."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 8, accumulate=4)
    found = [(one["step"], one["micro"], one.get("skipped")) for one in lines(tmp_path)]
    run = poise.read_run(tmp_path)
    assert len(run.train) == 8
    assert run.remarks == ()
    assert found == [(0, 0, None), (0, 1, None), (0, 2, None), (0, 3, None)] + [
        (1, micro, None) for micro in (4, 5, 6, 7)
    ]
    assert watch.steps == 2


def test_an_optimizer_that_never_steps_shows(tmp_path: Path) -> None:
    """Micro-batches go on while the step stays 0."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 20, accumulate=1000)
    table = poise.read_run(tmp_path).train
    assert table.step_name == "step"
    assert table.steps.tolist() == [0] * 20
    assert table.series["micro"].values.tolist() == list(range(20))
    assert table.series["micro"].kind is Kind.POSITION


def test_a_scheduler_that_runs_too_often_shows(tmp_path: Path) -> None:
    """The rate changes between micro-batches of one optimizer step."""
    net, optimizer = made()
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    with (
        pytest.warns(UserWarning, match="before `optimizer.step"),
        Watch(tmp_path, model=net, optimizer=optimizer) as watch,
    ):
        train(watch, net, optimizer, 4, accumulate=4, between=lambda _: scheduler.step())
    assert [one["lr"][0] for one in lines(tmp_path)] == [0.01, 0.005, 0.0025, 0.01 * 0.5**4]


def test_rates_of_every_group_and_optimizer(tmp_path: Path) -> None:
    """Groups are in order, those of a second optimizer after those of the first; zero is zero."""
    net, _ = made()
    first = torch.optim.SGD(
        [{"params": net.trunk.parameters(), "lr": 0.0}, {"params": net.heads["a"].parameters()}],
        lr=torch.tensor(0.5),
    )
    second = torch.optim.Adam(net.heads["b"].parameters(), lr=1e-7)
    with Watch(tmp_path, model=net, optimizer=[first, second]) as watch:
        for x in batches(3):
            watch.total(net(x), WEIGHTS).backward()
            first.step()
            second.step()
    assert [one["lr"] for one in lines(tmp_path)] == [[0.0, 0.5, 1e-7]] * 3
    assert watch.steps == 3


def test_clipping_shows(tmp_path: Path) -> None:
    """At measured steps the norm before and after clipping is that of the loop."""
    net, optimizer = made()
    norms: list[float] = []

    def clip(_: int) -> None:
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), 0.01).item())

    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 9, between=clip)
    for record in lines(tmp_path):
        if record["micro"] in (1, 2, 4, 7):
            assert record["grad_norm"] == pytest.approx(norms[record["micro"]], rel=1e-5)
            assert record["grad_norm_used"] == pytest.approx(0.01, rel=1e-3)
        else:
            assert "grad_norm" not in record


def test_skipped_steps_of_mixed_precision_show(tmp_path: Path) -> None:
    """Where the scaler drops an overflowed gradient the record says so; the norm is unscaled."""
    net, optimizer = made()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    used = {}
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(6)):
            terms = net(x)
            if index in (2, 5):
                terms["a"] = terms["a"] * float("inf")
            scaler.scale(watch.total(terms, WEIGHTS)).backward()
            scaler.unscale_(optimizer)
            used[index] = nn.utils.get_total_norm([one.grad for one in net.parameters()]).item()  # type: ignore[misc]
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    found = lines(tmp_path)
    assert [one.get("skipped") for one in found] == [None, None, 1, None, None, 1]
    assert [one["step"] for one in found] == [0, 1, 2, 2, 3, 4]
    assert found[2]["terms"]["a"] == "Infinity"
    assert found[1]["grad_norm_used"] == pytest.approx(used[1], rel=1e-5)
    assert not any("grad_norm" in one for one in found)


def test_fused_optimizers_skip_by_themselves(tmp_path: Path) -> None:
    """Their step is called although nothing moves: the record says so, and the norm is unscaled."""
    net, _ = made()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(4)):
            terms = net(x)
            if index == 2:
                terms["a"] = terms["a"] * float("inf")
            scaler.scale(watch.total(terms, WEIGHTS)).backward()
            norm = nn.utils.get_total_norm([one.grad for one in net.parameters()]).item()  # type: ignore[misc]
            scaled = scaler.get_scale()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            if index == 1:
                expected = norm / scaled
    found = lines(tmp_path)
    assert [one.get("skipped") for one in found] == [None, None, 1, None]
    assert found[1]["grad_norm_used"] == pytest.approx(expected, rel=1e-5)
    moved = {one["step"]: one["motion"] for one in lines(tmp_path, "probe") if "motion" in one}
    assert set(moved[2].values()) == {0.0}
    assert watch.failures == 0


def test_motion_is_that_of_the_actual_step(tmp_path: Path) -> None:
    """Motion by module is the distance over the norm before; a frozen rate gives zero."""
    net, _ = made()
    optimizer = torch.optim.SGD(
        [{"params": net.trunk.parameters(), "lr": 0.0}, {"params": net.heads.parameters()}], lr=0.1
    )
    expected = {}
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(3)):
            watch.total(net(x), WEIGHTS).backward()
            before = [one.detach().clone() for one in net.heads["a"].parameters()]
            optimizer.step()
            after = [one.detach() for one in net.heads["a"].parameters()]
            apart = sum((b - a).square().sum() for b, a in zip(before, after, strict=True))
            expected[index] = math.sqrt(apart / sum(b.square().sum() for b in before))
    moved = {one["step"]: one["motion"] for one in lines(tmp_path, "probe") if "motion" in one}
    assert moved.keys() == {1, 2}
    for index, motion in moved.items():
        assert motion["heads.a"] == pytest.approx(expected[index], rel=1e-4)
        assert motion["trunk.0"] == 0
    table = next(one for one in poise.read_run(tmp_path).tables if one.grain == "probe")
    assert table.series["motion/trunk.0"].values.tolist() == [0, 0]


def test_gradients_of_the_terms_are_measured(tmp_path: Path) -> None:
    """Norms at the shared parameters are those of plain autograd on the weighted terms."""
    net, optimizer = made()
    net.eval()
    expected = {}
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(3)):
            terms = net(x)
            for name, term in terms.items():
                found = torch.autograd.grad(
                    WEIGHTS[name] * term, list(net.trunk.parameters()), retain_graph=True
                )
                expected[index, name] = math.sqrt(sum(one.square().sum().item() for one in found))
            watch.total(terms, WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    probes = [one for one in lines(tmp_path, "probe") if one.get("where") == "shared"]
    assert [one["step"] for one in probes] == [1, 2]
    for one in probes:
        for name in WEIGHTS:
            assert one["norms"][name] == pytest.approx(expected[one["step"], name], rel=1e-5)
    run = poise.read_run(tmp_path)
    table = next(one for one in run.tables if one.grain == "probe")
    share = table.series["gradient_share/a"]
    assert share.of == "a"
    a, b = expected[1, "a"], expected[1, "b"]
    assert share.values[0] == pytest.approx(a / (a + b), rel=1e-5)
    assert run.declared["reach"]["a"][0] == "trunk.0.weight"  # type: ignore[index]


class Deaf(torch.autograd.Function):
    """A loss whose backward pass ignores what it is given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401, D102 -- torch's own names
        ctx.save_for_backward(x)
        return x.square().mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ANN401, ARG004, D102
        (x,) = ctx.saved_tensors
        return 2 * x / x.numel()


def test_a_weight_that_the_backward_pass_ignores_shows(tmp_path: Path) -> None:
    """The gradient of one term does not follow its weight, that of the other does."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for x in batches(3):
            z = net.trunk(x)
            deaf = Deaf.apply(net.heads["a"](z))
            watch.total({"a": deaf, "b": net.heads["b"](z).square().mean()}, WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert watch.failures == 0
    assert poise.read_run(tmp_path).declared["weight_deviation"] == {
        "a": pytest.approx(0.5),
        "b": pytest.approx(0.0),
    }


def test_nothing_is_measured_without_a_budget(tmp_path: Path) -> None:
    """A budget of 0 records and does nothing else."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, budget=0, every=2) as watch:
        train(watch, net, optimizer, 6)
    assert lines(tmp_path, "probe") == []
    assert not any("grad_norm" in one for one in lines(tmp_path))
    assert watch.budget.spent_s == 0


def test_forks_of_the_user_are_told(tmp_path: Path) -> None:
    """A fork that keeps its readings is also in the record, at the steps that are measured."""
    net, optimizer = made()
    fork = Fork(list(WEIGHTS), name="z")
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for x in batches(4):
            parts = fork(net.trunk(x))
            terms = {name: net.heads[name](parts[name]).square().mean() for name in WEIGHTS}
            watch.total(terms, WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    steps = [one["step"] for one in lines(tmp_path, "probe") if one.get("where") == "fork:z"]
    assert steps == [1, 2]


def test_nonfinite_values_are_recorded(tmp_path: Path) -> None:
    """NaN and infinity are in the record as such, and the probe names the term."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for x in batches(2):
            terms = net(x)
            terms["b"] = terms["b"] * torch.tensor(math.nan)
            watch.total(terms, WEIGHTS).backward()
            optimizer.zero_grad()
    run = poise.read_run(tmp_path)
    assert all(math.isnan(one) for one in run.train.series["b"].values)
    assert any(one.name == "nonfinite-gradient" and "b" in one.text for one in run.events)
    assert watch.failures == 0


def test_evaluation(tmp_path: Path) -> None:
    """Means are over the whole split, weighted by counts, and the total is their weighted sum."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 2)
        with watch.evaluation("dev"), torch.no_grad():
            for value, count in ((1.0, 3), (5.0, 1), (7.0, 0)):
                terms = {"a": torch.tensor(value), "b": torch.tensor(2 * value)}
                watch.total(terms, WEIGHTS, counts=dict.fromkeys(terms, count))
            watch.log(accuracy=0.5)
        train(watch, net, optimizer, 1)
    (record,) = lines(tmp_path, "eval")
    assert record["split"] == "dev"
    assert record["step"] == 2
    assert record["terms"] == {"a": 2.0, "b": 4.0}
    assert record["counts"] == {"a": 4.0, "b": 4.0}
    assert record["total"] == 3.0
    assert record["log"] == {"accuracy": 0.5}
    assert [one["step"] for one in lines(tmp_path)] == [0, 1, 2]


def test_an_evaluation_that_fails_is_not_recorded(tmp_path: Path) -> None:
    """Half a split is no evaluation; the training goes on being recorded."""
    net, optimizer = made()

    def half() -> None:
        with watch.evaluation():
            watch.total(net(next(batches(1))), WEIGHTS)
            raise KeyError("lost")

    with Watch(tmp_path, optimizer=optimizer) as watch:
        with pytest.raises(KeyError, match="lost"):
            half()
        train(watch, net, optimizer, 1)
        with watch.evaluation():
            pass
    assert lines(tmp_path, "eval") == []
    assert len(lines(tmp_path)) == 1


def test_log(tmp_path: Path) -> None:
    """Scalars go with the micro-batch that is current, early ones with the first."""
    net, optimizer = made()
    with Watch(tmp_path, optimizer=optimizer) as watch:
        watch.log(warm=1)
        train(
            watch, net, optimizer, 2, between=lambda i: watch.log(x=torch.tensor([i]), grad_norm=3)
        )
    found = lines(tmp_path)
    assert [one["log"] for one in found] == [{"warm": 1.0, "x": 0.0}, {"x": 1.0}]
    assert [one["grad_norm"] for one in found] == [3.0, 3.0]


def test_a_breakdown_is_taken_as_it_is(tmp_path: Path) -> None:
    """What was summed up elsewhere is recorded with its weights and counts, and handed back."""
    value = torch.tensor(2.0, requires_grad=True)
    objective = Objective(
        Term("a", lambda x: Reduced(sum=3 * x, count=3), weight=0.5),
        Term("b", lambda x: x, weight=0.0),
    )
    breakdown = objective(value)
    with Watch(tmp_path) as watch:
        assert watch.total(breakdown) is breakdown.total
        with pytest.raises(TermNameError, match="no weights beside a breakdown"):
            watch.total(breakdown, {"a": 1.0})
    (record,) = lines(tmp_path)
    assert record["terms"] == {"a": 2.0}
    assert record["counts"] == {"a": 3.0}
    assert poise.read_run(tmp_path).declared["weights"] == {"a": 0.5}


def test_terms_may_be_absent_where_all_are_declared(tmp_path: Path) -> None:
    """With `terms=` a batch may lack one, and any other name is refused."""
    with Watch(tmp_path, terms=["a", "b"]) as watch:
        watch.total({"a": torch.tensor(1.0), "b": torch.tensor(2.0)}, WEIGHTS)
        watch.total({"b": torch.tensor(2.0)}, WEIGHTS)
        with pytest.raises(TermNameError, match="unknown term 'c'"):
            watch.total({"c": torch.tensor(2.0)})
    assert [one["terms"] for one in lines(tmp_path)] == [{"a": 1.0, "b": 2.0}, {"b": 2.0}]


ONE = torch.tensor(1.0)


@pytest.mark.parametrize(
    ("terms", "weights", "error", "match"),
    [
        (
            {"ce": ONE},
            {"ce": 1.0, "kl": 2.0},
            TermNameError,
            "weights: 'kl' has a weight but no value",
        ),
        ({"kl_div": ONE}, {"kl": 2.0}, TermNameError, "'kl' has a weight.* mean 'kl_div'"),
        ({"ce": ONE, "kl": ONE}, {"ce": 1.0}, TermNameError, "term 'kl' has no weight"),
        ({"ce": torch.ones(3)}, None, TermValueError, r"term 'ce'.*shape \[3\].*mean"),
        ({"ce": torch.ones(1)}, None, TermValueError, r"term 'ce'.*squeeze"),
        ({"ce": torch.tensor(1j)}, None, TermValueError, "term 'ce'.*complex64"),
        ({"ce": "1"}, None, TermValueError, "term 'ce': expected a real scalar, got str"),
        ({"ce": ONE}, {"ce": None}, TermValueError, "weight of 'ce'.*NoneType"),
        ({"ce": 1.0}, None, TermValueError, "at least one scalar tensor"),
        ({1: ONE}, None, TermNameError, "names that are texts"),
        ({}, None, TermNameError, "losses by name"),
        ([ONE], None, TermNameError, "losses by name, got list"),
    ],
)
def test_wrong_terms_raise_at_once(
    tmp_path: Path,
    terms: dict[str, Tensor],
    weights: dict[str, float],
    error: type[Exception],
    match: str,
) -> None:
    """The message names the term; nothing is recorded of it."""
    with Watch(tmp_path) as watch:
        with pytest.raises(error, match=match):
            watch.total(terms, weights)
        assert watch.failures == 0
    assert lines(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"every": 0}, "every: expected a number of micro-batches"),
        ({"budget": 1.5}, "budget: expected a share"),
        ({"roles": {"a": "king"}}, "roles: a: expected one of task"),
        ({"terms": "ab"}, "terms: expected a list"),
        ({"optimizer": object()}, "optimizer: expected a torch.optim.Optimizer, got object"),
        ({"budget": "1%"}, "budget: expected a share of the time from 0 up to 1, got '1%'"),
        ({"budget": None}, "budget: expected a share of the time from 0 up to 1, got None"),
        ({"model": torch.optim.SGD([ONE], 0.1)}, r"model: expected a torch.nn.Module, got SGD"),
        ({"optimizer": [None]}, "optimizer: expected a torch.optim.Optimizer, got NoneType"),
    ],
)
def test_wrong_arguments_raise(tmp_path: Path, arguments: dict[str, Any], match: str) -> None:
    """Each names itself and what it wants; nothing is left behind."""
    with pytest.raises(WatchError, match=match):
        Watch(tmp_path / "run", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_directory_raises() -> None:
    """The message shows what to pass."""
    with pytest.raises(WatchError, match=r"directory of the run as its first argument, got None"):
        Watch(None)  # type: ignore[arg-type]


def test_roles_of_unknown_terms_raise(tmp_path: Path) -> None:
    """The error is the watch's own, and no record is begun."""
    with pytest.raises(TermNameError, match=r"Watch: roles: unknown term 'b'; expected one of 'a'"):
        Watch(tmp_path / "run", terms=["a"], roles={"b": "task"})
    assert not list(tmp_path.iterdir())


def test_a_closed_watch_is_not_entered(tmp_path: Path) -> None:
    """It would record nothing."""
    with Watch(tmp_path) as watch:
        pass
    with pytest.raises(WatchError, match="expected one that is open, got a closed one"):
        watch.__enter__()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("0.5", "acc: expected a real scalar, got str '0.5'; pass a number or a scalar tensor"),
        (None, "acc: expected a real scalar, got None; pass a number or a scalar tensor"),
        (1j, "acc: expected a real scalar, got complex 1j; pass a number"),
        (torch.tensor(1j), r"acc: .* a complex64 tensor of shape \[\]; log its parts or .abs"),
        (torch.ones(2), r"acc: .* a float32 tensor of shape \[2\]; reduce it first"),
    ],
)
def test_what_cannot_be_logged(tmp_path: Path, value: Any, match: str) -> None:  # noqa: ANN401
    """The message says what to do about this very value."""
    with Watch(tmp_path) as watch, pytest.raises(TermValueError, match=match):
        watch.log(acc=value)


def test_learned_weights_are_recorded_silently(tmp_path: Path) -> None:
    """A weight with a graph is measured and recorded without a warning of torch."""
    net, _ = made()
    weight = nn.Parameter(torch.tensor(0.5))
    optimizer = torch.optim.SGD([*net.parameters(), weight], 0.1)
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for x in batches(3):
            watch.total(net(x), {"a": weight, "b": 1.0}).backward()
            assert weight.grad is not None
            optimizer.step()
            optimizer.zero_grad()
    assert watch.failures == 0
    assert poise.read_run(tmp_path).declared["weights"] == {"a": 0.5, "b": 1.0}


def test_sums_of_an_evaluation(tmp_path: Path) -> None:
    """A term that is a sum is summed up over the batches, as `average` does."""
    objective = Objective(Term("s", masked_sum))
    values = [torch.full((2,), 5.0), torch.full((8,), 12.5)]
    with Watch(tmp_path) as watch, watch.evaluation():
        for one in values:
            watch.total(objective.evaluate(one))
    (record,) = lines(tmp_path, "eval")
    expected = average(objective.evaluate(one) for one in values)
    assert record["total"] == record["terms"]["s"] == expected.total.item() == 110.0
    assert record["counts"] == {"s": 10.0}


def test_a_term_that_some_batches_of_an_evaluation_lack(tmp_path: Path) -> None:
    """The total is the weighted sum of the means."""
    with Watch(tmp_path, terms=["a", "b"]) as watch, watch.evaluation():
        watch.total({"a": torch.tensor(1.0), "b": torch.tensor(10.0)})
        watch.total({"a": torch.tensor(1.0)})
    (record,) = lines(tmp_path, "eval")
    assert record["total"] == 11.0


def test_wrong_log_and_evaluation_raise(tmp_path: Path) -> None:
    """Log takes scalars, and evaluations do not nest."""
    with Watch(tmp_path) as watch:
        with pytest.raises(TermValueError, match="x: expected a real scalar"):
            watch.log(x=torch.ones(2))
        with watch.evaluation(), pytest.raises(WatchError, match="inside another"):
            watch.evaluation().__enter__()
        with pytest.raises(WatchError, match="the split 'train'"):
            watch.evaluation("train").__enter__()


def test_failures_do_not_stop_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning for all failures, a count, and the same parameters as without a watch."""
    net, optimizer = made()

    def broken(*_: object, **__: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr("poise.watch.probing.Graph", broken)
    with (
        pytest.warns(PoiseWarning, match="OSError: gone; the training goes on") as seen,
        Watch(tmp_path, model=net, optimizer=optimizer) as watch,
    ):
        train(watch, net, optimizer, 6)
    assert len(seen) == 1
    assert watch.failures == 2  # shared and edge, each given up after its first failure
    assert len(lines(tmp_path)) == 6


def test_totals_after_the_end_still_train(tmp_path: Path) -> None:
    """A closed watch sums up and warns once."""
    net, optimizer = made()
    watch = Watch(tmp_path, optimizer=optimizer)
    watch.close()
    watch.close()
    with pytest.warns(PoiseWarning, match=r"^Watch.total: it is closed.*; the training goes on"):
        train(watch, net, optimizer, 3)
    assert watch.failures == 3


def test_hooks_are_gone_after_an_exception(tmp_path: Path) -> None:
    """An exception between backward and step leaves no hook, and what was seen is written."""
    net, optimizer = made()

    def fail(index: int) -> None:
        if index == 4:
            raise RuntimeError("data loader died")

    def run(watch: Watch) -> None:
        with watch:
            train(watch, net, optimizer, 9, between=fail)

    with pytest.raises(RuntimeError, match="data loader died"):
        run(Watch(tmp_path, model=net, optimizer=optimizer))
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not any(one._post_accumulate_grad_hooks for one in net.parameters())
    assert len(lines(tmp_path)) == 5
    with Watch(tmp_path, model=net, optimizer=optimizer):
        pass  # the lock is free again


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_resume(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    """A second watch goes on counting after a restart event."""
    net, _ = made()
    optimizer = kind(net.parameters(), lr=0.01)
    for _ in range(2):
        with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
            train(watch, net, optimizer, 6, accumulate=2)
    assert watch.steps == 6
    run = poise.read_run(tmp_path)
    assert run.train.steps.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [one["micro"] for one in lines(tmp_path)] == list(range(12))
    assert [one.name for one in run.events] == ["restart"]


def test_resume_from_an_older_checkpoint(tmp_path: Path) -> None:
    """The optimizer's own count of steps goes before the record's."""
    net, optimizer = made()
    with Watch(tmp_path, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 3)
        state = optimizer.state_dict()
        state["state"] = {key: dict(one) for key, one in state["state"].items()}
        for one in state["state"].values():
            one["step"] = one["step"].clone()
        train(watch, net, optimizer, 5)
    _, fresh = made()
    with Watch(tmp_path, optimizer=fresh) as watch:
        fresh.load_state_dict(state)
        train(watch, net, fresh, 1)
    assert [one["step"] for one in lines(tmp_path)][-2:] == [7, 3]


def test_cost_and_memory_do_not_grow(tmp_path: Path) -> None:
    """After 20,000 steps no more memory is held than after 2,000."""
    value = torch.tensor(1.0, requires_grad=True)
    optimizer = torch.optim.SGD([value], lr=0.0)
    held = []
    with Watch(tmp_path, optimizer=optimizer, every=100) as watch:
        tracemalloc.start()
        for index in range(20_000):
            watch.total({"a": value}, {"a": 1.0})
            optimizer.step()
            if index in (1_999, 19_999):
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert held[1] - held[0] < 20_000


def test_two_threads(tmp_path: Path) -> None:
    """Totals from several threads are all recorded, each once."""
    with Watch(tmp_path) as watch:
        threads = [
            threading.Thread(
                target=lambda: [watch.total({"a": torch.tensor(1.0)}) for _ in range(100)]
            )
            for _ in range(4)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert sorted(one["micro"] for one in lines(tmp_path)) == list(range(400))
    assert watch.failures == 0


def test_facts_are_declared(tmp_path: Path) -> None:
    """What no optimizer trains, what is frozen, and what the optimizer trains besides the model."""
    net, _ = made()
    net.heads["a"].requires_grad_(requires_grad=False)
    other = nn.Parameter(torch.zeros(7))
    optimizer = torch.optim.SGD([*net.trunk.parameters(), other], lr=0.1)
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        train(watch, net, optimizer, 1)
    declared: Any = poise.read_run(tmp_path).declared
    assert declared["optimizers"] == [{"class": "SGD", "groups": 1, "elements": 56 + 7}]
    assert declared["parameters"]["frozen_names"] == ["heads.a.weight", "heads.a.bias"]
    assert declared["parameters"]["unoptimised"] == ["heads.b.weight", "heads.b.bias"]
    assert declared["parameters"]["foreign_elements"] == 7


def test_a_total_that_is_not_passed_backward_shows(tmp_path: Path) -> None:
    """Three steps without its backward are told; a total that is scaled first is a used one."""
    net, optimizer = made()
    for run, used in (("other", False), ("scaled", True)):
        with Watch(tmp_path / run, model=net, optimizer=optimizer) as watch:
            for x in batches(20):
                terms = net(x)
                total = watch.total(terms, WEIGHTS)
                (total / 4 if used else terms["a"]).backward()
                optimizer.step()
                optimizer.zero_grad()
        told = [one["name"] for one in lines(tmp_path / run, "event")]
        assert told == ([] if used else ["total-unused"] * 3)
    found = [one.rule for one in poise.diagnose(tmp_path / "other").findings]
    assert "total-unused" in found
