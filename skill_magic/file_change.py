"""A file that a run made or changed: its name, its use as a path, and how to open it safely.

A tool may leave a link to a private key, or a pipe that nobody writes to, where a picture is expected. So a
file is opened component by component below the directory, never through a link, and only if it is regular.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from .errors import SkillError

Kind = Literal["created", "changed"]


class FileRefusedError(SkillError):
    """A file of a run that may not be opened.

    :param code: ``result-file-outside``, ``result-file-link``, ``result-file-type``, ``result-file-missing``
        or ``result-file-size``.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


@dataclass(frozen=True)
class FileChange:
    """A file that a run made or changed, usable wherever Python takes a path: ``open(change)``, ``Path(change)``.

    In a notebook it shows what is in it: a picture, a player for sound and video, the first lines of a text.

    :param path: relative to the notebook's directory.
    :param kind: ``created`` where there was no such file when the run began.
    :param size: bytes when the run ended.
    :param directory: the notebook's directory; ``None`` where no run made this value.
    """

    path: str
    kind: Kind
    size: int
    directory: Path | None = field(default=None, repr=False)

    def __fspath__(self) -> str:
        """The whole path.

        :raises FileRefusedError: by now a link stands there, or on the way, or no regular file.
        """
        if self.directory is None:
            return self.path
        _expect_no_link(self.directory, self.path)
        return os.path.join(self.directory, self.path)

    def __str__(self) -> str:
        return self.path

    @property
    def argument(self) -> str:
        """How a tool that runs in the same directory is told of it: never an absolute path, never like an option."""
        return f"./{self.path}" if self.path.startswith("-") else self.path

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .views import preview

        return preview.bundle(self)


def open_result(directory: Path, relative: str, *, limit: int | None = None) -> BinaryIO:
    """Open the regular file ``relative`` below ``directory`` for reading.

    :param limit: the most bytes it may have.
    :raises FileRefusedError: for ``..``, an absolute path, a link anywhere below ``directory``, anything but
        a regular file, a file that is missing or larger than ``limit``.
    """
    parts = _parts(relative)
    common = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with contextlib.ExitStack() as stack:
        try:
            at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, at)
            for part in parts[:-1]:
                _expect(os.stat(part, dir_fd=at, follow_symlinks=False), stat.S_ISDIR, relative, part)
                at = os.open(part, common | os.O_DIRECTORY, dir_fd=at)
                stack.callback(os.close, at)
            # Looked at before it is opened: opening a device can already do something.
            before = os.stat(parts[-1], dir_fd=at, follow_symlinks=False)
            _expect(before, stat.S_ISREG, relative, parts[-1])
            descriptor = os.open(parts[-1], common, dir_fd=at)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            code = "result-file-missing" if missing else "result-file-link"
            raise FileRefusedError(code, f"{relative!r} cannot be opened: {error.strerror}") from None
    file = os.fdopen(descriptor, "rb")
    try:
        facts = os.fstat(descriptor)
        _expect(facts, stat.S_ISREG, relative, parts[-1])
        if limit is not None and facts.st_size > limit:
            raise FileRefusedError(
                "result-file-size", f"{relative!r} has {facts.st_size} bytes, more than {limit}"
            )
    except BaseException:
        file.close()
        raise
    return file


def read_result(directory: Path, relative: str, limit: int) -> bytes:
    """All of the file, at most ``limit`` bytes of it. Raises as :func:`open_result`."""
    with open_result(directory, relative, limit=limit) as file:
        return file.read(limit)


def _expect(facts: os.stat_result, wanted: object, relative: str, part: str) -> None:
    if callable(wanted) and wanted(facts.st_mode):
        return
    if stat.S_ISLNK(facts.st_mode):
        raise FileRefusedError("result-file-link", f"{relative!r} is not opened: {part!r} is a symbolic link")
    kind = "directory" if wanted is stat.S_ISDIR else "regular file"
    raise FileRefusedError("result-file-type", f"{relative!r} is not opened: {part!r} is not a {kind}")


def _parts(relative: str) -> list[str]:
    parts = relative.split("/")
    if not relative or "\0" in relative or any(part in ("", ".", "..") for part in parts):
        raise FileRefusedError(
            "result-file-outside", f"{relative!r} is not a path below the notebook's directory"
        )
    return parts


def _expect_no_link(directory: Path, relative: str) -> None:
    """Refuse a path of which a part has been replaced; one that is gone is for the caller's `open` to tell."""
    parts = _parts(relative)
    at = str(directory)
    for number, part in enumerate(parts, 1):
        at = os.path.join(at, part)
        try:
            facts = os.lstat(at)
        except OSError:
            return
        _expect(facts, stat.S_ISREG if number == len(parts) else stat.S_ISDIR, relative, part)
