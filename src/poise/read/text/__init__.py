"""The one reader of text logs: whatever a training printed.

`lines` cleans the text and finds the distinct line forms, `tokens` and `plan` understand one form
with the word tables of `dialects`, `scan` takes the numbers out of all lines of a form at once,
`records` decides which lines belong together, and `frames` keeps what is a record of the training.
"""

from poise.read.frame import Parsed
from poise.read.source import Source
from poise.read.text.frames import build
from poise.read.text.lines import chunks
from poise.read.text.records import join
from poise.read.text.scan import MAX_EVENTS, Scan

NAME = "text"


def matches(source: Source) -> bool:
    """True for whatever has content: this reader is asked last, behind the check for junk."""
    return bool(source.head)


def read(source: Source) -> Parsed:
    """Records of everything that looks like a position or a named number.

    A log without any gives no frame.
    """
    data = source.read()
    remarks = list(source.remarks)
    scan = Scan()
    for lines in chunks(data, remarks):
        scan.add(lines)
    del data
    forms = list(scan.forms.values())
    remarks += _remarks(scan)
    terms = frozenset(name for form in forms for name in form.plan.terms)
    unnamed = any(form.plan.unnamed for form in forms)
    scan.forms.clear()
    records = join(forms)
    frames = () if records is None else build(records, scan.said, terms, remarks)
    if unnamed and frames:
        remarks.append(
            "losses are listed without names and are called loss_0, loss_1, ...: "
            "see the training code for their names"
        )
    return Parsed(format=NAME, frames=frames, remarks=tuple(remarks))


def _remarks(scan: Scan) -> list[str]:
    remarks = [
        f"{count} events of the kind '{name}'; the first {MAX_EVENTS} are kept"
        for name, count in scan.counts.items()
        if count > MAX_EVENTS
    ]
    if scan.decimal:
        remarks.append(f"{scan.decimal} numbers have a decimal comma and are read as such")
    if scan.skipped:
        remarks.append(f"{scan.skipped} lines with numbers have no form in common and are not read")
    return remarks
