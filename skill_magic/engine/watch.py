"""Watch: what is looked at while a tool runs: whether the engine answers, the time, what the tool uses.

One thread per run. It does nothing in the first moments, so that a short run costs nothing.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .failures import lost

if TYPE_CHECKING:
    from .connect import Engine
    from .life import Life

__all__ = ["Watch"]

FIRST = 0.3
"""Seconds before the first look. A run that is over by then is too short to sample."""

INTERVAL = 0.25
"""Seconds between two samples."""

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

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._work, name=f"skill-magic-watch-{self._life.name}", daemon=True).start()

    def stop(self) -> None:
        """The life is over."""
        self._over.set()

    def last_sample(self) -> None:
        """The tool's streams are closed: sample what it used as long as the kernel still knows."""

    def _work(self) -> None:
        pause = FIRST
        while not self._over.wait(pause):
            pause = INTERVAL
            life = self._life
            limit = life.spec.timeout
            if life.running.is_set() and limit is not None:
                left = life.started + limit - time.monotonic()
                if left <= 0 and life.stopper.state is None:
                    life.stopper.stop("timeout")
                pause = min(pause, max(left, 0.0) or pause)
            if not self._answers():
                life.lose(lost(TimeoutError()))
                return

    def _answers(self) -> bool:
        now = time.monotonic()
        if now - self._asked < PING:
            return True
        alive = self._engine.alive(PATIENCE)
        self._asked = time.monotonic()
        return alive or self._over.is_set()
