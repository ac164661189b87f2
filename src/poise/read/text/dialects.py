"""What words mean in logs: small tables, no code. A new dialect is a new line here.

Templates are matched with numbers already replaced by slots.
"""

import re

from poise.read.text.lines import SLOT

S = SLOT
DEAD = "\x02"
"""Stands for a number that is no value: a clock time, a date, a place in a source file."""

IGNORED = re.compile(
    rf"""
      (?:{S}\ days?,\ *)?(?<![@\w]){S}:{S}(?::{S})*(?:[.,]{S})?(?:[AP]M)?   # 2 days, 9:56:28
    | {S}[-/]{S}[-/]{S}(?:T\d+(?=:))? | {S}{S}{S}(?=[ T]{S}:)   # 2022-12-23, 2022/12/09
    | {S}[-/]{S}(?=\ {S}:{S}:{S})                                 # 08/30 before a time
    | (?<=\.py:){S} | (?<=\.cpp:){S} | (?<=\.py",\ line\ ){S}   # trainer.py:253
    | (?<![\w.])[\w.]+:[\w<>]+:{S}(?=\ -\ )                               # core:after_iter:253 -
    | (?<=cuda:){S}
    | (?:(?<=[Rr]ank\ )|(?<=[Rr]ank:)|(?<=[Rr]ank)){S}
    """,
    re.VERBOSE,
)
"""Numbers that are no values, as whole groups."""

NOISE = re.compile(
    r"""
      ^\s*\(\w+\):\ \w+          # a module of a printed model
    | \bNamespace\(              # printed arguments
    | ['"]\w+['"]:\ \{           # a nested dictionary: a printed configuration
    | ^[\s>]*File\ "                # a traceback
    | (?:\s--[A-Za-z][\w-]*\b.*){2}  # a command line
    | ^\s*[├└╞╒╘]
    """,
    re.VERBOSE,
)
"""Lines that hold pairs which are not records."""

EVENTS = (
    ("overflow", re.compile(r"(?i)\boverflow(?:!| detected)|\bgradient overflow\b")),
    (
        "restart",
        re.compile(
            r"^=+ Training Loss \(|(?i:\*{3,} *running training"
            r"|(?<!the )\b(?:re)?start(?:s|ing)?(?: \w+){0,2} training\b(?! epoch| step)"
            r"|\btraining (?:starts|started)\b"
            r"|\bresum(?:e|ed|ing) (?:training )?from\b)"
        ),
    ),
    (
        "stage",
        re.compile(
            r"(?i)--->\s*(?:add|no|enable|disable|switch)\b|\bclos(?:e|ing)[ _](?:\w+ )?mosaic\b"
            r"|\b(?:un)?freez(?:e|ing)\b.{0,60}\b(?:now|layers?|backbone|encoder|weights)\b"
            r"|\bswitch(?:ing|ed)? (?:to|optimi[sz]er)\b"
            r"|\b(?:enter|begin|start)\w* (?:stage|phase)\b"
        ),
    ),
    ("frame", re.compile(r'^[\s>]*File "')),
    ("crash", re.compile(r"^[\w.]*(?:Error|Exception|Interrupt)\b(?::|$)")),
)
"""Lines that say something in words. A `crash` counts only behind a `frame`."""

_SPLIT = (
    r"train(?:ing)?(?:_inner)?|val(?:id(?:ation|ating)?)?|test(?:ing)?|eval(?:uation|uating)?|dev"
)
SPLIT = re.compile(rf"(?i)(?<![\w./-])({_SPLIT})(?![\w/-]|\.\w)")
"""A word that names a split, outside the names of values."""

SPLITS = {"tr": "train", "va": "val", "te": "test", "ev": "eval", "de": "val"}
"""Split by the first two letters of its word."""

POSITION = re.compile(
    rf"(?i)^(?:(?:{_SPLIT}|start|beginning)\W*)?(?:(?:global|current|cur|n|opt(?:imizer)?)[\s_-]*)?"
    r"(?P<word>epochs?|ep|iters?|iterations?|itr|it|steps?|batch|mini-?batch|num_updates"
    r"|time[ _-]?steps?|[eé]po(?:ca|che|que|k|ka)s?|эпоха|训练回合|轮次|迭代|步数)"
    rf"(?:[\s_]*(?:idx|id|no|#))?\s*(?:\((?:{_SPLIT})\))?$"
)
"""A name that is a position and nothing else."""

POSITION_END = re.compile(
    r"(?i)(?:^|[\s(\[,;>:-])(?P<word>epoch|iter(?:ation)?|step|batch|update)s?$"
)
"""A position at the end of prose, before a number."""

WORDS = {
    **dict.fromkeys(("ep", "ép", "эп", "训练", "轮次"), "epoch"),
    **dict.fromkeys(("it", "ba", "mi"), "iter"),
}
"""Position by the first two letters of its word; every other word is a `step`."""

