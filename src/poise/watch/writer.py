"""From numbers to lines of the record, those of all ranks together."""

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from poise.record.recorder import Recorder
from poise.watch.distributed import Ranks, numbers_of, reduced
from poise.watch.evaluation import Means
from poise.watch.facts import facts, last_operations
from poise.watch.sink import LOST, Entry, Numbers, grouped, on_host
from poise.watch.terms import Given, Scalar


class Writer:
    """Writes on rank 0; on the other ranks it only hands in what rank 0 writes.

    Args:
        recorder: None on the other ranks.
        ranks: Who takes part.
    """

    def __init__(self, recorder: Recorder | None, ranks: Ranks) -> None:
        self._recorder = recorder
        self._ranks = ranks

    def declare(
        self,
        found: Given,
        model: nn.Module | None,
        optimizers: Sequence[Optimizer],
        watching: Mapping[str, object],
    ) -> None:
        """Declares the terms and weights of the first total, and the facts."""
        if self._recorder is None:
            return
        known = {"watch": {**watching, "ranks": self._ranks.size}, **facts(model, optimizers)}
        known |= last_operations(found.values)
        weights = {name: _plain(one) for name, one in found.weights.items() if _at_hand(one)}
        self._recorder.declare(terms=found.values, weights=weights, facts=known)

    def tell(self, facts: Mapping[str, object]) -> None:
        """Declares facts that became known only later."""
        if self._recorder is not None:
            self._recorder.declare(facts=facts)

    def steps(self, entries: Sequence[Entry]) -> None:
        """Writes micro-batches. A collective: with several ranks every rank must come.

        Raises:
            Exception: One of them cannot be written; all others are.
        """
        mine = numbers_of(entries)
        everyone = self._ranks.gather(mine)
        failures: list[Exception] = []
        for numbers in mine if everyone == [mine] else reduced(everyone):
            try:
                self._step(numbers)
            except Exception as error:  # whatever it is, it is the fault of this one alone
                failures.append(error)
        if failures:
            raise failures[0]

    def evaluation(self, at: tuple[int, int | None], split: str, means: Means) -> None:
        """Writes an evaluation, after so many steps and micro-batches.

        A collective: with several ranks every rank must come.
        """
        numbers = Means().merge(self._ranks.gather(means)).result()
        if numbers and self._recorder is not None:
            groups = grouped(numbers)
            self._recorder.eval(
                at[0],
                split=split,
                micro=at[1],
                total=_only(groups, "total"),
                terms=groups.get("terms"),
                weights=groups.get("weights"),
                counts=groups.get("counts"),
                log=groups.get("log"),
            )

    def probe(self, record: Mapping[str, object], at: tuple[int, int]) -> None:
        """Writes a measurement, taken at a step and a micro-batch."""
        if self._recorder is not None:
            self._recorder.probe(at[0], micro=at[1], **record)

    def close(self) -> None:
        """Ends the record."""
        if self._recorder is not None:
            self._recorder.close()

    def _step(self, numbers: Numbers) -> None:
        if self._recorder is None:
            return
        groups = grouped(numbers)
        lost = _only(groups, LOST)
        skipped = _only(groups, "skipped") or (lost is not None and math.isnan(lost))
        self._recorder.step(
            int(groups["at"]["step"]),
            micro=int(groups["at"]["micro"]),
            total=_only(groups, "total"),
            terms=groups.get("terms"),
            weights=groups.get("weights"),
            counts=groups.get("counts"),
            lr=list(groups["lr"].values()) if "lr" in groups else None,
            grad_norm=_only(groups, "grad_norm"),
            grad_norm_used=_only(groups, "grad_norm_used"),
            skipped=1 if skipped else None,
            discarded=1 if lost is not None and not skipped else None,
            log=groups.get("log"),
        )


def _only(groups: Mapping[str, Mapping[str, float]], group: str) -> float | None:
    """The number of a group that has no names."""
    return groups.get(group, {}).get("")


def _plain(one: Scalar) -> float:
    return one.detach().item() if isinstance(one, Tensor) else float(one)


def _at_hand(one: Scalar) -> bool:
    return isinstance(one, (int, float)) or on_host(one)
