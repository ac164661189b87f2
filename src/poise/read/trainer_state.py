"""Hugging Face `trainer_state.json`: an object whose `log_history` lists the records."""

from poise.errors import ReadError
from poise.read.frame import Parsed
from poise.read.gather import Gather
from poise.read.jsonl import Json, Record, load, salvage
from poise.read.source import Source

NAME = "trainer-state"

_CLOSING = frozenset({"train_runtime", "train_samples_per_second"})


def matches(source: Source) -> bool:
    """True for a JSON object with `log_history`."""
    return source.head.lstrip()[:1] == b"{" and b'"log_history"' in source.head


def read(source: Source) -> Parsed:
    """Training and evaluation records; the closing summary of a training is none.

    Raises:
        ReadError: `log_history` is missing or holds no record.
    """
    data = source.read()
    remarks = list(source.remarks)
    state = load(data)
    if state is None:
        history: Json = salvage(data[data.find(b'"log_history"') :])
        remarks.append("the JSON is damaged; what stands before the damage is read")
        state = {}
    else:
        history = state.get("log_history")
    gather = Gather()
    for record in history if isinstance(history, list) else []:
        if not isinstance(record, dict):
            continue
        if _CLOSING & record.keys():
            remarks.append(_closing(record))
        else:
            gather.add(record)
    if not len(gather):
        raise ReadError(f"{source.path}: its log_history holds no records; nothing was logged")
    declared: dict[str, object] = {}
    if isinstance(steps := state.get("max_steps"), int) and steps > 0:
        declared["total_steps"] = steps
    return Parsed(
        format=NAME,
        frames=(gather.frame(),),
        declared=declared,
        remarks=(*remarks, *gather.remarks),
    )


def _closing(record: Record) -> str:
    loss = record.get("train_loss")
    mean = f" (train_loss {loss:.6g} is a mean over all steps)" if isinstance(loss, float) else ""
    return f"the closing summary at step {record.get('step')} is no training record{mean}"
