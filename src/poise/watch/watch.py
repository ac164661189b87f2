"""Watches a plain training loop: three lines, one record."""

import os
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import ParamSpec, Self, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from poise.balance.balancer import Balancer
from poise.errors import PoiseError, PoiseWarning, WatchError
from poise.record import Expect, Recorder
from poise.schedule import Schedule
from poise.watch.arguments import check, expect_logged, several
from poise.watch.around import Around
from poise.watch.averages import Average, Averages
from poise.watch.budget import Budget
from poise.watch.declared import Declared, names_of, resting
from poise.watch.distributed import Ranks
from poise.watch.evaluation import Means
from poise.watch.events import Events
from poise.watch.optimizer import GradientNorm, Steps, steps_in_state, trained
from poise.watch.probing import Probing
from poise.watch.responding import Again, admit
from poise.watch.resume import last_place
from poise.watch.sink import LOST, Entry, Key, Sink
from poise.watch.terms import Given, Scalar, Scalars, Summed, given
from poise.watch.writer import Writer

_Arguments = ParamSpec("_Arguments")


@final
class Watch:
    """Records a training and measures what each of its terms does to the parameters.

    A training is never stopped by its watch: what fails in recording or measuring is one
    `PoiseWarning` and counts in `failures`. Wrong use (an unknown term, a loss that is no scalar)
    raises at once. docs/watch.md tells what is seen, when, and what it costs.

    Args:
        path: Run directory; one that holds a run already is continued.
        model: Gives parameters their names; without it they are numbered.
        optimizer: One optimizer or several; without one there are no steps to see, and every
            total counts as one.
        every: Measure at one of every so many micro-batches (and at 1, 2, 4, 7, ... of the first).
        total_steps: Optimizer steps the training is meant to have.
        roles: By term: `task`, `regulariser`, `constraint`, `adversary`, `monitor`, `offset`.
        terms: All terms there are. Then any other name is refused, and a term may be absent from
            some batches. None: every batch has all terms that `weights` names.
        budget: Share of the training's time for all measuring together; 0 only records.
        shares: By term, the gradient share that is meant; divided by their sum.
        schedules: By term, the weight that is meant, a number or a schedule. Not needed for totals
            that are breakdowns: an `Objective` declares weights, roles and reductions with them.
        averages: Averages of the model's weights by name: modules such as `AveragedModel`, or
            tensors by parameter name. Declares how fast they follow.
        expect: Ranges that terms, totals or logged numbers are expected in, as `poise.Expect`.

    Attributes:
        failures: How often recording or measuring failed.
        budget: What measuring has cost so far.

    Raises:
        WatchError: An argument breaks the contract.
        TermNameError: Something is declared of a term that is not among `terms`.
        RecordError: The directory cannot be written, or another recorder has it open.

    Example:
        >>> import tempfile, torch
        >>> model = torch.nn.Linear(4, 2)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with tempfile.TemporaryDirectory() as run, Watch(run, optimizer=optimizer) as watch:
        ...     for _ in range(3):
        ...         out = model(torch.ones(1, 4))
        ...         total = watch.total({"a": out[0, 0] ** 2, "b": out[0, 1] ** 2})
        ...         total.backward()
        ...         optimizer.step()
        ...         optimizer.zero_grad()
        >>> watch.steps, watch.failures
        (3, 0)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        model: nn.Module | None = None,
        optimizer: Optimizer | Sequence[Optimizer] | None = None,
        every: int = 50,
        total_steps: int | None = None,
        roles: Mapping[str, str] | None = None,
        terms: Iterable[str] | None = None,
        budget: float = 0.01,
        shares: Mapping[str, float] | None = None,
        schedules: Mapping[str, float | Schedule] | None = None,
        averages: Mapping[str, Average] | None = None,
        expect: Sequence[Expect] = (),
    ) -> None:
        check(path, model, every, budget, roles, terms)
        optimizers = several(optimizer)
        self.failures = 0
        self._lock = threading.RLock()
        self._closed = False
        self._terms = tuple(terms or ())
        self._declared = Declared(
            roles=roles, shares=shares, schedules=schedules, total_steps=total_steps, expect=expect
        )
        if self._terms:
            self._declared.check(self._terms)
        averaged = Averages(averages or {}, model)
        self._ranks = Ranks()
        place = last_place(path)
        recorder = None
        if self._ranks.writes:
            shares = self._declared.shares
            recorder = Recorder(
                path, terms=self._terms, shares=shares, roles=roles, total_steps=total_steps
            )
        self._writer = Writer(recorder, self._ranks)
        self._model = model
        self._steps = Steps(optimizers, before=self._before_step, after=self._after_step)
        self._resumed = place is not None
        self._base, self._micro = place or (0, 0)
        self._steps.start_at(self._base)
        self._batch = 0
        self.budget = Budget(budget, every=every)
        self._events = Events(recorder)
        self._probing = Probing(self.budget, model, self._steps, self._writer.probe, self._events)
        self._around = Around(self.budget, model, averaged, self._writer.probe, self._events)
        self._norm: GradientNorm | None = None
        self._armed = 0
        self._entry: Entry | None = None
        self._early: list[tuple[Key, Scalar]] = []
        self._sink = Sink(self._writer.steps, batch=every, even=self._ranks.size > 1)
        self._evaluating: Sink | None = None

    @property
    def steps(self) -> int:
        """Optimizer steps so far, those before a restart included."""
        return self._steps.done

    def total(
        self,
        terms: Scalars | Summed,
        weights: Scalars | Balancer | None = None,
        *,
        counts: Scalars | None = None,
        again: Again | None = None,
    ) -> Tensor:
        """The weighted sum of the terms, with its graph; recorded, and measured now and then.

        Call it once for every micro-batch, before its backward pass. The sum is
        `w1 * t1 + w2 * t2 + ...` from left to right in the order of `terms`.

        Args:
            terms: Unweighted scalar losses by name, or a `Breakdown`, whose total is handed back.
            weights: Weight by term, a number or a scalar tensor; None: every weight is 1; or a
                balancer, whose `total(terms)` is handed back.
            counts: By term, how many elements or tokens its mean was taken over.
            again: Computes the terms of this batch anew. Now and then it is called after the
                optimizer step, without gradients, and the record gets what the step did to each
                term: its step response. Needs `Watch(model=...)`.

        Raises:
            TermNameError: A term is unknown, or it or its weight is missing, or something was
                declared of a term that there is not.
            TermValueError: A term or weight is no real scalar.
            WatchError: `again` cannot be called, or there is no model.
        """
        admit(again, self._model)
        found = given(terms, weights, counts, declared=self._terms)
        if not self._batch and not self._terms and self._evaluating is None:
            self._declared.check(names_of(terms))
        with self._lock:
            self._guard(self._take, found, terms, again)
        return found.total

    def log(self, **scalars: Scalar) -> None:
        """Records anything else beside the current micro-batch or evaluation.

        `grad_norm` is the gradient norm before clipping, as `clip_grad_norm_` returns it.

        Raises:
            TermValueError: A value is no real scalar.
        """
        for name, value in scalars.items():
            expect_logged(name, value)
        with self._lock:
            self._guard(self._log, scalars)

    @contextmanager
    def evaluation(self, split: str = "eval") -> Generator[Self]:
        """Totals inside are one evaluation: their means are recorded at its end, as `split`.

        Means are over all batches, a term with counts weighted by them. An evaluation that ends
        with an exception is not recorded.

        Raises:
            WatchError: An evaluation inside another, or a split called `train`.
        """
        if split == "train" or self._evaluating is not None:
            got = "the split 'train'" if split == "train" else "an evaluation inside another"
            raise WatchError(
                f"Watch.evaluation: expected one evaluation at a time of a split other than "
                f"'train', got {got}; end the other one first or rename it"
            )
        means = Means()
        with self._lock:
            self._guard(self._finish)
            self._evaluating = Sink(means.take, batch=self.budget.every)
        try:
            yield self
            with self._lock:
                self._guard(self._evaluating.flush)
                micro = self._micro if self._steps.optimizers else None
                self._guard(self._writer.evaluation, (self._steps.done, micro), split, means)
        finally:
            self._evaluating = None

    def close(self) -> None:
        """Writes what is left and removes all hooks; a second call does nothing.

        With several ranks every rank must call it.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._guard(self._finish)
            self._probing.close()
            self._steps.close()
            if self._norm is not None:
                self._norm.close()
            self._guard(self._sink.flush)
            self._guard(self._ranks.part)
            self._guard(self._writer.close)

    def __enter__(self) -> Self:
        if self._closed:
            raise WatchError("Watch: expected one that is open, got a closed one; make another one")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._guard(self._ranks.part)  # the other ranks may be anywhere
        self.close()

    # One micro-batch.

    def _take(self, found: Given, terms: object, again: Again | None) -> None:
        if self._closed:
            raise WatchError("Watch.total: it is closed, so nothing is recorded any more")
        entry = Entry(step=self._steps.done, micro=self._micro)
        if self._evaluating is not None:
            entry.put([*found.pairs(), *found.marks()])
            self._evaluating.take(entry)
            return
        self._finish()
        if not self._batch:
            self._first(found)
            entry.step = self._steps.done
        candidate = self.budget.candidate(self._batch, tuple(found.values))
        looked = found.total if candidate or not self._batch else None
        self._steps.begin(looked, found.values.values())
        if not self._steps.optimizers:
            entry.step = self._base + self._batch
            self._steps.start_at(entry.step + 1)
        entry.put(
            [*found.pairs(), *resting(terms, self._terms), *self._steps.rates(), *self._early]
        )
        self._early.clear()
        self._entry = entry
        self._guard(self._tell, terms, entry.step)
        self._guard(self._probing.at, (entry.step, entry.micro), found)
        if self._steps.optimizers and not found.total.requires_grad and torch.is_grad_enabled():
            self._guard(self._events.no_graph, entry.step)
        self._guard(self._around.begin, (entry.step, entry.micro))
        if candidate:
            self._guard(self._measure, found)
        if again is not None and self._ranks.size == 1 and self._steps.optimizers:
            self._guard(self._around.ask, found, again, candidate=candidate)
        self._batch += 1
        self._micro += 1

    def _first(self, found: Given) -> None:
        """What is known only now: the terms, and the state that was loaded into the optimizers."""
        self.budget.begin()
        state = steps_in_state(self._steps.optimizers) if self._resumed else None
        if state is not None:
            self._steps.start_at(state)
        watching = {"every": self.budget.every, "budget": self.budget.fraction}
        self._writer.declare(found, self._model, self._steps.optimizers, watching)
        self._probing.begin()

    def _tell(self, terms: object, step: int) -> None:
        self._declared.take(terms, step)
        if news := self._declared.news(step):
            self._writer.tell(news)

    def _measure(self, found: Given) -> None:
        if not self._ranks.writes:
            return
        self._probing.look(found)
        if self._norm is not None:
            # no step comes; do not look for ever
            if self._batch - self._armed >= self.budget.every:
                self._norm.close()
                self._norm = None
        elif self.budget.due("motion") and self._steps.optimizers:
            if not self._steps.inside:  # a closure's gradients are not those of the next step
                self._norm = GradientNorm(self._steps.parameters(), found.total)
                self._armed = self._batch
            self._probing.arm()
            self._around.arm()

    def _finish(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            lost = self._steps.lost()
            if lost is not None:
                entry.put([((LOST, ""), lost)])
            if self._steps.unused:
                self._events.unused(entry.step)
            self._sink.take(entry)
            self._probing.finish()
            self._around.finish(self._steps.done)

    def _log(self, scalars: Mapping[str, Scalar]) -> None:
        pairs: list[tuple[Key, Scalar]] = [
            (("grad_norm", "") if name == "grad_norm" else ("log", name), value)
            for name, value in scalars.items()
        ]
        if self._evaluating is not None:
            entry = Entry(step=self._steps.done, micro=self._micro)
            entry.put(pairs)
            self._evaluating.take(entry)
        elif self._entry is not None:
            self._entry.put(pairs)
        else:
            known = dict(self._early) | dict(pairs)
            self._early = list(known.items())

    # One optimizer step.

    def _before_step(self, optimizer: Optimizer) -> None:
        with self._lock:
            self._guard(self._see_step, optimizer)

    def _see_step(self, optimizer: Optimizer) -> None:
        if self._entry is None:
            return
        self._entry.put(self._steps.rates())
        found = getattr(optimizer, "found_inf", None)  # a fused optimizer skips by itself
        if isinstance(found, Tensor):
            self._entry.put([(("skipped", ""), found.detach().reshape(()))])
        if self._norm is not None:
            norm, self._norm = self._norm, None
            with self.budget.charged("motion"):
                own, accumulated = trained(optimizer), self._steps.accumulated
                before, after = norm.result(own, accumulated=accumulated)
                logged = self._entry.has(("grad_norm", ""))
                if before is not None and self._ranks.size == 1 and not logged:
                    self._entry.put([(("grad_norm", ""), before)])
                if after is not None:
                    scale = getattr(optimizer, "grad_scale", None)  # a fused one unscales by itself
                    used = after if scale is None else after / scale.to(after.device)
                    self._entry.put([(("grad_norm_used", ""), used.reshape(()))])
        self._probing.before_step(optimizer)

    def _after_step(self) -> None:
        with self._lock:
            self._guard(self._probing.after_step)
            self._guard(self._around.after_step)

    def _guard(
        self,
        act: Callable[_Arguments, object],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> None:
        """Does something that must not stop the training."""
        try:
            act(*args, **kwargs)
        except Exception as error:  # whatever it is, the training goes on
            self.failures += 1
            if self.failures == 1:
                own = isinstance(error, PoiseError)
                what = f"{error}" if own else f"Watch: {type(error).__name__}: {error}"
                then = "the training goes on, and .failures counts what could not be recorded"
                warnings.warn(f"{what}; {then} or measured", PoiseWarning, stacklevel=4)
