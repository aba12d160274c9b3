"""``skill_magic.run`` and its kin: the door in Python."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .command.parse import Options, Request, find_habits
from .door import working_directory
from .file_change import FileChange
from .stdin import Stdin, source

if TYPE_CHECKING:
    from .background import Handle
    from .host import Host
    from .policy.decide import Decision
    from .result import RunResult
    from .views.base import View


def run(
    skill: str,
    args: Sequence[str | os.PathLike[str]] | None = None,
    *,
    stdin: Stdin | None = None,
    directory: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    memory: str | None = None,
    cpus: str | None = None,
    pull: Literal["missing", "never", "always"] | None = None,
    manifest: str | os.PathLike[str] | None = None,
    stdout: str | os.PathLike[str] | None = None,
    check: bool = True,
    show: bool = False,
    view: View | None = None,
) -> RunResult:
    """Run a skill and wait for its end.

    :param skill: its name in a manifest or the bundled catalog.
    :param args: the tool's arguments, passed on byte for byte; ``None`` for the manifest's ``command``.
    :param stdin: text (as UTF-8), bytes, a path (the file's content), or a file opened for reading, binary or text,
        that is streamed. A source that breaks off ends the run as failed.
    :param directory: mounted at /workdir, and where manifests are looked for; default: the working directory.
    :param timeout: seconds after which the run is ended; default: it may take as long as it takes.
    :param memory: the limit in place of the manifest's, written as there (``512m``).
    :param cpus: the limit in place of the manifest's, written as there (``1.5``).
    :param pull: when to pull the image; default ``missing``.
    :param manifest: a manifest to use instead of the one found from ``directory`` upwards.
    :param stdout: a file of the directory that the tool's standard output goes to, byte for byte; the result's
        ``stdout`` is then empty. It is written at once when the run has ended well, or with ``check=False`` whatever
        the tool's exit code; otherwise what was there before stays.
    :param check: raise where the tool does not succeed; otherwise look at the result's ``ok``, ``state``,
        ``exit_code``.
    :param show: pass the tool's output on to stdout and stderr while it runs.
    :param view: any other view of the run, in place of ``show``.
    :returns: what is known of the run: exit code, output, files, resources.
    :raises SkillError: one of its kinds, see :class:`SkillError`.
    :raises SkillInterrupted: it was interrupted, or stopped while the main thread waited for it; in a thread or a
        worker process that is a :class:`SkillStopped`, which is an ordinary error.
    :raises TypeError: for an argument or an input of a type that is not taken.
    :raises OSError: for an input file that cannot be opened.
    """
    from . import road

    options = Options(
        timeout=timeout, memory=memory, cpus=cpus, pull=pull, no_raise=not check, stdout=_file(stdout)
    )
    request = _request(skill, args, stdin, manifest, options)
    return road.execute(request, _host(directory), view or _view(show))


def start(
    skill: str,
    args: Sequence[str | os.PathLike[str]] | None = None,
    *,
    stdin: Stdin | None = None,
    directory: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    memory: str | None = None,
    cpus: str | None = None,
    manifest: str | os.PathLike[str] | None = None,
    stdout: str | os.PathLike[str] | None = None,
    keep: bool = False,
) -> Handle:
    """Start a skill and return at once; the parameters that :func:`run` has too mean the same.

    :param skill: its name in a manifest or the bundled catalog.
    :param args: the tool's arguments.
    :param stdin: the tool's standard input.
    :param directory: mounted at /workdir, and where manifests are looked for.
    :param timeout: seconds after which the run is ended.
    :param memory: the limit in place of the manifest's, written as there (``512m``).
    :param cpus: the limit in place of the manifest's, written as there (``1.5``).
    :param manifest: a manifest to use instead of the one found from ``directory`` upwards.
    :param stdout: a file of the directory that the tool's standard output goes to; not together with ``keep``.
    :param keep: let it go on when this process ends (``skill ps`` shows it).
    :returns: the handle of the run, with its state, output and ``wait()``.
    :raises SkillError: as :func:`run`, for what fails before the tool starts.
    """
    from . import background

    options = Options(timeout=timeout, memory=memory, cpus=cpus, bg=True, keep=keep, stdout=_file(stdout))
    return background.start(_request(skill, args, stdin, manifest, options), _host(directory), _view(False))


def attach(name: str) -> Handle:
    """Pick up a run that another process, such as a kernel that is gone, started with ``keep``.

    :param name: as ``skill ps`` shows it, the beginning of it, or its skill's name where that fits one kept run.
    :returns: its handle: output from the beginning, ``wait()``, ``stop()``. It stays kept until ``skill clean``.
    :raises EngineError: there is no such run, or it was not started to be kept.
    """
    from . import background

    return background.attach(name, _host(None), _view(False))


def explain(
    skill: str,
    args: Sequence[str | os.PathLike[str]] | None = None,
    *,
    directory: str | os.PathLike[str] | None = None,
    manifest: str | os.PathLike[str] | None = None,
) -> Decision:
    """What :func:`run` would do and what the policy says of it; nothing is run and no engine is asked.

    :param skill: its name in a manifest or the bundled catalog.
    :param args: the tool's arguments.
    :param directory: where manifests are looked for; default: the working directory.
    :param manifest: a manifest to use instead of the one found from ``directory`` upwards.
    :returns: the decision. Its ``verdict`` is ``allow``, ``trust`` (grants are missing), ``deny``, ``error``, or
        ``not-docker``; ``violations`` has the reasons, each a :class:`Violation`; ``raise_for_verdict()`` raises what
        :func:`run` would raise.
    """
    from . import road

    return road.decide(_request(skill, args, None, manifest, Options()), _host(directory))


def check(directory: str | os.PathLike[str] | None = None) -> list[Decision]:
    """The decision on every skill in reach of ``directory``, faulty ones included; no engine is asked.

    :param directory: where manifests are looked for; default: the working directory.
    :returns: a decision for each skill, as :func:`explain` returns it, with the skill's ``name``.
    """
    from .policy.decide import check_all

    return list(check_all(_host(directory)))


def _request(
    skill: str,
    args: Sequence[str | os.PathLike[str]] | None,
    stdin: Stdin | None,
    manifest: str | os.PathLike[str] | None,
    options: Options,
) -> Request:
    if isinstance(args, str):
        raise TypeError("args is a sequence of arguments, not one string: ['-i', 'in.mp4', 'out.webm']")
    if manifest is not None:
        options = dataclasses.replace(options, manifest=Path(manifest))
    words = None if args is None else tuple(_word(number, arg) for number, arg in enumerate(args))
    return Request(skill, words, source(stdin), options, habits=find_habits(words or (), "python"))


def _word(number: int, arg: str | os.PathLike[str]) -> str:
    try:
        # The whole path of a file of an earlier run is one of the host, which no tool sees.
        word = arg.argument if isinstance(arg, FileChange) else os.fspath(arg)
    except TypeError:
        word = None
    if not isinstance(word, str):
        raise TypeError(f"args[{number}] is {arg!r}: an argument is a string or a path; write str(…)")
    return word


def _file(stdout: str | os.PathLike[str] | None) -> str | None:
    """The name of the file for standard output."""
    if stdout is None:
        return None
    name: object = os.fspath(stdout) if isinstance(stdout, os.PathLike) else stdout
    if not isinstance(name, str):
        raise TypeError(
            f"stdout is {stdout!r}: it is the name of a file in the directory; without one the output is in the "
            "result's stdout"
        )
    return name


def _host(directory: str | os.PathLike[str] | None) -> Host:
    from . import host

    return host.discover(working_directory() if directory is None else Path(directory))


def _view(show: bool) -> View:
    if show:
        from .views.stream import StreamView

        return StreamView()
    from .views.base import QuietView

    return QuietView()
