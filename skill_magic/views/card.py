"""The static card of a finished run: HTML and text that need no kernel, no script and no style sheet."""

from __future__ import annotations

import html as markup
from typing import TYPE_CHECKING, Any

from ..text import plain
from . import words

if TYPE_CHECKING:
    from ..result import RunResult


MIME = "application/vnd.skill-magic.run+json"
"""The key figures as data, beside the HTML and the text, for tools that read notebooks."""


def bundle(result: RunResult, *, output: bool = True) -> dict[str, Any]:
    """The card in its three forms, for ``display(…, raw=True)``."""
    return {
        "text/plain": text(result, output=output),
        "text/html": html(result, output=output),
        MIME: words.as_dict(result),
    }


def notice(skill: str, message: str) -> dict[str, Any]:
    """One line in place of a card, for a run that has no result."""
    line = plain(f"{skill}: {message}")
    return {"text/plain": line, "text/html": f"<div>{markup.escape(line)}</div>"}


def html(result: RunResult, *, output: bool = True) -> str:
    """The card as HTML. ``output=False``: without the tool's output, which stands on the streams already."""
    return f"<pre>{markup.escape(text(result, output=output))}</pre>"


def text(result: RunResult, *, output: bool = True) -> str:
    """The card as plain text."""
    lines = [words.one_line(result)]
    if output:
        lines += [plain(b"".join(p.data for p in (*result.output.head, *result.output.tail)))]
    return "\n".join(lines)
