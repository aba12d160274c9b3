"""The ``skill`` command: the door in a shell.

stdout is the tool's alone, byte for byte; everything this package says goes to stderr. The exit code is the
tool's, and where no tool ran or ended by itself, the one that shells and ``docker run`` use:

======  =================================================================
2       the words cannot be read (usage)
124     stopped by ``--timeout`` (as timeout(1) has it)
125     refused by the policy, invalid manifest, engine or image trouble (as ``docker run`` has it)
130     interrupted (SIGINT); 143 for SIGTERM, 129 for SIGHUP
137     killed: out of memory, or by somebody else
======  =================================================================
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from .door import Door, ask_in_terminal, chosen_view, working_directory
from .errors import CommandError, RunError, SkillError, SkillInterrupted, SkillKilled, SkillTimeout
from .events import Output
from .views.base import QuietView

if TYPE_CHECKING:
    from .command.parse import Command
    from .events import Event
    from .result import RunResult
    from .views.base import View

USAGE, TIMEOUT, REFUSED, KILLED, BROKEN_PIPE = 2, 124, 125, 137, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the words after ``skill``; default: the process's.
    :returns: the exit code, see above.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(words)
    except CommandError as error:
        return _say(error, USAGE)
    except SkillError as error:
        return _say(error, REFUSED)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader has gone (`skill list | head -1`). Python would complain once more when it flushes at
        # exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _main(words: list[str]) -> int:
    from .command import parse as command

    if words and words[0] == "--version":
        from ._version import __version__

        print(f"skill {__version__}")  # noqa: T201
        return 0
    parsed = command.parse(words, door="shell")
    if parsed.verb == "help":
        text = command.help_text(parsed.names[0] if parsed.names else None)
        print(text, file=sys.stdout if words else sys.stderr)
        return 0 if words else USAGE
    if parsed.verb == "run":
        return _run(parsed)
    from .verbs import perform

    answer = perform(parsed, _door(parsed))
    if parsed.options.json or answer.blocks:  # `logs` has written itself
        print(answer.json() if parsed.options.json else answer.text(), flush=True)  # noqa: T201
    return answer.code


def _door(parsed: Command) -> Door:
    from . import host

    silent = parsed.options.quiet or chosen_view("auto") == "quiet"

    def view() -> View:
        from .views.stream import StreamView
        from .views.terminal import TerminalView

        return OutputOnly(StreamView()) if silent else TerminalView()

    return Door("shell", host.discover(working_directory()), view, ask_in_terminal())


class OutputOnly(QuietView):
    """``--quiet``: the tool's output, which is what the command is for, and none of our own words."""

    def __init__(self, view: View) -> None:
        self._view = view

    def event(self, event: Event) -> None:
        """Pass on what the tool wrote."""
        if isinstance(event, Output):
            self._view.event(event)

    def tick(self) -> None:
        """Let it be written."""
        self._view.tick()

    def finish(self, result: RunResult) -> None:
        """Write the rest."""
        self._view.finish(result)

    def error(self, error: BaseException) -> None:
        """Write the rest."""
        self._view.error(error)


def _run(parsed: Command) -> int:
    from . import road

    assert parsed.request is not None  # noqa: S101  (the grammar gives every run a request)
    door = _door(parsed)
    request = dataclasses.replace(parsed.request, stdin=_stdin())
    caught: list[int] = []
    try:
        with _ending_signals(caught):
            result = road.execute(request, door.host, door.view())
    except RunError as error:
        code = 128 + caught[0] if caught else exit_code(error)
        return code if request.options.quiet else _say(error, code)
    except KeyboardInterrupt:
        return 128 + (caught[0] if caught else signal.SIGINT)
    failed = result.error()  # --no-raise: nothing is said, and the code is the same
    return exit_code(failed) if failed is not None else 0


@contextlib.contextmanager
def _ending_signals(caught: list[int]) -> Iterator[None]:
    """SIGTERM and SIGHUP end the run as an interrupt does, so that its container goes too."""

    def handler(number: int, frame: object) -> None:
        caught.append(number)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, old in before.items():
        if old is not signal.SIG_IGN:  # nohup(1) has a say
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def exit_code(error: RunError) -> int:
    """The exit code that stands for a run that did not succeed."""
    if isinstance(error, SkillTimeout):
        return TIMEOUT
    if isinstance(error, SkillInterrupted):
        return 128 + signal.SIGINT
    if isinstance(error, SkillKilled):
        return KILLED
    return error.result.exit_code if error.result.exit_code is not None else REFUSED


def _stdin() -> BinaryIO | None:
    """What is piped into the command, unbuffered: a reader blocked in a buffer would hold the interpreter at
    exit."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return None
    try:
        return open(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    except OSError:
        return None


def _say(error: SkillError, code: int) -> int:
    from .answer import safe

    print("\n".join(safe(line) for line in error.lines()), file=sys.stderr)  # noqa: T201
    return code
