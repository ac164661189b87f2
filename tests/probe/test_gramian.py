"""Inner products in pieces, at any scale, on any type."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.probe import gramian
from poise.probe.gramian import gramian_of


@given(
    exponents=st.lists(st.integers(-37, 37), min_size=1, max_size=5),
    length=st.integers(1, 300),
    seed=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_rows_of_very_different_scale(exponents: list[int], length: int, seed: int) -> None:
    """Each product is right to float32 precision, whatever the scale of its row and of others."""
    made = torch.Generator().manual_seed(seed)
    rows = [torch.randn(length, generator=made) * 10.0**one for one in exponents]
    side = torch.stack(rows).double()
    sizes = side.norm(dim=1)
    found = gramian_of([rows])
    assert found is not None
    error = (found - side @ side.T).abs()
    assert torch.all(error <= 1e-5 * sizes[:, None] * sizes)


def test_chunks_and_pieces_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a long vector, and pieces with gaps, add up to the products of the whole."""
    rows = [torch.randn(1000) for _ in range(3)]
    side = torch.stack(rows).double()
    monkeypatch.setitem(gramian.CHUNK, "cpu", 64)
    torch.testing.assert_close(gramian_of([rows]), side @ side.T, rtol=1e-5, atol=1e-4)
    gaps = gramian_of([[rows[0], None, rows[2]], [None, rows[1], None], [None, None, None]])
    expected = (side @ side.T) * torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    torch.testing.assert_close(gaps, expected, rtol=1e-5, atol=1e-4)
    assert gramian_of([[None, None]]) is None


def test_double_precision_stays_double() -> None:
    """float64 gradients keep their precision."""
    rows = [torch.randn(50, dtype=torch.float64) for _ in range(2)]
    side = torch.stack(rows)
    torch.testing.assert_close(gramian_of([rows]), side @ side.T, rtol=1e-14, atol=0)


def test_inside_autocast() -> None:
    """Mixed precision around a measurement does not lower its precision."""
    rows = [torch.full((100,), 1.001), torch.full((100,), 0.999)]
    expected = gramian_of([rows])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gramian_of([rows]), expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_rows_stay_alone(value: float) -> None:
    """Only the products of a non-finite row are non-finite, zeros are exactly zero."""
    found = gramian_of([[torch.tensor([1.0, value]), torch.tensor([3e-30, 4e-30]), torch.zeros(2)]])
    assert found is not None
    assert not torch.isfinite(found[0, 0])
    assert float(found[1, 1]) == pytest.approx(25e-60)
    assert found[2, 2] == 0.0
