"""Measurements of what each loss term does to the parameters; see docs/fork.md.

In the training's own backward pass, at no cost to speak of:

- `fork(z, terms)`, `Fork(terms)`: each term's gradient at a tensor; `listen(listener)`.

On the graph of one step, before the training's own `backward()`; each leaves `.grad` alone:

- `Graph(terms, model)`: `.reach` (`Reach`), `.shared`, `.bottleneck()` (`Bottleneck` or None).
- `at_bottleneck(graph, place, weights=)`: `Gradients` where all terms pass; cheap.
- `at_shared(graph, weights=, optimizer=)`: `Shared` with `.gradients` and `.update`; K passes.
- `gradients_at(terms, places, weights=)`: `Gradients` at places of your choice.
- `weight_followed(terms, places)`: `Proportion`: does the gradient follow the weight?
- `check_finite(graph, gradients=)`: `Finite`: which term is not, and where that began.

Around the optimizer's step:

- `MotionProbe(model, optimizer)`: `.before()`, `.after()` gives `Motion`.
- `ResponseProbe(closure, model)`: `.mark()`, `.before(terms)`, `.after()` gives `Response`.

`guard(model)` restores random generators, buffers, modes and gradients after whatever runs in
it; `probing()` is true while a probe runs. Every result has `.to_record()`: the keys of a `probe`
record.
"""

from poise.probe.bottleneck import Bottleneck as Bottleneck
from poise.probe.finite import Finite as Finite
from poise.probe.finite import check_finite as check_finite
from poise.probe.finite import first_module as first_module
from poise.probe.finite import watching_forward as watching_forward
from poise.probe.fork import Fork as Fork
from poise.probe.fork import Listening as Listening
from poise.probe.fork import fork as fork
from poise.probe.fork import listen as listen
from poise.probe.gradients import Gradients as Gradients
from poise.probe.gradients import gradients_at as gradients_at
from poise.probe.graph import Graph as Graph
from poise.probe.graph import Reach as Reach
from poise.probe.guard import RandomState as RandomState
from poise.probe.guard import guard as guard
from poise.probe.motion import Motion as Motion
from poise.probe.motion import MotionProbe as MotionProbe
from poise.probe.quiet import probing as probing
from poise.probe.response import Response as Response
from poise.probe.response import ResponseProbe as ResponseProbe
from poise.probe.shared import Shared as Shared
from poise.probe.shared import at_bottleneck as at_bottleneck
from poise.probe.shared import at_shared as at_shared
from poise.probe.update import UpdateShare as UpdateShare
from poise.probe.update import update_share as update_share
from poise.probe.weight import Proportion as Proportion
from poise.probe.weight import weight_followed as weight_followed
