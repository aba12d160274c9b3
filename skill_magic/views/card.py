"""The static card of a finished run: HTML and text that need no kernel, no script and no style sheet."""

from __future__ import annotations

import html as markup
from typing import TYPE_CHECKING

from ..text import plain
from . import words

if TYPE_CHECKING:
    from ..result import RunResult


def html(result: RunResult, *, output: bool = True) -> str:
    """The card as HTML. ``output=False`` leaves the tool's output out, where it stands on the streams already."""
    return f"<pre>{markup.escape(text(result, output=output))}</pre>"


def text(result: RunResult, *, output: bool = True) -> str:
    """The card as plain text."""
    lines = [words.one_line(result)]
    if output:
        lines += [plain(b"".join(p.data for p in (*result.output.head, *result.output.tail)))]
    return "\n".join(lines)
