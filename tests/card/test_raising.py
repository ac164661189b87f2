"""Why a loss cannot be called."""

import pytest

from poise.card.raising import explained


@pytest.mark.parametrize(
    ("shapes", "action"),
    [
        ("(32x64 and 10x64)", "Transpose the second: (32, 64) @ (64, 10) works."),
        ("(64x32 and 64x10)", "Transpose the first: (32, 64) @ (64, 10) works."),
        ("(2x3 and 4x5)", "Make the inner sizes agree: 3 and 4."),
    ],
)
def test_matrix_products(shapes: str, action: str) -> None:
    """The inner sizes are named and, where one transposition helps, it is said."""
    cause, found = explained(f"RuntimeError: mat1 and mat2 shapes cannot be multiplied {shapes}")
    assert found == action
    assert "columns meet" in cause


def test_anything_else() -> None:
    """Other messages get a general answer."""
    assert "does not accept these arguments" in explained("KeyError: 'x'")[0]
