"""Output on sys.stdout and sys.stderr: notebooks without a panel, pipes, plain Python.

Each stream is treated as what it is. A pipe or a file gets the tool's bytes, unmodified. A terminal gets safe
text. So does a notebook, which also keeps what it is given for ever: there, long output is cut in the middle.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TextIO

from ..carriage_returns import last_drawings
from ..events import Event, Note, Output, Pulling, Started
from ..media import binary
from ..output import Shown, StreamName
from ..text import LineLimit, Sanitizer, label, sanitize
from . import words
from .base import QuietView

if TYPE_CHECKING:
    from ..result import RunResult
    from ..spec import RunSpec

INTERVAL = 0.1
"""Seconds between two writes of text: a notebook gets a message for each."""

ORDERED = 20
"""Changes between the two streams in one write up to which a notebook shows them in the order they came: each is a
message."""

NOTEBOOK_CHARACTERS = 256 * 1024
NOTEBOOK_LINES = 5000
"""What goes into a notebook before only the end is still shown."""

END_BYTES = 16 * 1024
END_LINES = 50
"""What is shown of the end, then."""

_PENDING = 64 * 1024

Kind = Literal["pipe", "terminal", "notebook", "text"]


def kind_of(stream: TextIO) -> Kind:
    """What ``stream`` leads to. A notebook's stream claims to be a terminal, so the kernel is asked first."""
    if in_kernel():
        return "notebook"
    if stream.isatty():
        return "terminal"
    return "pipe" if hasattr(stream, "buffer") else "text"