GLOBAL = re.compile(r"(?i)global|num_updates")
"""Marks the step of the whole training among several."""

SCORED = re.compile(r"(?i)acc|correct|hit|score|win|pass|mem|gpu|cpu|prec|rec")
"""A word in front of a fraction that counts successes or a resource, not iterations."""

COUNTER = re.compile(rf"(?:^|[\]\s])\s*\[({S})\]\s+(?=[^\W\d])")
"""A number in brackets in front of the values of a line without a position: their step."""

ALL_TERMS = re.compile(rf"^\(epoch: {S}, iters: {S},? [^()]*\)")
"""The head of a line whose values are all loss terms: pix2pix and its descendants."""

AVERAGED = re.compile(r"(?i)\baveraged? (?:\w+ )?stats\b")
"""What follows is the summary of an epoch; the number in parentheses is its mean."""

AVERAGE = re.compile(r"(?i)^(?:avg|average|mean)[\s_]+")
"""In front of a name: the mean over an evaluation."""

BAR = re.compile(rf"{S}%\|| {S}/{S} \[{DEAD}|^\s*{S}/{S} *█")
"""A progress bar, which repaints one state several times."""

AFTER_BAR = re.compile(r"(?<=\])\s*\{(?=['\"])")
"""A dictionary that is printed behind a progress bar."""

CONSOLE = re.compile(r"^(?:\|.*\||[│┃║].*[│┃║])\s*$")
"""A row of a printed table."""

EDGE = "-=+|─═│┼╔╗╚╝╠╣╦╩╬┌┐└┘├┤┬┴╒╕╘╛╞╡╪█ \t"
"""What the edge of a printed table is made of."""

RULER = re.compile(r"---|===|═══|█[┼┬┴]|[├┌└]█")
"""What at least one place of an edge looks like."""

INTEREST = (
    rf"{S}|(?i:train|val|test|eval|dev\b|overflow|start|resum|mosaic|freez|switch|stage|phase|error"
    r"|exception|interrupt|file \"|---|===|═══|█|/ +\|)"
)
"""Forms that are worth a look, in the syntax of Rust's regex."""

LOSSY = re.compile(
    r"(?i)loss|nll|elbo|\berr(?:or)?\b|objective|^(?:\w+ )?cost$"
    r"|\b(?:kl|mse|mae|bce|ce|dice)\b|损失"
)
"""A name that is surely a loss."""

CLOCKY = re.compile(
    r"(?i)^(?:.*[\s_/-])?(?:time|timer|data|eta|mem(?:ory)?|max[ _]mem(?:ory)?|latency"
    r"|secs?|seconds|elapsed|wall|wps|ups|fps|ips|speed|cost|samples?|samples ?/ ?s\w*|gb_free"
    r"|duration"
    r"|\w*persec(?:ond)?|\w+ allocated|\w+ reserved|cpu|gpu|mb|others)s?$|\(ms\)|allocated|persec"
)
"""A name that is surely a clock, a speed or a memory size."""

LISTED = re.compile(r"(?i)^(?:.*\W)?(?:losses|loss|损失)$")
"""Name of a list whose items are losses without names."""

RATE = re.compile(r"(?i)^(?:lrs?|learning[ _]rates?)$")
"""Name of a list whose first item stands for all."""

UNIT = re.compile(
    r"(?:%|°C|(?:[kKMGTmµun]i?)?[bB](?:ytes)?(?:/s)?|[MGk]|[mµun]?s(?:ec(?:ond)?s?)?(?:/\w+)?|min|h"
    r"|it/s|(?: ?\w+)?/s(?:ec)?)(?![\w])|(?: (?:s|ms|sec|MB|GB|MiB|GiB|min))(?=[\s,;|)\]]|$)"
)
"""What may stand behind a number as its unit."""

PREFIX = re.compile(rf"^(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL):(?:[\w.-]|{S})+:(?=\s*\S)")
"""Level and name of a logger in front of a message, as `logging` prints them by default."""

LEVEL = re.compile(r"\b(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR)$")
"""The end of a log prefix, which is no name."""

FILLER = re.compile(r"(?i)^(?:(?:with|and|the|has|got|is|of|INFO|DEBUG|WARNING)\b[\s:]*)+")
"""Words at the beginning of a name that do not belong to it."""

COPULA = re.compile(r"(?i)(?:\s+(?:is|was|are|at|of|value))+$")
"""Words at the end of a name that lead over to its value."""

NAMES = {"学习率": "lr"}
"""Names of quantities that are not English."""

UNNAMELY = re.compile(
    r"(?:\S+\s+){6}\S|/\S*/\S*/\S*/|\.(?:py|cpp|cc|cu|hp*|c|json|ya?ml|pth?|txt)\b"
)
"""What no name of a quantity has: many words, a path, a file."""

WIDE = str.maketrans({"：": ":", "，": ",", "；": ";", "（": "(", "）": ")", "　": " ", "＝": "="})
"""Full-width punctuation and what it stands for."""
