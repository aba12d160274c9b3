"""Answer: what a verb has to say, once, for a terminal, a notebook and a machine.

A verb returns blocks (a sentence, a table, a verbatim text) and the same as data; the door prints the one
that fits. Names, descriptions and values in it come from manifests and engines, so every way out goes through
:mod:`skill_magic.foreign`: a sentence and a row of a table are one line each, whatever stands in them.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .findings import LISTING, first, more, told
from .foreign import UNTYPESET, line, lines, markup
from .wrap import wrap

if TYPE_CHECKING:
    from .findings import Violation

_NARROW = 24  # columns in which sentences can still be read

safe = lines
"""``text`` with everything that a terminal could obey shown as an escape (``\\x1b``); its line ends stay."""


def width(text: str) -> int:
    """Columns that ``text`` takes in a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


@dataclass(frozen=True)
class Text:
    """A sentence, in one line. ``good``: True for what is well, False for what is wrong, None for plain
    words."""

    text: str
    good: bool | None = None

    def as_text(self, columns: int | None = None) -> str:
        return "\n".join(wrap(line(self.text), columns, "  "))

    def as_html(self) -> str:
        colour = {True: "color: #1a7f37", False: "color: #cf222e", None: ""}[self.good]
        style = f"margin: 0.3em 0; white-space: pre-wrap; {colour}"
        return f'<div style="{style}">{markup(line(self.text))}</div>'


@dataclass(frozen=True)
class Verbatim:
    """A command line, to be copied as it stands."""

    text: str

    def as_text(self, columns: int | None = None) -> str:
        return line(self.text)

    def as_html(self) -> str:
        return f'<pre style="margin: 0.3em 0; white-space: pre-wrap">{markup(line(self.text))}</pre>'


@dataclass(frozen=True)
class Table:
    """Rows under ``head``; a head of empty strings is not shown."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]

    def as_text(self, columns: int | None = None) -> str:
        cells = [[line(value) for value in row] for row in self.rows]
        if any(self.head):
            cells.insert(0, [name.upper() for name in self.head])
        if not cells:
            return ""
        widths = [max(width(row[column]) for row in cells) for column in range(len(cells[0]))]
        start = sum(widths[:-1]) + 2 * len(widths[:-1])
        if columns is not None and columns - start >= _NARROW:
            # The last column has the sentences; the rest of one stands below its start.
            cells = [
                [part if at == len(row) - 1 else "" if again else row[at] for at in range(len(row))]
                for row in cells
                for again, part in enumerate(wrap(row[-1], columns - start))
            ]
            widths[-1] = max(width(row[-1]) for row in cells)
        return "\n".join(
            "  ".join(
                value + " " * (size - width(value)) for value, size in zip(row, widths, strict=True)
            ).rstrip()
            for row in cells
        )

    def as_html(self) -> str:
        style = "text-align: left; vertical-align: top; padding: 2px 12px 2px 0"

        def row(values: Sequence[object], tag: str) -> str:
            cells = (f'<{tag} style="{style}">{markup(line(value))}</{tag}>' for value in values)
            return f"<tr>{''.join(cells)}</tr>"

        head = f"<thead>{row(self.head, 'th')}</thead>" if any(self.head) else ""
        return f"<table>{head}<tbody>{''.join(row(each, 'td') for each in self.rows)}</tbody></table>"


@dataclass(frozen=True)
class Findings:
    """What is wrong: a table in a notebook; in a terminal, too narrow for one, the lines of an error."""

    violations: Sequence[Violation]
    listing: str = LISTING

    def as_text(self, columns: int | None = None) -> str:
        return "\n".join(told(self.violations, self.listing, columns))

    def as_html(self) -> str:
        head = ("code", "value", "reason and way out", "where")
        rows = [(each.code, each.said, each.sentences, each.place) for each in first(self.violations)]
        left = len(self.violations) - len(rows)
        rest = Text(more(left, self.listing)).as_html() if left else ""
        return Table(head, rows).as_html() + rest if rows else ""


Block = Text | Verbatim | Table | Findings


@dataclass(frozen=True)
class Answer:
    """What a verb returns.

    :param data: the JSON form, printed by ``--json``.
    :param code: the exit code of the ``skill`` command.
    """

    blocks: Sequence[Block] = ()
    data: object = None
    code: int = 0

    def text(self, columns: int | None = None) -> str:
        """For a terminal of so many columns (``None``: for a file, nothing is broken); ends without a newline."""
        return "\n".join(text for text in (block.as_text(columns) for block in self.blocks) if text)

    def html(self) -> str:
        """For a notebook; survives JupyterLab's sanitiser."""
        return f"<div {UNTYPESET}>{''.join(block.as_html() for block in self.blocks)}</div>"

    def json(self) -> str:
        """For a machine; escaped to ASCII, so that nothing in it can move a cursor."""
        said = json.dumps(self.data, indent=2, ensure_ascii=True, default=str)
        return said.replace("\x7f", "\\u007f")  # DEL is ASCII, and a control character

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}
