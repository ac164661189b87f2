"""The run record: what a training writes while it runs, and how it is read back.

A run directory holds `run.jsonl`; docs/record.md documents its lines. `Recorder` appends to it,
`read_record` turns it into columns, `follow` yields its records while it grows. `Expect` is a range
that its author declares for a number in it.
"""

from poise.record.expect import Expect
from poise.record.follow import Follower, follow
from poise.record.reader import RecordData, Split, read_record
from poise.record.recorder import Recorder

__all__ = ["Expect", "Follower", "RecordData", "Recorder", "Split", "follow", "read_record"]
