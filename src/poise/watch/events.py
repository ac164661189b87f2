"""What a watch says about itself: that measuring failed, or that there is nothing to measure."""

import warnings

from poise.errors import PoiseWarning
from poise.record.recorder import Recorder

FAILED = "probe-failed"
"""Event whose text names the instruments, the class of the error and its message."""
NO_GRAPH = "no-graph"
"""Event of a total of the training none of whose terms has a graph."""
UNUSED = "total-unused"
"""Event of an optimizer step before which the total was not passed backward."""
OFTEN = 3
"""So many of the latter are written: one may be a batch that was thrown away."""


class Events:
    """Writes each event once.

    Args:
        recorder: None where nothing is written.

    Example:
        >>> import tempfile
        >>> from poise.record import read_record
        >>> with tempfile.TemporaryDirectory() as run:
        ...     with Recorder(run) as recorder:
        ...         events = Events(recorder)
        ...         events.failed("edge", ValueError("no way back"), 7)
        ...         events.failed("edge", ValueError("no way back"), 8)
        ...     [(one.name, one.text) for one in read_record(run).events]
        [('probe-failed', 'edge: ValueError: no way back')]
    """

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._said: set[tuple[str, str]] = set()

    def failed(self, instrument: str, why: Exception | str, step: int) -> None:
        """An instrument cannot measure.

        Args:
            instrument: Its name, or several.
            why: The error, or what it would have been.
            step: Optimizer steps done.
        """
        text = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
        self._say(FAILED, f"{instrument}: {text}", instrument, step)

    def no_graph(self, step: int) -> None:
        """A total has no graph although gradients are enabled; warns, too."""
        if (NO_GRAPH, "") in self._said:
            return
        self._say(NO_GRAPH, "no term of this total has a graph", "", step)
        warnings.warn(
            "Watch.total: expected terms with their graph, got none with one, so nothing can be "
            "learned from this total or measured on it; pass the losses themselves, not "
            ".item() or .detach(), and evaluate inside watch.evaluation()",
            PoiseWarning,
            stacklevel=6,
        )

    def unused(self, step: int) -> None:
        """An optimizer stepped, and the total of its micro-batch was not passed backward."""
        count = sum(name == UNUSED for name, _ in self._said)
        if count < OFTEN:
            self._say(UNUSED, "a step came without this total's backward", str(count), step)

    def _say(self, name: str, text: str, key: str, step: int) -> None:
        if (name, key) in self._said:
            return
        self._said.add((name, key))
        if self._recorder is not None:
            self._recorder.event(name, text, step=step)
