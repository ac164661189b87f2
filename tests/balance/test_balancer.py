"""A balancer of fixed weights, so that what is tested is everything but the weights."""

import copy
import io
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from poise.balance import Balancer, Fixed, GradientRule, Seen, ValueRule
from poise.balance.share import GradientShare
from poise.errors import (
    BalanceError,
    GraphError,
    PoiseWarning,
    StateError,
    TermNameError,
)
from poise.probe import fork, listen
from poise.probe.quiet import quiet
from tests.balance.nets import NAMES, Net, alone, batch

WEIGHTS = {"a": 0.5, "b": 2.0, "c": 0.0}


class Counting(GradientRule):
    """Weights that say how often the rule was asked, and what it saw."""

    asked: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("asked", torch.zeros((), dtype=torch.int64))
        self.seen: list[Seen] = []

    def forward(self, seen: Seen) -> Tensor:
        """1 at the first time, 2 at the second."""
        self.asked += 1
        self.seen.append(seen)
        return torch.full((len(seen.terms),), float(self.asked), dtype=torch.float64)


class Slopes(ValueRule):
    """A total whose derivatives are 1, 2, ..."""

    def forward(self, values: Tensor, terms: tuple[str, ...]) -> Tensor:
        """The sum of k times the k-th value."""
        return (values * torch.arange(1, len(terms) + 1)).sum()


def at_fork(balance: Balancer, net: Net, given: Tensor) -> dict[str, Tensor]:
    """Gradients of one pass with a fork."""
    balance.total(net.terms(given, balance.fork(net.trunk(given)))).backward()
    return net.taken()


def at_bottleneck(balance: Balancer, net: Net, given: Tensor) -> dict[str, Tensor]:
    """Gradients of one pass without one."""
    balance.backward(net.terms(given))
    return net.taken()


def by_passes(balance: Balancer, net: Net, given: Tensor) -> dict[str, Tensor]:
    """Gradients of one pass where no tensor carries all: a term looks at a shared weight."""
    terms = net.terms(given)
    terms["a"] = terms["a"] + 0.0 * net.trunk[0].weight.sum()
    balance.backward(terms)
    return net.taken()


WAYS = pytest.mark.parametrize("way", [at_fork, at_bottleneck, by_passes])
Way = Callable[[Balancer, Net, Tensor], dict[str, Tensor]]


@WAYS
@pytest.mark.parametrize("every", [1, 3])
def test_trunk_gets_the_weighted_sum_and_heads_their_own(way: Way, every: int) -> None:
    """Shared parameters get the weighted gradients, heads the unscaled ones, bit for bit."""
    net, balance = Net(), Fixed(WEIGHTS, every=every)
    terms = net.terms(batch())
    expected = alone(terms, net.shared())
    own = {
        name: torch.autograd.grad(terms[name], net.heads[name].weight, retain_graph=True)[0]
        for name in NAMES
    }
    way(balance, net, batch())  # the first pass of a rule may be the one that sets the weights
    found = way(balance, net, batch())
    trunk = torch.cat([found[f"trunk.0.{one}"].flatten() for one in ("weight", "bias")])
    reference = sum(WEIGHTS[name] * one for name, one in expected.items())
    torch.testing.assert_close(trunk.double(), reference, rtol=1e-5, atol=1e-8)
    for name in NAMES:
        assert torch.equal(found[f"heads.{name}.weight"], own[name])


def test_fork_and_bottleneck_agree_to_the_last_bit() -> None:
    """The same sum in the same order, whichever way it is taken."""
    net = Net()
    one = at_fork(Fixed(WEIGHTS), net, batch())
    other = at_bottleneck(Fixed(WEIGHTS), net, batch())
    assert all(torch.equal(one[name], other[name]) for name in one)


@WAYS
def test_weights_of_one_change_no_bit(way: Way) -> None:
    """With all weights 1 the gradients of two terms are those of the plain sum.

    Where each term has a pass of its own, they are added up behind the trunk: equal to rounding.
    """
    names = NAMES[:2]
    net, balance = Net(names), Fixed(dict.fromkeys(names, 1.0))
    found = way(balance, net, batch())
    sum(net.terms(batch()).values()).backward()
    exact = {} if way is by_passes else {"rtol": 0.0, "atol": 0.0}
    for name, one in net.taken().items():
        torch.testing.assert_close(found[name], one, **exact)


