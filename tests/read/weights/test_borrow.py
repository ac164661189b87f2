"""Totals that are exact only with quantities that no name calls a loss."""

from poise.read.weights.compose import compose
from poise.run import Kind
from tests.read.weights.test_compose import column, table, weights

KINDS = {"loss": Kind.TOTAL, "length": Kind.COUNT, "acc": Kind.STATISTIC, "aux": Kind.STATISTIC}


def test_a_total_borrows_what_no_name_calls_a_loss() -> None:
    """A count and a statistic that make the sum exact are terms; an idle metric stays one."""
    one, aux, length, acc = (column(seed).round(5) for seed in range(4))
    total = one + 2 * aux + 0.1 * length
    given = table({"loss": total, "ce": one, "aux": aux, "length": length, "acc": acc}, KINDS)
    (found,), (composition,) = compose((given,), {})
    assert weights(composition) == {"ce": 1.0, "aux": 2.0, "length": 0.1}
    assert found.series["length"].kind is found.series["aux"].kind is Kind.TERM
    assert found.series["acc"].kind is Kind.STATISTIC


def test_nothing_is_borrowed_for_a_sum_that_stays_inexact() -> None:
    """A total with a part that is not logged leaves its statistics alone."""
    one, aux, hidden = (column(seed) for seed in range(3))
    given = table({"loss": one + aux + hidden, "ce": one, "aux": aux}, KINDS)
    (found,), _ = compose((given,), {})
    assert found.series["aux"].kind is Kind.STATISTIC


def test_no_accident_makes_terms_of_many_metrics() -> None:
    """With as many metrics as records anything can be fitted, so nothing is borrowed."""
    metrics = {f"m{i}": column(i, 10) for i in range(9)}
    kinds = {"loss": Kind.TOTAL} | dict.fromkeys(metrics, Kind.STATISTIC)
    given = table({"loss": column(90, 10), "ce": column(91, 10), **metrics}, kinds)
    (found,), _ = compose((given,), {})
    assert {one.kind for name, one in found.series.items() if name in metrics} == {Kind.STATISTIC}


def test_a_generator_is_the_total_of_its_parts() -> None:
    """Without a total, a loss that bare quantities add up to is one."""
    adv, cycle = column(1), column(2)
    parts = {"D loss": column(3), "G loss": adv + 10 * cycle, "adv": adv, "cycle": cycle}
    kinds = {"adv": Kind.STATISTIC, "cycle": Kind.STATISTIC}
    (found,), (composition,) = compose((table(parts, kinds),), {})
    assert composition.total == "G loss"
    assert weights(composition) == {"adv": 1.0, "cycle": 10.0}
    assert found.series["D loss"].kind is Kind.TERM