def in_kernel() -> bool:
    """Whether a notebook's front end (or nbclient) shows what this process prints."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


class StreamView(QuietView):
    """Writes what the tool writes, from the calling thread alone.

    :param stdout: where standard output goes; :param stderr: where standard error and our own words go.
    :param card: show the result's card at the end, less the output, which stands above it.
    """

    def __init__(
        self, stdout: TextIO | None = None, stderr: TextIO | None = None, *, card: bool = False
    ) -> None:
        self._streams: dict[StreamName, TextIO] = {
            "stdout": stdout or sys.stdout,
            "stderr": stderr or sys.stderr,
        }
        self._kinds = {name: kind_of(stream) for name, stream in self._streams.items()}
        self._clean = {name: Sanitizer() for name in self._streams}
        self._limits = {name: LineLimit() for name in self._streams}
        self._card = card
        self._pending: list[tuple[StreamName, str]] = []
        self._waiting = 0
        self._written = time.monotonic()
        self._room = NOTEBOOK_CHARACTERS
        self._lines = NOTEBOOK_LINES
        self._end: Shown | None = None
        self._binary: dict[StreamName, int] = {}  # bytes of what is no text, which a notebook is not given
        self._begun: set[StreamName] = set()
        self._ordered = True
        self._written_last: StreamName = "stdout"
        self._open = False  # the last text did not end its line
        self._said: set[str] = set()
        self._pulled: Pulling | None = None

    def begin(self, spec: RunSpec, stop: Callable[[], None]) -> None:
        """Our own words about the run come before its output."""
        for note in spec.notes:
            self._note(note)

    def event(self, event: Event) -> None:
        """Output is written within :data:`INTERVAL`; notes and pulls get a line on standard error."""
        if isinstance(event, Output):
            self._output(event.stream, event.data)
        elif isinstance(event, Note):
            self._note(event.text)
        elif isinstance(event, Pulling):
            self._pulling(event)
        elif isinstance(event, Started):
            self._running()

    def tick(self) -> None:
        """Write what waits, at most ten times a second."""
        if self._pending and time.monotonic() - self._written >= INTERVAL:
            self.flush()

    def finish(self, result: RunResult) -> None:
        """Write the rest, and the card where one was asked for."""
        self._drain(result)
        for note in result.notes:  # what it left behind is known only now
            self._note(label(note))
        if self._card:
            from IPython.display import display

            from . import card

            display(card.bundle(result, output=False), raw=True)

    def error(self, error: BaseException) -> None:
        """Write the rest; whoever raises the error shows it."""
        self._drain(None)

    def flush(self) -> None:
        """Write what waits."""
        self._written = time.monotonic()
        pending, self._pending, self._waiting = self._pending, [], 0
        merged = _merged(pending)
        self._ordered = len(merged) <= ORDERED
        for name, text in merged:
            text = last_drawings(text)
            if self._kinds[name] == "notebook":
                text = self._within_budget(name, text)
            if text:
                self._write(name, text)

    def _output(self, name: StreamName, data: bytes) -> None:
        if self._kinds[name] == "pipe":
            self._pass_on(name, data)
        elif self._kinds[name] == "notebook" and self._no_text(name, data):
            self._binary[name] += len(data)
        elif self._end is not None:
            self._end.write(name, data)
        else:
            self._queue(name, self._clean[name].feed(data))

    def _no_text(self, name: StreamName, data: bytes) -> bool:
        """Whether the stream is binary; its first bytes tell."""
        if name not in self._begun:
            self._begun.add(name)
            if binary(data):
                self._binary[name] = 0
        return name in self._binary

    def _pass_on(self, name: StreamName, data: bytes) -> None:
        stream = self._streams[name]
        stream.flush()  # what Python printed before stands before
        stream.buffer.write(data)
        stream.buffer.flush()

    def _queue(self, name: StreamName, text: str) -> None:
        if self._kinds[name] == "notebook":
            text = self._limits[name].feed(text)
        self._pending.append((name, text))
        self._waiting += len(text)
        if self._waiting >= _PENDING or time.monotonic() - self._written >= INTERVAL:
            self.flush()

    def _within_budget(self, name: StreamName, text: str) -> str:
        if self._end is not None:
            self._end.write(name, text.encode())
            return ""
        shown = text[: self._room]
        if shown.count("\n") > self._lines:
            shown = "\n".join(shown.split("\n", self._lines)[: self._lines]) + "\n"
        self._room -= len(shown)
        self._lines -= shown.count("\n")
        if len(shown) < len(text):
            self._end = Shown(0, END_BYTES)
            self._end.write(name, text[len(shown) :].encode())
            shown = _to_line_end(shown) + "… the output goes on; its end is shown when the run is over\n"
        return shown

    def _drain(self, result: RunResult | None) -> None:
        for name, size in self._binary.items():
            self._queue(name, words.binary(size) + "\n")
        self._binary.clear()
        for name in self._streams:
            if self._kinds[name] != "pipe" and self._end is None:
                self._queue(name, self._clean[name].close())
                if self._kinds[name] == "notebook":
                    self._queue(name, self._limits[name].close())
        self.flush()
        if self._end is not None:
            self._show_end(self._end, result)

    def _show_end(self, end: Shown, result: RunResult | None) -> None:
        head, tail, omitted, _ = end.take()
        texts = _merged([(piece.stream, sanitize(piece.data)) for piece in (*head, *tail)])
        lines = [(name, line) for name, text in texts for line in last_drawings(text).splitlines(True)]
        omitted += max(len(lines) - END_LINES, 0)
        where = ""
        if result is not None:
            logs = result.output.logs
            where = ", ".join(str(path) for path in logs.values()) or "the result's stdout and stderr"
            where = f"; all of it: {where}"
        last = lines[-END_LINES:]
        if omitted:  # on the stream that goes on: a notebook shows the two independently of each other
            stream = last[0][0] if last else "stderr"
            self._write(stream, f"… {words.count(omitted, 'line')} omitted{where}\n")
        for name, text in _merged([(name, LineLimit().feed(line)) for name, line in last]):
            self._write(name, text)

    def _write(self, name: StreamName, text: str) -> None:
        stream = self._streams[name]
        if self._kinds[name] != "notebook":
            stream.write(text)
            stream.flush()
        else:  # a notebook's stream sends five times a second by itself, and each of the two on its own
            other = self._streams["stderr" if name == "stdout" else "stdout"]
            if name != self._written_last and self._ordered:
                other.flush()
            stream.write(text)
            self._written_last = name
        self._open = not text.endswith("\n")

    def _note(self, text: str) -> None:
        if (
            not self._card and text not in self._said and not words.ROUTINE.fullmatch(text)
        ):  # the card has them
            self._said.add(text)
            self._said.add(label(text))
            self._say(text)

    def _say(self, text: str) -> None:
        self.flush()
        start = "\n" if self._open and self._kinds["stdout"] == self._kinds["stderr"] != "pipe" else ""
        self._write("stderr", f"{start}skill: {label(text)}\n")

    def _pulling(self, event: Pulling) -> None:
        if self._pulled is None:
            self._say(f"pulling {event.image}")
        self._pulled = event

    def _running(self) -> None:
        if self._pulled is not None:
            size = self._pulled.total or self._pulled.current
            self._say(f"pulled {self._pulled.image}{f', {words.size(size)}' if size else ''}")
            self._pulled = None


def _merged(pieces: list[tuple[StreamName, str]]) -> list[tuple[StreamName, str]]:
    """Neighbours of the same stream joined."""
    found: list[tuple[StreamName, list[str]]] = []
    for name, text in pieces:
        if found and found[-1][0] == name:
            found[-1][1].append(text)
        else:
            found.append((name, [text]))
    return [(name, "".join(texts)) for name, texts in found]


def _to_line_end(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
