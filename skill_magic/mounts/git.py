"""Where git keeps what it reads and runs, besides ``.git`` itself."""

from __future__ import annotations

import contextlib
import itertools
import os
import posixpath
import re
import stat
from collections.abc import Iterator

from ..policy.paths import resolve
from ..policy.protected import below
from ..policy.protected_later import MOST_HOOKS

MOST_SUBMODULES = 64
"""Submodules that are looked at by name; others are found where they lie."""

MOST_BYTES = 1 << 20
"""Of one file of settings."""

MOST_WORDS = 20
"""Words of a value that may name a program."""

PERSONAL = (".gitconfig", ".config/git/config")
"""The person's own settings of git, in the home directory."""

MOST_SETTINGS = 64
"""Files of settings of one repository."""


class TooManyError(Exception):
    """A repository has more to look at than is looked at."""


_SECTION = re.compile(r"\[[^\]]*\]")
_QUOTED = re.compile(r'"([^"]*)"')


def git_directories(root: str, home: str) -> Iterator[str]:
    """What git reads and runs for the repository in ``root`` and its submodules.

    :raises TooManyError: as :func:`pointed`.
    """
    for pointer in (os.path.join(root, ".git"), *_submodules(root)):
        yield from pointed(pointer, home)


def pointed(pointer: str, home: str) -> Iterator[str]:
    """``pointer`` (a ``.git``, or a bare repository), where it points if it is a file (a worktree's or a submodule's
    own directory, and the repository that it belongs to), and hooks and settings kept elsewhere.

    :param home: where the person's own settings of git are: what they name relative to the repository counts too.
    :raises TooManyError: its settings include more files than are looked at.
    """
    yield pointer
    directories = [pointer]
    own = _lines(pointer)[:1]
    if own and own[0].startswith("gitdir:"):
        directories.append(
            resolve(os.path.join(os.path.dirname(pointer), own[0].removeprefix("gitdir:").strip()))
        )
    for common in _lines(os.path.join(directories[-1], "commondir"))[:1]:
        directories.append(resolve(os.path.join(directories[-1], common)))
    yield from directories[1:]
    for directory in directories:
        yield from _hooks(os.path.join(directory, "hooks"))
        own = [os.path.join(directory, name) for name in ("config", "config.worktree")]
        for settings in _included([*own, *(os.path.join(home, name) for name in PERSONAL)]):
            yield settings
            for hooks in _settings(settings, "hookspath"):
                for base in (os.path.dirname(pointer), directory):  # the second is a bare repository's
                    yield from _hooks(_clean(base, hooks))
            yield from _programs(settings, os.path.dirname(pointer))


def _included(settings: list[str]) -> Iterator[str]:
    """These files of settings, and those that they include in turn, each by its own folder.

    :raises TooManyError: there are more than :data:`MOST_SETTINGS`; what the others name nobody would look at.
    """
    seen = dict.fromkeys(settings)
    waiting = list(settings)
    while waiting:
        file = waiting.pop(0)
        yield file
        for included in _settings(file, "path"):
            place = _clean(os.path.dirname(file), included)
            if place not in seen:
                seen[place] = None
                waiting.append(place)
        if len(seen) > MOST_SETTINGS:
            raise TooManyError


def _hooks(folder: str) -> Iterator[str]:
    """The folder, and the links in it: a hook is often kept among a project's scripts."""
    yield folder
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        yield from (entry.path for entry in itertools.islice(entries, MOST_HOOKS) if entry.is_symlink())


def _programs(settings: str, base: str) -> Iterator[str]:
    """The files of the work tree that a command in the settings names: filters, a monitor, an editor, aliases."""
    for line in _lines(settings):
        for word in line.partition("=")[2].replace('"', " ").split()[:MOST_WORDS]:
            place = _clean(base, word.lstrip("!"))
            if below(place, base) and os.path.isfile(place):
                yield place


def _clean(base: str, path: str) -> str:
    return posixpath.normpath(os.path.join(base, os.path.expanduser(path)))


def _submodules(root: str) -> Iterator[str]:
    for path in list(_settings(os.path.join(root, ".gitmodules"), "path"))[:MOST_SUBMODULES]:
        place = posixpath.normpath(os.path.join(root, path))
        if below(place, root) and place != root:
            yield os.path.join(place, ".git")


def _settings(path: str, name: str) -> Iterator[str]:
    """The values that a file of git's gives one key, in whatever section."""
    for line in _lines(path):
        # A key may stand behind the section's name, and a remark behind the value.
        key, equals, value = (line[found.end() :] if (found := _SECTION.match(line)) else line).partition("=")
        if not equals or key.strip().lower() != name:
            continue
        quoted = _QUOTED.match(value.strip())
        value = quoted[1] if quoted else re.split("[#;]", value, maxsplit=1)[0].strip(' "')
        if value:
            yield value


def _lines(path: str) -> list[str]:
    """The lines of a small regular file; none where it is anything else. A planted pipe must not hold us up.

    :raises TooManyError: it is larger than :data:`MOST_BYTES`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: a NUL in a path that a file of git's named
        return []
    try:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        data = os.read(handle, MOST_BYTES + 1) if regular else b""
    except OSError:
        return []
    finally:
        os.close(handle)
    if len(data) > MOST_BYTES:
        raise TooManyError
    # What a NUL is in is no path.
    return [line.strip() for line in data.decode("utf-8", "replace").splitlines() if "\0" not in line]
