"""Numbers with commas in them."""

import pytest

from poise.read.text.lines import ungrouped


@pytest.mark.parametrize(
    ("printed", "lossy", "values", "decimal"),
    [
        (["1,024", "12,500"], False, [1024.0, 12500.0], False),
        (["1,024.5", "1,234,567.0"], True, [1024.5, 1234567.0], False),
        (["1,024", "12,500"], True, [1.024, 12.5], True),
        (["0,125", "1,024"], False, [0.125, 1.024], True),
        (["-0,5", "1,2e-3"], False, [-0.5, 0.0012], True),
        (["0.5,0.25"], True, None, False),
        (["1,2,3"], False, None, False),
    ],
)
def test_what_commas_mean(
    printed: list[str], *, lossy: bool, values: list[float] | None, decimal: bool
) -> None:
    """Thousands, decimals, or numbers side by side, decided on all lines of a form together."""
    found, told = ungrouped([tuple(one.split(",")) for one in printed], lossy=lossy)
    assert (None if found is None else found.tolist()) == values
    assert told is decimal
