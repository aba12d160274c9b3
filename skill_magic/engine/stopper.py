"""Stopper: ends a tool by signals, each a little harsher than the one before."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..events import State
    from ..spec import RunSpec
    from .channel import Channel
    from .connect import Engine

__all__ = ["Stopper", "steps"]

STEPS = ((0.0, "SIGINT"), (0.7, "SIGTERM"), (1.3, "SIGKILL"))
"""Seconds after the stop and the signal sent then; what is left of two seconds is for the container's
removal."""

GRACE = STEPS[-1][0]
"""Seconds until SIGKILL for a skill that names its signal (`--stop-signal`) but no time."""

RETRY = 0.05

CALL = 1.0
"""Seconds that one signal may take to be taken."""


def steps(signal: str | None, timeout: int | None) -> tuple[tuple[float, str], ...]:
    """Seconds after the stop and the signals sent then, for a skill's `--stop-signal` and `--stop-timeout`: as Docker
    has it, one signal, that time to close its files, then SIGKILL. Where it names neither, :data:`STEPS`."""
    if signal is None and timeout is None:
        return STEPS
    return (0.0, signal or "SIGINT"), (GRACE if timeout is None else float(timeout), "SIGKILL")


class Stoppable(Protocol):
    """What a stopper needs of a container's life."""

    spec: RunSpec
    container: str | None
    channel: Channel
    running: threading.Event
    ended: threading.Event


class Stopper:
    """Sends the signals, in a thread of its own that exists only once a stop was asked for."""

    def __init__(self, engine: Engine, life: Stoppable) -> None:
        self._engine = engine
        self._life = life
        self._lock = threading.Lock()
        self._kill = threading.Event()
        self.state: State | None = None
        """Why the run was stopped, ``None`` as long as it was not."""
        self._sent = ""  # the last signal that the engine took
        self._steps = steps(life.spec.stop_signal, life.spec.stop_timeout)
        self._sending = threading.Lock()

    @property
    def reason(self) -> State | None:
        """The reason for the tool's end where the engine took a signal of ours, so that it is our doing."""
        with self._sending:  # the tool may be quicker to end than the engine to say that it took the signal
            return self.state if self._sent else None

    @property
    def grace(self) -> float:
        """Seconds from the stop to SIGKILL."""
        return self._steps[-1][0]

    @property
    def harsher(self) -> str:
        """What to tell the person where the first signal was not enough and nobody asked for more; else empty."""
        with self._sending:
            first, sent = self._steps[0][1], self._sent
        if self._kill.is_set() or sent in ("", first):
            return ""
        after = next(after for after, signal in self._steps if signal == sent)
        return (
            f"it had not ended {after:g} s after {first} and was sent {sent}: a file that it was writing may be "
            "incomplete; --stop-timeout=SECONDS in extra_args gives it longer"
        )

    def stop(self, state: State) -> None:
        """Begin, or kill at once where it has begun."""
        with self._lock:
            if self.state is not None:
                self._kill.set()
                return
            self.state = state
        self._life.channel.hurry()
        threading.Thread(target=self._work, name="skill-magic-stop", daemon=True).start()

    def _work(self) -> None:
        begun = time.monotonic()
        # Before it runs there is nothing to signal: the life itself looks at `state` between its steps. The
        # clock of the grace starts when it runs.
        while not self._life.running.wait(RETRY):
            if self._life.ended.is_set():
                return
        offset = time.monotonic() - begun
        for after, signal in self._steps:
            while not self._life.ended.is_set():
                left = begun + offset + after - time.monotonic()
                if left <= 0 or self._kill.is_set():
                    break
                self._kill.wait(min(left, RETRY))
            if self._life.ended.is_set():
                return
            if not self._kill.is_set():
                self._send(signal)
            else:
                break
        while not self._life.ended.is_set():
            self._send("SIGKILL")
            self._life.ended.wait(0.5)

    def _send(self, signal: str) -> None:
        import docker.errors
        import requests

        container = self._life.container
        if container is None:
            return
        # A refusal (409) says that it does not run any more; silence is for the watch over the engine to
        # judge, and must not hold up the harsher signal.
        ignored = (docker.errors.DockerException, requests.RequestException, OSError)
        with self._sending, contextlib.suppress(*ignored):
            api = self._engine.api
            url = f"{api.base_url}/v{api.api_version}/containers/{container}/kill"
            with api.post(url, params={"signal": signal}, timeout=CALL) as answer:
                if answer.ok:
                    self._sent = signal
