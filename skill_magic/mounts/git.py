"""Where git keeps what it reads and runs, besides ``.git`` itself."""

from __future__ import annotations

import contextlib
import itertools
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ..host import Host
from ..policy.paths import Budget, resolve
from ..policy.protected import below
from ..policy.protected_later import MOST_HOOKS

MOST_SUBMODULES = 64
"""Submodules that are looked at by name; others are found where they lie."""

MOST_BYTES = 1 << 20
"""Of one file of settings."""

MOST_WORDS = 20
"""Words of a value that may name a program."""


@dataclass(frozen=True)
class Settings:
    """The settings of git that a person has for all repositories: files of them, and keys with values from variables.

    What they name is relative to each repository.
    """

    files: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def personal(host: Host) -> Settings:
    """Those of the caller, by the rules of git-config(1)."""
    variables = host.environment
    own = variables.get("XDG_CONFIG_HOME") or os.path.join(host.home, ".config")
    files = [
        variables.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig",
        *([variables["GIT_CONFIG_GLOBAL"]] if variables.get("GIT_CONFIG_GLOBAL") else ()),
        os.path.join(host.home, ".gitconfig"),
        os.path.join(own, "git/config"),
    ]
    pairs = []
    for number in range(MOST_SETTINGS):
        if (key := variables.get(f"GIT_CONFIG_KEY_{number}")) is None:
            break
        pairs.append((key.rpartition(".")[2].lower(), variables.get(f"GIT_CONFIG_VALUE_{number}", "")))
    return Settings(tuple(files), tuple(pairs))


MOST_SETTINGS = 64
"""Files of settings of one repository."""


class TooManyError(Exception):
    """A repository has more to look at than is looked at."""


_SECTION = re.compile(r"\[[^\]]*\]")
_COMMANDS = frozenset(
    """
    hookspath fsmonitor editor pager sshcommand clean smudge process driver command textconv external program helper cmd
    askpass uploadpack receivepack gitproxy sequence
    """.split()  # noqa: SIM905
)
"""Keys that name what git runs, without their sections."""

_WORDS = re.compile(r"[\s\"';&|()<>`$={}!,]+")
"""What stands between the words of a command."""


def git_directories(root: str, own: Settings, budget: Budget) -> Iterator[str]:
    """What git reads and runs for the repository in ``root`` and its submodules.

    :raises TooManyError: as :func:`pointed`.
    """
    for pointer in (os.path.join(root, ".git"), *_submodules(root, budget)):
        yield from pointed(pointer, own, budget)


def pointed(pointer: str, own: Settings, budget: Budget) -> Iterator[str]:
    """``pointer`` (a ``.git``, or a bare repository), where it points if it is a file (a worktree's or a submodule's
    own directory, and the repository that it belongs to), and hooks and settings kept elsewhere.

    A tool sees what is guarded. So that it cannot learn from that what stands in files which it does not see, settings
    in the work tree count as far as they lie there, and of those elsewhere only commands do.

    :param own: the person's own settings of git.
    :raises TooManyError: its settings include more files than are looked at.
    """
    yield pointer
    base = os.path.dirname(pointer)
    reader = _Reader(base, budget)
    directories = [pointer]
    first = reader.lines(pointer)[:1]
    if first and first[0].startswith("gitdir:"):
        directories.append(resolve(os.path.join(base, first[0].removeprefix("gitdir:").strip())))
    for common in reader.lines(os.path.join(directories[-1], "commondir"))[:1]:
        directories.append(resolve(os.path.join(directories[-1], common)))
    yield from directories[1:]
    for directory in directories:
        yield from _hooks(os.path.join(directory, "hooks"))
        files = [os.path.join(directory, name) for name in ("config", "config.worktree")]
        commands = [(key, value) for key, value in own.pairs if _is_command(key, value)]
        for settings in reader.included([*files, *own.files]):
            yield settings
            inside = reader.inside(settings)
            commands += [pair for pair in reader.pairs(settings) if inside or _is_command(*pair)]
        for key, value in commands:
            if key == "hookspath" and value:
                for folder in (base, directory):  # the second is a bare repository's
                    yield from _hooks(_clean(folder, value))
            yield from reader.programs(value)


def _is_command(key: str, value: str) -> bool:
    """Whether git runs what a key names; an alias does where it begins so."""
    return key in _COMMANDS or value.startswith("!")


