"""Takes set-user-id bits, set-group-id bits and file capabilities from the files that a run left behind.

A program with such a bit runs with its owner's rights for every other account of the machine. The run's files
belong to the person who started it, so a bit that a tool has set gives that person's files away.

A file is reached folder by folder from the mounted one, by descriptor and through no link, and is changed by the
descriptor that was looked at: what is put in its place meanwhile is not touched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .look import SET_ID, has_capabilities


@dataclass(frozen=True)
class Dropped:
    """What became of the files: those that were changed, and those that could not be."""

    done: tuple[str, ...]
    left: tuple[str, ...]


def drop(roots: Iterable[str], paths: Iterable[str]) -> Dropped:
    """Take the bits from ``paths``, each of which lies below one of ``roots`` or is one."""
    return _each(roots, paths, _without)


def shut(roots: Iterable[str], paths: Iterable[str]) -> Dropped:
    """Take all access to the folders ``paths`` from others: what is in them cannot be looked at, so nobody else
    is to reach it."""
    return _each(roots, paths, _private)


def _each(roots: Iterable[str], paths: Iterable[str], change: Callable[[int], bool]) -> Dropped:
    tops = tuple(roots)
    done: list[str] = []
    left: list[str] = []
    for path in paths:
        top = next((top for top in tops if path == top or path.startswith(top.rstrip("/") + "/")), None)
        if top is None:
            continue
        try:
            file = _reach(top, path)
            try:
                changed = os.geteuid() in (0, os.fstat(file).st_uid) and change(file)
            finally:
                os.close(file)
        except FileNotFoundError:
            continue  # gone
        except OSError:
            changed = False
        (done if changed else left).append(path)
    return Dropped(tuple(done), tuple(left))


def _reach(top: str, path: str) -> int:
    """A descriptor of ``path``, which is only looked at, not opened: a program that may be executed alone cannot
    be read, and a pipe or device that has taken a file's place must not be opened."""
    if path == top:
        top = os.path.dirname(path)
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | _looking()
    at = os.open(top, flags | os.O_DIRECTORY)
    parts = os.path.relpath(path, top).split("/")
    for number, part in enumerate(parts, 1):
        try:
            inner = os.open(part, flags | (os.O_DIRECTORY if number < len(parts) else 0), dir_fd=at)
        finally:
            os.close(at)
        at = inner
    return at


def _looking() -> int:
    """The flag that opens a path for looking only; where there is none (macOS) the file is opened to read."""
    return getattr(os, "O_PATH", os.O_RDONLY)


def _chmod(file: int, mode: int) -> None:
    if hasattr(os, "O_PATH"):
        os.chmod(f"/proc/self/fd/{file}", mode)  # the descriptor itself, by the one call that takes it
    else:
        os.fchmod(file, mode)


def _without(file: int) -> bool:
    """Whether the file has no such bit any more."""
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode):
        return False
    if mode & SET_ID:
        _chmod(file, stat.S_IMODE(mode) & ~SET_ID)
    place = f"/proc/self/fd/{file}"
    if has_capabilities(place, follow=True):
        os.removexattr(place, "security.capability")
    return not os.fstat(file).st_mode & SET_ID and not has_capabilities(place, follow=True)


def _private(file: int) -> bool:
    mode = os.fstat(file).st_mode
    if not stat.S_ISDIR(mode):
        return False
    _chmod(file, stat.S_IMODE(mode) & ~0o077)
    return True
