"""The static card of a finished run: HTML and text that need no kernel, no script and no style sheet.

The HTML is made of what JupyterLab's sanitiser leaves in a notebook that is not trusted: plain inline styles,
no ``<style>``, ``<svg>`` or ``var(…)``. Colours are chosen to read on light and dark pages alike.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from ..foreign import UNTYPESET, line, lines, markup
from . import chart, preview, transcript, words

if TYPE_CHECKING:
    from ..result import RunResult

MIME = "application/vnd.skill-magic.run+json"
"""The key figures as data, beside the HTML and the text, for tools that read notebooks."""

MOST_NOTES = 20
"""Notes that a card shows; others are counted."""

COMMAND_LIMIT = 4000
"""Characters of a command line that are shown."""

# As much contrast as one colour can have on a white and on a black page (`colour.readable`).
_GOOD, _BAD, _WARN, _GREY = "#288d50", "#d64545", "#a67114", "#7c7c7c"
_COLOURS = {"finished": _GOOD, "stopped": _WARN, "timeout": _WARN, "lost": _GREY}
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px"
_SMALL = "font-size:11px;opacity:0.75"
_PART = "margin:10px 0 0 0"
_CARD = (
    "border:1px solid rgba(127,127,127,0.35);border-radius:6px;padding:10px 14px;margin:4px 0;"
    "max-width:900px;font-size:13px;line-height:1.4"
)
_LINE = f"{_MONO};margin:4px 0 0 0;padding:0;border:0;white-space:pre-wrap;overflow-wrap:break-word"


def bundle(result: RunResult, *, output: bool = True) -> dict[str, Any]:
    """The card in its three forms, for ``display(…, raw=True)``."""
    return {
        "text/plain": text(result, output=output),
        "text/html": html(result, output=output),
        MIME: words.as_dict(result),
    }


def notice(skill: str, message: str) -> dict[str, Any]:
    """One line in place of a card, for a run that has no result."""
    said = line(f"{skill}: {message}")
    return {"text/plain": said, "text/html": f'<div {UNTYPESET} style="{_SMALL}">{markup(said)}</div>'}


def html(result: RunResult, *, output: bool = True) -> str:
    """The card as HTML. ``output=False``: without the tool's output, which stands on the streams already."""
    colour = _COLOURS.get(result.state, _BAD)
    parts = [_header(result, colour), _figures(result), _chart(result)]
    if output:
        parts.append(_output(result))
    parts += [_files(result), _notes(result), _details(result)]
    return f'<div {UNTYPESET} style="{_CARD};border-left:4px solid {colour}">{"".join(parts)}</div>'


def text(result: RunResult, *, output: bool = True) -> str:
    """The card as plain text."""
    said = [f"{words.SYMBOLS[result.state]} {line(result.skill)}: {words.state(result)}"]
    if advice := words.hint(result):
        said.append(f"  {advice}")
    said.append(f"  {_command(result)}")
    said.append(f"  image {_image(result)}")
    said.append("  " + " · ".join(f"{name} {value}" for name, value in words.figures(result)))
    said += [
        f"  {change.kind} {line(change.path)} ({words.size(change.size)})" for change in result.files[:20]
    ]
    if len(result.files) > 20:
        said.append(f"  and {len(result.files) - 20} more files")
    said += [f"  note: {line(note)}" for note in result.notes]
    if output and (shown := transcript.of(result).text()):
        said += ["", shown]
    return "\n".join(said)


def _header(result: RunResult, colour: str) -> str:
    advice = words.hint(result)
    below = f'<div style="{_SMALL};overflow-wrap:break-word">{markup(advice)}</div>' if advice else ""
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:2px 10px;align-items:baseline">'
        f'<span style="color:{colour};font-weight:bold">{words.SYMBOLS[result.state]}</span>'
        f'<span style="font-weight:bold;font-size:14px">{markup(line(result.skill))}</span>'
        f'<span style="color:{colour};font-weight:bold">{markup(words.state(result))}</span>'
        f"</div>{below}"
        f'<div style="{_MONO};margin:3px 0 0 0;overflow-wrap:break-word">{markup(_command(result))}</div>'
        f'<div style="{_SMALL};overflow-wrap:break-word">{markup(_image(result))}</div>'
    )


