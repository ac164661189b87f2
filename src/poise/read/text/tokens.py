"""The numbers of a line form that can be values or positions, each with the name in front of it."""

import re
from dataclasses import dataclass

from poise.read.text import dialects
from poise.read.text.dialects import DEAD, S

MARK = re.compile(f"[{S}{DEAD}]")
"""A number, whether it can be a value or not."""

_REACH = 300  # characters in front of a number in which its name is sought
_FRACTION = re.compile(rf"({S})\s*(?:/|\bof\b)\s*{S}")
_LIST = re.compile(rf"[\[(]*{S}[\])]?(?:(?:\s*,\s*|\s+)[\[(]*{S}[\])]*)+\s*[\])]")
_GROUPED = re.compile(rf"{S}(?:,{S})+(?![,\w])")
_AVERAGE = re.compile(rf"\s*\(\s*(?:avg:?\s*)?({S})\s*(?:/\s*{S}\s*)?[%a-z]{{0,3}}\s*\)")
_OPEN = re.compile(
    r"^(?P<body>.*?)(?P<sep>\s*(?:[:=]+>?|->|\|)\s*|\s+|)"
    r"(?P<open>(?:(?:\w+\.)?(?:[Tt]ensor|array|Array|float\d*)\(|[\"'\[({])*\s*)$",
    re.DOTALL,
)
_DELIMITER = re.compile(r"[,;|{}\[\]\t\"“”<>…│┃║█\x02]|  +| - |\. |->+|=>|--+|~")
_TAIL = re.compile(r"(?=$|[\s,;|)\]}\"'<>(\-\[*~…:█]|[A-Z][a-z]|\.(?:\s|$))")
_ALTERNATING = re.compile(rf"\s*(?:[^\W\d][\w/.+-]* +{S}\s*[,;|]?\s*){{2,}}")
_IDENTIFIER = re.compile(r"[^\W\d][\w/.@+-]*")


@dataclass(frozen=True, slots=True)
class Token:
    """One number, fraction or list of a template.

    Attributes:
        kind: `value`, `grouped` (with commas in it), `fraction` or `list`.
        slots: Its numbers.
        name: The name in front of it.
        sep: What stands between name and number, without brackets.
        bracket: Opening brackets and quotes in front of the number.
        average: Slot of the number in parentheses behind it.
        start: Where the name begins in the template.
        end: Where the token ends in the template.
    """

    kind: str
    slots: tuple[int, ...]
    name: str
    sep: str
    bracket: str
    average: int | None
    start: int
    end: int


def tokens_of(text: str) -> list[Token]:
    """All numbers of a line that stand where a value or a position can stand."""
    found: list[Token] = []
    end = 0
    place = 0
    slot = 0
    while match := MARK.search(text, place):
        place = match.end()
        if match.group() == DEAD:
            slot += 1
            continue
        token, place = _token(text, end, match.start(), slot)
        slot += MARK.subn("", text[match.start() : place])[1]
        if token is not None and (position_kind(token) or _is_value(token, text)):
            found.append(token)
            end = place
    return found


def _token(text: str, left: int, at: int, slot: int) -> tuple[Token | None, int]:
    """The token that begins with the slot at `at`, and where it ends."""
    left = max(left, at - _REACH)
    name, sep, bracket, start = _name(text[left:at])
    kind, slots, end = "value", (slot,), at + 1
    if found := _FRACTION.match(text, at):
        kind, slots, end = "fraction", (slot, slot + 1), found.end()
    elif ("[" in bracket or "(" in bracket) and (found := _LIST.match(text, at)):
        count = found.group().count(S)
        kind, slots, end = "list", tuple(range(slot, slot + count)), found.end()
    elif name and (found := _GROUPED.match(text, at)):
        count = found.group().count(S)
        kind, slots, end = "grouped", tuple(range(slot, slot + count)), found.end()
    if unit := dialects.UNIT.match(text, end):
        end = unit.end()
    elif (not _TAIL.match(text, end) and not (name and sep.strip())) or (
        text[end : end + 1] == "." and text[end + 1 : end + 2].isalnum()
    ):
        return None, end
    average = None
    if kind == "value" and (found := _AVERAGE.match(text, end)):
        average = slot + 1
        end = found.end()
    return Token(kind, slots, name, sep, bracket, average, left + start, end), end


