"""What is measured around an optimizer step besides its motion: averages and the response."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from poise.watch.averages import Averages
from poise.watch.budget import Budget
from poise.watch.events import Events
from poise.watch.responding import Again, Responding
from poise.watch.terms import Given

Place = tuple[int, int]
"""Optimizer steps and micro-batches done."""
Write = Callable[[Mapping[str, object], Place], None]


class Around:
    """Says when averages and the response are looked at, and writes what they tell.

    Averages are looked at together with the motion of a step, on its account. The response has an
    account of its own; under accumulation it waits for the micro-batch that is likely to step. A
    forward pass that fails is not tried again.

    Args:
        budget: Says when.
        model: What the forward pass may change.
        averages: Averages of its weights.
        write: Takes a probe record and where it was taken.
        events: Is told what cannot be measured.
    """

    def __init__(
        self,
        budget: Budget,
        model: nn.Module | None,
        averages: Averages,
        write: Write,
        events: Events,
    ) -> None:
        self._budget = budget
        self._events = events
        self._write = write
        self._averages = averages
        self._responding = Responding(model)
        self._change: dict[str, float] = {}
        self._place: Place = (0, 0)
        self._due = False
        self._stepped: int | None = None
        self._gap = 1

    def begin(self, place: Place) -> None:
        """Begins a micro-batch: the first one remembers where the averages start."""
        self._place = place
        if self._budget.accounts["motion"].part > 0 and self._averages.fresh:
            with self._booked("motion", uses=0):
                self._averages.begin()

    def arm(self) -> None:
        """Looks at the averages before the next optimizer step."""
        with self._booked("motion", uses=0):
            self._averages.open(self._place[0])

    def ask(self, found: Given, again: Again, *, candidate: bool) -> None:
        """Takes the values before a step, if one is due and expected in this micro-batch."""
        self._due = self._due or (candidate and self._budget.due("response"))
        since = self._place[1] - (self._place[1] if self._stepped is None else self._stepped)
        if not self._due or not (candidate or since == self._gap):
            return
        if found.total.is_cuda:  # what waits there is not the probe's cost
            torch.cuda.synchronize(found.total.device)
        with self._booked("response", uses=1):
            self._responding.before(found, again)

    def after_step(self) -> None:
        """Repeats the forward pass, if a value before the step is known."""
        micro = self._place[1]
        if micro != self._stepped:
            self._gap = 1 if self._stepped is None else micro - self._stepped
            self._stepped = micro
        if self._responding.ready:
            self._due = False
            with self._booked("response", uses=0):
                self._change = self._responding.after()

    def finish(self, steps: int) -> None:
        """Ends a micro-batch, with `steps` optimizer steps done."""
        self._responding.forget()
        change, self._change = self._change, {}
        if change:
            self._write({"response": change}, self._place)
        if self._averages.ready(steps):
            found: Mapping[str, object] = {}
            with self._booked("motion", uses=0):
                found = self._averages.close(steps)
            if found:
                self._write({"averages": found}, self._place)

    @contextmanager
    def _booked(self, name: str, *, uses: int) -> Generator[None]:
        """Books a measurement; one that fails is the last of its kind."""
        with self._budget.charged(name, uses=uses):
            try:
                yield
            except Exception as error:
                self._budget.stop(name)
                self._events.failed(name, error, self._place[0])
                self._responding.forget()
                self._due = False
                raise
