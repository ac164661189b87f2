"""The end of a run as plain JSON; docs/json.md is the contract."""

from poise.report import plain
from poise.report.ending import Ending


def ending_to_json(found: Ending) -> dict[str, object]:
    """Steps, terms, metrics and motion as dicts, strings, finite numbers and None.

    Example:
        >>> one = Ending(steps=1, records=1, split=None, terms={}, metrics={}, motion={}, place="")
        >>> ending_to_json(one)["steps"]
        1
    """
    return {
        "steps": found.steps,
        "batches": found.records,
        "split": found.split,
        "terms": [
            {
                "name": name,
                "train": plain.strict(one.train),
                "evaluated": plain.strict(one.evaluated),
                "gradient_share": plain.strict(one.gradient),
            }
            for name, one in found.terms.items()
        ],
        "metrics": {name: plain.strict(value) for name, value in found.metrics.items()},
        "motion": {name: plain.strict(one.median) for name, one in found.motion.items()},
        "measured": found.place or None,
    }
