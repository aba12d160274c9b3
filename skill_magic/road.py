"""The one road from a request to a result; the magic, the ``skill`` command and the Python API are doors to
it.

    manifest → plan → policy → engine → result, the view watching

Nothing here decides anything: each room does, and this module hands the value of one to the next. What it
owns is the loop of a run: events reach the recorder and the view on the caller's thread, and an interrupt
ends the tool, never the clean-up (which is the engine's own thread's work).
"""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import finished

if TYPE_CHECKING:
    from .command.parse import Request
    from .engine import Engine, Run
    from .host import Host
    from .policy.decide import Decision
    from .result import Recorder, RunResult
    from .spec import ImageFacts, RunSpec
    from .stdout_file import StdoutFile
    from .views.base import View

POLL = 0.1
"""Seconds between two looks at the engine's queue while the tool is silent: the view's clock."""


def cell_mode(request: Request, host: Host) -> str:
    """What a cell's body is to the skill: ``stdin`` or ``args``; of a skill with faults too, which the decision
    reports all at once. Raises SkillNotFound or ManifestError."""
    from .manifest import layers as manifest

    manifests = manifest.load(host, explicit=request.options.manifest)
    return (manifests.partial.get(request.skill) or manifests.find(request.skill)).cell


def decide(request: Request, host: Host) -> Decision:
    """What the policy says of ``request``, without an engine; of a skill with faults, these among it. Raises
    SkillNotFound or ManifestError."""
    from .manifest import layers as manifest
    from .policy.decide import evaluate_named

    return _own(evaluate_named(manifest.load(host, explicit=request.options.manifest), request, host), host)


def _own(decision: Decision, host: Host) -> Decision:
    """``decision`` with a note where a skill of a project or a person stands in place of a bundled one."""
    from .manifest.file import read
    from .manifest.layers import BUNDLED

    spec = decision.spec
    if spec is None or spec.file is None or spec.origin == "bundled":
        return decision
    if spec.skill not in read(BUNDLED, "bundled").skills:
        return decision
    from .views.words import place

    whose = "the project's" if spec.origin == "project" else "your"
    line = min(spec.lines.values(), default=None)
    note = f"{spec.skill} is {whose} own, not the bundled one: {place(spec.file, line, spec.directory, host.home)}"
    return replace(decision, spec=replace(spec, notes=(note, *spec.notes)))


def execute(request: Request, host: Host, view: View) -> RunResult:
    """Run a skill to its end.

    :returns: the result; also of a failed run where ``request.options.no_raise`` is set.
    :raises SkillError: anything of the tree in ``errors``. A refusal comes before the engine is asked
        anything.
    :raises SkillInterrupted: a person stopped the run and this is the main thread; with ``no_raise`` too, which is
        about tools that fail.
    """
    decision = decide(request, host)
    decision.raise_for_verdict()
    spec = decision.spec
    assert spec is not None  # noqa: S101  (what is allowed has one)
    with contextlib.ExitStack() as stack:
        file = stdout_file(request, spec, host)
        if file is not None:
            stack.callback(file.discard)
        engine = connect(host)
        recorder = record(spec, host, request, file)
        run = stack.enter_context(contextlib.closing(start(engine, spec, request, host)))
        view.begin(spec, run.stop)
        person = Person()
        result = watch(run, recorder, view, person)
    printed = [name for name in getattr(view, "printed", ()) if file is None or name != "stdout"]
    if person.waits and (person.interrupted or result.state == "stopped"):
        from .views import words

        raise words.interrupt(result)
    settle(result, request, printed=printed)
    if not result.ok:
        view.tolerated(result)
    return result


def stdout_file(request: Request, spec: RunSpec, host: Host) -> StdoutFile | None:
    """The file that standard output is to go to, ready to be written. Discard it when the run is over.

    :raises FileRefusedError: it may not be written; nothing has been asked of the engine.
    """
    if request.options.stdout is None:
        return None
    from .stdout_file import opened

    return opened(request.options.stdout, spec, host, whatever_exit_code=request.options.no_raise)


def record(spec: RunSpec, host: Host, request: Request, stdout: StdoutFile | None = None) -> Recorder:
    """What follows a run. It looks at the mounted folders first, so it is made before the run is started: what a
    quick tool makes meanwhile would be taken for what was there before."""
    from .result import Recorder

    return Recorder(spec, host, stdout=stdout, stdin=request.stdin, habits=request.habits)


def connect(host: Host) -> Engine:
    """The person's engine, with what dead processes of ours left on it swept away. Raises
    EngineUnavailable."""
    from . import engine

    connected = engine.connect(host)
    engine.sweep(connected, host)
    return connected


