"""Mistakes of the training loop itself, under a real watch, and loops that only look like them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poise.balance import GradientShare
from poise.doctor import Finding, Severity, diagnose
from poise.objective import Objective, Term
from poise.reduce import per_token
from poise.watch import Watch
from tests.doctor.live_pair import one_thread
from tests.doctor.live_runs import Net, batch, terms_of
from tests.watch.loops import measuring_always

SEEDS = pytest.mark.parametrize("seed", range(3))
Change = Callable[[nn.Module, dict[str, Tensor], int], dict[str, Tensor]]


ADAM = partial(torch.optim.Adam, lr=1e-3)
SGD = partial(torch.optim.SGD, lr=1e-3)
PLATEAU = "plateau-while-others-move"


def as_they_are(_: nn.Module, terms: dict[str, Tensor], __: int) -> dict[str, Tensor]:
    """No change."""
    return terms


def loop(
    run: Path,
    seed: int,
    *,
    steps: int = 120,
    accumulate: int = 1,
    divide: bool = True,
    zero: bool = True,
    step: bool = True,
    clip: float | None = None,
    without: str | None = None,
    change: Change = as_they_are,
    beside: Callable[[nn.Module], Tensor] | None = None,
    make: Callable[..., torch.optim.Optimizer] = ADAM,
) -> list[Finding]:
    """A plain loop with one thing changed, and what the doctor says of it."""
    torch.manual_seed(seed)
    model = Net()
    held = [one for name, one in model.named_parameters() if not name.startswith(without or "-")]
    optimizer = make(held)
    with one_thread(), Watch(run, model=model, optimizer=optimizer, budget=0.9) as watch:
        measuring_always(watch)
        for at in range(steps * accumulate):
            terms = change(model, terms_of(model, batch()), at // accumulate)
            total = watch.total(terms) / (accumulate if divide else 1)
            (total if beside is None else total + beside(model)).backward()
            if (at + 1) % accumulate == 0:
                if clip is not None:
                    watch.log(grad_norm=nn.utils.clip_grad_norm_(model.parameters(), clip))
                if step:
                    optimizer.step()
                if zero:
                    optimizer.zero_grad()
    return list(diagnose(run).findings)


def alarms(found: list[Finding]) -> list[str]:
    """Rules of all that is not a note."""
    return [one.rule for one in found if one.severity is not Severity.NOTE]


@SEEDS
@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_forgotten_zero_grad_is_an_error(tmp_path: Path, seed: int, accumulate: int) -> None:
    """With small steps, so that the gradients of neighbouring steps point the same way."""
    found = loop(tmp_path / "run", seed, zero=False, accumulate=accumulate, make=SGD)
    assert (found[0].rule, found[0].severity) == ("gradients-kept", Severity.ERROR)


def large_penalty(model: nn.Module) -> Tensor:
    """A regulariser beside the total whose gradient is far above that of the terms."""
    return 5 * torch.stack([one.square().sum() for one in model.parameters()]).sum()


def large_heads(_: nn.Module, terms: dict[str, Tensor], __: int) -> dict[str, Tensor]:
    """A term whose own head gets most of the gradient."""
    return terms | {"numbers": 100 * terms["numbers"]}


@SEEDS
@pytest.mark.parametrize(
    "healthy",
    [
        {},
        {"accumulate": 4},
        {"clip": 0.3},
        {"beside": large_penalty},
        {"change": large_heads},
        {"make": SGD},
        {"make": partial(torch.optim.SGD, lr=0.05, momentum=0.9)},
    ],
    ids=["plain", "accumulated", "clipped", "penalty", "heads", "sgd", "momentum"],
)
def test_loops_that_zero_are_spared(tmp_path: Path, seed: int, healthy: dict[str, object]) -> None:
    """Whatever else is in the gradient."""
    found = loop(tmp_path / "run", seed, **healthy)  # type: ignore[arg-type]  # passed on
    assert "gradients-kept" not in [one.rule for one in found]


def test_a_missing_step_is_not_blamed_on_mixed_precision(tmp_path: Path) -> None:
    """The gradients are zeroed and no scaler is there."""
    found = loop(tmp_path / "run", 0, step=False, accumulate=4)
    assert found[0].rule == "optimizer-never-steps"
    assert "step() is never called" in found[0].summary


def test_a_head_in_no_optimizer_explains_its_plateau(tmp_path: Path) -> None:
    """The cause leads, and what follows from it is linked."""
    make = partial(torch.optim.Adam, lr=3e-3)
    found = loop(tmp_path / "run", 0, steps=400, without="numbers", make=make, change=distant)
    assert found[0].rule == "parameters-untrained"
    assert found[0].severity is Severity.WARNING
    assert all("parameters-untrained" in one.caused_by for one in found[1:] if one.rule == PLATEAU)


def distant(_: nn.Module, terms: dict[str, Tensor], __: int) -> dict[str, Tensor]:
    """Targets far from what an untrained head can say."""
    return {"kind": terms["kind"], "numbers": 100 + 1e-3 * terms["numbers"]}


def broken_gradient(model: nn.Module, terms: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """From step 50 on a finite value whose gradient is NaN."""
    if step < 50:
        return terms
    hurt = torch.sqrt(model.get_parameter("numbers.weight").sum() * 0)
    return terms | {"numbers": terms["numbers"] + hurt}


def test_the_gradient_that_broke_before_the_values_leads(tmp_path: Path) -> None:
    """All values break at once, one step later, and no term is blamed for its value."""
    found = loop(tmp_path / "run", 0, clip=1.0, change=broken_gradient)
    errors = [one for one in found if one.severity is Severity.ERROR]
    assert errors[0].rule in ("nonfinite-gradient", "term-gradient-nonfinite")
    (values,) = (one for one in errors if one.rule == "nonfinite-term")
    assert values.caused_by
    assert "all 2 terms at once" in values.summary
    assert all(one.caused_by for one in found[1:] if one.rule in alarms(found))


def test_a_detached_term_explains_its_head(tmp_path: Path) -> None:
    """The head that nobody trains and the term that rises are linked to the cut."""
    found = loop(tmp_path / "run", 0, change=cut)
    assert found[0].rule == "term-reaches-nothing"
    (head,) = (one for one in found if one.rule == "parameters-untrained")
    assert head.caused_by == ("term-reaches-nothing",)


def cut(_: nn.Module, terms: dict[str, Tensor], __: int) -> dict[str, Tensor]:
    """One term without its graph."""
    return terms | {"numbers": terms["numbers"].detach()}


def test_a_declared_monitor_is_not_mentioned(tmp_path: Path) -> None:
    """Neither as left out of the total nor as standing still."""
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    watch = Watch(tmp_path / "run", model=model, optimizer=optimizer, roles={"seen": "monitor"})
    with one_thread(), watch:
        for at in range(200):
            terms = terms_of(model, batch())
            terms["seen"] = torch.tensor(0.5 + 0.001 * at)
            watch.total(terms, {"kind": 1.0, "numbers": 1.0, "seen": 0.0}).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert "seen" not in str(diagnose(tmp_path / "run"))


def ragged(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sequences of features (b, 12, 8), a class for each place (b, 12), and which places count."""
    x = torch.randn(size, 12, 8)
    kind = 2 * (x[..., 0] > 0).long() + (x[..., 1] > 0).long()
    return x, kind, torch.arange(12) < torch.randint(1, 13, (size, 1))


