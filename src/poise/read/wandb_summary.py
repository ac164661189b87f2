"""`wandb-summary.json`: the last value of everything a W&B run logged, so one record."""

import json
import re
from typing import cast

from poise.errors import ReadError
from poise.read.frame import Parsed
from poise.read.gather import Gather
from poise.read.source import Source
from poise.read.wandb import CLOCKS, STEP, without_media

NAME = "wandb-summary"

_OWN_KEYS = re.compile(rb'"(_runtime|_timestamp|_wandb)"\s*:')
_MANY_LINES = re.compile(rb"\}\s*\n\s*\{")


def matches(source: Source) -> bool:
    """True for a file of that name, or one JSON object with two of W&B's own keys."""
    head = source.head.lstrip()
    if not head.startswith(b"{"):
        return False
    if source.path.name.startswith("wandb-summary.json"):
        return True
    own = set(_OWN_KEYS.findall(head))
    return len(own) >= 2 and not _MANY_LINES.search(head)


def read(source: Source) -> Parsed:
    """The one record.

    Raises:
        ReadError: The file is no JSON object, or holds no number.
    """
    try:
        # The standard parser takes a bare NaN, which W&B writes.
        found: object = json.loads(source.read())
    except (ValueError, RecursionError) as error:
        why = str(error).splitlines()[0] if isinstance(error, ValueError) else "nested too deeply"
        raise ReadError(
            f"{source.path}: expected one JSON object with last values, got {why}; "
            "pass the whole wandb-summary.json"
        ) from None
    if not isinstance(found, dict):
        raise ReadError(
            f"{source.path}: expected a JSON object with last values, got a "
            f"{type(found).__name__}; pass the run's wandb-summary.json"
        )
    logged = cast("dict[str, object]", found)
    numbers = {key: without_media(one) for key, one in logged.items() if key not in CLOCKS}
    gather = Gather()
    gather.add({key: one for key, one in numbers.items() if one is not None})
    frame = gather.frame()
    if not set(frame.columns) - {STEP}:
        raise ReadError(
            f"{source.path}: expected last values of a run, got no number; was wandb.log called?"
        )
    return Parsed(format=NAME, frames=(frame,), remarks=gather.remarks)
