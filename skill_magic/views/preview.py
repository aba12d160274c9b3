"""The files of a run in its card: a list, pictures, players for sound and video.

Small files are put into the card itself, so that it shows them next year on another machine; larger ones are
named by their path, which a front end looks up beside the notebook.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import SkillError
from ..files import FileChange, open_result
from ..foreign import line, markup
from ..media import HEAD, Media, recognise
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

_LINK = "#3a7fc0"
_FAINT = "font-size:11px;opacity:0.7"
_FRAME = "max-width:100%;border-radius:4px;border:1px solid rgba(127,127,127,0.35)"


@dataclass(frozen=True)
class Preview:
    """A file that the card shows; ``source`` is a data URI or a relative address."""

    change: FileChange
    media: Media
    source: str

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
    """The files worth showing, at most :data:`PREVIEWS`; each opened safely, see :mod:`skill_magic.files`."""
    room, shown = EMBEDDED, 0
    if result.directory is None:
        return
    for change in result.files:
        if shown == PREVIEWS:
            return
        try:
            with open_result(result.directory, change.path, limit=LINKED) as file:
                data = file.read(HEAD)
                media = recognise(data)
                if media is None or media.width * media.height > PIXELS:
                    continue
                if os.fstat(file.fileno()).st_size <= room:
                    data += file.read(room + 1)
                whole = not file.read(1)
        except (SkillError, OSError):  # gone, replaced by a link, not readable: it is listed, that is all
            continue
        source = address(change.path)
        if whole and len(data) <= room:
            room -= len(data)
            source = f"data:{media.mime};base64,{base64.b64encode(data).decode()}"
        shown += 1
        yield Preview(change, media, source)


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


def listing(result: RunResult) -> str:
    """The files as a list of links with their sizes."""
    rows = []
    for change in result.files[:LISTED]:
        name = markup(line(change.path))
        link = markup(address(change.path))
        rows.append(
            f'<div style="display:flex;gap:10px;align-items:baseline">'
            f'<span style="{_FAINT};min-width:52px">{change.kind}</span>'
            f'<a href="{link}" style="color:{_LINK};overflow-wrap:break-word">{name}</a>'
            f'<span style="{_FAINT};white-space:nowrap">{words.size(change.size)}</span></div>'
        )
    if len(result.files) > LISTED:
        rows.append(f'<div style="opacity:0.7">and {len(result.files) - LISTED} more</div>')
    return "".join(rows)


def address(path: str) -> str:
    """The relative URL of a file beside the notebook; nothing in a name can give it a scheme or a host."""
    return "./" + quote(path, errors="surrogateescape")
