"""Run: one container's life, from its image to its removal, as a stream of events.

The life is led by a daemon thread of its own, so that an interrupt in the thread that reads the events can
never leave a container behind. The reader takes events from a bounded queue, and what goes wrong is raised to
it there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal

from . import session
from .channel import Channel
from .failures import lost
from .life import Life
from .stopper import Stopper

if TYPE_CHECKING:
    from ..events import Event
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine

__all__ = ["Run"]

Reason = Literal["stopped", "timeout", "killed"]

STOP_LIMIT = 15.0
"""Seconds after the last signal of a stop when an engine that answers, but has not brought the run to its end,
counts as lost."""

CLOSE_LIMIT = 5.0
"""Seconds that :meth:`Run.close` waits by default."""


class Run:
    """One run of a tool: an iterator of events, at work from the moment it is made.

    >>> for event in Run(engine, spec, host):        # doctest: +SKIP
    ...     print(event)

    The events are those of ``skill_magic.events`` in their order; iteration ends after ``Finished``, when the
    container is gone (or kept, where that was asked for). Raised from the iterator: PolicyError when a gate
    closes, ImageError, GpuUnavailable, EngineError when the engine refuses, EngineLost when it stops
    answering.

    :param stdin: bytes, or an open binary file, for the tool's standard input; closed after its last byte.
    :param check_image: the policy's look at the image; raises to refuse it.
    :param keep: outlive this process: what the tool writes is kept by the engine for ``logs`` and a later
        kernel.
    """

    def __init__(
        self,
        engine: Engine,
        spec: RunSpec,
        host: Host,
        *,
        stdin: bytes | BinaryIO | None = None,
        check_image: Callable[[ImageFacts], None] | None = None,
        keep: bool = False,
    ) -> None:
        self._begin(engine, Life(engine, spec, host, stdin=stdin, check_image=check_image, keep=keep))

    @classmethod
    def attach_existing(cls, engine: Engine, name: str, host: Host) -> Run:
        """Pick up a kept run that another process has started: its output from the beginning, then its end.

        :param name: the container's name or id, or the beginning of either.
        :raises EngineError: there is no such run, or it was not started to be kept.
        """
        from .resume import Resumed

        run = cls.__new__(cls)
        run._begin(engine, Resumed(engine, name, host))
        return run

    def _begin(self, engine: Engine, life: Life) -> None:
        self._life = life
        self._channel: Channel = life.channel
        self._stopper = Stopper(engine, life)
        life.stopper = self._stopper
        self._stop_time: float | None = None
        session.current().enter(self)
        self._thread = threading.Thread(target=self._work, name=f"skill-magic-{life.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The container's name."""
        return self._life.name

    @property
    def spec(self) -> RunSpec:
        """What it runs; of a run that was picked up, as much as the engine knows."""
        return self._life.spec

    @property
    def keep(self) -> bool:
        """Whether it outlives this process."""
        return self._life.keep

    @property
    def id(self) -> str | None:
        """The container's id, ``None`` as long as there is none."""
        return self._life.container

    @property
    def done(self) -> bool:
        """Whether every event has been read and nothing is left to do."""
        return self._channel.done

    def next(self, timeout: float | None = None) -> Event | None:
        """The next event; ``None`` after ``timeout`` seconds without one, or when there are no more
        (``done``).

        :raises SkillError: what went wrong, once the events before it are read.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            slice_ = 0.5 if until is None else min(0.5, until - time.monotonic())
            event = self._channel.get(max(slice_, 0.0))
            if event is not None or self._channel.done:
                return event
            self._despair()
            if until is not None and time.monotonic() >= until:
                return None

    def __iter__(self) -> Run:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def stop(self, state: Reason = "stopped") -> None:
        """End the run: SIGINT, then SIGTERM, then SIGKILL, within two seconds, or as the skill's `--stop-signal` and
        `--stop-timeout` have it. Called again, SIGKILL at once.

        Returns at once, from any thread; the events go on to their end.
        """
        if self._stop_time is None:
            self._stop_time = time.monotonic()
        self._stopper.stop(state)

    def close(self, timeout: float = CLOSE_LIMIT) -> None:
        """Kill what still runs and wait until the container is gone, at most ``timeout`` seconds.

        Events that were not read are dropped. Does nothing to a run that is over.
        """
        if not self._channel.ended:
            self._channel.abandon()
            self.stop()
            self.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        try:
            self._life.lead()
        except BaseException as error:
            self._channel.close(error)
        else:
            self._channel.close()
        finally:
            session.current().leave(self)

    def _despair(self) -> None:
        # An engine that hangs in a call (create, start) leaves the thread there; the person must not wait
        # with it.
        if self._stop_time is None or self._life.over:
            return
        if time.monotonic() - self._stop_time < self._stopper.grace + STOP_LIMIT:
            return
        self._life.lose(lost())
