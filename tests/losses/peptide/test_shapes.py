"""What does not fit is refused: nothing is broadcast."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.peptide import (
    expected_residue_masses,
    mass_error_ppm,
    precursor_clamped_ppm,
    precursor_huber,
    precursor_l1_da,
    precursor_log_ppm,
)

FORMS = (
    mass_error_ppm,
    precursor_huber,
    precursor_clamped_ppm,
    precursor_log_ppm,
    precursor_l1_da,
)


@pytest.mark.parametrize("form", FORMS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("turned", [False, True])
def test_a_column_of_masses_is_refused(form: object, turned: bool) -> None:
    """(B,) against (B, 1) is all pairs; every form says so by its name, whichever is the column."""
    row, column = torch.full((4,), 1000.0), torch.full((4, 1), 1000.0)
    given = (column, row) if turned else (row, column)
    shapes = r"\[4, 1\] and \[4\]" if turned else r"\[4\] and \[4, 1\]"
    name = "mass_error_ppm|precursor"
    with pytest.raises(LossError, match=rf"(?s)({name}).*one shape \[batch\].*{shapes}.*squeeze"):
        form(*given)  # pyright: ignore[reportCallIssue]


def test_two_columns_and_whole_numbers_are_refused() -> None:
    """Equal shapes are not enough: a mass is one number for each peptide, and floating."""
    column = torch.full((4, 1), 1000.0)
    with pytest.raises(LossError, match="squeeze"):
        precursor_huber(column, column)
    with pytest.raises(LossError, match=r"floating masses in Da, got torch.int64.*float\(\)"):
        precursor_huber(torch.ones(4, dtype=torch.int64), torch.ones(4))


def test_masses_of_another_vocabulary_and_masks_that_do_not_fit_are_refused() -> None:
    """The masses must belong to the tokens, and the mask to the positions."""
    probabilities = torch.full((2, 3, 4), 0.25)
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(LossError, match=r"masses of shape \[tokens\].*residue_masses"):
        expected_residue_masses(probabilities, torch.ones(5), mask)
    with pytest.raises(LossError, match=r"bool mask of shape \[2, 3\], got torch.float32"):
        expected_residue_masses(probabilities, torch.ones(4), mask.float())
    with pytest.raises(LossError, match=r"bool mask of shape \[2, 3\], got torch.bool of shape"):
        expected_residue_masses(probabilities, torch.ones(4), mask[:, :2])
