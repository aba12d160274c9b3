"""Files of the notebook's directory that a run made or changed: which they are, and how to open one safely.

A tool may leave a link to a private key, or a pipe that nobody writes to, where a picture is expected. So a
file is opened component by component below the directory, never through a link, and only if it is regular.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from .aftermath import Aftermath
from .errors import SkillError

if TYPE_CHECKING:
    from .host import Host
    from .spec import RunSpec

ENTRIES = 20_000
SECONDS = 0.3
"""Bounds of one look at the directory; beyond them the list of files is cut short, and a note says so."""

SKIPPED = frozenset({
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".cache",
    ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox",
})  # fmt: skip
"""Directories that are not looked into: large, or nobody's results."""


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
    """A file that the run made or changed, below the notebook's directory; ``path`` is relative to it."""

    path: str
    kind: Literal["created", "changed"]
    size: int


def open_result(directory: Path, relative: str, *, limit: int | None = None) -> BinaryIO:
    """Open the regular file ``relative`` below ``directory`` for reading.

    :param limit: the most bytes it may have.
    :raises FileRefusedError: for ``..``, an absolute path, a link anywhere below ``directory``, anything but
        a regular file, a file that is missing or larger than ``limit``.
    """
    parts = relative.split("/")
    if not relative or "\0" in relative or any(part in ("", ".", "..") for part in parts):
        raise FileRefusedError(
            "result-file-outside", f"{relative!r} is not a path below the notebook's directory"
        )
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


class _Entry(NamedTuple):  # there are many of them
    mode: int
    size: int
    changed: int
    inode: int


class _Snapshot:
    """One look: every name below the roots, without following links, within the bounds."""

    def __init__(self, directory: Path, roots: tuple[str, ...]) -> None:
        self.entries: dict[str, _Entry] = {}
        self.complete = True
        self._roots = roots
        self._listed: set[str] = set()
        deadline = time.monotonic() + SECONDS
        waiting: deque[str] = deque()
        for root in roots:
            with contextlib.suppress(OSError):
                facts = os.lstat(directory / root)
                if stat.S_ISDIR(facts.st_mode):
                    waiting.append(root)
                else:
                    self._add(root, facts)
        while waiting:  # breadth first: what is cut off lies deep
            folder = waiting.popleft()
            try:
                with os.scandir(directory / folder) as found:
                    for entry in found:
                        if len(self.entries) >= ENTRIES or time.monotonic() > deadline:
                            self.complete = False
                            return
                        path = f"{folder}/{entry.name}" if folder else entry.name
                        try:
                            facts = entry.stat(follow_symlinks=False)
                        except OSError:
                            continue  # gone in between
                        self._add(path, facts)
                        if stat.S_ISDIR(facts.st_mode) and entry.name not in SKIPPED:
                            waiting.append(path)
            except OSError:
                continue  # not readable for the caller: no result of theirs
            self._listed.add(folder)

    def knew(self, folder: str) -> bool:
        """Whether what is not in ``entries`` was not there: ``folder`` was listed whole, or is new."""
        return folder in self._listed or not (folder in self.entries or folder in self._roots)

    def _add(self, path: str, facts: os.stat_result) -> None:
        # The time of the last change of the inode: unlike that of the content, no program can set it back.
        self.entries[path] = _Entry(facts.st_mode, facts.st_size, facts.st_ctime_ns, facts.st_ino)


class Watch:
    """Compares the notebook's directory before and after a run, as far as the tool may write there."""

    def __init__(self, spec: RunSpec, host: Host) -> None:
        self._directory = spec.directory
        self._roots = tuple(_writable(spec))
        self._ignored = {host.notebook} if host.notebook else set()
        self._began = time.time_ns()
        self._aftermath = Aftermath(spec, host, SKIPPED)
        self._before = _Snapshot(self._directory, self._roots)

    def changes(self) -> tuple[tuple[FileChange, ...], tuple[str, ...]]:
        """(files made or changed, by path; notes for the person)."""
        before, after = self._before, _Snapshot(self._directory, self._roots)
        files: list[FileChange] = []
        same = set()
        for path, now in sorted(after.entries.items()):
            was = before.entries.get(path)
            if was is not None and was.changed > self._began:
                was = None  # it came while the first look was still going on
            if was == now:
                same.add(f"{self._directory}/{path}")
                continue
            if self._directory / path in self._ignored:
                continue
            if was is None and not before.knew(path.rpartition("/")[0]):
                continue
            if stat.S_ISREG(now.mode):
                files.append(FileChange(path, "created" if was is None else "changed", now.size))
        notes = list(self._aftermath.notes(same))
        if not (before.complete and after.complete):
            notes.append(
                f"not all changed files are listed: more than {ENTRIES} are there, or it took too long"
            )
        return tuple(files), tuple(notes)


def _writable(spec: RunSpec) -> Iterator[str]:
    """What of the notebook's directory the tool can write to: paths relative to it, ``""`` for all of it."""
    found: set[str] = set()
    for mount in spec.mounts:
        if mount.kind != "bind" or mount.read_only or mount.source is None:
            continue
        source = Path(mount.source)
        if spec.directory.is_relative_to(source):
            yield ""
            return
        if source.is_relative_to(spec.directory):
            found.add(source.relative_to(spec.directory).as_posix())
    yield from (path for path in sorted(found) if not any(path.startswith(other + "/") for other in found))
