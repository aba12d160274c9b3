"""Takes set-user-id bits, set-group-id bits and file capabilities from the files that a run left behind.

A program with such a bit runs with its owner's rights for every other account of the machine. The run's files
belong to the person who started it, so a bit that a tool has set gives that person's files away.

A file is reached folder by folder from the mounted one, by descriptor and through no link, and is changed by the
descriptor that was looked at: what is put in its place meanwhile is not touched.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .look import SET_ID, has_capabilities

SECONDS = 5.0
"""Bound of the work on the files of one run; those that are left are told."""


@dataclass(frozen=True)
class Dropped:
    """What became of the files: those that were changed, and those that could not be."""

    done: tuple[str, ...]
    left: tuple[str, ...]


def drop(roots: Iterable[str], paths: Iterable[str]) -> Dropped:
    """Take the bits from ``paths``, each of which lies below one of ``roots`` or is one."""
    return _each(roots, paths, _without)


def shut(roots: Iterable[str], paths: Iterable[str]) -> Dropped:
    """Take all access to the folders ``paths`` from others and give it to their owner: what is in them could not be
    looked at, so nobody else is to reach it."""
    return _each(roots, paths, _private)


def _each(roots: Iterable[str], paths: Iterable[str], change: Callable[[int], bool]) -> Dropped:
    tops = tuple(roots)
    done: list[str] = []
    left: list[str] = []
    deadline = time.monotonic() + SECONDS
    with _Way() as way:
        for path in paths:
            top = next((top for top in tops if path == top or path.startswith(top.rstrip("/") + "/")), None)
            if top is None:
                continue
            try:
                # A tool may have made so many, so deep, that to reach them all takes minutes.
                changed = time.monotonic() < deadline and way.changed(top, path, change)
            except FileNotFoundError:
                continue  # gone
            except OSError:
                changed = False
            (done if changed else left).append(path)
    return Dropped(tuple(done), tuple(left))


class _Way:
    """Reaches paths, the last folder kept open for the next path in it.

    A file is only looked at, not opened: a program that may be executed alone cannot be read, and a pipe or device
    that has taken a file's place must not be opened.
    """

    def __init__(self) -> None:
        self._folder: tuple[str, str] | None = None
        self._at = -1

    def __enter__(self) -> _Way:
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()

    def changed(self, top: str, path: str, change: Callable[[int], bool]) -> bool:
        """Whether ``change`` did its work on ``path``, which is left alone where it is somebody else's."""
        self._enter(os.path.dirname(path) if path == top else top, os.path.dirname(path))
        file = os.open(os.path.basename(path), _flags(), dir_fd=self._at)
        try:
            return os.geteuid() in (0, os.fstat(file).st_uid) and change(file)
        finally:
            os.close(file)

    def _enter(self, top: str, folder: str) -> None:
        if self._folder == (top, folder):
            return
        self._leave()
        self._at = os.open(top, _flags() | os.O_DIRECTORY)
        relative = os.path.relpath(folder, top)
        for part in relative.split("/") if relative != "." else ():
            inner = os.open(part, _flags() | os.O_DIRECTORY, dir_fd=self._at)
            os.close(self._at)
            self._at = inner
        self._folder = (top, folder)

    def _leave(self) -> None:
        if self._at >= 0:
            os.close(self._at)
        self._at, self._folder = -1, None


def _flags() -> int:
    return os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | _looking()


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
    _chmod(file, stat.S_IMODE(mode) & ~0o077 | stat.S_IRWXU)
    return True
