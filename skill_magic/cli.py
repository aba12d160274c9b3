"""The ``skill`` command: the door in a shell.

stdout is the tool's alone, byte for byte; everything this package says goes to stderr. The exit code is the
tool's, and where no tool ran or ended by itself, the one that shells and ``docker run`` use:

======  ==========================================================================================================
2       the words cannot be read (usage)
74      the tool ended well, but what it wrote could not be written (closed, disk full), or --stdout could not take it;
        EX_IOERR of sysexits(3)
124     stopped by ``--timeout`` (as timeout(1) has it)
125     refused by the policy, invalid manifest, engine or image trouble (as ``docker run`` has it)
130     interrupted (SIGINT); 143 for SIGTERM, 129 for SIGHUP
137     killed: out of memory, or by somebody else; 143 where the tool ended by SIGTERM that was none of ours
141     the reader of a pipe has gone
======  ==========================================================================================================
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

from .door import Door, ask_in_terminal, chosen_view, terminal_columns, working_directory
from .errors import (
    CommandError,
    RunError,
    SkillError,
    SkillInterrupted,
    SkillKilled,
    SkillStopped,
    SkillTimeout,
)
from .events import Output
from .shell_streams import guarded
from .stdin import CallerInput, takes_stdin, waiting
from .views.base import QuietView

if TYPE_CHECKING:
    from .command.parse import Command, Request
    from .events import Event
    from .result import RunResult
    from .views.base import View

USAGE, UNWRITTEN, TIMEOUT, REFUSED, KILLED, BROKEN_PIPE = 2, 74, 124, 125, 137, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the words after ``skill``; default: the process's.
    :returns: the exit code, see above.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with guarded() as output:
        code = _caught(words)
        if output is not None:
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.flush()
            if output.error is not None:
                _note(f"standard output cannot be written: {output.error.strerror}")
                return code or UNWRITTEN
    return code


def _caught(words: list[str]) -> int:
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
        text = command.help_text(parsed.names[0] if parsed.names else None, "shell")
        print(text, file=sys.stdout if words else sys.stderr)
        return 0 if words else USAGE
    if parsed.verb == "run":
        return _run(parsed)
    from .verbs import perform

    answer = perform(parsed, _door(parsed))
    if parsed.options.json or answer.blocks:  # `logs` has written itself
        print(answer.json() if parsed.options.json else answer.text(terminal_columns(sys.stdout)), flush=True)  # noqa: T201
    return answer.code


def _door(parsed: Command, *, typed: bool = False) -> Door:
    """:param typed: a person types the tool's input, which a live line would overwrite."""
    from . import host

    silent = parsed.options.quiet or chosen_view("auto") == "quiet"

    def view() -> View:
        from .views.stream import StreamView
        from .views.terminal import TerminalView

        if silent:
            return OutputOnly(StreamView())
        return StreamView() if typed else TerminalView()

    return Door("shell", host.discover(working_directory()), view, ask_in_terminal())


_QUESTION = re.compile(r"[\[(]y(es)?/no?[\])]", re.IGNORECASE)


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
        """Write the rest, and no notes."""
        self._view.finish(dataclasses.replace(result, notes=()))

    def error(self, error: BaseException) -> None:
        """Write the rest."""
        self._view.error(error)


def _run(parsed: Command) -> int:
    from . import road
    from .views.words import last_words

    assert parsed.request is not None  # noqa: S101  (the grammar gives every run a request)
    lent = _standard_input()
    at_terminal = lent is not None and os.isatty(lent)
    stdin = _input(parsed.request, lent) if lent is not None else None
    typed = at_terminal and stdin is not None
    door = _door(parsed, typed=typed)
    request = dataclasses.replace(parsed.request, stdin=stdin)
    if typed and not request.options.quiet:
        _note(f"what you type goes to {request.skill}; Ctrl-D ends it")
    caught: list[int] = []
    try:
        with _ending_signals(caught):
            result = road.execute(request, door.host, door.view())
    except (RunError, SkillInterrupted) as error:
        code = 128 + caught[0] if caught else exit_code(error)
        if at_terminal and not typed and _QUESTION.search(last_words(error.result)):
            way = f"the tool's own option for an answer, or `skill -i {request.skill} …`"
            error.hint = "; ".join(filter(None, (f"the terminal is not passed on: use {way}", error.hint)))
        _tell_of_input(request, lent)
        return code if request.options.quiet else _say(error, code)
    except KeyboardInterrupt:
        return 128 + (caught[0] if caught else signal.SIGINT)
    wrote = (
        result.output.stdout.size or result.output.stderr.size or result.files or result.unattributed_files
    )
    if at_terminal and not typed and not wrote and not request.options.quiet:
        way = f"`skill -i {request.skill} …`"
        _note(
            f"{request.skill} wrote nothing; if it reads its input: the terminal is not passed on, write {way}"
        )
    _tell_of_input(request, lent)
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


