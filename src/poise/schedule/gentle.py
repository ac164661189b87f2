"""A start that bounds the jump which a new term may cause."""

import math
from dataclasses import dataclass, field
from typing import final

from poise.errors import ScheduleError
from poise.schedule.schedule import at, number, settle, whole


@final
@dataclass(frozen=True, slots=True)
class Gentle:
    """Brings a new term in as fast as a bound on the jump of the total allows.

    A term switched on at full weight W beside others that sum up to T raises the total from T to
    T + W*L. With p the share that the term is to have in the end, W*L / (W*L + T) = p, that is
    a factor 1 / (1 - p): tenfold for p = 0.9. Here the total grows by the factor (1 + jump) a step
    instead:

        T + w(k) * L = T * (1 + jump)^k     after k steps,

    and with W*L / T = p / (1 - p) =: r this is

        w(k) = W * ((1 + jump)^k - 1) / r,  until it reaches W after
        n = ln(1 / (1 - p)) / ln(1 + jump)  steps, rounded up.

    No ramp with the same bound is shorter. A linear one would need n = r / jump: 900 steps for
    p = 0.9 and jump = 0.01, against 232.

    L and T are taken as they stand at `start`; where they fall or rise on their own, that comes on
    top. The same holds for gradient norms in place of values: pass the gradient share, and the
    bound is on the sum of the norms. That is the better choice where it is known, as one step
    follows the gradient and not the value.

    Attributes:
        end: The full weight W.
        start: The last step with weight 0.
        share: p, the share that the term has at full weight, between 0 and 1. `Breakdown.shares()`
            gives the value share.
        jump: Largest relative rise of the total in one step that the ramp may cause, above 0.

    Raises:
        ScheduleError: A field is out of its range.

    Example:
        >>> weight = Gentle(0.5, start=1000, share=0.9, jump=0.01)
        >>> weight.stop
        1232
        >>> [round(weight(step), 4) for step in (1000, 1001, 1100, 1232)]
        [0.0, 0.0006, 0.0947, 0.5]
    """

    end: float
    start: int = field(default=0, kw_only=True)
    share: float = field(kw_only=True)
    jump: float = field(default=0.01, kw_only=True)

    def __post_init__(self) -> None:
        end, start = number(self, "end", self.end), whole(self, "start", self.start)
        share, jump = number(self, "share", self.share), number(self, "jump", self.jump)
        settle(self, end=end, start=start, share=share, jump=jump)
        if not 0.0 < share < 1.0:
            raise ScheduleError(f"Gentle: expected share between 0 and 1, got {share!r}")
        if not jump > 0.0:
            raise ScheduleError(f"Gentle: expected jump above 0, such as 0.01, got {jump!r}")

    @property
    def stop(self) -> int:
        """First step with the full weight."""
        return self.start + math.ceil(-math.log1p(-self.share) / math.log1p(self.jump))

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        step = at(self, step)
        if step <= self.start:
            return 0.0
        if step >= self.stop:
            return self.end
        grown = math.expm1((step - self.start) * math.log1p(self.jump))
        return self.end * min(1.0, grown * (1.0 - self.share) / self.share)
