"""A schedule that is faded in."""

from dataclasses import dataclass, field
from typing import cast, final

from poise.schedule.ramps import Constant
from poise.schedule.schedule import Schedule, at, number, settle, whole


@final
@dataclass(frozen=True, slots=True)
class Warmup:
    """Fades a weight or a whole schedule in: 0 up to `start`, the full weight after `steps` more.

    The weight is `then(step) * min(1, (step - start) / steps)`. With `steps=0` it is all there
    from `start` on.

    Attributes:
        then: The weight or schedule that is faded in; it sees the step of the training.
        steps: Length of the ramp, in optimizer steps.
        start: The last step that has weight 0.

    Raises:
        ScheduleError: A field is no finite number or negative.

    Example:
        >>> weight = Warmup(0.02, start=10_000, steps=4_000)
        >>> [weight(step) for step in (10_000, 11_000, 14_000, 20_000)]
        [0.0, 0.005, 0.02, 0.02]
    """

    then: Schedule | float
    steps: int = field(kw_only=True)
    start: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        then = self.then if callable(self.then) else Constant(number(self, "then", self.then))
        steps, start = whole(self, "steps", self.steps), whole(self, "start", self.start)
        settle(self, then=then, steps=steps, start=start)

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        since = at(self, step) - self.start
        if since < 0 or (since == 0 and self.steps):
            return 0.0
        full = cast(Schedule, self.then)(step)
        return full if since >= self.steps else full * since / self.steps
