"""Door: what the road and the verbs may use of the place they were called from (a notebook, a terminal, a
script)."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import CommandError, SkillError
from .foreign import line, lines
from .wrap import WIDTH

if TYPE_CHECKING:
    from .host import Host
    from .views.base import View

VIEWS = ("auto", "panel", "text", "quiet")
ViewName = Literal["auto", "panel", "text", "quiet"]

NARROWEST, UNKNOWN, WIDEST = 40, 88, 100
"""Columns of a page that asks: the least, those where nobody knows, the most (longer lines are hard to read)."""


@dataclass(frozen=True)
class Door:
    """Where a command came from.

    :param kind: ``magic`` (notebook or terminal IPython), ``shell`` (the ``skill`` command), ``python``.
    :param view: makes the view of one run.
    :param ask: shows a text, puts a question to the person and returns the answer; ``None`` where no person
        is.
    :param notebook: whether rich output is shown.
    """

    kind: Literal["magic", "shell", "python"]
    host: Host
    view: Callable[[], View]
    ask: Callable[[str, str], str] | None = None
    notebook: bool = False

    def line(self, words: str) -> str:
        """``words`` as this person would type them: ``%skill trust x`` here, ``skill trust x`` there."""
        return f"{'%skill' if self.kind == 'magic' else 'skill'} {words}"

    def screen(self) -> tuple[int, int]:
        """Columns and rows for a page that has to be seen as a whole. A notebook scrolls and its width is not
        known here: what it may take there is what fits beside a sidebar."""
        return (UNKNOWN, 60) if self.notebook else _terminal()


def terminal_columns(stream: Any) -> int | None:
    """How wide sentences are on ``stream``: as wide as its terminal, at most :data:`~skill_magic.wrap.WIDTH`.
    ``None`` where it is no terminal: what a program or a log reads is not broken into lines."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        if stream.isatty() and (found := os.get_terminal_size(stream.fileno()).columns):
            return min(max(found, 20), WIDTH)
    return None


def _terminal() -> tuple[int, int]:
    """The size of the terminal that questions are put at, less the column in which some begin a new line."""
    columns = rows = 0
    for stream in (sys.stderr, sys.stdout):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            columns, rows = os.get_terminal_size(stream.fileno())
            break
    return min(max(columns - 1, NARROWEST), WIDEST) if columns else UNKNOWN, rows or 24


def chosen_view(wanted: str) -> ViewName:
    """The view by name: ``SKILL_MAGIC_VIEW`` wins over ``wanted``, so that a build can be told from outside.

    :raises CommandError: for a name that is none of ``VIEWS``.
    """
    name = os.environ.get("SKILL_MAGIC_VIEW") or wanted
    if name not in VIEWS:
        import difflib

        near = difflib.get_close_matches(name, VIEWS, 1)
        suggestion = f"; did you mean {near[0]}?" if near else ""
        hint = f"SKILL_MAGIC_VIEW is one of {', '.join(VIEWS)}"
        raise CommandError(f"no view is called {name!r}{suggestion}", hint)
    return name  # type: ignore[return-value]


_TYPED = re.compile(
    r"(?<![%\w/.-])(?<!&& )skill (?=(?:run|list|info|explain|check|trust|pull|ps|stop|logs|clean)\b)"
)


def in_notebook(text: str) -> str:
    """``text`` with the commands in it as a cell takes them: ``%skill trust x``; but one that follows a ``cd``
    is for a terminal."""
    return _TYPED.sub("%skill ", text)


def working_directory() -> Path:
    """Where this process is. Raises SkillError where that directory has been removed."""
    try:
        return Path(os.getcwd())
    except OSError:
        raise SkillError("the working directory is gone", "change to one that exists: cd ~/project") from None


def notebook_of(namespace: dict[str, Any]) -> Path | None:
    """The open notebook's file as its front end tells the kernel, where that file is on this machine.

    VS Code sets a variable, Jupyter Server 2 an environment variable (which is also set for consoles, with
    the path of no file); others say nothing.
    """
    for value in (namespace.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME")):
        if not isinstance(value, str):
            continue
        path = Path(value)
        if path.is_absolute() and path.is_file():
            return path
    return None


def ask_in_terminal() -> Callable[[str, str], str] | None:
    """``input`` where a person sits at a terminal, else ``None``: a pipe is nobody's consent."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(text: str, question: str) -> str:
        print(lines(text), file=sys.stderr, flush=True)  # noqa: T201  (stdout may be redirected)
        _forget_typed()
        print(line(question), end="", file=sys.stderr, flush=True)  # noqa: T201
        return sys.stdin.readline()

    return ask


def _forget_typed() -> None:
    """Drop what was typed, or pasted along with the command, before the question could be read."""
    import termios

    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def ask_kernel(kernel: Any) -> Callable[[str, str], str] | None:
    """The front end's input line; ``None`` where it offers none (nbclient, papermill, nbconvert)."""
    if not getattr(kernel, "_allow_stdin", False):
        return None

    def ask(text: str, question: str) -> str:
        print(lines(text), flush=True)  # noqa: T201  (a front end shows a prompt in one line)
        return str(kernel.raw_input(line(question)))

    return ask