def start(engine: Engine, spec: RunSpec, request: Request, host: Host) -> Run:
    """Begin a decided run on the engine; its events wait in its queue."""
    from .engine import Run

    gate = image_gate(spec, host)
    return Run(engine, spec, host, stdin=request.stdin, check_image=gate, keep=request.options.keep)


def image_gate(spec: RunSpec, host: Host) -> Callable[[ImageFacts], None]:
    """The policy's second look, once the image is here: raises PolicyError before a container is made."""

    def check(image: ImageFacts) -> None:
        from .policy.decide import check_image

        check_image(spec, image, host)

    return check


class Person:
    """Who may interrupt the thread that waits for a run.

    ``waits``: whether there is one. An interrupt reaches the main thread alone, and not where it is ignored: there (a
    job in the background of a shell, a task of a kernel's own loop outside of any cell) a KeyboardInterrupt would end
    what no person wants to end. In a worker process it would be sent to its parent, or end the worker.

    ``interrupted``: whether an interrupt came while the run was watched.
    """

    def __init__(self) -> None:
        process = sys.modules.get("multiprocessing.process")
        self.waits = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
            and (process is None or process.parent_process() is None)
        )
        self.interrupted = False


def watch(run: Run, recorder: Recorder, view: View, person: Person | None = None) -> RunResult:
    """Hand every event to a recorder and the view until the run has ended; the view has begun.

    :param person: is told of an interrupt.
    :raises EngineError: where the engine could not start it or was lost; the view has been told.
    """
    try:
        person = person or Person()
        with interrupts(run, person):
            while not _ended(run, recorder, view, person):
                pass
        result = recorder.result()
        finished.remember(run, result)
    except BaseException as error:
        try:
            _left_behind(run, recorder, view)
        finally:  # an interrupt ends the look
            recorder.close()
            view.error(error)
        raise
    view.finish(result)
    return result


def _left_behind(run: Run, recorder: Recorder, view: View) -> None:
    """Say what a tool has left of which there is no result, for it was lost or given up; and mend what can be."""
    from .events import Note

    if run.id is None:
        return  # nothing was made that could have run
    with contextlib.suppress(Exception):  # the error that ended the run is the one to be told
        run.close()
        recorder.close()
        for note in recorder.left_behind():
            view.event(Note(note))


def _ended(run: Run, recorder: Recorder, view: View, person: Person) -> bool:
    from .events import Finished

    try:
        event = run.next(POLL)
        if event is not None:
            writable = not recorder.unwritten
            recorder.event(event)
            if writable and recorder.unwritten:
                run.stop()  # as a shell's tool would end: what it writes goes nowhere
            if recorder.shows(event):
                view.event(event)
        view.tick()
    except KeyboardInterrupt:
        person.interrupted = True
        run.stop()  # the second one kills: the engine's room counts
        return False
    return isinstance(event, Finished)


def settle(result: RunResult, request: Request, *, printed: Collection[str] = ()) -> RunResult:
    """Return ``result``, or raise what it stands for unless the caller asked for ``--no-raise``.

    :param printed: streams whose end stands just above the error.
    """
    error = result.error(printed)
    if error is None or request.options.no_raise:
        return result
    if result.state == "failed" and request.hint:
        error.hint = "; ".join(filter(None, (request.hint, error.hint)))
    raise error from None


@contextlib.contextmanager
def interrupts(run: Run, person: Person) -> Iterator[None]:
    """While the body runs in the main thread, SIGINT stops ``run`` instead of breaking into our code.

    A KeyboardInterrupt can surface between any two bytecodes: an output chunk taken from the queue would be
    lost, a view left half drawn. So the first signal is only passed on, through a SimpleQueue (whose ``put``
    is safe in a signal handler) to a thread that calls ``run.stop()``, which also works while this thread is
    blocked in a write. From the second on a KeyboardInterrupt is raised as well: the way out of a view that
    hangs.
    """
    before = signal.getsignal(signal.SIGINT)
    # A shell starts background jobs with SIGINT ignored, and other threads cannot set handlers.
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
    count = 0

    def handler(number: int, frame: Any) -> None:
        nonlocal count
        count += 1
        person.interrupted = True
        asked.put(True)
        if count > 1:
            raise KeyboardInterrupt

    def pass_on() -> None:
        while asked.get():
            run.stop()

    watcher = threading.Thread(target=pass_on, name="skill-magic-interrupt", daemon=True)
    watcher.start()
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        asked.put(False)
