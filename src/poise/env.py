"""Versions and capabilities for a bug report: `python -m poise.env`.

Nothing here may fail: what cannot be found out is said to be so, with the reason.

Example:
    >>> [name for name, _ in report()][:3]
    ['poise', 'python', 'platform']
"""

import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from types import ModuleType

Line = tuple[str, str]
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


def report() -> list[Line]:
    """Everything, as pairs of what and which, in the order of printing."""
    lines = [
        ("poise", _safely(_poise)),
        ("python", _safely(lambda: f"{platform.python_version()} ({sys.executable})")),
        ("platform", _safely(platform.platform)),
        ("processors", _safely(lambda: f"{os.cpu_count()}, usable {_usable()}")),
    ]
    for part in (_packages, _torch, _terminal):
        try:
            lines += part()
        except Exception as error:  # a broken installation is what a bug report is about
            lines.append((part.__name__.strip("_"), _why(error)))
    return lines


def _safely(found: Callable[[], str]) -> str:
    try:
        return found()
    except Exception as error:  # as above
        return _why(error)


def _why(error: Exception) -> str:
    return f"cannot be found out: {type(error).__name__}: {error}".splitlines()[0]


def _poise() -> str:
    import poise

    return f"{poise.__version__} ({os.path.dirname(poise.__file__)})"


def _usable() -> int:
    count = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count else os.cpu_count() or 0


def _packages() -> Iterator[Line]:
    """Each dependency with its version, those of extras with the extra's name."""
    try:
        wanted = metadata.requires("poise") or []
    except metadata.PackageNotFoundError:
        yield "packages", "unknown: poise is imported from a folder, not installed"
        return
    extras: dict[str, list[str]] = {}
    for one in wanted:
        name, extra = _NAME.match(one), _EXTRA.search(one)
        if name is not None and name[0] != "poise":
            extras.setdefault(name[0], []).extend([extra[1]] if extra else [])
    for name, of in extras.items():
        label = f"{name} [{', '.join(sorted(of))}]" if of else name
        yield label, _safely(lambda name=name: _version(name))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _torch() -> Iterator[Line]:
    """The build of PyTorch and the devices it sees; one line if it cannot be imported."""
    try:
        torch = import_module("torch")
    except Exception as error:  # an absent or broken PyTorch must not hide the rest
        yield "torch build", f"cannot be imported: {type(error).__name__}: {error}".splitlines()[0]
        return
    yield "torch build", _safely(lambda: f"{torch.__version__}, CUDA {torch.version.cuda}")
    yield "torch threads", _safely(lambda: str(torch.get_num_threads()))
    yield "CUDA devices", _safely(lambda: _devices(torch))
    yield "MPS", _safely(lambda: _yes(torch.backends.mps.is_available()))
    yield "torch.distributed", _safely(lambda: _yes(torch.distributed.is_available()))


def _devices(torch: ModuleType) -> str:
    if not torch.cuda.is_available():
        return "none"
    names = (torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count()))
    return ", ".join(names)


def _yes(found: object) -> str:
    return "yes" if found else "no"


def _terminal() -> Iterator[Line]:
    stream = sys.stdout
    yield "terminal", _yes(stream.isatty())
    yield "encoding", str(stream.encoding)
    yield "TERM", os.environ.get("TERM", "not set")
    size = os.get_terminal_size() if stream.isatty() else None
    yield "size", f"{size.columns} x {size.lines}" if size else "none"


def main() -> None:
    """Prints the report."""
    lines = report()
    width = max(len(name) for name, _ in lines)
    text = "".join(f"{name.ljust(width)}  {value}\n" for name, value in lines)
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


if __name__ == "__main__":
    main()
