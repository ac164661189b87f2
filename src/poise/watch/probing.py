"""The probes that a watch uses, each when its account allows it."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from poise.probe.collective import collective, nodes_behind, processes
from poise.probe.finite import check_finite
from poise.probe.graph import Graph
from poise.probe.guard import guard
from poise.probe.half import has_half, scale_for
from poise.probe.motion import MotionProbe
from poise.probe.retained import Retained
from poise.probe.sharded import fully_sharded, sharded
from poise.probe.shared import Shared, at_bottleneck, at_shared
from poise.probe.unexplained import Unexplained
from poise.probe.weight import Proportion, weight_followed
from poise.watch.budget import PARTS, Budget
from poise.watch.events import Events
from poise.watch.facts import NAMED
from poise.watch.hearing import FORKS, Hearing
from poise.watch.optimizer import Steps
from poise.watch.ran import Ran
from poise.watch.reaching import Reaching
from poise.watch.terms import Given

Place = tuple[int, int]
"""Optimizer steps and micro-batches done."""
Write = Callable[[Mapping[str, object], Place], None]
GRADIENTS = ("shared", "edge")
"""The instruments that pass backward themselves."""


class Probing:
    """Measures gradients of the terms, and how far one optimizer step moves the parameters.

    Everything happens on the graph that the training made anyway, before its own backward pass.
    A measurement that fails is not tried again; what is recorded goes on. Where a backward pass
    waits for other processes none is made, as only one of them measures.

    Args:
        budget: Says when.
        model: Gives parameters their names.
        steps: The training's optimizers.
        write: Takes a probe record and where it was taken.
        events: Is told what cannot be measured.
    """

    def __init__(
        self,
        budget: Budget,
        model: nn.Module | None,
        steps: Steps,
        write: Write,
        events: Events,
    ) -> None:
        self._budget = budget
        self._model = model
        self._steps = steps
        self._write = write
        self._events = events
        self._reaching = Reaching()
        self._retained = Retained()
        self._hearing = Hearing()
        self._place: Place = (0, 0)
        self._armed = False
        self._motion: MotionProbe | None = None
        self._unexplained: Unexplained | None = None
        self._ran: Ran | None = None
        self._beside: set[str] = set()
        self._kinds: set[tuple[str, ...]] = set()

    def begin(self) -> None:
        """Measures nothing where parameters are sharded: gradients and motion are collectives."""
        if fully_sharded(self._model) or any(map(sharded, self._steps.parameters())):
            self._give_up(
                tuple(PARTS),
                "GraphError: the parameters are sharded (fully_shard, FullyShardedDataParallel or "
                "DTensor), so that each measurement would wait for all processes; use poise.fork "
                "at the trunk's output, which measures in the training's own backward pass",
            )

    def look(self, found: Given) -> None:
        """Measures on the graph of one total whatever is due."""
        if not self._budget.fraction or not found.total.requires_grad:
            return
        with self._budget.charged("edge", uses=None):
            nodes = nodes_behind(found.total)
        self._refuse_collectives(nodes)
        try:
            self._measure(found)
        finally:
            self._hearing.begin(nodes)

    def _measure(self, found: Given) -> None:
        """Measures what is due on the terms of the total.

        A term of weight 0 without a graph is watched and not trained: it has nothing to reach, and
        is mapped when it starts.
        """
        terms = {
            name: one
            for name, one in found.values.items()
            if isinstance(one, Tensor) and (one.requires_grad or float(found.weights[name]))
        }
        weights = {name: float(found.weights[name]) for name in terms}
        graph = self._mapped(terms, found)
        due = [one for one in GRADIENTS if self._budget.due(one)]
        if not due:
            return
        with self._budget.charged(due[0], uses=None):
            retained = self._retained.find()
        for name in due:
            with self._measuring(name, found), guard(tensors=retained):
                graph = graph or Graph(terms, self._model)
                self._at(name, graph, weights, found.total)

    def _mapped(self, terms: Mapping[str, Tensor], found: Given) -> Graph | None:
        """The graph of a total that was not seen before, whose reach is told at once."""
        kind = tuple(terms)
        if kind in self._reaching or self._budget.accounts["edge"].part <= 0:
            return None
        with self._measuring("edge", found, uses=None):
            graph = Graph(terms, self._model)
            if reach := self._reached(graph, found.total):
                self._write(reach, self._place)
        return graph

    def _reached(self, graph: Graph, total: Tensor) -> dict[str, object]:
        """News about the reach of all totals; what no term reaches is watched for one batch.

        Learned weights stand beside the terms, so what only the total reaches is no news.
        """
        news = self._reaching.take(tuple(graph.terms), graph.reach)
        if not news or self._model is None:
            return news
        if news["unreached"] and total.requires_grad:
            self._beside |= self._reached_by(total)
            for key in ("unreached", "unreached_numbers"):
                news[key] = [one for one in cast(list[str], news[key]) if one not in self._beside]
        names = cast(list[str], news["unreached"])
        if names and self._ran is None:
            self._ran = Ran(self._model, names)
        held = {id(one) for one in self._steps.parameters()}
        loose = [
            k
            for k, one in self._model.named_parameters()
            if one.requires_grad and id(one) not in held
        ]
        return news | {"unoptimised": loose[:NAMED] if held else []}

    def _reached_by(self, total: Tensor) -> set[str]:
        return {*Graph({"total": total}, self._model).reach.reached["total"]}

    def _refuse_collectives(self, nodes: Iterable[Node]) -> None:
        accounts = self._budget.accounts
        if processes() == 1 or not any(accounts[name].part > 0 for name in GRADIENTS):
            return
        if (name := collective(nodes)) is not None:
            self._give_up(
                GRADIENTS,
                f"GraphError: {name} in the graph: its backward pass waits for all processes, and "
                "only one of them measures; use poise.fork, which measures in the training's own "
                "backward pass",
            )

    def _give_up(self, instruments: tuple[str, ...], why: str) -> None:
        for name in instruments:
            self._budget.stop(name)
        if self._budget.fraction:
            self._events.failed(", ".join(instruments), why, self._place[0])

    @contextmanager
    def _measuring(self, name: str, found: Given, uses: int | None = 1) -> Generator[None]:
        """Books a measurement; one that fails is the last of its kind."""
        if found.total.is_cuda:
            torch.cuda.synchronize(found.total.device)  # what waits there is not the probe's cost
        with self._budget.charged(name, uses=uses), self._last_if_failing(name):
            yield

    @contextmanager
    def _last_if_failing(self, name: str) -> Generator[None]:
        try:
            yield
        except Exception as error:
            self._budget.stop(name)
            self._events.failed(name, error, self._place[0])
            raise

    def _at(self, name: str, graph: Graph, weights: Mapping[str, float], total: Tensor) -> None:
        """Measures at one place and writes what was measured."""
        record: dict[str, object] = {}
        if name == "shared" and graph.shared:
            found = at_shared(graph, weights=weights, optimizer=self._owner(graph.shared.values()))
            record = found.to_record() | check_finite(graph, found.gradients).to_record()
            self._compare(graph, found)
        elif name == "edge" and (place := graph.bottleneck()) is not None:
            reading = at_bottleneck(graph, place, weights=weights)
            record = reading.to_record() | check_finite(graph, reading).to_record()
            aside = {"beside": list(place.beside), "ignored": list(place.ignored)}
            record |= {key: names for key, names in aside.items() if names}
        if self._budget.accounts[name].uses == 0 and name == "edge":
            record |= _weights_followed(graph, weights).to_record()
        record |= self._reached(graph, total)
        if record:
            self._write(record, self._place)

    def _compare(self, graph: Graph, found: Shared) -> None:
        """Compares what the terms have at the shared parameters with what arrives there.

        Not where a fork changes the gradient on its way, nor inside a step's closure, nor where
        processes average it, nor where several totals are passed back together.
        """
        forked = any(one.name() in FORKS for one in graph.nodes())
        if forked or self._steps.inside or self._steps.late or processes() > 1:
            return
        whole = sum(found.gradients.norms.values())
        self._unexplained = Unexplained(list(graph.shared.values()), found.sums, whole)

    def _owner(self, parameters: Iterable[Tensor]) -> Optimizer | None:
        """The optimizer that trains these, or the first of them."""
        wanted = {id(one) for one in parameters}
        for optimizer in self._steps.optimizers:
            groups = optimizer.param_groups
            if any(id(one) in wanted for group in groups for one in group["params"]):
                return optimizer
        return None

    def finish(self) -> None:
        """Ends the listening of a micro-batch and writes what its forks told."""
        for reading in self._hearing.end():
            self._write(reading.to_record(), self._place)
        self._explained()

    def _explained(self) -> None:
        """Ends the comparison of the micro-batch and writes what it found."""
        compared, self._unexplained = self._unexplained, None
        if compared is None:
            return
        if not self._steps.passed:  # a balancer passes the terms back in its own way
            compared.close()
            return
        with self._budget.charged("shared", uses=0):
            share = compared.share()
        if share is not None:
            self._write({"unexplained": share}, self._place)

    # One optimizer step.

    def arm(self) -> None:
        """Measures the motion of the next optimizer step."""
        self._armed = True

    def at(self, place: Place, given: Given) -> None:
        """Says which micro-batch is current, and its total.

        A module that ran for this total and is reached by it only had to wait for its turn.
        """
        self._place = place
        self._kinds.add(tuple(given.values))
        ran, self._ran = self._ran, None
        found = {} if ran is None else ran.end()
        if found and given.total.requires_grad:
            owners = {name.rpartition(".")[0] for name in self._reached_by(given.total)}
            found = {owner: size for owner, size in found.items() if owner not in owners}
        if found:
            self._write({"unreached_ran": found}, place)

    def close(self) -> None:
        """Ends all listening that waits for a next micro-batch."""
        ran, self._ran = self._ran, None
        if ran is not None:
            ran.end()

    def before_step(self, optimizer: Optimizer) -> None:
        """Copies what the step will change, if it is to be measured."""
        self._explained()  # now, so that no gradients are kept beside the next batch
        if not self._armed:
            return
        self._armed = False
        with self._budget.charged("motion", uses=0), self._last_if_failing("motion"):
            self._motion = MotionProbe(self._named(optimizer), optimizer)
            self._motion.before()

    def after_step(self) -> None:
        """Compares, if the step is to be measured."""
        motion, self._motion = self._motion, None
        if motion is None:
            return
        with self._budget.charged("motion", uses=0), self._last_if_failing("motion"):
            record = motion.after().to_record()
        self._write(record | self._accumulated(), self._place)

    def _accumulated(self) -> dict[str, object]:
        """How many micro-batches the step was made of, and what each was multiplied with.

        Not where totals are of several kinds: those are no parts of one mean.
        """
        number, factor = self._steps.accumulated, self._steps.factor
        known = number > 1 and factor is not None and len(self._kinds) == 1
        return {"accumulated": number, "factor": factor} if known else {}

    def _named(self, optimizer: Optimizer) -> dict[str, Tensor]:
        """The parameters that an optimizer trains, by the model's names where it has them."""
        model = self._model
        names = {} if model is None else {id(one): name for name, one in model.named_parameters()}
        return {
            names.get(id(one), f"group{g}.parameter{k}"): one
            for g, group in enumerate(optimizer.param_groups)
            for k, one in enumerate(group["params"])
            if not is_lazy(one)
        }


def _weights_followed(graph: Graph, weights: Mapping[str, float]) -> Proportion:
    """Whether gradients follow their weights, looked at as near to each term as possible.

    That is at the parameters that it alone reaches, usually a head, so that the passes are short;
    where it has none, at the last one that it reaches. Not at parameters with hooks of their own,
    which may clamp a gradient and say nothing of the term.
    """
    found: dict[str, float] = {}
    half = has_half(graph.nodes())
    for name, term in graph.terms.items():
        whole, own = graph.reach.reached[name], graph.reach.owned[name]
        plain = [one for one in whole if not graph.parameters[one]._backward_hooks]
        names = [one for one in plain if one in own] or plain[-1:]
        places = [graph.parameters[one] for one in names]
        scale = scale_for(term, weights[name]) if half else 1.0
        found |= weight_followed(
            {name: term}, places, factors=(2.0,), model=graph.model, scale=scale
        ).deviation
    return Proportion(deviation=found)