@WAYS
def test_weighted_heads(way: Way) -> None:
    """With heads="weighted" a head gets its weight, too, at least 1e-6; the trunk is as before."""
    net, balance = Net(), Fixed(WEIGHTS, heads="weighted")
    own, plain = way(Fixed(WEIGHTS), net, batch()), at_fork(Fixed(WEIGHTS), net, batch())
    way(balance, net, batch())
    found = way(balance, net, batch())
    torch.testing.assert_close(found["trunk.0.weight"], own["trunk.0.weight"])
    for name, weight in WEIGHTS.items():
        key = f"heads.{name}.weight"
        torch.testing.assert_close(
            found[key], weight * plain[key], rtol=1e-5, atol=2e-6 * plain[key].abs().max().item()
        )


@WAYS
def test_last_says_what_reaches_the_trunk(way: Way) -> None:
    """The last reading is of the weighted gradients, with the weights, and listeners hear it."""
    net, balance = Net(), Fixed({"a": 0.5, "b": 2.0, "c": 1.0})
    heard = []
    assert balance.last is None
    with listen(heard.append):
        way(balance, net, batch())
    assert balance.last is not None
    assert heard == [balance.last]
    assert balance.last.weights == {"a": 0.5, "b": 2.0, "c": 1.0} == balance.weights
    z = net.trunk(batch())
    places = net.shared() if balance.last.where == "shared" else [z]
    terms = net.terms(batch(), dict.fromkeys(NAMES, z))
    if places[0] is not z:
        terms = net.terms(batch())
    expected = {k: balance.weights[k] * v.norm().item() for k, v in alone(terms, places).items()}
    assert balance.last.norms == pytest.approx(expected, rel=1e-5)


@WAYS
def test_absent_terms_leave_the_others_alone(way: Way) -> None:
    """A batch without a term trains the others, and the absent term keeps its weight."""
    net, rule = Net(("a", "b")), Counting()
    balance = Balancer(NAMES, rule)
    way(balance, net, batch())
    assert rule.seen[0].terms == ("a", "b")
    assert rule.seen[0].order == NAMES
    assert balance.weights == {"a": 1.0, "b": 1.0, "c": 1.0}
    way(balance, net, batch())
    assert balance.weights == {"a": 2.0, "b": 2.0, "c": 1.0}


@WAYS
def test_a_single_term_has_weight_one(way: Way) -> None:
    """A rule about several terms is not asked about one."""
    rule = Counting()
    balance = Balancer(("a",), rule)
    way(balance, Net(("a",)), batch())
    assert balance.weights == {"a": 1.0}
    assert rule.seen == []


@WAYS
def test_rules_see_unit_trace(way: Way) -> None:
    """A scale that all terms share is not in what the rule sees, but in the trace."""
    rule = Counting()
    way(Balancer(NAMES, rule), Net(), batch())
    (first,) = rule.seen
    assert float(first.products.trace()) == pytest.approx(1.0)
    assert first.products.dtype == torch.float64


@pytest.mark.parametrize(("scale", "apart"), [(2.0**-16, 0.0), (2.0**16, 0.0), (1e-12, 1e-6)])
def test_a_common_scale_is_not_in_the_products(scale: float, apart: float) -> None:
    """Multiplying all terms by a power of two gives the rule the same bits."""
    seen = []
    for by in (1.0, scale):
        net, rule = Net(), Counting()
        balance = Balancer(NAMES, rule)
        parts = balance.fork(net.trunk(batch()))
        terms = {name: one * by for name, one in net.terms(batch(), parts).items()}
        balance.total(terms).backward()
        seen += rule.seen
    torch.testing.assert_close(seen[1].products, seen[0].products, rtol=apart, atol=0.0)
    assert seen[1].trace == pytest.approx(seen[0].trace * scale**2, rel=apart or 1e-15)


