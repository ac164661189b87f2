"""Watched runs built in memory: `from tests.doctor.build_probes import watched`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from poise.run import Event, Kind, Run
from tests.doctor.build import Columns, make_run, make_table

RECORDS = 200
ADAM = ({"class": "AdamW", "groups": 1, "elements": 100},)
SGD = ({"class": "SGD", "groups": 1, "elements": 100},)


def fall(start: float, end: float, rng: np.random.Generator, count: int = RECORDS) -> np.ndarray:
    """A loss that falls from `start` to `end`, with 1% of noise."""
    path = end + (start - end) * np.exp(-5 * np.arange(count) / count)
    return path * (1 + 0.01 * rng.standard_normal(count))


def watched(
    terms: Columns,
    *,
    shares: Mapping[str, ArrayLike] | None = None,
    norms: Mapping[str, ArrayLike] | None = None,
    cosines: Mapping[tuple[str, str], ArrayLike] | None = None,
    motion: Mapping[str, ArrayLike] | None = None,
    probe_steps: ArrayLike | None = None,
    wheres: Sequence[str] = ("shared",),
    micro: ArrayLike | None = None,
    grad_norm_used: ArrayLike | None = None,
    term_counts: Mapping[str, float] | None = None,
    optimizers: Sequence[Mapping[str, object]] = ADAM,
    reach: Mapping[str, Sequence[str]] | None = None,
    declared: Mapping[str, object] | None = None,
    events: Sequence[Event] = (),
    **given: object,
) -> Run:
    """A run as `poise.Watch` records one.

    Args:
        terms: As for `make_run`.
        shares: Gradient shares by term, one value a probe; a number stands for all probes.
        norms: Norms of the weighted gradients; shares follow from them if not given.
        cosines: By pair of terms.
        motion: By module.
        probe_steps: Steps of the probes; evenly spread by default.
        wheres: Places that were measured; all quantities are at the first.
        micro: Micro-batch counter of every record.
        grad_norm_used: Gradient norm after clipping of every record.
        term_counts: Elements that each term's mean is taken over.
        optimizers: As a watch declares them.
        reach: Parameters by term; one shared `trunk.weight` and a head each by default.
        declared: Further declarations.
        events: Events.
        given: Passed on to `make_run`.
    """
    heads = {name: ("trunk.weight", f"{name}_head.weight") for name in terms}
    facts = {
        "optimizers": optimizers,
        "reach": heads if reach is None else dict(reach),
        "probe_where": tuple(wheres),
        **(declared or {}),
    }
    run = make_run(terms, declared=facts, events=events, **given)  # type: ignore[arg-type]  # passed on
    extra = {
        "micro": (Kind.POSITION, micro, None),
        "grad_norm_used": (Kind.GRAD_NORM, grad_norm_used, None),
    }
    columns = {
        name: (one.kind, (one.rows, one.values), one.of) for name, one in run.train.series.items()
    }
    columns |= {name: told for name, told in extra.items() if told[1] is not None}  # type: ignore[misc]  # None is left out
    size = len(run.train)
    for name, count in (term_counts or {}).items():
        columns[f"count/{name}"] = (Kind.COUNT, (np.arange(size), np.full(size, count)), name)
    train = make_table(columns, steps=run.train.steps)
    tables = [train, *run.tables[1:]]
    measured = _measured(shares, norms, cosines, motion)
    if measured:
        count = max(np.size(values) for _, values, _ in measured.values())
        steps = np.linspace(0, run.train.steps[-1], max(count, 2)).astype(int)[:count]
        where = steps if probe_steps is None else np.asarray(probe_steps)
        wide = {
            name: (kind, np.broadcast_to(np.asarray(values, float), len(where)), of)
            for name, (kind, values, of) in measured.items()
        }
        tables.append(make_table(wide, grain="probe", steps=where))
    return replace(run, tables=tuple(tables), format="poise")


def _measured(
    shares: Mapping[str, ArrayLike] | None,
    norms: Mapping[str, ArrayLike] | None,
    cosines: Mapping[tuple[str, str], ArrayLike] | None,
    motion: Mapping[str, ArrayLike] | None,
) -> dict[str, tuple[Kind, ArrayLike, str | None]]:
    if norms is not None and shares is None:
        whole = sum(np.asarray(one, float) for one in norms.values())
        shares = {name: np.asarray(one, float) / whole for name, one in norms.items()}
    found: dict[str, tuple[Kind, ArrayLike, str | None]] = {}
    for name, one in (norms or {}).items():
        found[f"gradient_norm/{name}"] = (Kind.GRADIENT_NORM_OF_TERM, one, name)
    for name, one in (shares or {}).items():
        found[f"gradient_share/{name}"] = (Kind.GRADIENT_SHARE, one, name)
    for (first, second), one in (cosines or {}).items():
        found[f"cosine/{first}/{second}"] = (Kind.COSINE, one, first)
    for name, one in (motion or {}).items():
        found[f"motion/{name}"] = (Kind.MOTION, one, None)
    return found
