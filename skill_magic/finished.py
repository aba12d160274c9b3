"""The runs of this process that are over, so that what they wrote can still be asked for: the newest few.

What they hold in memory is bounded; output that lies in a log is read from there, as far as it is still kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import Run
    from .output import SavedOutput
    from .result import RunResult

MOST = 20
"""Runs that are remembered."""

MOST_BYTES = 16 << 20
"""Bytes of their output that are held in memory for it."""

_runs: list[Finished] = []
_lock = threading.Lock()


@dataclass(frozen=True)
class Finished:
    """A run that is over. ``state`` is how it ended."""

    name: str
    id: str | None
    skill: str
    state: str
    output: SavedOutput

    @property
    def size(self) -> int:
        """Bytes of its output that are in memory."""
        pieces = (*self.output.head, *self.output.tail)
        streams = len(self.output.stdout.data) + len(self.output.stderr.data)
        return streams + sum(len(piece.data) for piece in pieces)


def remember(run: Run, result: RunResult) -> None:
    """Keep what is asked of a run after its end, and let go of the oldest."""
    with _lock:
        _runs.append(Finished(run.name, run.id, result.skill, result.state, result.output))
        total = sum(each.size for each in _runs)
        while len(_runs) > MOST or (total > MOST_BYTES and len(_runs) > 1):
            total -= _runs.pop(0).size


def runs() -> list[Finished]:
    """Those that are remembered, newest first."""
    with _lock:
        return _runs[::-1]


def chunks(one: Finished) -> Iterator[tuple[str, bytes]]:
    """What it wrote as ``("stdout" | "stderr", bytes)``, in the order it came; of much output the start and the end."""
    from .views.words import count

    output = one.output
    yield from ((piece.stream, piece.data) for piece in output.head)
    if output.omitted_bytes:
        files = " and ".join(str(path) for path in output.logs.values())
        where = f", all of it is in {files}" if files else ""
        lines = count(output.omitted_lines, "line")
        yield "stderr", f"[{lines} left out here{where}]\n".encode(errors="replace")
    yield from ((piece.stream, piece.data) for piece in output.tail)
