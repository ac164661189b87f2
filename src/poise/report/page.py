"""Lines on a terminal: wrapped with a hanging indent, no markup, no trailing blanks."""

from rich.console import Console
from rich.style import Style
from rich.text import Text

WIDEST = 100
"""Prose is not wrapped wider than this, however wide the terminal."""
DIM = Style(dim=True)
BOLD = Style(bold=True)


class Page:
    """Prints to one console; every string is taken as it is, and colour is never needed.

    Args:
        console: Its width, colour and encoding decide how lines look.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = max(min(console.width, WIDEST), 30)
        self._encoding = None if "utf" in console.encoding.lower() else console.encoding

    def line(self, *parts: str | tuple[str, Style], indent: int = 0, hang: int = 0) -> None:
        """Prints one paragraph.

        Args:
            parts: Strings, each with a style or without.
            indent: Blanks before the first line.
            hang: Blanks before each further line, on top of `indent`.
        """
        text = Text(end="")
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, Style.null())
            text.append(self._encoded(words), style)
        self._wrapped(text, " " * indent, " " * (indent + hang))

    def field(self, label: str, text: str, *, indent: int = 2, column: int = 12) -> None:
        """Prints `label: text` with the text in a column of its own."""
        head = f"{label}:".ljust(column - indent)
        self.line((head, BOLD), text, indent=indent, hang=column - indent)

    def literal(self, label: str, lines: list[str], *, indent: int = 2, column: int = 12) -> None:
        """Prints a command or snippet: its own lines and indentation stay."""
        head = f"{label}:".ljust(column - indent)
        for index, line in enumerate(lines):
            inner = len(line) - len(line.lstrip())
            before = head if index == 0 else " " * len(head)
            self.line((before, BOLD), line, indent=indent, hang=column - indent + min(inner, 8) + 2)

    def blank(self) -> None:
        """Prints an empty line."""
        self._put(Text())

    def table(self, rows: list[tuple[str, ...]], *, left: int = 1, indent: int = 2) -> None:
        """Prints rows in columns, the first row as a heading.

        Args:
            rows: Equally long; cells are one line each and are printed whole.
            left: How many leading columns are aligned to the left; the others to the right.
            indent: Blanks before each row.
        """
        cells = [[Text(self._encoded(cell)) for cell in row] for row in rows]
        widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
        for index, row in enumerate(cells):
            line = Text(" " * indent)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
                blanks = " " * (width - cell.cell_len)
                line.append_text(cell if column < left else Text(blanks) + cell)
                line.append(blanks + "  " if column < left else "  ")
            if index == 0:
                line.stylize(DIM)
            line.rstrip()
            self._put(line)

    def _encoded(self, text: str) -> str:
        if self._encoding is None:
            return text
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def _wrapped(self, text: Text, first: str, further: str) -> None:
        room = self.width - len(further)
        lead = Text(first) + text
        # Measured as if every line began at the hanging indent, the first line's head included.
        if lead.cell_len <= self.width:
            lead.rstrip()
            self._put(lead)
            return
        cut = len(further) - len(first)
        head, body = text[:cut], text[cut:]
        for index, line in enumerate(body.wrap(self.console, room)):
            whole = (Text(first) + head if index == 0 else Text(further)) + line
            whole.rstrip()
            self._put(whole)

    def _put(self, line: Text) -> None:
        self.console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
