"""Every exception poise raises on purpose.

Each message is one line and says who, what was expected, what was got and what to do next.
"""


class PoiseError(Exception):
    """Base of all errors that poise raises on purpose."""


class ReadError(PoiseError):
    """A path cannot be read as a training log."""


class RecordError(PoiseError):
    """A run record is used against its contract."""


class PoiseWarning(UserWarning):
    """Something went wrong that must not stop a training, such as a record that was not written."""


class RuleNameError(PoiseError, KeyError):
    """No rule has the name that was asked for."""

    def __str__(self) -> str:
        return str(self.args[0])


class AcceptError(PoiseError, ValueError):
    """A finding cannot be accepted as asked, or a file of accepted ones cannot be used."""


class ReportError(PoiseError):
    """A report cannot be written."""


class ScheduleError(PoiseError, ValueError):
    """A schedule is made of values that do not fit together, or is asked for an impossible step."""


class ReductionError(PoiseError, ValueError):
    """Values, masks or counts cannot be reduced as asked."""


class TermError(PoiseError):
    """A loss term is declared or used in a way that cannot work."""


class TermNameError(TermError):
    """A term is unknown, missing or named twice."""


class TermValueError(TermError):
    """A term's value is no real, floating scalar."""


class TermGraphError(TermError):
    """A term that should send a gradient has no graph to send it through."""


class StateError(PoiseError):
    """A saved state does not belong to the object it is loaded into."""


class ForkError(PoiseError):
    """A fork is given names or tensors that it cannot hand out."""


class GraphError(PoiseError):
    """A probe is given terms, parameters or a graph that it cannot measure."""


class BalanceError(PoiseError, ValueError):
    """A balancer is made of options that do not fit, or is asked for what its rule cannot do."""


class LossError(PoiseError, ValueError):
    """A loss term is given tensors or options that do not fit together."""


class WatchError(PoiseError):
    """A training is watched against the contract of Watch: a term that is unknown or no scalar."""


class SuggestionError(PoiseError, ValueError):
    """No weights can be suggested: gradients are unknown or zero, or the wished shares are none."""


class CompareError(PoiseError, ValueError):
    """Two runs have nothing in common that could be compared, or are asked for in a wrong way."""


class MissingExtraError(PoiseError, ImportError):
    """A part of poise needs a package that is not installed."""


class InspectError(PoiseError, ValueError):
    """A loss function or its example cannot be inspected as given."""


class ExpectationError(PoiseError, ValueError):
    """An expectation of a run is spelled wrongly, leaves no range, or names what the run lacks."""


class RecipeError(PoiseError, ValueError):
    """A recipe, a variant or its data are asked for that cannot be run."""
