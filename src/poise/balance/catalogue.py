"""The list of all balancers."""

from dataclasses import dataclass

from poise.balance.method import METHODS
from poise.balance.scalarizer import SCALARIZERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One balancer.

    Attributes:
        make: How it is made.
        by: `gradients` or `values`: what it looks at.
        paper: Where it is published.
        promises: What its weights promise; see `poise.balance.row.Promise`.
        needs: Packages it needs besides PyTorch.
        memory: Does it remember earlier steps?
        note: What to know before using it.

    Example:
        >>> Entry(make="Fixed(weights)", by="gradients").memory
        False
    """

    make: str
    by: str
    paper: str = ""
    promises: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    memory: bool = False
    note: str = ""


OWN = (
    Entry(make="Fixed(weights)", by="gradients", promises=("equivariant",)),
    Entry(
        make="GradientShare(shares)",
        by="gradients",
        promises=("equivariant", "nonnegative", "own scale"),
        memory=True,
    ),
    Entry(
        make="GradNorm(names)",
        by="gradients",
        paper="https://arxiv.org/abs/1711.02257",
        promises=("equivariant", "nonnegative"),
        memory=True,
        note="positive weights that sum to K; no second backward pass",
    ),
    Entry(
        make="Uncertainty(names)",
        by="values",
        paper="https://arxiv.org/abs/1705.07115",
        promises=("equivariant",),
        memory=True,
        note="give .parameters() to the optimizer; the total can be negative",
    ),
    Entry(
        make="RunningMean(weights)",
        by="values",
        promises=("equivariant", "own scale"),
        memory=True,
        note="starves terms whose value is large while their gradient is not",
    ),
)
"""Those that need no other package."""


def methods() -> dict[str, Entry]:
    """Every balancer by its name, with what it looks at, promises and needs.

    Example:
        >>> methods()["upgrad"].make
        "Method('upgrad', names)"
        >>> methods()["famo"].by
        'values'
        >>> "mean" in methods(), "scalarizer mean" in methods()
        (True, True)
    """
    found = {entry.make.partition("(")[0]: entry for entry in OWN}
    for row in METHODS.values():
        found[row.name] = Entry(
            make=f"Method({row.name!r}, names)",
            by="gradients",
            paper=row.paper,
            promises=tuple(sorted(row.promises)),
            needs=("torchjd", *row.needs),
            memory=row.kept is not None,
            note=row.note,
        )
    for line in SCALARIZERS.values():
        name = f"scalarizer {line.name}" if line.name in METHODS else line.name
        found[name] = Entry(
            make=f"Scalarizer({line.name!r}, names)",
            by="values",
            paper=line.paper,
            needs=("torchjd",),
            memory=line.lasting is not None or bool(line.learned),
            note=line.note,
        )
    return found