def test_every_holds_the_weights() -> None:
    """With every=3 the rule is asked in steps 0, 3 and 6."""
    net, rule = Net(), Counting()
    balance = Balancer(NAMES, rule, every=3)
    held = []
    for k in range(7):
        (at_fork if k % 2 else at_bottleneck)(balance, net, batch(k))
        held.append(balance.weights["a"])
    assert held == [1, 1, 1, 2, 2, 2, 3]


@WAYS
def test_weights_change_at_optimizer_steps_only(way: Way) -> None:
    """The micro-batches of a step have the same weights; their Gramians together decide the next.

    Only the very first step has none before it: its first micro-batch decides.
    """
    net, rule = Net(), Counting()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    balance = Balancer(NAMES, rule, optimizer=optimizer)
    held = []
    for step in range(3):
        for micro in range(2):
            way(balance, net, batch(2 * step + micro))
            held.append(balance.weights["a"])
        optimizer.step()
    assert held == [1, 1, 1, 1, 2, 2]
    singles = [Counting(), Counting()]
    for k, one in enumerate(singles):
        way(Balancer(NAMES, one), net, batch(k))
    products = sum(one.seen[0].products * one.seen[0].trace for one in singles)
    torch.testing.assert_close(rule.seen[0].products * rule.seen[0].trace, products)


def test_a_late_term_gets_its_weight_at_once() -> None:
    """A term that starts later is weighed from its first micro-batch, the others are held."""
    net = Net(NAMES)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    balance = Balancer(NAMES, Counting(), optimizer=optimizer)
    for k in range(3):
        terms = net.terms(batch(k))
        if k < 2:
            terms.pop("c")
        balance.backward(terms)
        if k < 2:
            optimizer.step()
    assert balance.weights == {"a": 2.0, "b": 2.0, "c": 3.0}


@WAYS
def test_a_step_that_is_not_finite_is_left_out(way: Way) -> None:
    """Weights are held, the rule is not asked, the step is counted, the term is named once."""
    net, rule = Net(), Counting()
    balance = Balancer(NAMES, rule)
    way(balance, net, batch())
    before = copy.deepcopy({k: v for k, v in balance.state_dict().items() if "skip" not in k})
    with torch.no_grad():
        net.heads["b"].bias.fill_(math.nan)
    with pytest.warns(PoiseWarning, match="the gradient of 'b' is not finite"):
        way(balance, net, batch())
    way(balance, net, batch())
    assert balance.skipped == 2
    after = balance.state_dict()
    moved = [k for k, v in before.items() if k != "keeper.steps" and not _same(v, after[k])]
    assert moved == []
    with torch.no_grad():
        net.heads["b"].bias.fill_(0.0)
    found = way(balance, net, batch())
    assert balance.weights["a"] == 2.0
    assert all(one.isfinite().all() for one in found.values())


def _same(one: object, other: object) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other


def test_weights_that_are_not_finite_are_not_used() -> None:
    """A rule that returns NaN is named, and its weights are not used."""

    class Broken(GradientRule):
        def forward(self, seen: Seen) -> Tensor:
            return torch.full((len(seen.terms),), math.nan)

    net, balance = Net(), Balancer(NAMES, Broken())
    with pytest.warns(PoiseWarning, match="the weights of Broken"):
        at_fork(balance, net, batch())
    assert balance.weights == dict.fromkeys(NAMES, 1.0)
    assert balance.skipped == 1


def test_all_gradients_zero_changes_nothing() -> None:
    """Without any gradient there is nothing to ask about."""
    balance = Balancer(NAMES, Counting())
    parts = balance.fork(torch.ones(2, requires_grad=True))
    balance.total({name: 0.0 * one.sum() for name, one in parts.items()}).backward()
    assert balance.weights == dict.fromkeys(NAMES, 1.0)
    assert balance.skipped == 0


def test_a_probe_leaves_the_balancer_alone() -> None:
    """A pass of a probe's own gets the held weights, and no step is counted."""
    net, balance = Net(), Balancer(NAMES, Counting())
    at_fork(balance, net, batch())
    total = balance.total(net.terms(batch(), balance.fork(net.trunk(batch()))))
    with quiet():
        torch.autograd.grad(total, net.shared())
    assert balance.weights["a"] == 1.0
    assert int(balance.keeper.steps) == 1


