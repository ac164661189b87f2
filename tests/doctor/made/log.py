"""Made-up trainings as the text of a log: read back as a user's log is, names and rounding too."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from poise.doctor import Diagnosis, diagnose
from tests.doctor.made.noise import Maker

Columns: TypeAlias = Mapping[str, ArrayLike | tuple[ArrayLike, ArrayLike]]
"""Values of every record, or a pair of record numbers and the values there."""

Made: TypeAlias = Callable[[Maker], Columns]

FORMATS = ("{:.4f}", "{:.5g}", "{:.6g}", "{!r}")


def write(columns: Columns, path: Path, form: str) -> Path:
    """Writes one CSV line for each record, with empty cells where a quantity is not logged."""
    step = np.asarray(columns["step"], np.int64)
    cells = [[str(one) for one in step]]
    names = [name for name in columns if name != "step"]
    for name in names:
        given = columns[name]
        cells.append([""] * len(step))
        rows, values = given if isinstance(given, tuple) else (np.arange(len(step)), given)
        small = name.startswith(("lr", "grad"))
        for row, value in zip(np.asarray(rows), np.asarray(values, np.float64), strict=True):
            cells[-1][row] = ("{:.6g}" if small else form).format(float(value))
    lines = [",".join(("step", *names)), *(",".join(line) for line in zip(*cells, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def examine(made: Made, seed: int, folder: Path) -> Diagnosis:
    """The diagnosis of one made-up training, read from its log."""
    rng = np.random.default_rng([seed, *made.__name__.encode()])
    maker = Maker(rng)
    columns = {"step": maker.at * int(rng.choice([1, 10, 50])), **made(maker)}
    form = FORMATS[int(rng.integers(len(FORMATS)))]
    return diagnose(write(columns, folder / f"{made.__name__}_{seed}.csv", form))
