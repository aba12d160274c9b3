"""A notebook as a page of the documentation site: its text, its cells, and the outputs that are saved in it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_NOT_RUN = (
    "!!! note\n"
    "    This page was built without a Docker engine, so it has no outputs. `scripts/docs` executes the notebook\n"
    "    where an engine answers.\n"
)


def page(path: Path) -> str:
    """The notebook as Markdown."""
    notebook = nbformat.read(path, as_version=4)
    parts = [part for cell in notebook.cells for part in _cell(cell)]
    if not any(cell.get("outputs") for cell in notebook.cells):
        parts.insert(1, _NOT_RUN)
    return "\n\n".join(parts) + "\n"


def _cell(cell: Any) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield cell.source
    elif cell.cell_type == "code" and cell.source.strip():
        yield f"```{'text' if cell.source.startswith('%') else 'python'}\n{cell.source}\n```"
        for output in _joined(cell.outputs):
            # One line of HTML, so that Markdown takes all of it as it is.
            yield f'<div class="nb-output">{_one_line(_output(output))}</div>'


def _joined(outputs: list[Any]) -> list[Any]:
    """The outputs, pieces of one stream put together."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return _text(output.text)
    if output.output_type == "error":
        return _text("\n".join(output.traceback))
    data = output.data
    if "text/html" in data:
        return str(data["text/html"])
    for kind in ("image/png", "image/jpeg", "image/gif"):
        if kind in data:
            return f'<img src="data:{kind};base64,{"".join(data[kind].split())}" alt="output">'
    return _text(data.get("text/plain", ""))


def _text(text: str) -> str:
    return f"<pre>{html.escape(_SGR.sub('', text))}</pre>"


def _one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "&#10;" if "<pre" in text else " ")