@WAYS
def test_state_goes_on_in_a_fresh_balancer(way: Way) -> None:
    """Saved and loaded into a fresh object in mid-step, the weights go on as they would have."""
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    balance = Balancer(NAMES, Counting(), optimizer=optimizer)
    for k in range(3):
        way(balance, net, batch(k))
        optimizer.step()
    way(balance, net, batch(7))
    file = io.BytesIO()
    torch.save(balance.state_dict(), file)
    file.seek(0)
    other_optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    other = Balancer(NAMES, Counting(), optimizer=other_optimizer)
    other.load_state_dict(torch.load(file, weights_only=True))
    for k in range(3):
        optimizer.step()
        other_optimizer.step()
        one, two = (way(each, net, batch(k)) for each in (balance, other))
        assert balance.weights == other.weights
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_state_of_other_terms_is_refused() -> None:
    """Numbers of one term never become those of another."""
    state = Fixed({"b": 1.0, "a": 2.0}).state_dict()
    with pytest.raises(StateError, match=r"expected the state of the terms \['a', 'b'\], got"):
        Fixed({"a": 1.0, "b": 2.0}).load_state_dict(state)


def test_memory_keeps_its_type() -> None:
    """A model that owns a balancer can be cast; the balancer's memory stays as it is."""
    model = nn.ModuleDict({"net": nn.Linear(1, 1), "balance": Fixed(WEIGHTS)})
    model.bfloat16()
    assert model["net"].weight.dtype == torch.bfloat16
    assert model["balance"].keeper.held.dtype == torch.float64
    assert model["balance"].keeper.rule.values.dtype == torch.float64


def test_a_copy_is_a_balancer_of_its_own() -> None:
    """A deep copy starts with the same memory and shares none of it."""
    net, balance = Net(), Balancer(NAMES, Counting())
    at_fork(balance, net, batch())
    other = copy.deepcopy(balance)
    at_fork(other, net, batch())
    assert (balance.weights["a"], other.weights["a"]) == (1.0, 2.0)


def test_several_tensors_are_one_vector() -> None:
    """A dict of tensors is forked as one, with one set of weights."""
    rule = Counting()
    balance = Balancer(("a", "b"), rule)
    tree = {"x": torch.ones(2, requires_grad=True), "y": torch.ones(3, requires_grad=True)}
    parts = balance.fork(tree)
    total = balance.total(
        {"a": parts["a"]["x"].sum(), "b": 2 * parts["b"]["x"].sum() + parts["b"]["y"].sum()}
    )
    total.backward()
    expected = torch.tensor([[2.0, 4.0], [4.0, 11.0]], dtype=torch.float64)
    torch.testing.assert_close(rule.seen[0].products * rule.seen[0].trace, expected)


def test_a_fork_of_the_users_own_can_be_inside() -> None:
    """balance.backward finds its way through a fork in the model."""
    net = Net()
    plain = at_bottleneck(Fixed(WEIGHTS), net, batch())
    balance = Fixed(WEIGHTS)
    balance.backward(net.terms(batch(), fork(net.trunk(batch()), NAMES)))
    found = net.taken()
    for name in plain:
        torch.testing.assert_close(found[name], plain[name])


def test_terms_made_from_one_another() -> None:
    """A term that another is made from has no part of its own: its weight is where it starts."""
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    first = p.sum()
    Fixed({"a": 3.0, "b": 5.0}).backward({"a": first, "b": first.square()})
    assert p.grad.tolist() == [3.0 + 5.0 * 6.0] * 2


def test_hooks_of_parameters_fire_once() -> None:
    """The pass is an ordinary one: each parameter accumulates once, as wrappers expect."""
    net, fired = Net(), []
    for name, one in net.named_parameters():
        one.register_post_accumulate_grad_hook(lambda _, name=name: fired.append(name))
    for way in (at_fork, at_bottleneck, by_passes):
        way(Fixed(WEIGHTS), net, batch())
        assert sorted(fired) == sorted(name for name, _ in net.named_parameters())
        fired.clear()


