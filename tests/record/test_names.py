"""Column names of a run record."""

from hypothesis import given
from hypothesis import strategies as st

from poise.record.names import column_names, term_column

GROUPS = st.sampled_from(["terms", "weights", "counts", "log"])
TRICKY = st.recursive(
    st.sampled_from(["step", "total", "lr", "ce", "wall_s", "0", ""]),
    lambda inner: st.builds(
        "{}/{}".format, st.sampled_from(["term", "weight", "count", "lr", "log"]), inner
    ),
)
KEYS = st.lists(st.tuples(GROUPS, TRICKY), unique=True)
COMMON = (
    "step",
    "micro",
    "wall_s",
    "total",
    "lr",
    "grad_norm",
    "grad_norm_used",
    "skipped",
    "discarded",
)
FIXED = [("step", ""), ("wall_s", ""), ("total", ""), ("grad_norm", "")]


@given(KEYS, st.integers(0, 3))
def test_every_column_has_a_name_of_its_own(keys: list[tuple[str, str]], rates: int) -> None:
    """No two quantities share a column, whatever they are called."""
    keys = [*FIXED, *keys, *(("lr", str(index)) for index in range(rates))]
    names = column_names(keys, rates)
    assert list(names) == keys
    assert len(set(names.values())) == len(keys)


@given(st.text())
def test_only_names_that_the_record_needs_are_changed(term: str) -> None:
    """Nearly every term keeps its name."""
    assert term_column(term) in (term, f"term/{term}")
    if "/" not in term and term not in COMMON:
        assert term_column(term) == term
