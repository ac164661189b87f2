"""A published method as a rule: its options by name, its memory in buffers, its failures loud."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, cast, final

import torch
from torch import Tensor

from poise.balance.checks import integer
from poise.balance.dice import seeded, thrown
from poise.balance.kept import Peer
from poise.balance.named_options import by_term
from poise.balance.peers import OFF, calm
from poise.balance.row import Row, Solver
from poise.balance.rule import GradientRule, Seen
from poise.errors import BalanceError, MissingExtraError, PoiseWarning, TermNameError

LinAlgError = cast(type[Exception], torch.linalg.LinAlgError)  # pyright: ignore[reportPrivateImportUsage] -- public in its docs
"""What torch raises for a matrix that it cannot decompose."""


@final
class MethodRule(GradientRule):
    """The weights of one method of the table.

    Args:
        row: The method.
        names: Names of all terms, in order.
        seed: For the random numbers of methods that draw some.
        **options: What the method takes; one number a term is given as a dict by name.

    Attributes:
        last: Weights last found, K in order; 1 before the first.
        seen: How many steps each term took part in.
        failures: How many steps had no answer, and kept the weights of the step before.

    Raises:
        BalanceError: The method does not take these options.
        MissingExtraError: TorchJD or a solver is not installed.
        TermNameError: An option names an unknown term or leaves one out.

    Example:
        >>> from poise.balance.method import find
        >>> rule = MethodRule(find("mgda"), ("a", "b"))
        >>> products = torch.tensor([[0.8, 0.0], [0.0, 0.2]], dtype=torch.float64)
        >>> rule(Seen(products=products, terms=("a", "b"), order=("a", "b"), step=0))
        tensor([0.2000, 0.8000], dtype=torch.float64)
    """

    last: Tensor
    seen: Tensor
    failures: Tensor

    def __init__(self, row: Row, names: Sequence[str], *, seed: int = 0, **options: object) -> None:
        super().__init__()
        self.row = row
        self.names = tuple(names)
        seed = integer(f"Method {row.name!r}", "seed", seed, 0)
        self.options = {**row.options, **options}
        self._solvers: dict[tuple[str, ...], Solver] = {}
        count = len(self.names)
        self.register_buffer("last", torch.ones(count, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(count, dtype=torch.int64))
        self.register_buffer("failures", torch.zeros((), dtype=torch.int64))
        if row.random:
            self.register_buffer("generator", seeded(seed))
        for name, (dims, first) in self._fields.items():
            start = torch.full((count,) * dims, first, dtype=torch.float64)
            self.register_buffer(f"kept_{name}", start)
        self._try()

    def __getstate__(self) -> dict[str, object]:
        """Copies make their own solvers."""
        return {**self.__dict__, "_solvers": {}}

    @property
    def _fields(self) -> Mapping[str, tuple[int, float]]:
        return self.row.kept.fields if self.row.kept else {}

    def _try(self) -> None:
        """Makes the solver and uses it once, so that a wrong option shows before the training."""
        say = f"Method {self.row.name!r}"
        try:
            solver = self._solver(self.names)
            if len(self.names) > 1:
                easy = torch.eye(len(self.names), dtype=torch.float64) / len(self.names)
                with calm(), thrown(seeded(0)):
                    solver.weigh(easy)
        except ImportError as error:
            raise MissingExtraError(f"{say}: {error}; pip install 'poise[balance]'") from error
        except (TypeError, AttributeError, KeyError, RuntimeError, *failures()) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BalanceError(
                f"{say}: expected options that its weighting in TorchJD takes, got "
                f"{self.options}: {why}; see the docs of torchjd.aggregation"
            ) from error
        self._solvers.clear()  # what has been used once remembers it

    def _solver(self, terms: tuple[str, ...]) -> Solver:
        if terms not in self._solvers:
            say = f"Method {self.row.name!r}"
            spared = self.names[:1] if self.row.primary else ()
            options = by_term(say, self.options, terms, self.names, spared)
            self._solvers[terms] = self.row.make(len(terms), options)
        return self._solvers[terms]

    def forward(self, seen: Seen) -> Tensor:
        """Weights of the present terms; see `Method` for those of zero gradient."""
        rows = [row for row, square in enumerate(seen.products.diagonal()) if square > 0]
        terms = tuple(seen.terms[row] for row in rows)
        if self.row.primary and self.names[0] not in terms:
            raise TermNameError(
                f"Method {self.row.name!r}: expected a gradient of its primary term "
                f"{self.names[0]!r} in every batch, got one of {', '.join(terms)}; name first a "
                "term that every batch has"
            )
        places = [seen.places[row] for row in rows]
        found = self._found(seen.products[rows][:, rows], terms, places)
        if found is not None:
            self.last[places] = found
        return self.last[seen.places].clone()

    def _found(self, products: Tensor, terms: tuple[str, ...], places: list[int]) -> Tensor | None:
        """The method's answer; None where it has none, which is counted and said."""
        if len(terms) == 1:
            return torch.ones(1, dtype=torch.float64)
        solver = self._solver(terms)
        dice = thrown(cast(Tensor, self.generator)) if self.row.random else nullcontext()
        try:
            with calm(), dice, torch.no_grad():
                self._put(solver.peer, places, products)
                found = solver.weigh(products)
            wrong = self._wrong(found, products)
        except failures() as error:
            found, wrong = None, f"{type(error).__name__}: {error}"
        if found is None or wrong:
            self.failures += 1
            warnings.warn(
                f"Method {self.row.name!r}: its solver found no weights for {', '.join(terms)} "
                f"({wrong}); the weights of the step before are kept",
                PoiseWarning,
                stacklevel=2,
            )
            return None
        self._take(solver.peer, places)
        return found

    def _wrong(self, found: Tensor, products: Tensor) -> str:
        if not bool(found.isfinite().all()):
            return f"it returned {cast(Any, found).tolist()}"
        if self.row.check is None:
            return ""
        off = self.row.check(found, products, self.options)
        return "" if off <= OFF else f"its answer is off by {off:.3g}, relative"

    def _put(self, peer: Peer, places: list[int], products: Tensor) -> None:
        if self.row.kept is None:
            return
        fields = {
            name: _at(self.get_buffer(f"kept_{name}"), places, dims)
            for name, (dims, _) in self._fields.items()
        }
        self.row.kept.put(peer, fields, self.seen[places], products)

    def _take(self, peer: Peer, places: list[int]) -> None:
        self.seen[places] += 1
        if self.row.kept is None:
            return
        where = torch.tensor(places)
        for name, value in self.row.kept.take(peer).items():
            kept = self.get_buffer(f"kept_{name}")
            if kept.dim() == 1:
                kept[where] = value.to(kept.dtype)
            else:
                kept[where[:, None], where] = value.to(kept.dtype)


def _at(kept: Tensor, places: list[int], dims: int) -> Tensor:
    part = kept[places]
    return part[:, places] if dims == 2 else part


def failures() -> tuple[type[Exception], ...]:
    """What a solver raises when it has no answer.

    Example:
        >>> ValueError in failures()
        True
    """
    cvxpy = sys.modules.get("cvxpy")
    own = (cvxpy.error.SolverError, cvxpy.error.DCPError) if cvxpy else ()
    return (ValueError, ArithmeticError, LinAlgError, *cast("tuple[type[Exception], ...]", own))