def test_loss_scale_is_divided_out_of_what_is_seen() -> None:
    """With `scale` the trace is that of the unscaled gradients, at a fork and without one."""
    traces = []
    for scale, way in ((1.0, at_fork), (1024.0, at_fork), (1024.0, at_bottleneck)):
        net, rule = Net(), Counting()
        balance = Balancer(NAMES, rule, scale=lambda by=scale: by)
        terms = (
            net.terms(batch(), balance.fork(net.trunk(batch())))
            if way is at_fork
            else net.terms(batch())
        )
        scaled = {name: one * scale for name, one in terms.items()}
        balance.total(scaled).backward() if way is at_fork else balance.backward(scaled)
        traces.append(rule.seen[0].trace)
    assert traces == pytest.approx([traces[0]] * 3, rel=1e-6)


def test_weights_of_ones_own() -> None:
    """`total(terms, weights)` multiplies the terms themselves."""
    total = Fixed(WEIGHTS).total({"a": torch.tensor(2.0), "b": torch.tensor(3.0)}, {"a": 10.0})
    assert total.item() == 23.0


def test_value_rules() -> None:
    """A value rule's total is passed backward whole; its slopes are the weights."""
    net, balance = Net(), Balancer(NAMES, Slopes())
    terms = net.terms(batch())
    balance.backward(terms)
    found = net.taken()
    sum((k + 1) * one for k, one in enumerate(net.terms(batch()).values())).backward()
    plain = net.taken()
    for name in plain:
        torch.testing.assert_close(found[name], plain[name])
    assert balance.weights == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_a_value_that_is_not_finite_is_left_out() -> None:
    """The rule is not asked; the held weights make the total."""
    balance = Balancer(("a", "b"), Slopes())
    one = torch.tensor(1.0, requires_grad=True)
    balance.total({"a": one, "b": one})
    with pytest.warns(PoiseWarning, match="the value of 'b' is not finite"):
        total = balance.total({"a": one, "b": one * math.inf})
    assert total.item() == math.inf
    assert balance.weights == {"a": 1.0, "b": 2.0}
    assert balance.skipped == 1


def test_a_value_rule_has_no_fork() -> None:
    """The remedy is named."""
    with pytest.raises(BalanceError, match=r"Slopes weighs the values .* balance.total\(terms\)"):
        Balancer(NAMES, Slopes()).fork(torch.ones(1, requires_grad=True))


@pytest.mark.parametrize("call", ["total", "backward"])
def test_unknown_terms_get_the_nearest_name(call: str) -> None:
    """Both ways name what was meant."""
    balance = Fixed({"cross": 1.0, "kl": 1.0})
    with pytest.raises(TermNameError, match=r"unknown term 'kll'; .* Did you mean 'kl'\?"):
        getattr(balance, call)({"kll": torch.ones((), requires_grad=True)})