@SEEDS
def test_micro_batches_over_the_count_of_the_step_are_no_fault(tmp_path: Path, seed: int) -> None:
    """The documented way to accumulate means over tokens; evaluation is not off by a factor."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def token_loss(logits: Tensor, one: tuple[Tensor, Tensor, Tensor]) -> object:
        return per_token(F.cross_entropy(logits.mT, one[1], reduction="none"), one[2])

    objective = Objective(Term("kind", token_loss, reduction="token"))
    with one_thread(), Watch(tmp_path / "run", model=model, optimizer=optimizer) as watch:
        for at in range(150):
            parts = [ragged(4) for _ in range(4)]
            count = torch.stack([one[2].sum() for one in parts]).sum()
            for one in parts:
                watch.total(objective(model(one[0]), one, counts={"kind": count})).backward()
            optimizer.step()
            optimizer.zero_grad()
            if at % 25 == 24:
                with watch.evaluation():
                    one = ragged(32)
                    watch.total(objective.evaluate(model(one[0]), one))
    found = diagnose(tmp_path / "run").findings
    assert not {"scales-with-length", "eval-factor"} & {one.rule for one in found}


@SEEDS
def test_a_penalty_behind_the_total_is_seen(tmp_path: Path, seed: int) -> None:
    """Its gradient share is told; a total that explains itself leaves nothing."""
    found = loop(tmp_path / "run", seed, beside=large_penalty)
    (one,) = (one for one in found if one.rule == "unaccounted-gradient")
    assert one.severity is Severity.WARNING
    assert one.evidence[0].value > 0.3


@SEEDS
@pytest.mark.parametrize(
    "healthy",
    [{}, {"accumulate": 4}, {"clip": 0.01}, {"zero": False}, {"change": large_heads}],
    ids=["plain", "accumulated", "clipped", "kept", "heads"],
)
def test_totals_that_explain_themselves(
    tmp_path: Path, seed: int, healthy: dict[str, object]
) -> None:
    """Whatever is done to the gradient before or afterwards."""
    found = loop(tmp_path / "run", seed, **healthy)  # type: ignore[arg-type]  # passed on
    assert "unaccounted-gradient" not in [one.rule for one in found]


@SEEDS
def test_micro_batches_that_are_added_up(tmp_path: Path, seed: int) -> None:
    """A warning where the steps are long, a note where they are not, nothing where divided."""
    long = partial(torch.optim.SGD, lr=0.3, momentum=0.9)
    for given, severities in (
        ({"divide": False, "make": long}, [Severity.WARNING]),
        ({"divide": False, "make": SGD}, [Severity.NOTE]),
        ({"divide": False, "make": ADAM}, [Severity.NOTE]),
        ({"make": long}, []),
    ):
        run = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        found = loop(run, seed, steps=40, accumulate=8, **given)  # type: ignore[arg-type]
        assert [one.severity for one in found if one.rule == "accumulation-summed"] == severities


def constant(model: nn.Module, terms: dict[str, Tensor], _: int) -> dict[str, Tensor]:
    """The classes are read off an input that is the same for all samples."""
    logits = model.get_submodule("kind")(model.get_submodule("trunk")(torch.zeros(32, 8)))
    return terms | {"kind": F.cross_entropy(logits, torch.randint(0, 4, (32,)))}


@SEEDS
def test_a_cross_entropy_at_chance_is_named(tmp_path: Path, seed: int) -> None:
    """The watch finds the number of classes in the graph."""
    found = loop(tmp_path / "run", seed, steps=300, change=constant)
    stuck = [one for one in found if one.rule in ("at-chance", "stuck-at-log-k", PLATEAU)]
    assert stuck
    assert stuck[0].terms == ("kind",)
    assert "at-chance" not in [one.rule for one in loop(tmp_path / "fine", seed, steps=300)]


def test_most_of_the_model_without_gradient_is_a_warning(tmp_path: Path) -> None:
    """The trunk's features are detached: only the heads are trained."""
    found = loop(tmp_path / "run", 0, change=heads_only)
    (one,) = (one for one in found if one.rule == "parameters-untrained")
    assert one.severity is Severity.WARNING


