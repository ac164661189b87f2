"""What one measurement of the gradients of several terms says, and how to take it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from poise.errors import GraphError
from poise.probe.gramian import gramian_of
from poise.probe.quiet import quiet
from poise.probe.sharded import refuse_sharded
from poise.probe.typed import passed_back, rows

Floats = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Gradients:
    """Norms and inner products of the weighted gradients of several terms at one place.

    The products stay on the device they were computed on until a number is asked for, so a reading
    by itself never makes the host wait for a GPU.

    Attributes:
        where: `fork:<name>`, `shared` (all shared parameters) or `edge` (one tensor of the graph).
        terms: Terms that have a gradient there, in the order of the rows.
        products: K x K inner products of the weighted gradients, float64.
        absent: Terms without a gradient there: not in this batch, detached, or not connected.
        weights: The weight each gradient was multiplied with; None where the backward pass itself
            carried the weights, as at a fork.
        seconds: Wall time that the measurement took; None at a fork, where it is not a pass of
            its own.
        places: Names of the parameters, or the tensor, that the gradients were taken at.

    Example:
        >>> products = torch.tensor([[9.0, -3.0], [-3.0, 4.0]], dtype=torch.float64)
        >>> reading = Gradients(where="shared", terms=("ce", "kl"), products=products)
        >>> reading.norms
        {'ce': 3.0, 'kl': 2.0}
        >>> reading.shares
        {'ce': 0.6, 'kl': 0.4}
        >>> reading.cosine("ce", "kl")
        -0.5
    """

    where: str
    terms: tuple[str, ...]
    products: Tensor
    absent: tuple[str, ...] = ()
    weights: Floats | None = None
    seconds: float | None = None
    places: tuple[str, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        """One line; it asks for the numbers, so on a GPU it waits."""
        shares = ", ".join(f"{name} {share:.1%}" for name, share in self.shares.items())
        absent = f"; absent: {', '.join(self.absent)}" if self.absent else ""
        return f"Gradients({self.where}; shares: {shares or 'none'}{absent})"

    @property
    def gramian(self) -> list[list[float]]:
        """The K x K inner products as numbers, in the order of `terms`."""
        return rows(self.products)

    @property
    def norms(self) -> dict[str, float]:
        """L2 norm of each term's weighted gradient, in units of the loss per unit of the place."""
        return {name: math.sqrt(row[k]) for k, (name, row) in enumerate(self._rows())}

    @property
    def shares(self) -> dict[str, float]:
        """Gradient share: norm over the sum of norms; NaN where all are zero or one is NaN."""
        norms = self.norms
        whole = sum(norms.values())
        return {name: norm / whole if whole else math.nan for name, norm in norms.items()}

    @property
    def direction_shares(self) -> dict[str, float]:
        """Direction share: <g_k, g> / <g, g> with g the sum. Sums to 1; negative when opposed."""
        along = {name: sum(row) for name, row in self._rows()}
        whole = sum(along.values())
        return {name: value / whole if whole else math.nan for name, value in along.items()}

    @property
    def total_norm(self) -> float:
        """L2 norm of the summed gradient."""
        return math.sqrt(max(0.0, sum(sum(row) for _, row in self._rows())))

    def cosine(self, first: str, second: str) -> float:
        """Cosine between the gradients of two terms; NaN where one is zero or absent.

        Raises:
            KeyError: A name that no term has.
        """
        known = (*self.terms, *self.absent)
        for name in (first, second):
            if name not in known:
                near = get_close_matches(str(name), known, 1, 0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise KeyError(f"unknown term {name!r}; this reading has {', '.join(known)}.{hint}")
        if first not in self.terms or second not in self.terms:
            return math.nan
        rows, one, other = self.gramian, self.terms.index(first), self.terms.index(second)
        scale = math.sqrt(rows[one][one]) * math.sqrt(rows[other][other])
        return rows[one][other] / scale if scale else math.nan

    @property
    def conflicts(self) -> tuple[tuple[str, str], ...]:
        """Pairs of terms whose gradients have a negative inner product."""
        return tuple(
            (name, other)
            for k, (name, row) in enumerate(self._rows())
            for other, value in zip(self.terms[:k], row, strict=False)
            if value < 0
        )

    def unscaled(self, scale: float | Tensor) -> "Gradients":
        """The reading with the loss scale of mixed precision divided out."""
        return replace(self, products=self.products / _squared(scale, self.products))

    def to_record(self) -> dict[str, object]:
        """The keys of a `probe` record that this measurement fills; see docs/record.md."""
        record: dict[str, object] = {
            "where": self.where,
            "terms": list(self.terms),
            "norms": self.norms,
            "gramian": self.gramian,
        }
        if self.absent:
            record["absent"] = list(self.absent)
        if self.weights is not None:
            record["weights"] = {name: self.weights[name] for name in self.terms}
        if self.seconds is not None:
            record["seconds"] = self.seconds
        return record

    def _rows(self) -> list[tuple[str, list[float]]]:
        return list(zip(self.terms, self.gramian, strict=True))


def _squared(scale: float | Tensor, like: Tensor) -> float | Tensor:
    if isinstance(scale, Tensor):
        return scale.detach().to(like.device, torch.float64).square()
    return float(scale) ** 2


def gradients_at(
    terms: Mapping[str, Tensor],
    places: Sequence[Tensor | GradientEdge],
    *,
    names: Sequence[str] = (),
    weights: Floats | None = None,
    where: str = "shared",
) -> Gradients:
    """Gradient of every term at the given places, one backward pass a term, graph kept.

    The terms are never stacked: each pass visits only the nodes between its own term and the
    places. `.grad` of no parameter is touched. The K gradients live side by side until their inner
    products are taken: K times the memory of the places.

    Args:
        terms: Unweighted scalar losses by name, with their graph.
        places: Leaf tensors (parameters) or graph edges, the same for all terms.
        names: Names of the places, for the record.
        weights: Weight by term; 1.0 where absent.
        where: What the places are, for the record.

    Raises:
        GraphError: A term is not a scalar, the graph was already freed, or a place is sharded.

    Example:
        >>> shared = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> terms = {"sum": shared.sum(), "square": (shared**2).sum()}
        >>> gradients_at(terms, [shared], weights={"sum": 3.0}).norms["square"]
        4.47213595499958
    """
    check_terms(terms)
    start = time.perf_counter()
    factors = {name: float((weights or {}).get(name, 1.0)) for name in terms}
    each = [passed(name, term, places) for name, term in terms.items()]
    return reading_of(
        each, factors, names=tuple(names), where=where, seconds=time.perf_counter() - start
    )


def passed(
    name: str, term: Tensor, places: Sequence[Tensor | GradientEdge], factor: float = 1.0
) -> Sequence[Tensor | None]:
    """Gradient of `factor` times one term at each place; None where it has none."""
    refuse_sharded(None, (one for one in places if isinstance(one, Tensor)))
    if not term.requires_grad or not places:
        return [None] * len(places)
    try:
        with quiet():
            return passed_back(term, places, factor)
    except RuntimeError as error:
        raise impassable(name, error) from error


def impassable(name: str, error: RuntimeError) -> GraphError:
    """What to say where a term's graph cannot be passed backward."""
    return GraphError(
        f"term '{name}': expected a graph that can be passed backward and kept, got: "
        f"{str(error).splitlines()[0]} Measure before the training's own backward(); with "
        "reentrant checkpointing or a compiled loss use poise.fork."
    )


def reading_of(
    each: Sequence[Sequence[Tensor | None]],
    factors: Floats,
    *,
    names: tuple[str, ...],
    where: str,
    seconds: float,
) -> Gradients:
    """The reading of K terms' gradients, given as one row of pieces a term."""
    begin = time.perf_counter()
    found = {name: row for name, row in zip(factors, each, strict=True) if _any(row)}
    matrix = gramian_of(zip(*found.values(), strict=True))
    kept = {name: factors[name] for name in found}
    if matrix is None:
        matrix = torch.zeros(0, 0, dtype=torch.float64)
    scale = torch.tensor(list(kept.values()), dtype=torch.float64, device=matrix.device)
    return Gradients(
        where=where,
        terms=tuple(found),
        absent=tuple(name for name in factors if name not in found),
        products=matrix * scale[:, None] * scale,
        weights=kept,
        seconds=seconds + time.perf_counter() - begin,
        places=names,
    )


def _any(row: Sequence[Tensor | None]) -> bool:
    return any(one is not None for one in row)


def check_terms(terms: Mapping[str, Tensor]) -> None:
    """Refuses terms that are no scalar tensors.

    Raises:
        GraphError: A term is no tensor or has more than one element.
    """
    if not terms:
        raise GraphError("probe: expected at least one term, got none; pass {name: loss}")
    for name, term in terms.items():
        got = f"shape {tuple(term.shape)}" if isinstance(term, Tensor) else type(term).__name__  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
        if not isinstance(term, Tensor) or term.numel() != 1:  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
            raise GraphError(
                f"term '{name}': expected a scalar tensor, got {got}; reduce it first, for example "
                "with .mean()"
            )
