from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.read.weights.compose import compose
from poise.run import Composition, Floats, Kind, Series, Table


def table(columns: Mapping[str, Floats], kinds: Mapping[str, Kind] | None = None) -> Table:
    """A training table; a name is a term unless `kinds` says otherwise, NaN is silence."""
    size = len(next(iter(columns.values())))
    found: dict[str, Series] = {}
    for name, values in columns.items():
        rows = np.flatnonzero(~np.isnan(values))
        kind = (kinds or {}).get(name, Kind.TERM)
        of = name.removeprefix("weight/") if kind is Kind.WEIGHT else None
        found[name] = Series(name=name, kind=kind, rows=rows, values=values[rows], of=of)
    return Table(
        split="train",
        grain="step",
        steps=np.arange(size),
        step_name="step",
        segments=np.zeros(size, dtype=np.int64),
        series=found,
    )


def column(seed: int, size: int = 150) -> Floats:
    """Independent positive values."""
    return np.random.default_rng(seed).lognormal(0.0, 0.5, size)


def weights(one: Composition) -> dict[str, float | None]:
    """Weight of every term."""
    return {term.name: term.weight for term in one.terms}


TOTAL = {"loss": Kind.TOTAL}


@given(
    st.integers(0, 1000), st.lists(st.sampled_from([0.1, 0.5, 1.0, 5.0]), min_size=1, max_size=5)
)
def test_a_named_total_is_fitted(seed: int, picked: list[float]) -> None:
    """The total that names say is taken apart into all terms."""
    terms = {f"t{index}": column(seed + index) for index in range(len(picked))}
    loss = sum(weight * one for weight, one in zip(picked, terms.values(), strict=True))
    _, (found,) = compose((table({"loss": np.asarray(loss), **terms}, TOTAL),), {})
    assert found.exact
    assert list(weights(found).values()) == picked
    assert {one.source for one in found.terms} == {"fitted"}


def test_a_total_that_repeats_one_term_leaves_the_others_out() -> None:
    """Terms that are logged but not in the total get the weight 0.0."""
    a, b = column(1), column(2)
    _, (found,) = compose((table({"loss": a.copy(), "a": a, "b": b}, TOTAL),), {})
    assert weights(found) == {"a": 1.0, "b": 0.0}


def test_silent_terms_count_as_zero_only_if_that_is_exact() -> None:
    """A late term is in the total with its weight; so is one that was there unlogged."""
    a, b = column(3), column(4)
    late = np.where(np.arange(150) < 90, np.nan, b)
    started = a + 2.0 * np.nan_to_num(late)
    _, (found,) = compose((table({"loss": started, "a": a, "b": late}, TOTAL),), {})
    assert (weights(found), found.exact) == ({"a": 1.0, "b": 2.0}, True)
    _, (found,) = compose((table({"loss": a + 2.0 * b, "a": a, "b": late}, TOTAL),), {})
    assert (weights(found), found.exact) == ({"a": 1.0, "b": 2.0}, True)


def test_two_networks_have_two_totals() -> None:
    """Totals are found without names, each with its own terms, and parts of terms step aside."""
    d, a, b, c = (column(seed).round(5) for seed in range(5, 9))
    columns = {"loss_disc_real_0": d / 3 + column(9) / 9, "loss_disc": d, "loss_0": d.copy(),
               "loss_a": a, "loss_b": b, "loss_c": c, "loss_1": a + b + c}  # fmt: skip
    (one,), found = compose((table(columns),), {})
    assert [(each.total, set(weights(each))) for each in found] == [
        ("loss_1", {"loss_a", "loss_b", "loss_c"}),
        ("loss_0", {"loss_disc"}),
    ]
    assert [each.name for each in one.of_kind(Kind.TOTAL)] == ["loss_0", "loss_1"]
    assert one.series["loss_disc_real_0"].kind is Kind.STATISTIC


def test_a_hierarchy_ends_in_its_leaves() -> None:
    """The widest total is made of leaves; sub-totals become totals, and nothing counts twice."""
    leaves = {name: column(seed) for seed, name in enumerate(("g_x_u", "g_x_v", "g_y_u", "g_y_v"))}
    x = (leaves["g_x_u"] + leaves["g_x_v"]) / 2
    y = (leaves["g_y_u"] + leaves["g_y_v"]) / 2
    columns = {**leaves, "g_x": x, "g_y": y, "g_all": (x + y) / 2, "g": (x + y) / 2}
    (one,), found = compose((table(columns),), {})
    assert found[0].total == "g"
    assert weights(found[0]) == dict.fromkeys(leaves, 0.25)
    assert {each.total for each in found[1:]} == {"g_x", "g_y"}
    assert {each.name for each in one.of_kind(Kind.TERM)} == set(leaves)