def heads_only(model: nn.Module, terms: dict[str, Tensor], _: int) -> dict[str, Tensor]:
    """Both losses on features without a graph."""
    x, kind, numbers = batch()
    features = model.get_submodule("trunk")(x).detach()
    return {
        "kind": F.cross_entropy(model.get_submodule("kind")(features), kind),
        "numbers": F.mse_loss(model.get_submodule("numbers")(features), numbers),
    }


def squashed(model: nn.Module, terms: dict[str, Tensor], _: int) -> dict[str, Tensor]:
    """Cross-entropy of probabilities."""
    x, kind, _ = batch()
    return terms | {"kind": F.cross_entropy(model(x)[0].softmax(1), kind)}


def test_a_second_softmax_is_seen_in_the_graph(tmp_path: Path) -> None:
    """At the first total; a single one is as it must be."""
    found = loop(tmp_path / "run", 0, steps=20, change=squashed)
    (one,) = (one for one in found if one.rule == "probabilities-as-logits")
    assert one.terms == ("kind",)
    rules = [one.rule for one in loop(tmp_path / "fine", 0, steps=20)]
    assert "probabilities-as-logits" not in rules


class Later(Net):
    """A large part that waits for a later stage, and a number that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.later = nn.Linear(64, 128)
        self.weight = nn.Parameter(torch.zeros(()))


@pytest.mark.parametrize("name", ["later", "weight"])
def test_what_waits_is_told_from_what_is_to_be_learned_now(tmp_path: Path, name: str) -> None:
    """A part that does not run is a note; a number in the optimizer that is not used, a warning."""
    torch.manual_seed(0)
    model = Later()
    delattr(model, {"later": "weight", "weight": "later"}[name])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with one_thread(), Watch(tmp_path / "run", model=model, optimizer=optimizer) as watch:
        for _ in range(20):
            optimizer.zero_grad()
            watch.total(terms_of(model, batch())).backward()
            optimizer.step()
    found = diagnose(tmp_path / "run").findings
    (one,) = (one for one in found if one.rule == "parameters-untrained")
    assert one.severity is (Severity.NOTE if name == "later" else Severity.WARNING)


def test_a_balancer_that_passes_the_terms_back_is_no_stranger(tmp_path: Path) -> None:
    """What arrives is not the weighted sum, and the watch's total is dropped: not compared."""
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    balance = GradientShare({"kind": 0.95, "numbers": 0.05})
    watch = Watch(tmp_path / "run", model=model, optimizer=optimizer, budget=0.9)
    with one_thread(), watch:
        measuring_always(watch)
        for _ in range(60):
            terms = terms_of(model, batch())
            watch.total(terms, {"kind": 1.0, "numbers": 1.0})
            balance.backward(terms)
            optimizer.step()
            optimizer.zero_grad()
    rules = [one.rule for one in diagnose(tmp_path / "run").findings]
    assert "unaccounted-gradient" not in rules
    assert '"unexplained"' not in (tmp_path / "run" / "run.jsonl").read_text()


