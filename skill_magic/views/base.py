"""What a view is. The road calls it from one thread: begin, events and ticks as they come, then one end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..events import Event
    from ..result import RunResult
    from ..spec import RunSpec


class View(Protocol):
    """Shows one run. A view never blocks and never raises for what a tool wrote."""

    def begin(self, spec: RunSpec, stop: Callable[[], None]) -> None:
        """The run is decided and about to be asked of the engine. ``stop()`` ends it, from any thread."""

    def event(self, event: Event) -> None:
        """One event, in order."""

    def tick(self) -> None:
        """Called at least ten times a second while the run lasts, whether or not events come."""

    def finish(self, result: RunResult) -> None:
        """The tool ran and the run is over, well or not; called once."""

    def tolerated(self, result: RunResult) -> None:
        """The run did not end well, and nobody raises that; called after :meth:`finish`."""

    def error(self, error: BaseException) -> None:
        """There will be no result (no engine, pull failed, …); the error itself is raised by the road."""


class QuietView:
    """Shows nothing; also the base that other views override what they need of."""

    def begin(self, spec: RunSpec, stop: Callable[[], None]) -> None:
        """Nothing to show."""

    def event(self, event: Event) -> None:
        """Nothing to show."""

    def tick(self) -> None:
        """Nothing to show."""

    def finish(self, result: RunResult) -> None:
        """Nothing to show."""

    def tolerated(self, result: RunResult) -> None:
        """Nothing to show."""

    def error(self, error: BaseException) -> None:
        """Nothing to show."""
