"""A fabricated run with probes at two places, made from gradients that the tests know."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from poise.doctor.diagnosis import Diagnosis
from poise.run import Composition, Floats, Kind, Run, Series, Table, TermWeight
from tests.report.builders import table

TERMS = ("cls", "reg", "aux")
PROBES = 8


def gradients(seed: int = 3) -> Floats:
    """Weighted gradients, shape (probes, terms, 20): `reg` grows, `aux` opposes `cls`."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(PROBES, 3, 20)) * np.array([1.0, 0.1, 1e-7])[:, None]
    found[:, 1] *= np.linspace(1.0, 8.0, PROBES)[:, None]
    found[:, 2] -= 3e-8 * found[:, 0]
    return np.round(found, 12)


def columns(found: Floats, names: Sequence[str], suffix: str) -> dict[str, tuple[Kind, Floats]]:
    """What a reader makes of gradients, shape (n, k, d), at one place."""
    norms = np.linalg.norm(found, axis=2)
    whole = found.sum(axis=1)
    made: dict[str, tuple[Kind, Floats]] = {f"seconds{suffix}": (Kind.CLOCK, np.full(8, 2e-3))}
    for k, name in enumerate(names):
        along = (found[:, k] * whole).sum(axis=1) / (whole**2).sum(axis=1)
        made[f"gradient_norm/{name}{suffix}"] = (Kind.GRADIENT_NORM_OF_TERM, norms[:, k])
        shares = norms[:, k] / norms.sum(axis=1)
        made[f"gradient_share/{name}{suffix}"] = (Kind.GRADIENT_SHARE, shares)
        made[f"direction_share/{name}{suffix}"] = (Kind.DIRECTION_SHARE, along)
    for i, j in combinations(range(len(names)), 2):
        inner = (found[:, i] * found[:, j]).sum(axis=1)
        cosine = inner / (norms[:, i] * norms[:, j])
        made[f"cosine/{names[i]}/{names[j]}{suffix}"] = (Kind.COSINE, cosine)
    return made


def _owned(one: Series) -> Series:
    """The series with the term that its name tells."""
    parts = one.name.partition("@")[0].split("/")
    told = parts[1] if len(parts) > 1 and one.kind is not Kind.MOTION else None
    return Series(name=one.name, kind=one.kind, rows=one.rows, values=one.values, of=told)


def probes(found: Floats) -> Table:
    """The table of probes: `reg` is seen first, as after a step in which `cls` was not finite."""
    order = [1, 0, 2]
    names = [TERMS[k] for k in order]
    made = columns(found[:, order], names, "") | columns(found[:, order[:2]], names[:2], "@edge")
    for name, share in zip(TERMS, (0.7, 0.3, 3.2e-7), strict=True):
        made[f"update_share/{name}"] = (Kind.UPDATE_SHARE, np.full(PROBES, share))
        made[f"response/{name}"] = (Kind.RESPONSE, np.full(PROBES, -0.01))
    made["motion/trunk.0"] = (Kind.MOTION, np.linspace(2e-3, 1e-3, PROBES))
    made["motion/group/0"] = (Kind.MOTION, np.full(PROBES, 1e-3))
    raw = table(made, steps=np.arange(PROBES) * 10, grain="probe")
    return Table(
        split=raw.split,
        grain=raw.grain,
        steps=raw.steps,
        step_name=raw.step_name,
        segments=raw.segments,
        series={name: _owned(one) for name, one in raw.series.items()},
    )


def probed_run(found: Floats | None = None) -> Run:
    """Three terms in another order than the record declares, and their probes."""
    x = np.arange(100)
    values = {
        "reg": np.round(1.0 + 0.001 * x, 6),
        "cls": np.round(2.0 - 0.01 * x, 6),
        "aux": np.full(100, 0.5),
    }
    weights = {"cls": 1.0, "reg": 0.5, "aux": 1e-7}
    total = sum((weights[name] * one for name, one in values.items()), start=np.zeros(100))
    train = table(
        {
            "total": (Kind.TOTAL, np.round(total, 9)),
            **{name: (Kind.TERM, one) for name, one in values.items()},
            "lr": (Kind.LEARNING_RATE, np.full(100, 1e-3)),
            "grad_norm": (Kind.GRAD_NORM, np.round(1.0 + 0.01 * x, 6)),
            "grad_norm_used": (Kind.GRAD_NORM, np.round(1.0 + 0.01 * x, 6)),
        },
        steps=x,
    )
    terms = tuple(
        TermWeight(name=one, weight=weights[one], source="declared")
        for one in ("reg", "cls", "aux")
    )
    composition = Composition(
        total="total",
        terms=terms,
        residual=1e-9,
        tolerance=1e-7,
        exact=True,
        remainder=0.0,
        records=100,
        why="The run declares its weights.",
    )
    reach = {"cls": ("trunk.0.weight", "head.weight"), "reg": ("trunk.0.weight",), "aux": ()}
    return Run(
        path=Path("runs/probed"),
        format="poise",
        tables=(train, probes(gradients() if found is None else found)),
        compositions=(composition,),
        declared={"terms": TERMS, "probe_where": ("shared", "edge"), "reach": reach},
    )


def probed() -> Diagnosis:
    """A healthy run with probes."""
    return Diagnosis(run=probed_run(), findings=(), not_checked=(), passed=("lr-zero", "jump"))


def only(*kinds: Kind, terms: tuple[str, ...] = TERMS) -> Run:
    """The same run whose probes measured nothing but some kinds, of some terms."""
    run = probed_run()
    table_of = run.tables[1]
    kept = {
        name: one
        for name, one in table_of.series.items()
        if one.kind in kinds and (one.of is None or one.of in terms) and "@" not in name
    }
    probes_only = Table(
        split="train",
        grain="probe",
        steps=table_of.steps,
        step_name="step",
        segments=table_of.segments,
        series=kept,
    )
    return Run(path=run.path, format="poise", tables=(run.tables[0], probes_only))
