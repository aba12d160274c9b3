"""Output on sys.stdout and sys.stderr: notebooks without a panel, pipes, plain Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..events import Event, Output
from ..text import Sanitizer
from .base import QuietView

if TYPE_CHECKING:
    from ..result import RunResult
    from ..spec import RunSpec


class StreamView(QuietView):
    """Writes what the tool writes. Used from one thread, as all views.

    :param notebook: the streams are a notebook's: what goes there is capped, and a card follows at the end.
    :param raw: bytes go through unmodified to ``sys.stdout.buffer``; for pipes. Default: where it is no terminal.
    """

    def __init__(self, *, notebook: bool = False, raw: bool | None = None, quiet: bool = False) -> None:
        self._notebook = notebook
        self._clean = {"stdout": Sanitizer(), "stderr": Sanitizer()}

    def begin(self, spec: RunSpec, stop: Callable[[], None]) -> None:
        """Nothing to show."""

    def event(self, event: Event) -> None:
        """Output is written; other events are not shown."""
        if isinstance(event, Output):
            stream = sys.stdout if event.stream == "stdout" else sys.stderr
            stream.write(self._clean[event.stream].feed(event.data))

    def finish(self, result: RunResult) -> None:
        """What is left is written."""
