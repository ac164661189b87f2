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


class ReportError(PoiseError):
    """A report cannot be written."""
