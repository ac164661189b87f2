"""The probes that a watch uses, each when its account allows it."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from poise.probe.finite import check_finite
from poise.probe.fork import Listening, listen
from poise.probe.gradients import Gradients
from poise.probe.graph import Graph
from poise.probe.motion import MotionProbe
from poise.probe.shared import at_bottleneck, at_shared
from poise.probe.weight import Proportion, weight_followed
from poise.watch.budget import Budget
from poise.watch.optimizer import Steps
from poise.watch.terms import Given

Place = tuple[int, int]
"""Optimizer steps and micro-batches done."""
Write = Callable[[Mapping[str, object], Place], None]
_FORKS = 64
"""Readings of forks that are kept until the step, at most."""


class Probing:
    """Measures gradients of the terms, and how far one optimizer step moves the parameters.

    Everything happens on the graph that the training made anyway, before its own backward pass.
    A measurement that fails is not tried again; what is recorded goes on.

    Args:
        budget: Says when.
        model: Gives parameters their names.
        steps: The training's optimizers.
        write: Takes a probe record and where it was taken.
    """

    def __init__(self, budget: Budget, model: nn.Module | None, steps: Steps, write: Write) -> None:
        self._budget = budget
        self._model = model
        self._steps = steps
        self._write = write
        self._reach: object = None
        self._passes: float | None = None  # backward passes whose cost must be earned first
        self._listening: Listening | None = None
        self._forks: list[Gradients] = []
        self._place: Place = (0, 0)
        self._armed = False
        self._motion: MotionProbe | None = None

    def look(self, found: Given) -> None:
        """Measures on the graph of one total whatever is due."""
        terms = {name: one for name, one in found.values.items() if isinstance(one, Tensor)}
        if not self._budget.fraction or not found.total.requires_grad:
            return
        self._hear()
        weights = {name: float(found.weights[name]) for name in terms}
        graph: Graph | None = None
        if self._passes is None:
            self._passes = 0.0
            with self._measuring("edge", found, uses=0):
                graph = Graph(terms, self._model)
                if graph.bottleneck() is not None:
                    self._passes = float(len(terms))
        for name in ("shared", "edge"):
            if self._budget.due(name, expected_steps=self._passes):
                with self._measuring(name, found):
                    graph = graph or Graph(terms, self._model)
                    self._at(name, graph, weights)

    @contextmanager
    def _measuring(self, name: str, found: Given, uses: int = 1) -> Generator[None]:
        """Books a measurement; one that fails is the last of its kind."""
        if found.total.is_cuda:
            torch.cuda.synchronize(found.total.device)  # what waits there is not the probe's cost
        with self._budget.charged(name, uses=uses):
            try:
                yield
            except Exception:
                self._budget.stop(name)
                raise

    def _at(self, name: str, graph: Graph, weights: Mapping[str, float]) -> None:
        """Measures at one place and writes what was measured."""
        record: dict[str, object] = {}
        if name == "shared" and graph.shared:
            found = at_shared(graph, weights=weights, optimizer=self._owner(graph.shared.values()))
            record = found.to_record() | check_finite(graph, found.gradients).to_record()
        elif name == "edge" and (place := graph.bottleneck()) is not None:
            reading = at_bottleneck(graph, place, weights=weights)
            record = reading.to_record() | check_finite(graph, reading).to_record()
        if self._budget.accounts[name].uses == 0 and name == "edge":
            record |= _weights_followed(graph).to_record()
        reach = graph.reach.to_record()
        if reach != self._reach:
            record |= reach
            self._reach = reach
        if record:
            self._write(record, self._place)

    def _owner(self, parameters: Iterable[Tensor]) -> Optimizer | None:
        """The optimizer that trains these, or the first of them."""
        wanted = {id(one) for one in parameters}
        for optimizer in self._steps.optimizers:
            groups = optimizer.param_groups
            if any(id(one) in wanted for group in groups for one in group["params"]):
                return optimizer
        return None

    # Forks of the user's own.

    def _hear(self) -> None:
        """Listens to the forks in the next backward pass; on a GPU it runs in another thread."""
        self._listening = listen(self._heard)

    def _heard(self, reading: Gradients) -> None:
        if len(self._forks) < _FORKS:
            self._forks.append(reading)

    def finish(self) -> None:
        """Ends the listening of a micro-batch and writes what its forks told."""
        if self._listening is not None:
            self._listening.remove()
            self._listening = None
        readings, self._forks = self._forks, []
        for reading in readings:
            self._write(reading.to_record(), self._place)

    # One optimizer step.

    def arm(self) -> None:
        """Measures the motion of the next optimizer step."""
        self._armed = True

    def at(self, place: Place) -> None:
        """Says which micro-batch is current."""
        self._place = place

    def before_step(self, optimizer: Optimizer) -> None:
        """Copies what the step will change, if it is to be measured."""
        if not self._armed:
            return
        self._armed = False
        with self._budget.charged("motion", uses=0):
            self._motion = MotionProbe(self._named(optimizer), optimizer)
            self._motion.before()

    def after_step(self) -> None:
        """Compares, if the step is to be measured."""
        motion, self._motion = self._motion, None
        if motion is None:
            return
        with self._budget.charged("motion", uses=0):
            record = motion.after().to_record()
        self._write(record, self._place)

    def _named(self, optimizer: Optimizer) -> dict[str, Tensor]:
        """The parameters that an optimizer trains, by the model's names where it has them."""
        model = self._model
        names = {} if model is None else {id(one): name for name, one in model.named_parameters()}
        return {
            names.get(id(one), f"group{g}.parameter{k}"): one
            for g, group in enumerate(optimizer.param_groups)
            for k, one in enumerate(group["params"])
        }


def _weights_followed(graph: Graph) -> Proportion:
    """Whether gradients follow their weights, looked at as near to each term as possible.

    That is at the parameters that it alone reaches, usually a head, so that the passes are short;
    where it has none, at the last one that it reaches.
    """
    found: dict[str, float] = {}
    for name, term in graph.terms.items():
        names = graph.reach.owned[name] or graph.reach.reached[name][-1:]
        places = [graph.parameters[one] for one in names]
        found |= weight_followed({name: term}, places, factors=(2.0,)).deviation
    return Proportion(deviation=found)