def test_weights_that_are_learned_by_a_second_optimizer_are_reached(tmp_path: Path) -> None:
    """They stand beside the terms: the total reaches them."""
    torch.manual_seed(0)
    model = Net()
    model.pull = nn.Parameter(torch.ones(2))
    own = [one for name, one in model.named_parameters() if name != "pull"]
    optimizers = [torch.optim.Adam(own, 1e-3), torch.optim.SGD([model.pull], 0.1, maximize=True)]
    with one_thread(), Watch(tmp_path / "run", model=model, optimizer=optimizers) as watch:
        for _ in range(30):
            weights = {"kind": model.pull[0], "numbers": model.pull[1]}
            model.zero_grad()
            watch.total(terms_of(model, batch()), weights).backward()
            for one in optimizers:
                one.step()
    assert "parameters-untrained" not in [one.rule for one in diagnose(tmp_path / "run").findings]


def test_a_trunk_that_is_thawed_outside_its_optimizer(tmp_path: Path) -> None:
    """Frozen until step 20, trainable then, and never given to the optimizer."""
    torch.manual_seed(0)
    model = Net()
    model.trunk.requires_grad_(False)
    optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad], 1e-3)
    with (
        one_thread(),
        Watch(tmp_path / "run", model=model, optimizer=optimizer, budget=0.9) as watch,
    ):
        measuring_always(watch)
        for at in range(60):
            if at == 20:
                model.trunk.requires_grad_(True)
            optimizer.zero_grad()
            watch.total(terms_of(model, batch())).backward()
            optimizer.step()
    found = diagnose(tmp_path / "run").findings
    (one,) = (one for one in found if one.rule == "parameters-untrained")
    assert one.severity is Severity.WARNING
    assert "thawed" in one.summary


def all_pairs(model: nn.Module, terms: dict[str, Tensor], _: int) -> dict[str, Tensor]:
    """(32, 1) minus (32,)."""
    x, _kind, numbers = batch()
    return terms | {"numbers": (model(x)[1][:, :1] - numbers[:, 0]).square().mean()}


def test_a_prediction_that_is_compared_with_all_targets(tmp_path: Path) -> None:
    """The graph shows it at the first total; where shapes agree there is nothing to show."""
    found = loop(tmp_path / "run", 0, steps=20, change=all_pairs)
    (one,) = (one for one in found if one.rule == "prediction-broadcast")
    assert one.terms == ("numbers",)
    assert "(32, 1)" in one.summary
    rules = [one.rule for one in loop(tmp_path / "fine", 0, steps=20)]
    assert "prediction-broadcast" not in rules