def exit_code(error: RunError | SkillInterrupted) -> int:
    """The exit code that stands for a run that did not succeed."""
    if error.result.unwritten:
        return UNWRITTEN
    if isinstance(error, SkillTimeout):
        return TIMEOUT
    if isinstance(error, SkillInterrupted | SkillStopped):
        return 128 + signal.SIGINT
    if isinstance(error, SkillKilled):
        return error.result.exit_code or KILLED
    return error.result.exit_code or REFUSED  # a run whose input broke off fails whatever its tool said


class Typed:
    """A terminal's input, of which nothing is taken while another program has the foreground: reading then
    would stop this process (SIGTTIN)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        """A line, as soon as it is typed; empty at Ctrl-D."""
        while True:
            ready, _, _ = select.select([self._descriptor], [], [], 0.5)
            if not ready:
                continue
            if in_foreground(self._descriptor):
                return os.read(self._descriptor, size)
            time.sleep(0.5)


def in_foreground(descriptor: int) -> bool:
    """Whether what is typed at the terminal is meant for this process."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


def _standard_input() -> int | None:
    """The descriptor of the standard input that the caller has lent, ``None`` where there is none (``<&-``)."""
    try:
        return None if sys.stdin is None or sys.stdin.closed else sys.stdin.fileno()
    except (OSError, ValueError):
        return None


def _input(request: Request, lent: int) -> BinaryIO | None:
    """The caller's standard input where the tool gets it: by ``-i``, or by the rule of
    :func:`~skill_magic.stdin.takes_stdin`. Any other tool would swallow the commands that a script or a person has
    ready to come after it."""
    if request.options.no_stdin:
        return None
    if not request.options.interactive:
        from . import host, road

        try:
            decision = road.decide(request, host.discover(working_directory()))
        except SkillError:
            return None  # told of when it is run
        if decision.skill is None or decision.spec is None:
            return None
        args = decision.spec.args[len(decision.skill.leading_args) :]
        if not takes_stdin(args, decision.spec.entrypoint or ""):
            return None
    if os.isatty(lent):
        return cast(BinaryIO, Typed(lent)) if in_foreground(lent) else None
    try:
        return cast(BinaryIO, CallerInput(lent))
    except OSError:
        return None


def _tell_of_input(request: Request, lent: int | None) -> None:
    """One line on what became of the caller's standard input, where that is not what it may have been meant for."""
    if lent is None or request.options.quiet or request.options.no_stdin or os.isatty(lent):
        return
    stdin = request.stdin
    if stdin is None:
        if waiting(lent):
            _note(
                f"standard input was left unread; -i gives it to {request.skill}, --no-stdin is silent on it"
            )
    elif isinstance(stdin, CallerInput) and stdin.taken and not stdin.at_end:
        way = "--no-stdin leaves it alone"
        _note(f"{request.skill} ended before its input did: {stdin.taken} bytes of it were read; {way}")


def _note(text: str) -> None:
    from .foreign import line

    print(f"skill: {line(text)}", file=sys.stderr)  # noqa: T201


def _say(error: SkillError | SkillInterrupted, code: int) -> int:
    from .foreign import line

    print("\n".join(map(line, error.lines(terminal_columns(sys.stderr)))), file=sys.stderr)  # noqa: T201
    return code
