"""What a term is for."""

from enum import StrEnum


class Role(StrEnum):
    """What a term is for; the doctor's rules ask it first.

    Example:
        >>> Role("monitor").in_total, Role.OFFSET.needs_gradient
        (False, False)
    """

    TASK = "task"
    """What the training is about."""
    REGULARISER = "regulariser"
    """Keeps the solution in bounds; may be small beside the tasks."""
    CONSTRAINT = "constraint"
    """Is to be met, not minimised for its own sake: physics, a norm, a budget."""
    ADVERSARY = "adversary"
    """Plays against another term: it may rise and swing."""
    MONITOR = "monitor"
    """Is only looked at: never in the total, computed without a graph and without drawing from the
    training's random numbers. What its function changes in a module stays changed."""
    OFFSET = "offset"
    """Is in the total but has no gradient and needs none."""

    @property
    def in_total(self) -> bool:
        """Does a term of this role belong to the total?"""
        return self is not Role.MONITOR

    @property
    def needs_gradient(self) -> bool:
        """Must a term of this role have a graph?"""
        return self not in (Role.MONITOR, Role.OFFSET)
