"""A loss function's card before any training; see docs/inspect.md.

- `inspect(loss_fn, example)`: probes the function and gives a `poise.doctor.card.Card`.
"""

from poise.card.inspecting import inspect as inspect