def test_terms_must_be_scalars() -> None:
    """A loss that was not reduced is named."""
    with pytest.raises(GraphError, match="term 'a': expected a scalar tensor, got shape"):
        Fixed(WEIGHTS).total({"a": torch.ones(2)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every to be a whole number from 1 on, got 0"),
        ({"every": 1.5}, "every to be a whole number from 1 on, got 1.5"),
        ({"heads": "none"}, "heads 'own' or 'weighted'"),
        ({"optimizer": nn.Linear(1, 1)}, "optimizer to be a torch optimizer, got a Linear"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    """What cannot work is refused at once."""
    with pytest.raises(BalanceError, match=message):
        Fixed(WEIGHTS, **options)


def test_names_are_checked() -> None:
    """Names are different texts, and there are some."""
    with pytest.raises(TermNameError, match="Fixed: expected the names of the terms"):
        Fixed({})
    with pytest.raises(TermNameError, match="Balancer: expected the names of the terms"):
        Balancer(["a", "a"], Counting())


def test_a_total_without_a_fork_is_told_once() -> None:
    """The plain sum is no balanced training, and looks like one."""
    net, balance = Net(), Fixed(WEIGHTS)
    with pytest.warns(PoiseWarning, match="there was none yet, so this is the plain sum"):
        balance.total(net.terms(batch())).backward()
    balance.total(net.terms(batch())).backward()


def test_copies_that_nobody_reads_are_told() -> None:
    """A fork whose copies are left aside: no gradient comes back through it."""
    net, balance = Net(), Fixed(WEIGHTS)
    for _ in range(9):
        z = net.trunk(batch())
        balance.fork(z)
        balance.total(net.terms(batch(), dict.fromkeys(NAMES, z))).backward()
    balance.fork(z)
    with pytest.warns(PoiseWarning, match="no gradient came back in 10 totals"):
        balance.total(net.terms(batch()))


def test_totals_of_an_evaluation_need_no_fork() -> None:
    """Nor do those of a validation that keeps graphs, once the training's own went through one."""
    net, balance = Net(), Fixed(WEIGHTS)
    with torch.no_grad():
        balance.total(net.terms(batch()))
    balance.total(net.terms(batch(), balance.fork(net.trunk(batch())))).backward()
    for _ in range(12):
        balance.total(net.terms(batch()))
    Balancer(NAMES, Slopes()).total(net.terms(batch()))  # a value rule has no fork to miss


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_without_its_optimizer_is_told(copied: Callable[[Balancer], Balancer]) -> None:
    """Nobody ends its steps, so its weights would stay for ever; the original goes on unsaid."""
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    balance = Fixed(WEIGHTS, optimizer=optimizer)
    at_fork(balance, net, batch())
    optimizer.step()
    again = copied(balance)
    with pytest.warns(PoiseWarning, match="this balancer is a copy, and weights change at"):
        at_fork(again, net, batch())
    at_fork(again, net, batch())
    at_fork(balance, net, batch())


def test_another_optimizer_than_the_one_that_steps_is_told() -> None:
    """The weights would wait for ever; many micro-batches in one step are nothing to tell."""
    z = torch.ones(1, requires_grad=True)
    given, other = (torch.optim.SGD([z], lr=0.1) for _ in range(2))
    balance = Fixed({"a": 1.0}, optimizer=given)
    for k in range(255 + 255):
        balance.total({"a": balance.fork(z)["a"].sum()}).backward()
        if k == 254:
            given.step()
    other.step()
    with pytest.warns(PoiseWarning, match="has seen 256 passes and no step of its optimizer"):
        balance.total({"a": balance.fork(z)["a"].sum()}).backward()
    balance.total({"a": balance.fork(z)["a"].sum()}).backward()


def test_a_state_brings_no_options() -> None:
    """Shares and weights are what the new object says: only what was seen is loaded."""
    old, new = (Fixed({"a": one, "b": 1.0}) for one in (2.0, 5.0))
    new.load_state_dict(old.state_dict())
    z = torch.ones(1, requires_grad=True)
    parts = new.fork(z)
    new.total({"a": parts["a"].sum(), "b": parts["b"].sum()}).backward()
    assert new.weights == {"a": 5.0, "b": 1.0}


def test_terms_that_are_no_dict_are_refused() -> None:
    """Losses have names here."""
    loss = torch.ones((), requires_grad=True)
    for call in (Fixed(WEIGHTS).total, Fixed(WEIGHTS).backward):
        with pytest.raises(TermNameError, match=r"expected the terms by name, as .*, got a list"):
            call([loss])


def test_odd_names_are_names() -> None:
    """Whatever text a term is called, also in states and copies."""
    names = ("a.b", "", "größe 1", "x\ny", "weights", "keeper.held", "__class__")
    balance = GradientShare(dict.fromkeys(names, 1.0))
    z = torch.ones(2, requires_grad=True)
    parts = balance.fork(z)
    balance.total({name: (k + 1) * parts[name].sum() for k, name in enumerate(names)}).backward()
    assert list(balance.last.shares.values()) == pytest.approx([1 / 7] * 7)
    again = GradientShare(dict.fromkeys(names, 1.0))
    again.load_state_dict(balance.state_dict())
    assert again.weights == balance.weights