def _name(left: str) -> tuple[str, str, str, int]:
    """Name, separator and opening bracket in front of a number, and where the name begins."""
    match = _OPEN.match(left)
    if match is None:
        return "", "", "", len(left)
    body, sep, bracket = match["body"], match["sep"], match["open"]
    body = body.rstrip()
    if body[-1:] in "\"'" and (quoted := re.search(r"([\"'])((?:(?!\1).)+)\1$", body)):
        return quoted.group(2).strip(), sep, bracket, quoted.start()
    if "|" in sep:
        return "", sep, bracket, len(left)
    start = _name_start(body, "=" in sep and " " not in sep)
    name = body[start:]
    stripped = name.lstrip(" \t-*>=.:#()!?/\\`&+•·'\"")
    stripped = dialects.FILLER.sub("", stripped + " ").rstrip(" \"'`")
    if not sep.strip() and dialects.LOSSY.search(stripped):
        stripped = dialects.COPULA.sub("", stripped)
    if dialects.LEVEL.search(stripped):
        stripped = ""
    if sep.strip() == "->":
        stripped = stripped.rstrip(f"{S} ")
    return dialects.NAMES.get(stripped, stripped), sep, bracket, start


def _name_start(body: str, tight: bool) -> int:
    """Where the name at the end of `body` begins: behind the last mark that cannot be in one."""
    reach = _before_parenthesis(body) if body.endswith(")") else len(body)
    start = 0
    for found in _DELIMITER.finditer(body, 0, reach):
        start = found.end()
    start = max(start, body.rfind(": ", 0, reach) + 2 if ": " in body[:reach] else 0)
    start = max(start, body.rfind(") ", 0, reach) + 2 if ") " in body[:reach] else 0)
    start = max(start, body.rfind("(", 0, reach) + 1)
    if reach < len(body) and not body[start:reach].strip():
        start = reach + 1
    if tight and "=" in body[start:]:
        start = max(start, body.rfind(" ", 0, reach) + 1)
    return start


def _before_parenthesis(body: str) -> int:
    """Where the parenthesis that ends `body` begins; it belongs to the name: `time (ms)`."""
    depth = 0
    for at in range(len(body) - 1, 0, -1):
        depth += (body[at] == ")") - (body[at] == "(")
        if not depth:
            return at
    return len(body)


def position_kind(token: Token) -> str:
    """`epoch`, `iter`, `step` with `!` for the whole training's, or the empty string."""
    if token.kind == "list" or token.average is not None:
        return ""
    match = dialects.POSITION.match(token.name)
    if match is None and not token.sep.strip():
        match = dialects.POSITION_END.search(token.name)
    if match is None:
        return ""
    kind = dialects.WORDS.get(match["word"][:2].lower(), "step")
    return kind + "!" if dialects.GLOBAL.search(token.name) else kind


def _is_value(token: Token, text: str) -> bool:
    """True where name, separator and place make a logged quantity."""
    if token.kind in ("fraction", "list"):
        return True
    if not any(char.isalpha() for char in token.name) or len(token.name) > 100:
        return False
    if dialects.UNNAMELY.search(token.name) or not token.name.replace(S, "0").isprintable():
        return False
    if token.sep.strip():
        return True
    if not token.sep:
        return False
    return _is_meter(token, text)


def is_label(token: Token, text: str) -> bool:
    """A number of `Sample (T=1.0): ...`, which describes what follows, or one without a name."""
    if token.kind != "list" and not any(char.isalpha() for char in token.name):
        return True
    return bool(re.match(r"[^()]*\)\s*:", text[token.end :])) and "(" in text[: token.start]


def _is_meter(token: Token, text: str) -> bool:
    """A name and a number with nothing but blanks between: only in a field of their own."""
    if text[token.end :].lstrip().startswith((":", "=", "->")):
        return False
    if token.average is not None or _ALTERNATING.fullmatch(text) or _in_parts(token, text):
        return True
    before = text[: token.start].rstrip(" ")[-1:]
    if token.name.count(S) > 1:
        return False
    lossy = bool(dialects.LOSSY.search(token.name.split()[-1]))
    behind = text[token.end :].lstrip(" ")[:1]
    if before in ("|", "\t") and behind in ("|", "\t", "") and len(token.name.split()) <= 3:
        return True
    if lossy:
        return before in ("", ",", "\t", "|", ";", ":", ".", "(", ")", "]", S)
    return before in ("", ",", "\t", "|", ";") and bool(_IDENTIFIER.fullmatch(token.name))


def _in_parts(token: Token, text: str) -> bool:
    """Inside parentheses that hold names and numbers in turn: `loss 3.2 (lm 3.0 aux 0.2)`."""
    left, right = text.rfind("(", 0, token.end), text.find(")", token.end)
    return 0 <= left < right and bool(_ALTERNATING.fullmatch(text[left + 1 : right]))
