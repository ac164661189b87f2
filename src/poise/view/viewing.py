"""Follows a run on a terminal until it ends."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live

from poise.doctor.diagnose import diagnose
from poise.errors import ReadError
from poise.record.follow import Follower
from poise.record.lock import held
from poise.view.frame import Examined, frame
from poise.view.growing import Growing

INTERVAL_S = 0.5
"""Between two looks at the record."""
EXAMINE_S = 10.0
"""At least, between two diagnoses."""
SHARE = 0.1
"""Of the time, at most, that goes into diagnoses."""
MOST_BYTES = 512 << 20
"""Larger records are not diagnosed while they grow: `poise diagnose` reads them whole."""
QUIET_LOOKS = 2
"""Looks without anything new, the recorder being gone, after which the run has ended."""


class Viewing:
    """One run that is looked at again and again.

    Args:
        path: The run directory or its file; it need not exist yet.
        console: Where it is shown.
        clock: Seconds that only grow.
    """

    def __init__(
        self, path: Path, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._follower = Follower(path)
        self._console = console
        self._clock = clock
        self._run = Growing()
        self._examined = Examined()
        self._due = clock()
        self._quiet = 0

    @property
    def started(self) -> bool:
        """Whether there is a record."""
        return os.path.isfile(self._follower.path)  # a Path raises where a folder is closed

    @property
    def ended(self) -> bool:
        """Whether the recorder has gone and all that it left has been seen."""
        return self._quiet >= QUIET_LOOKS

    def look(self) -> None:
        """Takes what was appended since, and examines the run anew when it is time.

        Raises:
            ReadError: The record cannot be read, or has become shorter.
            AcceptError: A file of accepted findings is damaged.
        """
        new = 0
        while records := self._follower.poll():
            new += len(records)
            self._run.take(records)
        gone = self.started and held(self._follower.path.parent) is False
        self._quiet = self._quiet + 1 if gone and not new else 0
        if self._run.records and (new or self.ended) and self._clock() >= self._due:
            self.examine()

    def examine(self) -> None:
        """Diagnoses what is recorded so far; the next time waits for its share of the time."""
        if not self._run.records:
            self._examined = Examined(note="nothing to examine yet")
            return
        path = self._follower.path
        if (size := path.stat().st_size) > MOST_BYTES:
            note = f"not examined now: the record has {size / 1e9:.1f} GB; run poise diagnose"
            self._examined = replace(self._examined, note=note)
            return
        start = self._clock()
        found = diagnose(path)
        end = self._clock()
        self._examined = Examined(diagnosis=found, step=self._run.step)
        self._due = end + max(EXAMINE_S, (end - start) * (1 / SHARE - 1))

    def picture(self) -> Group:
        """What is to be shown now."""
        home = self._follower.path.parent
        return frame(
            self._run,
            str(home),
            held(home),
            self._examined,
            self._console,
            skipped=self._follower.skipped,
        )


def view(path: Path, console: Console, *, once: bool = False) -> None:
    """Shows a run while it grows, until its recorder closes it or the user interrupts.

    Args:
        path: The run directory or its file. Unless `once`, it need not exist yet.
        console: Where to. One that is no terminal gets one picture.
        once: Show one picture and end.

    Raises:
        ReadError: There is no record, or it cannot be read.
        AcceptError: A file of accepted findings is damaged.
    """
    viewing = Viewing(path, console)
    if once or not console.is_terminal:
        viewing.look()
        if not viewing.started:
            raise ReadError(
                f"{path}: expected a run directory with a run.jsonl, got none; give the path that "
                "Watch or Recorder writes to (poise diagnose reads other logs)"
            )
        console.print(viewing.picture())
        return
    with Live(viewing.picture(), console=console, auto_refresh=False) as live:
        try:
            while not viewing.ended:
                viewing.look()
                live.update(viewing.picture(), refresh=True)
                time.sleep(INTERVAL_S)
            viewing.examine()
            live.update(viewing.picture(), refresh=True)
        except KeyboardInterrupt:
            live.update(viewing.picture(), refresh=True)