def test_adversarial_terms_without_a_total_make_none() -> None:
    """Unrelated losses give no composition and keep their kinds."""
    columns = {name: column(seed) for seed, name in enumerate(("G", "D", "cycle"))}
    before = (table(columns),)
    assert compose(before, {}) == (before, ())
    assert compose((table({"acc": column(0)}, {"acc": Kind.STATISTIC}),), {})[1] == ()


def test_an_unlogged_term_is_said() -> None:
    """A named total that nothing explains is reported with what remains."""
    a, b = column(10) + 3.0, column(11) * 200
    hidden = np.random.default_rng(12).uniform(0.5, 0.9, 150)
    _, (found,) = compose((table({"loss": a + hidden, "a": a, "b": b}, TOTAL),), {})
    assert not found.exact
    assert found.remainder == pytest.approx(0.7, abs=0.1)
    assert weights(found) == {"a": 1.0, "b": 0.0}


def test_a_statistic_that_makes_up_the_total_becomes_its_term() -> None:
    """A divergence that no name calls a loss is a term if the total is a multiple of it."""
    kl = column(13)
    columns = {"loss": 0.04 * kl, "kl": kl, "reward": column(14), "same": 0.04 * kl}
    kinds = {"loss": Kind.TOTAL} | dict.fromkeys(("kl", "reward", "same"), Kind.STATISTIC)
    (one,), (found,) = compose((table(columns, kinds),), {})
    assert weights(found) == {"kl": 0.04}
    assert one.series["kl"].kind is Kind.TERM
    assert one.series["same"].kind is Kind.STATISTIC


def test_a_model_named_loss_is_the_total() -> None:
    """`loss_vae` beside `loss_recon` is the total of a model if no other loss is one."""
    a, b = column(15), column(16)
    (one,), (found,) = compose((table({"loss_vae": a + b, "loss_recon": a, "loss_kl": b}),), {})
    assert (found.total, found.exact) == ("loss_vae", True)
    assert one.series["loss_vae"].kind is Kind.TOTAL


def test_declared_weights_are_checked_not_fitted() -> None:
    """What the run declares stands; if the values deny it, the composition says so."""
    a, b = column(17), column(18)
    one = table({"loss": a + 2.0 * b, "a": a, "b": b}, TOTAL)
    _, (found,) = compose((one,), {"weights": {"a": 1.0, "b": 2.0}})
    assert (found.exact, weights(found)) == (True, {"a": 1.0, "b": 2.0})
    assert {term.source for term in found.terms} == {"declared"}
    _, (found,) = compose((one,), {"weights": {"a": 1.0, "b": 3.0}})
    assert (found.exact, weights(found)) == (False, {"a": 1.0, "b": 3.0})
    assert "do not add up" in found.why
    _, (found,) = compose((one,), {"weights": {"a": 1.0}})
    assert [term.source for term in found.terms] == ["declared", "unknown"]


@pytest.mark.parametrize("declared", [{}, {"weights": {"a": 1.0, "b": 0.5}}])
def test_logged_weights_follow_their_steps(declared: Mapping[str, object]) -> None:
    """A weight that is logged and moves is used record by record; its last value is given."""
    a, b = column(19), column(20)
    beta = np.linspace(0.0, 0.5, 150)
    columns = {"loss": a + beta * b, "a": a, "b": b, "weight/b": beta}
    kinds = {**TOTAL, "weight/b": Kind.WEIGHT}
    _, (found,) = compose((table(columns, kinds),), declared)
    assert found.exact
    assert weights(found) == {"a": 1.0, "b": 0.5}
    assert "change" in found.why


wild = st.one_of(st.floats(), st.floats(-10, 10).map(lambda one: round(one, 2)), st.just(0.0))


@settings(max_examples=400)
@given(st.lists(st.lists(wild, min_size=4, max_size=4), min_size=1, max_size=30), st.booleans())
def test_hostile_numbers_neither_raise_nor_warn(rows: list[list[float]], named: bool) -> None:
    """Infinities, subnormal numbers and constant columns end in an answer."""
    grid = np.array(rows)
    columns = {name: grid[:, index] for index, name in enumerate(("loss", "a", "a_b", "a_c"))}
    _, found = compose((table(columns, TOTAL if named else None),), {})
    assert all(len(one.terms) <= 3 for one in found)


def test_the_first_table_with_a_total_decides_for_all() -> None:
    """A training table without losses leaves it to the next one, and kinds are shared."""
    a, b = column(21), column(22)
    losses = table({"a": a, "b": b, "c": a + b})
    lonely = table({"lr": a}, {"lr": Kind.LEARNING_RATE})
    after, (found,) = compose((lonely, losses, losses), {})
    assert found.total == "c"
    assert [one.series["c"].kind for one in after[1:]] == [Kind.TOTAL, Kind.TOTAL]
