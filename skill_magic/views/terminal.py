"""A person's terminal: the tool's output, one live line of figures under it, a line that sums up.

The live line is drawn on standard error and taken away before output is written, so that it never stands
between two pieces of output. While the tool has begun a line itself (a prompt, progress), it is not drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from ..events import Event, Pulling, Started, Usage
from ..output import StreamName
from ..text import colour_after, label
from . import words
from .stream import StreamView

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ..result import RunResult
    from ..spec import RunSpec

DELAY = 0.5
"""Seconds a run must last before it gets a live line and a summary."""

BAR = 24  # columns


class TerminalView(StreamView):
    """As StreamView; with a live line and a summary where both streams lead to the terminal."""

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        super().__init__(stdout, stderr)
        self._live = all(kind == "terminal" for kind in self._kinds.values())
        # Errors go where standard error goes.
        self.printed = frozenset(self._kinds if self._live else ["stderr"])
        self._bars = self._kinds["stderr"] == "terminal"
        self._console: Console | None = None
        self._drawn = False
        self._redrawn = 0.0
        self._colour = ""
        self._skill = ""
        self._began: float | None = None
        self._usage: Usage | None = None

    def begin(self, spec: RunSpec, stop: Callable[[], None]) -> None:
        """Notes come first."""
        self._skill = spec.skill
        super().begin(spec, stop)

    def event(self, event: Event) -> None:
        """Output is written; usage and pulls go to the live line."""
        if isinstance(event, Usage):
            self._usage = event
        elif isinstance(event, Started):
            self._began = time.monotonic()
        super().event(event)

    def tick(self) -> None:
        """Write what waits; draw the live line anew, ten times a second at most."""
        super().tick()
        now = time.monotonic()
        if now - self._redrawn < 0.1 or self._open:
            return
        if self._pulled is not None and self._bars:
            self._draw(pull_line(self._pulled))
        elif self._live and self._began is not None and now - self._began >= DELAY:
            self._draw(usage_line(self._skill, now - self._began, self._usage))

    def finish(self, result: RunResult) -> None:
        """The rest of the output, and a line that sums up a run that ended well, unless it was quick."""
        super().finish(result)
        self._end_colour()
        if self._live and result.ok and (result.duration >= DELAY or result.files):
            self._sum_up(result)

    def tolerated(self, result: RunResult) -> None:
        """A line that sums up a run that failed: no error will."""
        if self._live:
            self._sum_up(result)

    def _sum_up(self, result: RunResult) -> None:
        if self._open:
            self._write("stderr", "\n")
        self._rich().print(summary(result), overflow="ellipsis", no_wrap=True)

    def error(self, error: BaseException) -> None:
        """The rest of the output."""
        super().error(error)
        self._end_colour()

    def flush(self) -> None:
        """Write what waits, in place of the live line."""
        if self._pending:
            self._erase()
        super().flush()

    def _write(self, name: StreamName, text: str) -> None:
        self._erase()
        super()._write(name, text)
        if self._live and "\x1b" in text:
            self._colour = colour_after(text, self._colour)

    def _drain(self, result: RunResult | None) -> None:
        self._erase()
        super()._drain(result)

    def _pulling(self, event: Pulling) -> None:
        if self._bars:
            self._pulled = event
        else:
            super()._pulling(event)

    def _running(self) -> None:
        if self._bars:
            self._erase()
        super()._running()

    def _draw(self, line: Text) -> None:
        self._redrawn = time.monotonic()
        console = self._rich()
        line.truncate(max(console.width - 1, 10), overflow="ellipsis")
        stream = self._streams["stderr"]
        stream.write("\r\x1b[0m\x1b[2K")
        console.print(line, end="", no_wrap=True, overflow="crop", crop=True, highlight=False)
        stream.flush()
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._drawn = False
            self._streams["stderr"].write(f"\r\x1b[2K{self._colour}")
            self._streams["stderr"].flush()

    def _end_colour(self) -> None:
        if self._colour:
            self._colour = ""
            self._streams["stderr"].write("\x1b[0m")
            self._streams["stderr"].flush()

    def _rich(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(file=self._streams["stderr"], highlight=False, markup=False, emoji=False)
        return self._console


def pull_line(event: Pulling) -> Text:
    """``pulling IMAGE ━━━━━━──── 120 MiB of 816 MiB · 3 of 8 layers``."""
    from rich.text import Text

    line = Text.assemble(("pulling ", "bold"), label(event.image), " ")
    if event.total:
        done = min(round(BAR * event.current / event.total), BAR)
        line.append("━" * done, "cyan").append("━" * (BAR - done), "bright_black")
        line.append(f" {words.size(event.current)} of {words.size(event.total)}")
    elif event.current:
        line.append(words.size(event.current))
    if event.layers[1]:
        line.append(f" · {event.layers[0]} of {words.count(event.layers[1], 'layer')}", "bright_black")
    return line


def usage_line(skill: str, elapsed: float, usage: Usage | None) -> Text:
    """``ffmpeg 12 s · CPU 94 % of 2 CPUs · memory 120 MiB of 512 MiB · network …``."""
    from rich.text import Text

    line = Text.assemble((label(skill), "bold"), f" {words.duration(round(elapsed, 1))}")
    for name, value in words.figures_now(usage) if usage is not None else ():
        line.append(" · ", "bright_black").append(f"{name} ", "bright_black").append(value)
    return line


def summary(result: RunResult) -> Text:
    """``✓ ffmpeg finished in 3.2 s · CPU 5.1 s · peak memory 120 MiB of 512 MiB · made out.webm``."""
    from rich.text import Text

    line = Text.assemble(
        (f"{words.SYMBOLS[result.state]} ", "green" if result.ok else "red"),
        (label(result.skill), "bold"),
        f" {words.state(result)} in {words.run_time(result)}",
    )
    for part in words.in_short(result):
        line.append(" · ", "bright_black").append(part)
    return line
