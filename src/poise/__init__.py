"""Reads, watches, measures, diagnoses and balances trainings with several loss terms.

The public names are loaded when they are first used, so that `import poise` costs nothing and
never imports torch.

Example:
    >>> import poise
    >>> poise.Severity.ERROR.rank
    0
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poise.card import inspect as inspect
    from poise.card.same import same as same
    from poise.comparing.compare import compare as compare
    from poise.comparing.comparison import Comparison as Comparison
    from poise.doctor.accept import accept as accept
    from poise.doctor.acknowledgement import Acknowledgement as Acknowledgement
    from poise.doctor.card import Card as Card
    from poise.doctor.diagnose import diagnose as diagnose
    from poise.doctor.diagnosis import Diagnosis as Diagnosis
    from poise.doctor.finding import Evidence as Evidence
    from poise.doctor.finding import Fault as Fault
    from poise.doctor.finding import Finding as Finding
    from poise.doctor.finding import Severity as Severity
    from poise.doctor.suggest import Suggestion as Suggestion
    from poise.doctor.suggest import suggest as suggest
    from poise.errors import MissingExtraError as MissingExtraError
    from poise.errors import PoiseError as PoiseError
    from poise.errors import ReadError as ReadError
    from poise.errors import RecordError as RecordError
    from poise.objective import Breakdown as Breakdown
    from poise.objective import Objective as Objective
    from poise.objective import Role as Role
    from poise.objective import Term as Term
    from poise.probe import fork as fork
    from poise.read import read_run as read_run
    from poise.record import Expect as Expect
    from poise.record import Recorder as Recorder
    from poise.reduce import Reduced as Reduced
    from poise.run import Run as Run
    from poise.watch import Watch as Watch

__version__ = "0.1.0"

_HOMES = {
    "Acknowledgement": "poise.doctor.acknowledgement",
    "Card": "poise.doctor.card",
    "Comparison": "poise.comparing.comparison",
    "Diagnosis": "poise.doctor.diagnosis",
    "Evidence": "poise.doctor.finding",
    "Expect": "poise.record",
    "Fault": "poise.doctor.finding",
    "Finding": "poise.doctor.finding",
    "MissingExtraError": "poise.errors",
    "PoiseError": "poise.errors",
    "ReadError": "poise.errors",
    "RecordError": "poise.errors",
    "Recorder": "poise.record",
    "Run": "poise.run",
    "Severity": "poise.doctor.finding",
    "Suggestion": "poise.doctor.suggest",
    "accept": "poise.doctor.accept",
    "compare": "poise.comparing.compare",
    "diagnose": "poise.doctor.diagnose",
    "read_run": "poise.read",
    "suggest": "poise.doctor.suggest",
}
_LIVE = {
    "Breakdown": "poise.objective",
    "Objective": "poise.objective",
    "Reduced": "poise.reduce",
    "Role": "poise.objective",
    "Term": "poise.objective",
    "Watch": "poise.watch",
    "fork": "poise.probe",
    "inspect": "poise.card",
    "same": "poise.card.same",
}
"""The names that need PyTorch."""

_PACKAGES = ("balance", "losses", "objective", "probe", "recipes", "reduce", "schedule", "watch")
"""Packages that are reached as attributes: `poise.schedule.Linear`."""

__all__ = ["__version__", *_HOMES, *_LIVE]  # pyright: ignore[reportUnsupportedDunderAll] -- one list, not two


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return _load(f"poise.{name}", name)
    if name not in _HOMES and name not in _LIVE:
        known = ", ".join((*_HOMES, *_LIVE))
        message = f"module 'poise' has no attribute {name!r}; its public names are {known}"
        raise AttributeError(message)
    module = _load((_HOMES | _LIVE)[name], name)
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def _load(module: str, name: str) -> object:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from poise.errors import MissingExtraError

        message = f"poise.{name} needs PyTorch, which is not installed: pip install 'poise[torch]'"
        raise MissingExtraError(message) from error


def __dir__() -> list[str]:
    return sorted(__all__)