class _Reader:
    """Reads files of git's for the work tree ``base``."""

    def __init__(self, base: str, budget: Budget) -> None:
        self._base = base
        self._real = resolve(base)
        self._budget = budget

    def inside(self, path: str) -> bool:
        """Whether a file really lies in the work tree."""
        return below(resolve(path), self._real)

    def lines(self, path: str) -> list[str]:
        """As :func:`_lines`; none of a file that is in the work tree by a link alone."""
        return [] if below(path, self._base) and not self.inside(path) else _lines(path, self._budget)

    def pairs(self, path: str) -> Iterator[tuple[str, str]]:
        """As :func:`_pairs`."""
        return _pairs(self.lines(path))

    def included(self, settings: list[str]) -> Iterator[str]:
        """These files of settings, and those that they include in turn, each by its own folder.

        :raises TooManyError: there are more than :data:`MOST_SETTINGS`; what the others name nobody would look at.
        """
        seen = dict.fromkeys(settings)
        waiting = list(settings)
        while waiting:
            file = waiting.pop(0)
            yield file
            inside = self.inside(file)
            for included in (value for key, value in self.pairs(file) if key == "path" and value):
                # A file that is a link has two folders that the path could be of.
                for folder in dict.fromkeys((os.path.dirname(file), os.path.dirname(resolve(file)))):
                    place = _clean(folder, included)
                    if place not in seen and (self.inside(place) or not inside):
                        seen[place] = None
                        waiting.append(place)
            if len(seen) > MOST_SETTINGS:
                raise TooManyError

    def programs(self, value: str) -> Iterator[str]:
        """The files of the work tree that a command in the settings names: filters, a monitor, an editor, aliases."""
        for word in _WORDS.split(value)[:MOST_WORDS]:
            self._budget.words -= 1
            if self._budget.words < 0:
                raise TooManyError
            place = _clean(self._base, word)
            if word and below(place, self._base) and os.path.isfile(place):
                yield place


def _hooks(folder: str) -> Iterator[str]:
    """The folder, and the links in it: a hook is often kept among a project's scripts."""
    yield folder
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        yield from (entry.path for entry in itertools.islice(entries, MOST_HOOKS) if entry.is_symlink())


def _clean(base: str, path: str) -> str:
    return posixpath.normpath(os.path.join(base, os.path.expanduser(path)))


def _submodules(root: str, budget: Budget) -> Iterator[str]:
    found = _Reader(root, budget).pairs(os.path.join(root, ".gitmodules"))
    for path in [value for key, value in found if key == "path" and value][:MOST_SUBMODULES]:
        place = posixpath.normpath(os.path.join(root, path))
        if below(place, root) and place != root:
            yield os.path.join(place, ".git")


def _pairs(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The keys of a file of git's settings, in small letters and without their sections, with their values.

    The syntax is that of git-config(1).
    """
    waiting = ""
    for line in lines:
        line = waiting + line
        # An odd number of backslashes at the end joins the next line.
        if (len(line) - len(line.rstrip("\\"))) % 2:
            waiting = line[:-1]
            if len(waiting) <= MOST_BYTES:
                continue
        waiting = ""
        # A key may stand behind the section's name, and a remark behind the value.
        key, equals, value = (line[found.end() :] if (found := _SECTION.match(line)) else line).partition("=")
        if equals:
            yield key.strip().lower(), _value(value.strip())


def _value(text: str) -> str:
    """A value without its quotes, which may stand around any part of it, its escapes and a remark."""
    found: list[str] = []
    quoted = escaped = False
    for letter in text:
        if escaped:
            found.append({"n": "\n", "t": "\t", "b": "\b"}.get(letter, letter))
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter in "#;" and not quoted:
            break
        else:
            found.append(letter)
    return "".join(found).strip()


def _lines(path: str, budget: Budget) -> list[str]:
    """The lines of a small regular file; none where it is anything else. A planted pipe must not hold us up.

    :raises TooManyError: it is larger than :data:`MOST_BYTES`.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return []  # to open a pipe or a device can do something by itself
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: a NUL in a path that a file of git's named
        return []
    try:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        data = os.read(handle, MOST_BYTES + 1) if regular else b""
    except OSError:
        return []
    finally:
        os.close(handle)
    budget.size -= len(data)
    if len(data) > MOST_BYTES or budget.size < 0:
        raise TooManyError
    # What a NUL is in is no path.
    return [line.strip() for line in data.decode("utf-8", "replace").splitlines() if "\0" not in line]
