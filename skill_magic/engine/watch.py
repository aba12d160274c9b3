"""Watch: what is looked at while a tool runs: whether the engine answers, the time, what the tool uses.

One thread per run. It does nothing in the first moments, so that a short run costs nothing.
"""

from __future__ import annotations

import select
import threading
import time
from typing import TYPE_CHECKING

from . import neighbours
from .failures import lost
from .usage import Sampler

if TYPE_CHECKING:
    from .connect import Engine
    from .life import Life

__all__ = ["Watch"]

FIRST = 0.3
"""Seconds before the first look. A run that is over by then is too short to sample."""

INTERVAL = 0.25
"""Seconds between two samples."""

LOOK = 0.05
"""Seconds between two looks at the counters, which cost some 40 microseconds; see ``Sampler.look``."""

PING = 1.0
"""Seconds between two questions whether the engine is there."""

PATIENCE = 3.5
"""Seconds that it has to answer one; with ``PING`` below the five within which a lost engine is reported."""


class Watch:
    """Minds one life until it is over."""

    def __init__(self, engine: Engine, life: Life) -> None:
        self._engine = engine
        self._life = life
        self._over = threading.Event()
        self._asked = time.monotonic()
        self._sampler: Sampler | None = None
        self._sampling = threading.Lock()
        self._sampled = False  # the last sample is taken

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._work, name=f"skill-magic-watch-{self._life.name}", daemon=True).start()

    def stop(self) -> None:
        """The life is over."""
        self._over.set()

    def last_sample(self) -> None:
        """The tool's streams are closed: sample what it used, unless that was done when its process ended."""
        if self._sampler is not None:
            self._sample(last=True)

    def _work(self) -> None:
        try:
            while not self._wait(self._pause()):
                self._look()
        finally:
            with self._sampling:
                self._sampled = True
            if self._sampler is not None:
                self._sampler.close()

    def _wait(self, seconds: float) -> bool:
        """Wait for the next thing to do, or the tool's end; whether the life is over."""
        ended = self._sampler.ended if self._sampler is not None and not self._sampled else None
        if ended is None:
            return self._over.wait(seconds)
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        while (left := until - time.monotonic()) > 0:
            if poll.poll(1000 * min(left, LOOK)):
                # Now, or never: its control group goes with the engine's tidying up, some milliseconds from
                # here and before the engine closes the tool's streams.
                self._sample(last=True)
                break
            assert self._sampler is not None  # noqa: S101 - there is a descriptor of it
            self._sampler.look()
        return self._over.is_set()

    def _pause(self) -> float:
        life = self._life
        if not life.running.is_set():
            return FIRST
        pauses = [INTERVAL]
        elapsed = time.monotonic() - life.started
        if self._sampler is None:
            pauses.append(FIRST - elapsed)
        if life.spec.timeout is not None and life.stopper.state is None:
            pauses.append(life.spec.timeout - elapsed)
        return max(min(pauses), 0.0)

    def _look(self) -> None:
        life = self._life
        if life.running.is_set():
            elapsed = time.monotonic() - life.started
            if life.spec.timeout is not None and elapsed >= life.spec.timeout and life.stopper.state is None:
                life.stopper.stop("timeout")
            if elapsed >= FIRST:
                self._sample()
            neighbours.release(self._engine, life.host)
        if not self._answers():
            life.lose(lost(TimeoutError()))
            self._over.set()

    def _sample(self, *, last: bool = False) -> None:
        with self._sampling:
            if self._sampled:
                return
            self._sampled = last
            life = self._life
            if self._sampler is None:
                assert life.container is not None  # noqa: S101 - it runs
                self._sampler = Sampler(self._engine, life.container, life.spec, life.host, life.started)
            usage = self._sampler.sample(last=last)
            if usage is not None:
                life.channel.put(usage)

    def _answers(self) -> bool:
        now = time.monotonic()
        if now - self._asked < PING:
            return True
        alive = self._engine.alive(PATIENCE)
        self._asked = time.monotonic()
        # An overloaded engine that still passes the tool's output on is not lost.
        return alive or self._life.heard > now or self._over.is_set() or self._life.ended.is_set()
