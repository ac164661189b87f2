import numpy as np

from poise.read.weights.hierarchy import sub_totals, twins
from poise.run import Floats


def column(seed: int, size: int = 120) -> Floats:
    """Independent positive values."""
    return np.random.default_rng(seed).lognormal(0.0, 0.5, size)


def test_a_twin_needs_some_variety() -> None:
    """Two columns of zeros are not the same quantity, two of the same changing values are."""
    zero, some = np.zeros(50), column(0, 50)
    assert twins({"a": zero, "b": zero.copy(), "c": some, "d": some.copy()}) == {"d": "c"}


def test_twins_differ_where_one_is_silent() -> None:
    """A column that misses a record is another quantity; one with the same gaps is a twin."""
    some = column(1, 50)
    gap = some.copy()
    gap[7] = np.nan
    assert twins({"a": some, "b": gap, "c": gap.copy()}) == {"c": "b"}


def test_sums_and_means_of_others_are_found_at_every_level() -> None:
    """A mean of two sums is found with its parts, whatever the order of the columns."""
    names = ("net_x_pos", "net_x_rot", "net_y_pos", "net_y_rot")
    leaves = {name: column(seed) for seed, name in enumerate(names)}
    x = leaves["net_x_pos"] + leaves["net_x_rot"]
    y = leaves["net_y_pos"] + leaves["net_y_rot"]
    found = sub_totals({"net": (x + y) / 2, "net_x": x, "net_y": y, **leaves})
    assert {one.name for one in found} == {"net", "net_x", "net_y"}
    assert {one.name: set(one.parts) for one in found}["net_x"] == {"net_x_pos", "net_x_rot"}
    assert all(one.found.exact for one in found)


def test_the_sum_is_named_even_if_it_comes_first() -> None:
    """Of three columns with a = b + c only a is the sum, wherever it stands."""
    b, c = column(2), column(3)
    for columns in ({"a": b + c, "b": b, "c": c}, {"c": c, "b": b, "a": b + c}):
        (one,) = sub_totals(columns)
        assert (one.name, set(one.parts)) == ("a", {"b", "c"})


def test_other_weights_make_no_sub_total() -> None:
    """Without a name that says so, only a plain sum or mean is believed."""
    b, c = column(4), column(5)
    assert sub_totals({"b": b, "c": c, "a": b + 0.37 * c}) == ()


def test_medians_need_a_name() -> None:
    """A mean up to a scatter counts if the names announce it, and not otherwise."""
    b, c = column(6), column(7)
    rough = (b + c) / 2 * np.random.default_rng(8).normal(1.0, 0.003, len(b))
    assert [one.name for one in sub_totals({"m": rough, "m_b": b, "m_c": c})] == ["m"]
    assert sub_totals({"k": rough, "m_b": b, "m_c": c}) == ()


def test_auxiliary_layers_are_not_parts() -> None:
    """`ce` is not the mean of `ce_0` and `ce_1`, even if it is close to it."""
    b, c = column(9), column(10)
    rough = (b + c) / 2 * np.random.default_rng(11).normal(1.0, 0.003, len(b))
    assert sub_totals({"ce": rough, "ce_0": b, "ce_1": c}) == ()
