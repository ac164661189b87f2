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
    from poise.doctor.diagnose import diagnose as diagnose
    from poise.doctor.diagnosis import Diagnosis as Diagnosis
    from poise.doctor.finding import Evidence as Evidence
    from poise.doctor.finding import Fault as Fault
    from poise.doctor.finding import Finding as Finding
    from poise.doctor.finding import Severity as Severity
    from poise.errors import PoiseError as PoiseError
    from poise.errors import ReadError as ReadError
    from poise.errors import RecordError as RecordError
    from poise.read import read_run as read_run
    from poise.record import Recorder as Recorder
    from poise.run import Run as Run

__version__ = "0.1.0"

_HOMES = {
    "Diagnosis": "poise.doctor.diagnosis",
    "Evidence": "poise.doctor.finding",
    "Fault": "poise.doctor.finding",
    "Finding": "poise.doctor.finding",
    "PoiseError": "poise.errors",
    "ReadError": "poise.errors",
    "RecordError": "poise.errors",
    "Recorder": "poise.record",
    "Run": "poise.run",
    "Severity": "poise.doctor.finding",
    "diagnose": "poise.doctor.diagnose",
    "read_run": "poise.read",
}
__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll] -- one list, not two


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        known = ", ".join(_HOMES)
        message = f"module 'poise' has no attribute {name!r}; its public names are {known}"
        raise AttributeError(message)
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
