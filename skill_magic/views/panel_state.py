"""Events → the small state that a live panel shows, and the messages that keep a browser's copy current.

Pure: no widget, no clock. A message is a plain dictionary of JSON values:

``head``
    skill, image, command, phase ("starting", "pulling", "running"), elapsed seconds, notes, pull progress.
``lines``
    ``[number, stream, text, hidden]``: line ``number`` of the output now reads ``text`` (at most
    :data:`WIDTH` characters, colours as SGR sequences) and goes on for ``hidden`` more bytes. Numbers count
    all lines of the run, so a gap in them is the lines that were skipped: under a flood a person sees samples
    and an honest count, and the browser and the network see a bounded rate. Setting a line twice is harmless,
    so messages may overlap.
``usage``, ``points``
    the latest sample, and ``[elapsed, cpu percent, memory]`` rows for the chart.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from ..carriage_returns import collapse
from ..events import Event, Note, Output, Pulling, Started, Usage
from ..media import binary
from ..text import Sanitizer, colour_after, label, without_colour
from . import words

LINES = 500  # kept here and in the browser
WIDTH = 2000  # characters of one line that are shown
BACKLOG = 32_768  # bytes of output read per message; what came before them in the same moment is skipped
MESSAGE = 24_000  # bytes of line text in one message: at two a second 48 kB/s; Jupyter's own limit is 1 MB/s
DRAWINGS = 4  # of one line between two messages that are looked at; the last ones cover the others
POINTS = 240  # of the chart

_TORN = re.compile(r"\x1b[^m]*\Z")


class Line:
    """One line of output so far: what was drawn before its last ``\\r``, and what was drawn over that."""

    __slots__ = ("hidden", "number", "over", "stream", "under")

    def __init__(self, number: int, stream: str, colour: str) -> None:
        self.number = number
        self.stream = stream
        self.under = ""
        self.over = colour
        self.hidden = 0  # characters or, where they were not read, bytes beyond the shown ones

    def add(self, text: str) -> None:
        """Continue the line; ``text`` has no line end in it."""
        self.over += text
        if len(self.over) > WIDTH:
            self.hidden += len(self.over) - WIDTH
            self.over = _TORN.sub("", self.over[:WIDTH])

    def draw(self, parts: list[str], colour: str) -> None:
        """Draw the line anew for each of ``parts``; ``colour`` is in force before the last of them."""
        self.under = collapse("\r".join((self.under, self.over, *parts[:-1])))[: 2 * WIDTH]
        self.over, self.hidden = f"\x1b[0m{colour}", 0  # whole, so that nothing adds up over many drawings
        self.add(parts[-1])

    def row(self) -> list[Any]:
        """The form it has in a message."""
        text = collapse(f"{self.under}\r{self.over}") if self.under else self.over
        return [self.number, self.stream, _TORN.sub("", text[:WIDTH]), self.hidden]


class _Stream:
    """What must be remembered of stdout or stderr between two chunks."""

    def __init__(self) -> None:
        self.sanitizer = Sanitizer()
        self.line: Line | None = None  # the line without an end yet
        self.colour = ""  # SGR sequences in force, repeated at the start of each line
        self.binary: bool | None = None  # whether it is no text, by the first that came of it
        self.size = 0  # of it, then


class Pane:
    """The last lines of both streams, fed with bytes at any rate, read in bounded portions."""

    def __init__(self) -> None:
        self.count = 0  # lines begun so far, which is the number of the next one
        self._streams: dict[str, _Stream] = {"stdout": _Stream(), "stderr": _Stream()}
        self._lines: deque[Line] = deque(maxlen=LINES)
        self._changed: dict[int, Line] = {}
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._size = 0

    def feed(self, stream: str, data: bytes) -> None:
        """Take what the tool wrote. Costs a count of newlines at any rate; `take` does the reading."""
        state = self._streams[stream]
        if state.binary is None:
            state.binary = binary(data)
        if state.binary:
            self._count(state, stream, len(data))
            return
        if len(data) > BACKLOG:
            while self._waiting:
                self._skip(*self._waiting.popleft())
            self._skip(stream, data[:-BACKLOG])
            data, self._size = data[-BACKLOG:], 0
        self._waiting.append((stream, data))
        self._size += len(data)
        while self._size > BACKLOG and len(self._waiting) > 1:
            oldest = self._waiting.popleft()
            self._size -= len(oldest[1])
            self._skip(*oldest)

    @property
    def changed(self) -> bool:
        """Whether `take` has anything to give."""
        return bool(self._waiting or self._changed)

    def take(self, budget: int = MESSAGE) -> list[list[Any]]:
        """The lines that changed since the last call, the newest that fit into ``budget`` bytes, in order."""
        self._read()
        rows = _newest(self._changed.values(), budget)
        self._changed.clear()
        return rows

    def tail(self, budget: int = MESSAGE) -> list[list[Any]]:
        """The newest lines that fit into ``budget`` bytes, oldest first."""
        self._read()
        return _newest(self._lines, budget)

    def _read(self) -> None:
        while self._waiting:
            stream, data = self._waiting.popleft()
            state = self._streams[stream]
            *ended, rest = state.sanitizer.feed(data).split("\n")
            for text in self._kept(state, ended):
                self._write(state, stream, text)
                self._end(state, stream)
            self._write(state, stream, rest)
        self._size = 0

    def _kept(self, state: _Stream, ended: list[str]) -> Iterator[str]:
        """Those of the lines that have a place: the one that was begun, and the newest; others are counted."""
        yield from ended[:1]
        if passed := ended[1:-LINES]:
            self.count += len(passed)
            state.colour = colour_after("\n".join(passed), state.colour)
        yield from ended[max(len(ended) - LINES, 1) :]

    def _count(self, state: _Stream, stream: str, size: int) -> None:
        if state.line is None:
            self._read()  # what the other stream wrote before
        state.size += size
        line = state.line or self._begin(state, stream)
        line.over = words.binary(state.size)
        self._changed[line.number] = line

    def _write(self, state: _Stream, stream: str, text: str) -> None:
        first, *others = text.split("\r")
        if state.line is not None or without_colour(text).strip("\r"):
            line = state.line or self._begin(state, stream)
            self._changed[line.number] = line
            line.add(first)
            if others:
                before = colour_after("".join((first, *others[:-1])), state.colour)
                line.draw(others[-DRAWINGS:], before)
        state.colour = colour_after(text, state.colour)

    def _begin(self, state: _Stream, stream: str) -> Line:
        state.line = Line(self.count, stream, state.colour)
        self.count += 1
        self._lines.append(state.line)
        return state.line

    def _end(self, state: _Stream, stream: str) -> None:
        line = state.line or self._begin(state, stream)  # an empty line is a line
        self._changed[line.number] = line
        state.line = None

    def _skip(self, stream: str, data: bytes) -> None:
        """Pass over bytes: count their lines, and how much of the line at hand is not seen."""
        state = self._streams[stream]
        state.sanitizer = Sanitizer()  # what was torn in two cannot be continued after the gap
        first, *others = data.split(b"\n", 1)
        if state.line is not None:
            self._changed[state.line.number] = state.line
            state.line.hidden += len(first)
            if b"\r" in first:
                state.line.draw([""], state.colour)
        if others:
            self.count += data.count(b"\n") - (state.line is not None)
            state.line = None


class PanelState:
    """All that a panel shows of one run.

    :param command: what was asked for, one line, for the header.
    :param background: whether the caller's cell does not wait for the run.
    """

    def __init__(self, skill: str, image: str, command: str = "", *, background: bool = False) -> None:
        self.pane = Pane()
        self.phase = "starting"
        self._fixed = {"skill": skill, "image": image, "command": command[:WIDTH], "background": background}
        self._notes: list[str] = []
        self._pull: dict[str, Any] | None = None
        self._since: float | None = None
        self._usage: dict[str, Any] | None = None
        self._points: list[list[Any]] = []
        self._unsent: list[list[Any]] = []
        self._head_changed = True
        self._usage_changed = False

    def apply(self, event: Event, now: float) -> None:
        """Take an event. ``now`` is any clock in seconds that does not jump."""
        if self._since is None:
            self._since = now
        match event:
            case Output(stream, data):
                self.pane.feed(stream, data)
            case Usage():
                self._sample(event)
            case Pulling():
                self.phase, self._head_changed = "pulling", True
                self._pull = {
                    "image": event.image,
                    "current": event.current,
                    "total": event.total,
                    "layers": list(event.layers),
                    "status": event.status[:200],
                }
            case Started():
                self.phase, self._pull, self._since, self._head_changed = "running", None, now, True
            case Note(text):
                self.note(text)
            case _:
                pass

    def note(self, text: str) -> None:
        """A sentence for the person; the last five are shown."""
        if (said := label(text)[:WIDTH]) not in self._notes:  # the plan's notes come with the events too
            self._notes.append(said)
            self._head_changed = True

    @property
    def urgent(self) -> bool:
        """Whether there is more to tell than usage, which may wait a little."""
        return self._head_changed or self.pane.changed

    def head(self, now: float) -> dict[str, Any]:
        """The header. ``elapsed`` counts from the tool's start, before it from the first event."""
        elapsed = 0.0 if self._since is None else now - self._since
        return {
            **self._fixed,
            "phase": self.phase,
            "elapsed": round(elapsed, 2),
            "notes": self._notes[-5:],
            "pull": self._pull,
        }

    def delta(self, now: float) -> dict[str, Any]:
        """What changed since the last call; empty where nothing did."""
        message: dict[str, Any] = {}
        if lines := self.pane.take():
            message["lines"] = lines
        if self._usage_changed:
            message |= {"usage": self._usage, "points": self._unsent}
            self._unsent, self._usage_changed = [], False
        if self._head_changed:
            message["head"] = self.head(now)
            self._head_changed = False
        return message

    def snapshot(self, now: float) -> dict[str, Any]:
        """Everything, for a browser that knows nothing yet; at most about 40 kB."""
        return {
            "head": self.head(now),
            "lines": self.pane.tail(),
            "usage": self._usage,
            "points": _thin(self._points, POINTS // 2),
        }

    def _sample(self, event: Usage) -> None:
        # Peaks are carried on: an engine that counts only the present must not make a peak fall.
        before = self._usage or {}
        self._usage = {
            "elapsed": round(event.elapsed, 2),
            "seconds": round(event.cpu_seconds, 2),
            "cpu": None if event.cpu_percent is None else round(event.cpu_percent, 1),
            "cpus": event.cpus,
            "memory": event.memory,
            "peak": max(event.memory_peak, event.memory, before.get("peak", 0)),
            "limit": event.memory_limit,
            "received": event.network_in,
            "sent": event.network_out,
            "read": event.block_in,
            "written": event.block_out,
            "pids": event.pids,
            "gpu": event.gpu_percent,
            "gpu_memory": event.gpu_memory,
        }
        point = [self._usage["elapsed"], self._usage["cpu"], float(event.memory)]
        self._points.append(point)
        if len(self._points) > POINTS:
            self._points = _thin(self._points, POINTS // 2)
        self._unsent = [*self._unsent[-19:], point]
        self._usage_changed = True


def _newest(lines: Any, budget: int) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for line in sorted(lines, key=lambda line: line.number, reverse=True):
        row = line.row()
        budget -= len(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"))
        if budget < 0:
            break
        rows.append(row)
    return rows[::-1]


def _thin(points: list[list[Any]], most: int) -> list[list[Any]]:
    """About ``most`` of the points, evenly over time; all where there are no more than that."""
    if len(points) <= most:
        return points
    gap = (points[-1][0] - points[0][0]) / most
    kept = points[:1]
    for point in points[1:-1]:
        if point[0] - kept[-1][0] >= gap:
            kept.append(point)
    return [*kept, points[-1]]
