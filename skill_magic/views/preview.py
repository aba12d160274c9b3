"""The files of a run in its card: a list, pictures, players for sound and video.

Small files are put into the card itself, so that it shows them next year on another machine; larger ones are
named by their path, which a front end looks up beside the notebook.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import SkillError
from ..file_change import FileChange, open_result
from ..foreign import UNTYPESET, line, lines, markup
from ..media import HEAD, Media, binary, recognise
from ..text import plain
from . import words

if TYPE_CHECKING:
    from ..result import RunResult

LISTED = 20
PREVIEWS = 6
"""Files named in the card, and those of them that are shown."""

EMBEDDED = 256 * 1024
"""Bytes of files that a card carries itself, all together."""

LINKED = 64 * 1024 * 1024
PIXELS = 50_000_000
"""A file or picture larger than this is listed, not shown: opening a notebook must not cost so much."""

TEXT = 8 * 1024
LINES = 20
WIDTH = 300
"""Bytes, lines, and characters of a line that are shown of a text."""

_LINK = "#3a7fc0"
_FAINT = "font-size:11px;opacity:0.7"
_FRAME = "max-width:100%;border-radius:4px;border:1px solid rgba(127,127,127,0.35)"


@dataclass(frozen=True)
class Preview:
    """A file that is shown; ``source`` is a data URI of ``embedded`` bytes, or a relative address."""

    change: FileChange
    media: Media
    source: str
    embedded: int = 0

    def html(self) -> str:
        """The element and its caption."""
        name = markup(line(self.change.path))
        source = markup(self.source)
        if self.media.kind == "picture":
            shown = f'<img src="{source}" alt="{name}" style="{_FRAME};max-height:220px">'
            shape = f" · {self.media.width} × {self.media.height}"
        elif self.media.kind == "video":
            style = f"{_FRAME};max-height:240px"
            shown = f'<video controls preload="metadata" src="{source}" style="{style}"></video>'
            shape = ""
        else:
            shown = f'<audio controls preload="metadata" src="{source}"></audio>'
            shape = ""
        return (
            f'<div style="max-width:420px">{shown}'
            f'<div style="font-size:11px;opacity:0.75;overflow-wrap:break-word">{name}{shape}</div></div>'
        )


def previews(result: RunResult) -> Iterator[Preview]:
    """The files worth showing, at most :data:`PREVIEWS`; each opened safely, see :mod:`skill_magic.file_change`."""
    room, shown = EMBEDDED, 0
    if result.directory is None:
        return
    # Of what may be another run's, what this one was told to write is most likely what its reader looks for.
    args = frozenset(result.args)
    named = [each for each in result.unattributed_files if not args.isdisjoint((each.path, f"./{each.path}"))]
    for change in (*result.files, *named):
        if shown == PREVIEWS:
            return
        found = _preview(result.directory, change, room)
        if found is not None:
            shown += 1
            room -= found.embedded
            yield found


def _preview(directory: Path, change: FileChange, room: int) -> Preview | None:
    """The file as an element, where it is a picture, sound or video; carried by it up to ``room`` bytes."""
    try:
        with open_result(directory, change.path, limit=LINKED) as file:
            data = file.read(HEAD)
            media = recognise(data)
            if media is None or media.width * media.height > PIXELS:
                return None
            if os.fstat(file.fileno()).st_size <= room:
                data += file.read(room + 1)
            whole = not file.read(1)
    except (SkillError, OSError):  # gone, replaced by a link, not readable: it is listed, that is all
        return None
    if whole and len(data) <= room:
        encoded = base64.b64encode(data).decode()
        return Preview(change, media, f"data:{media.mime};base64,{encoded}", len(data))
    return Preview(change, media, address(change.path))


def bundle(change: FileChange) -> dict[str, str]:
    """One file as a notebook shows it: a picture, a player, the first lines of a text; its name alone where there is
    nothing to show, or where it is not to be opened."""
    if change.directory is None:
        return {"text/plain": repr(change)}
    found = _preview(change.directory, change, EMBEDDED)
    shown = found.html() if found is not None else _beginning(change.directory, change)
    return {
        "text/plain": repr(change),
        "text/html": f'<div {UNTYPESET} style="font-size:13px;max-width:900px">{shown}{_row(change)}</div>',
    }


def _beginning(directory: Path, change: FileChange) -> str:
    """The first lines of a text, also of one that a browser would run or draw; empty where it is none."""
    try:
        with open_result(directory, change.path) as file:
            data = file.read(TEXT + 1)
    except (SkillError, OSError):
        return ""
    if not data or b"\0" in data or binary(data):
        return ""
    text = plain(data[:TEXT])
    if text.count("\ufffd") > len(text) // 20:
        return ""  # no text: a PDF, say, or compressed data without a NUL byte so far
    kept = [part if len(part) <= WIDTH else f"{part[:WIDTH]}…" for part in text.split("\n", LINES)[:LINES]]
    shown = lines("\n".join(kept).rstrip("\n"))
    more = "\n…" if len(data) > TEXT or text.count("\n") > LINES else ""
    body = markup(shown + more)
    return (
        '<pre style="margin:0 0 4px 0;padding:6px 4px;border-radius:4px;max-height:340px;overflow:auto;'
        f'background-color:rgba(127,127,127,0.09);white-space:pre-wrap;overflow-wrap:break-word">{body}</pre>'
    )


def of_output(result: RunResult) -> str:
    """The picture that the tool wrote to its standard output, as an element; empty where it is none."""
    saved = result.output.stdout
    if not saved.size or saved.size > EMBEDDED or saved.path is not None:
        return ""
    media = recognise(saved.data)
    if media is None or media.kind != "picture" or media.width * media.height > PIXELS:
        return ""
    source = f"data:{media.mime};base64,{base64.b64encode(saved.data).decode()}"
    return Preview(FileChange("standard output", "created", saved.size), media, source).html()


def listing(files: Sequence[FileChange]) -> str:
    """Files as a list of links with their sizes."""
    rows = [_row(change) for change in files[:LISTED]]
    if len(files) > LISTED:
        rows.append(f'<div style="opacity:0.7">and {len(files) - LISTED} more</div>')
    return "".join(rows)


def _row(change: FileChange) -> str:
    name = markup(line(change.path))
    link = markup(address(change.path))
    return (
        f'<div style="display:flex;gap:10px;align-items:baseline">'
        f'<span style="{_FAINT};min-width:52px">{change.kind}</span>'
        f'<a href="{link}" style="color:{_LINK};overflow-wrap:break-word">{name}</a>'
        f'<span style="{_FAINT};white-space:nowrap">{words.size(change.size)}</span></div>'
    )


def address(path: str) -> str:
    """The relative URL of a file beside the notebook; nothing in a name can give it a scheme or a host."""
    return "./" + quote(path, errors="surrogateescape")
