"""``--bg``: a run that goes on beside the notebook, behind a handle.

The handle's thread watches the run; it never prints, since what a thread prints lands in whatever cell runs
then. Views of a background run update their own display. When the process ends, what was not started with
``--keep`` is stopped.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from . import road
from .errors import CommandError
from .foreign import line

if TYPE_CHECKING:
    from .command.parse import Request
    from .engine import Run
    from .events import Event
    from .host import Host
    from .result import Recorder, RunResult
    from .spec import RunSpec
    from .views.base import View

_handles: weakref.WeakSet[Handle] = weakref.WeakSet()
_stopped_at_exit: set[Handle] = set()


class Handle:
    """A run in the background, from :func:`start`, :func:`attach` or ``%skill --bg``.

    For example::

        handle = skill_magic.start("ffmpeg", ["-i", "in.mp4", "out.webm"])
        handle.state, handle.logs()
        result = handle.wait()
    """

    def __init__(self, run: Run, recorder: Recorder, spec: RunSpec, request: Request, view: View) -> None:
        self._run = run
        self._spec = spec
        self._request = request
        self._view = view
        self._recorder = _Tap(view)
        self._result: RunResult | None = None
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, args=(recorder,), name=f"skill-{spec.skill}", daemon=True
        )
        self._thread.start()

    def _watch(self, recorder: Recorder) -> None:
        try:
            self._recorder.begin(self._spec, self._run.stop)
            self._result = road.watch(self._run, recorder, self._recorder)
        except BaseException as error:
            self._error = error
        finally:
            self._run.close()
            recorder.close()
            self._over.set()
            _stopped_at_exit.discard(self)

    @property
    def spec(self) -> RunSpec:
        """What it runs."""
        return self._spec

    @property
    def keep(self) -> bool:
        """Whether it outlives this process."""
        return self._run.keep

    @property
    def skill(self) -> str:
        """The skill's name."""
        return self._spec.skill

    @property
    def id(self) -> str | None:
        """The container's id, ``None`` before there is one."""
        return self._recorder.container or self._run.id

    @property
    def name(self) -> str:
        """The run's name, which ``skill ps``, ``stop`` and ``logs`` take; known at once."""
        return self._run.name

    @property
    def state(self) -> str:
        """``starting``, ``running``, or how it ended (``finished``, ``failed``, ``stopped``, …;
        ``error``)."""
        if self._error is not None:
            return "error"
        if self._result is not None:
            return self._result.state
        return "running" if self._recorder.container else "starting"

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self._over.is_set()

    @property
    def result(self) -> RunResult | None:
        """The result, ``None`` while it runs or where it never started."""
        return self._result

    def wait(self, timeout: float | None = None) -> RunResult:
        """Wait for its end and return the result.

        :param timeout: seconds after which to give up waiting; the run goes on.
        :raises TimeoutError: it still runs.
        :raises SkillError: it did not succeed (unless ``--no-raise``); :class:`~skill_magic.errors.SkillStopped` where
            it was stopped.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"{line(self.skill)} still runs after {timeout:g} s")
        if self._error is not None:
            raise self._error from None
        assert self._result is not None  # noqa: S101  (over without an error)
        return road.settle(self._result, self._request)

    def stop(self) -> None:
        """End it: SIGINT first, then SIGTERM, then SIGKILL; called twice, SIGKILL at once."""
        self._run.stop()

    def logs(self, stream: Literal["stdout", "stderr"] | None = None) -> str:
        """What it has written so far, the end of it where it is long; both streams in the order they came.

        :param stream: only this one of the two.
        """
        return self._recorder.text(stream)

    def chunks(self) -> list[tuple[str, bytes]]:
        """The same as ``(stream, bytes)``, in the order they came."""
        return self._recorder.chunks()

    def __repr__(self) -> str:
        return line(f"<{self.skill} in the background: {self.state}, {self.name}>")


class _Tap:
    """A view in front of the view: remembers what a handle is asked for."""

    KEPT = 1 << 20  # bytes of output that `logs` can show
    EACH = 128  # that a chunk counts for beside its data: what holds it in memory

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self.container: str | None = None

    def begin(self, spec: RunSpec, stop: Any) -> None:
        self._view.begin(spec, stop)

    def event(self, event: Event) -> None:
        from .events import Output, Started

        if isinstance(event, Started):
            self.container = event.container
        elif isinstance(event, Output):
            with self._lock:
                self._chunks.append((event.stream, event.data))
                self._size += len(event.data) + self.EACH
                while self._size > self.KEPT and len(self._chunks) > 1:
                    self._size -= len(self._chunks.popleft()[1]) + self.EACH
        self._view.event(event)

    def tick(self) -> None:
        self._view.tick()

    def finish(self, result: RunResult) -> None:
        self._view.finish(result)

    def tolerated(self, result: RunResult) -> None:
        self._view.tolerated(result)

    def error(self, error: BaseException) -> None:
        self._view.error(error)

    def chunks(self) -> list[tuple[str, bytes]]:
        with self._lock:
            return list(self._chunks)

    def text(self, stream: str | None) -> str:
        return b"".join(data for name, data in self.chunks() if stream in (None, name)).decode(
            errors="replace"
        )


def silent(view: View) -> View:
    """``view`` where it has a display of its own, else one that shows nothing: what a thread writes to stdout
    lands in another cell, or in the middle of what a person types."""
    from .views.base import QuietView
    from .views.stream import StreamView

    return QuietView() if isinstance(view, StreamView) else view


def start(request: Request, host: Host, view: View) -> Handle:
    """Begin a run and return its handle at once. Raises what :func:`road.execute` raises before the tool
    starts."""
    decision = road.decide(request, host)
    decision.raise_for_verdict()
    spec = decision.spec
    assert spec is not None  # noqa: S101  (what is allowed has one)
    if request.options.keep and request.options.stdout is not None:
        raise CommandError(
            "--keep and --stdout contradict each other",
            "nobody would write the file of a run that goes on alone",
        )
    file = road.stdout_file(request, spec, host)
    try:
        engine = road.connect(host)
        recorder = road.record(spec, host, request, file)
        handle = Handle(road.start(engine, spec, request, host), recorder, spec, request, view)
    except BaseException:
        if file is not None:
            file.discard()
        raise
    _remember(handle)
    if not request.options.keep:
        _stopped_at_exit.add(handle)
    return handle


def attach(name: str, host: Host, view: View) -> Handle:
    """Pick up a run that another process left behind with ``--bg --keep``; it stays kept.

    :param name: the run's name or id, the beginning of either, or its skill's name where that fits one kept run.
    :raises EngineError: there is no such run, or it was not started to be kept.
    """
    from .command.parse import Request
    from .engine import Run

    run = Run.attach_existing(road.connect(host), name, host)
    request = Request(run.spec.skill)
    handle = Handle(run, road.record(run.spec, host, request), run.spec, request, view)
    _remember(handle)
    return handle


def _remember(handle: Handle) -> None:
    if not _handles:
        atexit.register(stop_all)
    _handles.add(handle)


def _tell(names: list[str]) -> None:
    """Say at a terminal, and in a script, what is stopped; a kernel that ends has nobody to say it to."""
    from .views.stream import in_kernel

    if names and not in_kernel():
        with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed or gone by now
            sys.stderr.write(
                f"skill: stopping {line(', '.join(names))}, which ran in the background (--keep lets it go on)\n"
            )
            sys.stderr.flush()


def handles() -> list[Handle]:
    """The background runs of this process that are not over."""
    return [handle for handle in _handles if not handle.done]


def stop_all(seconds: float = 3.0) -> None:
    """Stop the background runs that are not to be kept, and wait at most ``seconds`` for all of them."""
    running = [handle for handle in _stopped_at_exit if not handle.done]
    _tell([handle.name for handle in running])
    for handle in running:
        handle.stop()
    for handle in running:
        handle._over.wait(seconds)
