"""Ten stages, each harder than the one before, and the weights that change with them."""

from dataclasses import dataclass
from typing import final

from poise.recipes.peptide.data import Difficulty
from poise.schedule import Piecewise, Schedule, Warmup

SHORTEST = 4
"""Residues of the shortest peptide."""
STAGES = (
    Difficulty(longest=6),
    Difficulty(longest=6),
    Difficulty(longest=6, noise=1, dropout=0.02, ppm=2.0),
    Difficulty(longest=7, noise=1, dropout=0.05, ppm=5.0),
    Difficulty(longest=7, noise=1, dropout=0.08, ppm=7.5),
    Difficulty(longest=8, noise=2, dropout=0.10, ppm=10.0),
    Difficulty(longest=8, noise=3, dropout=0.12, ppm=12.0),
    Difficulty(longest=9, noise=3, dropout=0.13, ppm=13.0, variation=0.1),
    Difficulty(longest=9, noise=4, dropout=0.14, ppm=14.0, variation=0.15),
    Difficulty(longest=10, noise=5, dropout=0.15, ppm=15.0, variation=0.2),
)
"""The stages of the original, with half its noise peaks and peptides of 4 to 10, not 7 to 18."""
SPECTRUM = (0.0, 0.05, 0.08, 0.10, 0.12, 0.13, 0.14, 0.14, 0.15, 0.15)
"""Weight of the spectrum term in each stage."""
REPORTED = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10)
"""Weight of the precursor term in each stage, as it was."""
REDUCED = (0.0, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08)
"""The same after the note's second fix."""


GENTLE = 16
"""Fewest steps of a ramp."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """When the stages begin.

    Attributes:
        first: Optimizer steps of the first stage, on cross-entropy alone.
        later: Optimizer steps of each other stage.

    Example:
        >>> Curriculum(first=150, later=50).starts
        (150, 200, 250, 300, 350, 400, 450, 500, 550)
    """

    first: int
    later: int

    @property
    def starts(self) -> tuple[int, ...]:
        """First step of the second stage and of every later one."""
        return tuple(self.first + self.later * k for k in range(len(STAGES) - 1))

    @property
    def total_steps(self) -> int:
        """Optimizer steps of all stages."""
        return self.first + self.later * (len(STAGES) - 1)

    def stage(self, step: int) -> int:
        """Index of the stage of a step, from 0.

        Example:
            >>> Curriculum(first=150, later=50).stage(150)
            1
        """
        return sum(step >= start for start in self.starts)

    def staged(self, weights: tuple[float, ...]) -> Schedule:
        """One weight for each stage, changed at once where a stage begins."""
        return Piecewise(weights, steps=self.starts)

    def switched(self, weight: float) -> Schedule:
        """Nothing in the first stage, then the weight, at once."""
        return Piecewise((0.0, weight), steps=self.starts[:1])

    def ramped(self, weight: float) -> Schedule:
        """Nothing in the first stage, then a straight line up to the weight over the second.

        Over `GENTLE` steps at least: the stages of a quick training are too short for a ramp.
        """
        return Warmup(weight, steps=max(self.later, GENTLE), start=self.first)
