"""Channel: events from the thread that minds a container to the one that shows them.

Bounded by bytes, so that a tool that floods its output is slowed to the reader's pace instead of filling the
memory. The bound gives way when the run is being stopped: an engine of 20.10 lets ``kill`` hang for as long
as nobody reads the attached stream.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from ..events import Note, Output

if TYPE_CHECKING:
    from ..events import Event

__all__ = ["Channel"]

LIMIT = 1 << 20
"""Bytes of output that wait at most before the tool has to. What waits when a run is stopped is still shown, and the
end of the run with it: that must not take long, whatever it costs to show."""

EVENT = 256
"""Bytes that an output counts for beside its data: what holds it in memory."""

MERGE = 1 << 16
"""Output that waits is joined up to this many bytes: a million short lines become some thousand events."""

PATIENCE = 0.25
"""Seconds without a reader, once the run is being stopped, after which output is dropped and counted."""


class _Growing:
    """Output that waits, and to which more of its stream may be joined."""

    __slots__ = ("data", "stream")

    def __init__(self, event: Output) -> None:
        self.stream = event.stream
        self.data = bytearray(event.data)


class Channel:
    """A queue with one writer side and one reader side, each of any number of threads."""

    def __init__(self) -> None:
        self._events: deque[Event | _Growing] = deque()
        self._waiting = 0  # bytes
        self._dropped = 0  # bytes
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        self._hurry = False
        self._nobody = False  # the reader let PATIENCE pass without taking anything
        self._abandoned = False

    def put(self, event: Event) -> None:
        """Hand an event on; blocks while more than :data:`LIMIT` bytes wait for a patient reader."""
        with self._changed:
            if self._ended or self._abandoned:
                return
            if not isinstance(event, Output):
                self._append(event)
                return
            if self._waiting >= LIMIT and not self._room():
                self._dropped += len(event.data)
                return
            last = self._events[-1] if self._events else None
            if isinstance(last, _Growing) and last.stream == event.stream and len(last.data) < MERGE:
                last.data += event.data
                self._waiting += len(event.data)
            else:
                self._waiting += len(event.data) + EVENT
                self._append(_Growing(event))

    def close(self, error: BaseException | None = None) -> None:
        """No more events; the reader gets those that wait, then ``error``. Only the first call counts."""
        with self._changed:
            if not self._ended:
                self._ended = True
                self._error = error
                self._changed.notify_all()

    def hurry(self) -> None:
        """The run is being stopped: wait no longer than :data:`PATIENCE` for the reader."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody reads any more; everything is dropped from now on."""
        with self._changed:
            self._abandoned = True
            self._events.clear()
            self._waiting = 0
            self._changed.notify_all()

    def get(self, timeout: float | None) -> Event | None:
        """The next event; ``None`` when ``timeout`` seconds have passed or there will be none.

        :raises BaseException: what :meth:`close` was given, once the events before it are read.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._events:
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return None
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            event = self._events.popleft()
            self._nobody = False
            if isinstance(event, _Growing):
                self._waiting -= len(event.data) + EVENT
                self._changed.notify_all()
                return Output(event.stream, bytes(event.data))
            return event

    @property
    def done(self) -> bool:
        """Whether everything has been read and nothing more will come."""
        with self._changed:
            return self._ended and not self._events

    @property
    def ended(self) -> bool:
        """Whether the writer has closed it; events may still wait."""
        return self._ended

    def dropped(self) -> Note | None:
        """What to tell the person of output that nobody took while the run was being stopped."""
        if not self._dropped:
            return None
        return Note(f"{self._dropped:,} bytes of output were dropped while the run was being stopped")

    def _append(self, event: Event | _Growing) -> None:
        self._events.append(event)
        self._changed.notify_all()

    def _room(self) -> bool:
        until: float | None = None
        while self._waiting >= LIMIT and not (self._ended or self._abandoned):
            if self._hurry and until is None:
                until = time.monotonic() + PATIENCE
            left = None if until is None else until - time.monotonic()
            if left is not None and (left <= 0 or self._nobody):
                self._nobody = True
                return False
            self._changed.wait(left)
        return not (self._ended or self._abandoned)
