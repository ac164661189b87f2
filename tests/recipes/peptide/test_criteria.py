"""The note's targets as expectations."""

from poise.recipes.peptide.criteria import criteria_of
from poise.recipes.peptide.curriculum import Curriculum
from poise.record import Expect

CURRICULUM = Curriculum(first=100, later=20)


def test_the_targets_are_those_of_the_note() -> None:
    """Total in the second stage alone, contribution from there on, ppm in the last one."""
    assert criteria_of("note-fix", CURRICULUM) == (
        Expect("total", below=3.0, after=100 / 280, until=120 / 280),
        Expect("precursor_contribution", below=0.02, after=100 / 280),
        Expect("precursor_error_ppm", below=100.0, after=260 / 280, split="eval"),
    )


def test_they_are_declared_for_the_notes_own_trainings() -> None:
    """The cured one would be measured by a target that asks for a term that is off."""
    assert criteria_of("reported", CURRICULUM)
    assert not criteria_of("cured", CURRICULUM)