def _figures(result: RunResult) -> str:
    cells = []
    for name, value in words.figures(result):
        bar = _bar(result) if name == "peak memory" else ""
        cells.append(
            f'<div style="min-width:80px"><div style="{_SMALL}">{name}</div>'
            f'<div style="white-space:nowrap">{markup(value)}</div>{bar}</div>'
        )
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px 26px;{_PART}">{"".join(cells)}</div>'


def _bar(result: RunResult) -> str:
    if not result.memory_limit or result.peak_memory is None:
        return ""
    share = min(100 * result.peak_memory / result.memory_limit, 100)
    colour = _BAD if share >= 90 else chart.MEMORY_COLOUR
    return (
        '<div style="background-color:rgba(127,127,127,0.25);border-radius:2px;height:4px;margin:3px 0 0 0">'
        f'<div style="background-color:{colour};border-radius:2px;height:4px;width:{share:.1f}%"></div></div>'
    )


def _chart(result: RunResult) -> str:
    picture = chart.svg(result.samples, result.memory_limit)
    if not picture:
        return ""
    said = markup(chart.description(result.samples))
    return (
        f'<div style="{_PART}"><img src="{chart.data_uri(picture)}" alt="{said}" title="{said}" '
        'style="width:100%;max-width:640px"></div>'
    )


def _output(result: RunResult) -> str:
    output = result.output
    size = output.stdout.size + output.stderr.size
    if not size:
        said = f"standard output: {line(result.stdout_file)}" if result.stdout_file else "no output"
        return f'<div style="{_SMALL};{_PART}">{markup(said)}</div>'
    told = ""
    if output.stdout.size and output.stderr.size:
        told = ' · <span style="border-left:3px solid #c98a1b;padding-left:4px">standard error</span>'
    elif output.stderr.size:
        told = " · standard error"
    logs = "".join(f" · {markup(line(path))}" for path in output.logs.values())
    return (
        f'<details open style="{_PART}">'
        f'<summary style="{_SMALL}">output · {words.size(size)}{told}{logs}</summary>'
        '<div style="max-height:340px;overflow:auto;margin:4px 0 0 0;padding:6px 4px;border-radius:4px;'
        f'background-color:rgba(127,127,127,0.09)">{transcript.html(result)}</div>'
        f"{preview.of_output(result)}</details>"
    )


def _files(result: RunResult) -> str:
    if not (result.files or result.unattributed_files):
        return ""
    shown = "".join(item.html() for item in preview.previews(result))
    gallery = (
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin:6px 0 0 0">{shown}</div>' if shown else ""
    )
    parts = []
    if result.files:
        parts.append(f'<div style="{_SMALL}">files</div>{preview.listing(result.files)}')
    if result.unattributed_files:
        parts.append(
            f'<div style="{_SMALL}">files of this run or of another beside it</div>'
            f"{preview.listing(result.unattributed_files)}"
        )
    return f'<div style="{_PART}">{"".join(parts)}{gallery}</div>'


def _notes(result: RunResult) -> str:
    notes = [f"<div>{markup(line(note))}</div>" for note in result.notes[:MOST_NOTES]]
    if more := len(result.notes) - MOST_NOTES:
        notes += [f"<div>and {more} more, in the result's notes</div>"] if more > 0 else []
    return (
        f'<div style="{_PART};border-left:3px solid {_WARN};padding-left:8px">{"".join(notes)}</div>'
        if notes
        else ""
    )


def _details(result: RunResult) -> str:
    if not result.command_line:
        return ""
    command = _cut(lines(result.command_line))
    return (
        f'<details style="{_PART}"><summary style="{_SMALL}">docker run command</summary>'
        f'<pre style="{_LINE};background:transparent">{markup(command)}</pre></details>'
    )


def _command(result: RunResult) -> str:
    return _cut(line(shlex.join([result.skill, *words.shown_args(result)])), 600)


def _cut(line: str, limit: int = COMMAND_LIMIT) -> str:
    return line if len(line) <= limit else f"{line[:limit]}… [{len(line) - limit} more characters]"


def _image(result: RunResult) -> str:
    digest = result.digest or result.image_id or ""
    digest = digest.rpartition("@")[2]
    named = f" · {digest}" if digest else ""
    network = f" · network {result.network}" if result.network != "none" else ""
    return line(f"{result.image}{named}{network}")
