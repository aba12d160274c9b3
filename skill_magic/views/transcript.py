"""The output of a finished run as lines, in the order they ended, for the card and its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..carriage_returns import collapse
from ..foreign import markup
from ..media import binary
from ..output import Piece, StreamName
from ..text import LineLimit, Sanitizer, without_colour
from . import words
from .colour import Painter

if TYPE_CHECKING:
    from ..result import RunResult

HTML_LIMIT = 200_000
"""Characters of HTML for one run's output; colours make more of it than the text has."""

TEXT_LIMIT = 8 * 1024
"""Characters from the start and from the end that the plain text of a card has room for."""

_NEWLINE = "&#10;"
"""A line end within ``<pre>``. In Markdown, which nbconvert also makes of a notebook, a blank line would end the card's
HTML, and what a tool wrote after it would be read as Markdown, with pictures from anywhere."""

_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;line-height:1.45"
_PRE = (
    f"{_MONO};margin:0;border:0;border-radius:0;white-space:pre-wrap;overflow-wrap:break-word;"
    "background:transparent"
)
_STYLES = {
    "stdout": f"{_PRE};padding:0 0 0 11px",
    "stderr": f"{_PRE};padding:0 0 0 8px;border-left:3px solid #c98a1b",
}
_GAP = (
    f"{_MONO};margin:4px 0;padding:2px 11px;font-style:italic;opacity:0.8;"
    "background-color:rgba(127,127,127,0.15)"
)


@dataclass(frozen=True)
class Transcript:
    """Lines as (stream, safe text with colour). ``gap`` says what is missing between the two parts."""

    head: Sequence[tuple[StreamName, str]]
    tail: Sequence[tuple[StreamName, str]]
    gap: str

    def text(self) -> str:
        """It without colour; where that is longer than twice :data:`TEXT_LIMIT`, its start and its end."""
        head = [without_colour(line) for _, line in self.head]
        tail = [without_colour(line) for _, line in self.tail]
        gap = self.gap
        if sum(len(line) + 1 for line in (*head, *tail)) > 2 * TEXT_LIMIT:
            lines = [*head, *tail]
            head, tail = _fitting(lines), _fitting(lines[::-1])[::-1]
            gap = gap or "more is in the result (.stdout, .stderr)"
        return "\n".join([*head, *([f"… {gap} …"] if gap else []), *tail])

    def html(self) -> str:
        """All of it as ``<pre>`` elements, standard error marked at its side."""
        parts = [_blocks(self.head)]
        if self.gap:
            parts.append(f'<div style="{_GAP}">… {markup(self.gap)} …</div>')
        parts.append(_blocks(self.tail))
        return "".join(parts)


def of(result: RunResult) -> Transcript:
    """What the card shows of the output."""
    output = result.output
    gap = ""
    head, tail = output.head, output.tail
    told: list[tuple[StreamName, str]] = []
    sizes: dict[StreamName, int] = {"stdout": output.stdout.size, "stderr": output.stderr.size}
    for name, size in sizes.items():
        if is_binary(result, name):
            head, tail = (tuple(piece for piece in part if piece.stream != name) for part in (head, tail))
            told.append((name, words.binary(size)))
    if told and not head:
        return Transcript(told, [], "")
    if output.omitted_bytes:
        lines, size = output.omitted_lines, output.omitted_bytes
        left_out = words.count(lines, "line") if lines else words.size(size)
        where = " and ".join(str(path) for path in output.logs.values())
        gap = f"{left_out} omitted"
        if where or not output.stdout.lost:
            gap += f", all of it is in {where or 'the result (.stdout, .stderr)'}"
    return Transcript([*told, *_lines(head)], _lines(tail), gap)


def is_binary(result: RunResult, stream: StreamName) -> bool:
    """Whether a stream is no text, by its start: a picture, an archive; shown as how much it is."""
    return binary(b"".join(piece.data for piece in result.output.head if piece.stream == stream))


def html(result: RunResult) -> str:
    """The output as HTML of at most about :data:`HTML_LIMIT` characters."""
    transcript = of(result)
    page = transcript.html()
    while len(page) > HTML_LIMIT:  # colour on every letter: fewer letters, then
        kept = max(int(HTML_LIMIT / len(page) * 0.9 * len(transcript.head)), 1)
        kept_tail = int(HTML_LIMIT / len(page) * 0.9 * len(transcript.tail))
        if kept == len(transcript.head):
            return Transcript([], [], "the output is too long for the card; it is in the result").html()
        gap = transcript.gap or "more is in the result (.stdout, .stderr)"
        transcript = Transcript(
            transcript.head[:kept], transcript.tail[len(transcript.tail) - kept_tail :], gap
        )
        page = transcript.html()
    return page


def _fitting(lines: Sequence[str]) -> list[str]:
    """The first of ``lines`` that fit into :data:`TEXT_LIMIT` characters."""
    kept: list[str] = []
    room = TEXT_LIMIT
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def _lines(pieces: Sequence[Piece]) -> list[tuple[StreamName, str]]:
    """A line belongs where it ends: two streams writing at once do not tear each other's lines apart."""
    clean: dict[StreamName, Sanitizer] = {"stdout": Sanitizer(), "stderr": Sanitizer()}
    begun: dict[StreamName, list[str]] = {"stdout": [], "stderr": []}
    found: list[tuple[StreamName, str]] = []
    for piece in pieces:
        first, *others = clean[piece.stream].feed(piece.data).split("\n")
        begun[piece.stream].append(first)
        for line in others:
            found.append((piece.stream, _line("".join(begun[piece.stream]))))
            begun[piece.stream] = [line]
    for name, parts in begun.items():
        if last := _line("".join(parts) + clean[name].close()):
            found.append((name, last))
    return found


def _line(text: str) -> str:
    limit = LineLimit()
    return limit.feed(collapse(text)) + limit.close()


def _blocks(lines: Sequence[tuple[StreamName, str]]) -> str:
    painters: dict[StreamName, Painter] = {"stdout": Painter(), "stderr": Painter()}
    blocks: list[tuple[StreamName, list[str]]] = []
    for name, line in lines:
        if not blocks or blocks[-1][0] != name:
            blocks.append((name, []))
        blocks[-1][1].append(painters[name].html(line) or " ")
    return "".join(f'<pre style="{_STYLES[name]}">{_NEWLINE.join(body)}</pre>' for name, body in blocks)
