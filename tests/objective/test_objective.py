"""The weighted sum, what goes into it and what does not."""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from poise.errors import PoiseError, ReductionError, TermError, TermNameError
from poise.objective import Objective, Role, Standing, Term, average
from poise.reduce import Reduced, masked_mean, masked_sum, per_token
from poise.schedule import Linear, Piecewise


class Counted:
    """A term's function that counts its calls."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.calls, self.grad = factor, 0, False

    def __call__(self, x: Tensor) -> Tensor:
        """A scalar with a graph."""
        self.calls += 1
        self.grad = torch.is_grad_enabled()
        return self.factor * (x**2).sum()


def point(*values: float) -> Tensor:
    """A leaf tensor."""
    return torch.tensor(values or (1.0, 2.0), requires_grad=True)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(-1e3, 1e3, width=32)), min_size=1, max_size=9),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_total_is_the_plain_sum_bit_for_bit(
    rows: list[tuple[float, float]], dtype: torch.dtype
) -> None:
    """Total and gradient equal w1 * L1 + w2 * L2 + ... from left to right, to the last bit."""
    weights = [weight for weight, _ in rows]
    values = torch.tensor([value for _, value in rows], dtype=dtype, requires_grad=True)
    objective = Objective(
        *(
            Term(f"t{i}", lambda x, i=i: x[i], weight=weight)  # pyright: ignore[reportUnknownLambdaType]
            for i, weight in enumerate(weights)
        )
    )
    plain: Tensor | None = None
    for i, weight in enumerate(weights):
        if weight:
            plain = weight * values[i] if plain is None else plain + weight * values[i]
    total = objective(values).total
    given_too = objective.combine({f"t{i}": one for i, one in reversed(list(enumerate(values)))})
    if plain is None:
        assert float(total.detach()) == 0.0
        return
    assert torch.equal(total, plain)
    assert torch.equal(given_too.total, plain)
    assert total.dtype == plain.dtype
    pair = [torch.autograd.grad(one, values)[0] for one in (total, plain)]
    assert torch.equal(*pair)


def test_parameters_get_the_plain_gradient() -> None:
    """A model trained through an objective ends bit-identical to one trained on the bare sum."""

    def train(*, ours: bool) -> list[Tensor]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        objective = Objective(
            Term("fit", lambda out, _: (out**2).mean()),
            Term("size", lambda _, net: sum(p.abs().sum() for p in net.parameters()), weight=1e-3),
            Term("late", lambda out, _: out.abs().mean(), weight=Linear(0.0, 0.5, stop=4)),
        )
        for step in range(6):
            out = net(torch.randn(16, 3))
            if ours:
                total = objective(out, net, step=step).total
            else:
                total = (out**2).mean() + 1e-3 * sum(p.abs().sum() for p in net.parameters())
                late = min(step / 4, 1.0) * 0.5
                total = total + late * out.abs().mean() if late else total
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        return [one.detach() for one in net.parameters()]

    for a, b in zip(train(ours=True), train(ours=False), strict=True):
        assert torch.equal(a, b)


def test_weight_zero_is_not_computed_but_listed() -> None:
    """The function of a term of weight 0 is not called; the breakdown says `off`."""
    on, off = Counted(), Counted()
    breakdown = Objective(Term("on", on), Term("off", off, weight=0.0))(point())
    assert (on.calls, off.calls) == (1, 0)
    assert list(breakdown) == ["on", "off"]
    entry = breakdown["off"]
    assert (entry.standing, entry.weight, entry.value, entry.weighted) == (
        Standing.OFF,
        0.0,
        None,
        None,
    )


def test_measured_at_weight_zero() -> None:
    """With measure=True it is computed without a graph, and stays out of the total."""
    off = Counted(7.0)
    term = Term("off", off, weight=0.0, measure=True)
    breakdown = Objective(Term("on", Counted()), term)(point(1.0))
    entry = breakdown["off"]
    assert (off.calls, off.grad, entry.standing) == (1, False, Standing.MEASURED)
    assert (entry.value.item(), entry.weighted, breakdown.total.item()) == (7.0, None, 1.0)


def test_schedule_switches_a_term_on() -> None:
    """A scheduled weight is taken at the step, and the term is called from then on."""
    late = Counted()
    weight = Piecewise((0.0, 0.5), steps=(3,))
    objective = Objective(Term("a", Counted()), Term("late", late, weight=weight))
    totals = [objective(point(1.0), step=step).total.item() for step in range(5)]
    assert totals == [1.0, 1.0, 1.0, 1.5, 1.5]
    assert late.calls == 2
    assert objective.weights(2) == {"a": 1.0, "late": 0.0}
    assert objective.weights(3) == {"a": 1.0, "late": 0.5}


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3.0), torch.tensor(3.0)])
def test_monitor(value: object) -> None:
    """A monitor is computed without a graph, may be a plain number, and is never in the total."""
    modes: list[bool] = []

    def accuracy(x: Tensor) -> object:
        modes.append(torch.is_grad_enabled())
        return value

    objective = Objective(Term("a", Counted()), Term("acc", accuracy, role="monitor"))
    breakdown = objective(point(1.0))
    assert (modes, breakdown.total.item()) == ([False], 1.0)
    entry = breakdown["acc"]
    assert (entry.value.item(), entry.weight, entry.standing) == (3.0, 0.0, Standing.MEASURED)


@pytest.mark.parametrize("value", [-2.0, torch.tensor(-2.0)])
def test_offset(value: Tensor | float) -> None:
    """An offset is in the total, weighted, and needs no graph."""
    objective = Objective(
        Term("a", Counted()), Term("shift", lambda _: value, weight=0.5, role=Role.OFFSET)
    )
    x = point(3.0)
    total = objective(x).total
    total.backward()
    assert (total.item(), x.grad.tolist()) == (8.0, [6.0])


def test_absent_terms() -> None:
    """A declared term may be missing from a batch; it is listed as absent."""
    objective = Objective(
        Term("a", Counted()), Term("b", lambda _: None, weight=0.3, sometimes=True)
    )
    breakdown = objective(point(1.0))
    assert (breakdown["b"].standing, breakdown["b"].weight) == (Standing.ABSENT, 0.3)
    assert breakdown.total.item() == 1.0
    assert objective.combine({"a": breakdown["a"].value})["b"].standing is Standing.ABSENT


def test_empty_total_is_a_harmless_zero() -> None:
    """Where no term is in the total, it is 0 and its backward pass does nothing."""
    x = point()
    breakdown = Objective(Term("a", Counted(), weight=Linear(0.0, 1.0, stop=10)))(x, step=0)
    breakdown.total.backward()
    assert (breakdown.empty, breakdown.total.item(), x.grad) == (True, 0.0, None)
    with torch.no_grad():
        assert not Objective(Term("a", Counted(), weight=0.0))(x).total.requires_grad
    on_meta = Objective(Term("a", weight=0.0)).combine({"a": torch.zeros((), device="meta")})
    assert on_meta.total.device.type == "meta"


def test_counts_travel() -> None:
    """A function may return a Reduced: value and count are both in the breakdown."""
    mask = torch.tensor([True, False, True])
    objective = Objective(
        Term("mae", lambda x: masked_mean(x, mask), weight=2.0, reduction="element")
    )
    entry = objective(point(1.0, 9.0, 3.0))["mae"]
    assert (entry.value.item(), entry.weighted.item(), int(entry.count)) == (2.0, 4.0, 2)


def accumulated(pieces: int, *, counted: bool) -> tuple[Tensor, float]:
    """Gradient and value of two terms with different masks over micro-batches."""
    torch.manual_seed(0)
    weight = torch.randn(4, dtype=torch.float64, requires_grad=True)
    data = torch.randn(12, 5, 4, dtype=torch.float64)
    masks = [torch.rand(12, 5) < keep for keep in (0.9, 0.2)]

    def term(i: int) -> Callable[[slice], Reduced]:
        return lambda rows: per_token((data[rows] @ weight - i) ** 2, masks[i][rows])

    objective = Objective(
        Term("a", term(0)),
        Term("b", term(1), weight=0.3),
        Term("prior", lambda _: Reduced(sum=(weight**2).sum(), count=1), weight=0.01),
    )
    counts = {"a": masks[0].sum(), "b": masks[1].sum(), "prior": pieces} if counted else None
    value = 0.0
    for rows in torch.arange(12).chunk(pieces):
        total = objective(rows, counts=counts).total
        total.backward()
        value += total.item()
    return weight.grad, value


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 6, 12])
def test_accumulation_is_exact_for_all_terms(pieces: int) -> None:
    """With counts given, values and gradients add up to those of one batch, for every term."""
    whole, value = accumulated(1, counted=False)
    grad, parts = accumulated(pieces, counted=True)
    torch.testing.assert_close(grad, whole, rtol=1e-12, atol=1e-12)
    assert parts == pytest.approx(value, rel=1e-12)


def test_accumulation_without_counts_is_another_objective() -> None:
    """The plain way, each micro-batch divided by their number, is off: the counts are not equal."""
    whole, _ = accumulated(1, counted=False)
    grad, _ = accumulated(6, counted=False)
    assert float((grad / 6 - whole).norm() / whole.norm()) > 0.01


def test_counts_must_be_complete() -> None:
    """One term over the accumulated batch and another over the micro-batch is refused."""
    objective = Objective(Term("a", masked_mean), Term("b", lambda x: x.mean()))
    x = point()
    with pytest.raises(
        ReductionError, match="term 'b': counts were given for 'a', so expected one"
    ):
        objective(x, counts={"a": 4})
    with pytest.raises(ReductionError, match="term 'b': a count was given, so expected a poise"):
        objective(x, counts={"a": 4, "b": 4})
    with pytest.raises(TermNameError, match="unknown term 'c'; this Objective has 'a', 'b'"):
        objective(x, counts={"c": 4})
    summed = Objective(Term("s", masked_sum))(x, counts={"s": 100})
    assert summed.total.item() == 3.0  # a plain sum has no denominator


def test_evaluation_is_the_training_objective() -> None:
    """Evaluate gives the same bits at the same step, without a graph."""
    objective = Objective(
        Term("a", Counted()), Term("b", Counted(0.1), weight=Linear(0.0, 1.0, stop=10))
    )
    x = point(0.3, 0.7)
    trained, evaluated = objective(x, step=7), objective.evaluate(x, step=7)
    assert torch.equal(trained.total, evaluated.total)
    assert trained.weights == evaluated.weights
    assert (evaluated.total.requires_grad, evaluated.changed, trained.changed) == (False, (), ())


def test_differences_are_asked_for_by_name() -> None:
    """Another weight in evaluation is named, applied and said."""
    adversary = Counted()
    objective = Objective(
        Term("a", Counted()), Term("adv", adversary, weight=0.1, role="adversary")
    )
    breakdown = objective.evaluate(point(2.0), weights={"adv": 0.0, "a": 1.0})
    assert (breakdown.total.item(), adversary.calls) == (4.0, 0)
    assert breakdown.changed == ("weight of 'adv' is 0 instead of 0.1",)
    with pytest.raises(TermNameError, match=r"unknown term 'avd'.* Did you mean 'adv'"):
        objective.evaluate(point(), weights={"avd": 0.0})
    with pytest.raises(TermError, match="term 'a': expected its weight to be a finite number"):
        objective.evaluate(point(), weights={"a": float("nan")})
    watched = Objective(Term("a", Counted()), Term("acc", Counted(), role="monitor"))
    with pytest.raises(TermError, match="term 'acc' is a monitor and never in the total"):
        watched.evaluate(point(), weights={"acc": 1.0})


def test_combine_takes_what_exists() -> None:
    """Given values are summed in the order of the terms; one of weight 0 is measured for free."""
    objective = Objective(
        Term("a"), Term("b", weight=0.5), Term("z", weight=0.0), Term("m", role="monitor")
    )
    x = point(3.0)
    breakdown = objective.combine({"m": 0.9, "z": x.sum(), "b": x.sum(), "a": masked_mean(x)})
    assert breakdown.total.item() == 4.5
    assert breakdown["z"].standing is breakdown["m"].standing is Standing.MEASURED
    assert not breakdown["z"].value.requires_grad
    assert int(breakdown["a"].count) == 1
    without = objective.combine({"m": 0.9, "b": x.sum(), "a": x.sum()})
    assert without["z"].standing is Standing.OFF
    with pytest.raises(TermNameError, match="missing term 'b'; combine got 'a'"):
        objective.combine({"a": x.sum()})
    with pytest.raises(TermNameError, match="unknown term 'bb'; this Objective has 'a', 'b', 'z'"):
        objective.combine({"a": x.sum(), "bb": x.sum()})


def test_compiles_without_a_graph_break() -> None:
    """torch.compile takes a whole objective and gives the same total and gradient."""
    mask = torch.tensor([True, False])
    objective = Objective(
        Term("a", lambda x: masked_mean(x**2, mask)),
        Term("b", Counted(), weight=0.1),
        Term("off", Counted(), weight=0.0),
        Term("m", lambda x: x.mean(), role="monitor"),
    )

    def total(x: Tensor) -> Tensor:
        return objective(x, step=3).total

    x, y = point(), point()
    compiled = torch.compile(total, backend="eager", fullgraph=True)(x)
    compiled.backward()
    total(y).backward()
    assert torch.equal(compiled, total(y))
    assert torch.equal(x.grad, y.grad)


def test_nothing_is_fetched_from_the_device() -> None:
    """On the meta device, where looking at a number raises, a whole step can be made."""
    objective = Objective(
        Term("a", masked_mean),
        Term("b", lambda x: (x**2).mean(), weight=Linear(0.0, 1.0, stop=5)),
        Term("m", lambda x: x.mean(), role="monitor"),
        Term("one", lambda _: 1.0, role="offset"),
    )
    x = torch.zeros(4, device="meta", requires_grad=True)
    objective(x, step=3).total.backward()
    objective.combine({"a": masked_mean(x), "b": x.sum(), "m": x.mean(), "one": 1}, step=3)
    average([objective.evaluate(x, step=3)] * 2)
    with pytest.raises(RuntimeError, match="meta"):
        x.sum().item()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    """Under autocast the total is that of the plain sum; what is reduced is in single precision."""
    torch.manual_seed(0)
    net, x = nn.Linear(4, 3), torch.randn(8, 4)
    objective = Objective(
        Term("a", lambda out: masked_mean(out**2)), Term("b", lambda out: out.mean(), weight=0.1)
    )
    with torch.autocast("cpu", dtype=dtype):
        out = net(x)
        total = objective(out).total
        plain = (out**2).sum(dtype=torch.float32) / 24 + 0.1 * out.mean()
    assert out.dtype == dtype
    assert total.dtype == torch.float32
    assert torch.equal(total, plain)


def test_names_roles_and_repr() -> None:
    """The objective says what it is made of."""
    objective = Objective(
        Term("ce"), Term("kl", weight=Linear(0.0, 1.0, stop=5), role="constraint")
    )
    assert objective.names == ("ce", "kl")
    assert objective.roles == {"ce": "task", "kl": "constraint"}
    assert [one.name for one in objective.terms] == ["ce", "kl"]
    assert repr(objective) == (
        "Objective(Term(name='ce', fn=None, weight=1.0, role=<Role.TASK: 'task'>, reduction=None, "
        "sometimes=False, measure=False), Term(name='kl', fn=None, weight=Linear(begin=0.0, "
        "end=1.0, start=0, stop=5), role=<Role.CONSTRAINT: 'constraint'>, reduction=None, "
        "sometimes=False, measure=False))"
    )


def test_copies() -> None:
    """An objective can be copied and pickled."""
    objective = Objective(Term("a", torch.sum, weight=Linear(0.0, 1.0, stop=5)))
    for other in (copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert other.terms == objective.terms
        assert other(point(2.0), step=5).total.item() == 2.0


def test_errors_of_a_term_are_marked_and_kept() -> None:
    """An exception of a term's function comes through unchanged, with the term's name as a note."""

    def broken(x: Tensor) -> Tensor:
        raise ZeroDivisionError("of mine")

    with pytest.raises(ZeroDivisionError, match="of mine") as caught:
        Objective(Term("bad", broken))(point())
    assert caught.value.__notes__ == ["raised by the function of term 'bad'"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Objective(), "expected at least one Term, got none"),
        (lambda: Objective(torch.sum), "expected Term objects, got builtin_function_or_method"),  # pyright: ignore[reportArgumentType]
        (lambda: Objective(Term("a"), Term("b"), Term("a")), "different names, got 'a' more than"),
        (lambda: Objective(Term("a"))(point()), "term 'a' has no function; pass one to Term, or"),
        (
            lambda: Objective(Term("a", Counted(), weight=Linear(0, 1, stop=5)))(point()),
            r"term 'a': its weight is Linear\(begin=0.0.*so a step is needed",
        ),
        (
            lambda: Objective(Term("a", Counted(), weight=lambda _: None))(point(), step=3),
            "term 'a': expected its weight at step 3 to be a finite number or a schedule, got None",
        ),
    ],
)
def test_wrong_use(make: Callable[[], object], message: str) -> None:
    """Each mistake says who, what was expected and what to do."""
    with pytest.raises(PoiseError, match=message):
        make()
