"""Keeping what a tool wrote: every byte, in memory while it is little, in files once it is much.

A stream's first :data:`MEMORY_LIMIT` bytes are held in memory; a stream that goes on is moved to a log file
below ``CACHE/runs/`` and grows there. Results read it from there when asked. See :mod:`skill_magic.logs`
for how long.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from .carriage_returns import last_drawings
from .errors import SkillError
from .logs import KEEP_BYTES, KEEP_DAYS, KEEP_RUNS, WINDOW, make_directory, make_room

StreamName = Literal["stdout", "stderr"]

MEMORY_LIMIT = 1024 * 1024
"""Bytes of one stream that stay in memory; more moves the stream to a file."""

HEAD_LIMIT = 32 * 1024
TAIL_LIMIT = 32 * 1024
"""Bytes of output, both streams together, that a card can show from its start and from its end."""

FREE_FLOOR = 512 * 1024 * 1024
"""Bytes that a log leaves free on its disk; a tool that writes without end must not fill the machine."""

_LINE = 4 * 1024


@dataclass(frozen=True)
class Piece:
    """Bytes of one stream, in the order they came."""

    stream: StreamName
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Saved:
    """One stream after the end: in memory, or in a file.

    :param size: bytes the tool wrote. :param lost: those of them that could not be kept.
    """

    data: bytes = field(default=b"", repr=False)
    path: Path | None = None
    size: int = 0
    lost: int = 0

    def read(self) -> bytes:
        """All bytes that were kept. Raises SkillError where the log is gone."""
        if self.path is None:
            return self.data
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise SkillError(
                f"the log of this run cannot be read: {self.path}: {error.strerror}",
                f"logs are kept for {KEEP_DAYS} days, {KEEP_RUNS:,} of them, {KEEP_BYTES >> 30} GiB at most; "
                "`skill clean` removes them all; `--stdout FILE` keeps what a tool writes",
            ) from None


@dataclass(frozen=True)
class SavedOutput:
    """All output of a run after its end.

    :param head: what is shown first; all there is where ``omitted_bytes`` is 0.
    :param tail: what is shown last.
    :param omitted_lines: line ends between the two.
    """

    stdout: Saved = Saved()
    stderr: Saved = Saved()
    head: tuple[Piece, ...] = ()
    tail: tuple[Piece, ...] = ()
    omitted_lines: int = 0
    omitted_bytes: int = 0

    @property
    def logs(self) -> dict[StreamName, Path]:
        """The streams that were moved to files."""
        found: dict[StreamName, Path] = {}
        if self.stdout.path is not None:
            found["stdout"] = self.stdout.path
        if self.stderr.path is not None:
            found["stderr"] = self.stderr.path
        return found


def saved(stdout: bytes = b"", stderr: bytes = b"") -> SavedOutput:
    """The value for output that is already at hand, stdout first."""
    log = OutputLog(None)
    log.write("stdout", stdout)
    log.write("stderr", stderr)
    return log.close()


class OutputLog:
    """Takes output while a tool runs. ``close`` gives the value to keep; nothing may be written afterwards.

    :param directory: where log directories are made (``CACHE/runs``); ``None`` keeps all in memory.
    :param stdout_elsewhere: somebody else keeps standard output: it is counted, and only its start and its end are held
        here, for the case that nothing comes of the other place.
    """

    def __init__(self, directory: Path | None, *, stdout_elsewhere: bool = False) -> None:
        self._runs = directory
        self._own: Path | None = None
        self._streams = {"stdout": _Stream(), "stderr": _Stream()}
        self._shown = Shown()
        self._elsewhere = stdout_elsewhere
        self._stderr_shown = Shown()  # what is shown where standard output is kept elsewhere
        self.notes: list[str] = []

    def write(self, stream: StreamName, data: bytes) -> None:
        """Keep ``data``. Never raises for a full or unwritable disk: a note says what could not be kept."""
        if not data:
            return
        self._shown.write(stream, data)
        kept = self._streams[stream]
        kept.size += len(data)
        if self._elsewhere:
            if stream == "stdout":
                return
            self._stderr_shown.write(stream, data)
        if kept.failed:
            return
        try:
            if kept.file is not None:
                kept.append(data)
                return
            kept.parts.append(data)
            if kept.size > MEMORY_LIMIT and self._runs is not None:
                self._spill(stream, kept)
        except OSError as error:
            self._give_up(stream, kept, error)

    def close(self, *, stdout_kept: bool = False) -> SavedOutput:
        """The end. Log files are complete on disk when this returns.

        :param stdout_kept: all of standard output is elsewhere, and no part of this output.
        """
        for name, kept in self._streams.items():
            try:
                if kept.file is not None:
                    kept.file.close()
            except OSError as error:
                self._give_up(name, kept, error)
        stdout, stderr = (self._streams[name].saved() for name in ("stdout", "stderr"))
        if stdout_kept:
            return SavedOutput(Saved(), stderr, *self._stderr_shown.take())
        return SavedOutput(stdout, stderr, *self._shown.take())

    def _spill(self, stream: StreamName, kept: _Stream) -> None:
        if self._own is None and self._runs is not None:
            self._own = make_directory(self._runs)
        assert self._own is not None  # noqa: S101  (set just above)
        kept.open(self._own / f"{stream}.log")
        for part in kept.parts:
            kept.append(part)
        kept.parts.clear()

    def _give_up(self, stream: str, kept: _Stream, error: OSError) -> None:
        kept.failed = True
        where = f" to {kept.path}" if kept.path else ""
        self.notes.append(
            f"not all of {stream} could be kept: writing{where} failed: {error.strerror or error}"
        )
        if kept.parts and kept.path is not None:  # memory still has more than the file
            kept.path.unlink(missing_ok=True)
            kept.path = None


class _Stream:
    """One stream while it is written."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.file: BinaryIO | None = None
        self.path: Path | None = None
        self.size = 0
        self.failed = False
        self._unchecked = 0

    def open(self, path: Path) -> None:
        # Under another name until it is marked as being written: nobody is to take it for one that has ended.
        draft = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)  # output may hold what only its owner may read
        self.file = os.fdopen(descriptor, "wb", buffering=256 * 1024)
        with contextlib.suppress(OSError):  # a file system without locks: retention then goes by age alone
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(path)
        self.path = path

    def append(self, data: bytes) -> None:
        assert self.file is not None  # noqa: S101
        assert self.path is not None  # noqa: S101
        if self._unchecked <= 0:
            if shutil.disk_usage(self.path.parent).free < FREE_FLOOR:
                raise OSError(errno.ENOSPC, f"less than {FREE_FLOOR >> 20} MiB are free on the disk")
            self.file.flush()
            if not make_room(self.path):
                raise OSError(errno.EDQUOT, f"the logs of all runs have {KEEP_BYTES >> 20} MiB together")
            self._unchecked = WINDOW
        self.file.write(data)
        self._unchecked -= len(data)

    def saved(self) -> Saved:
        if self.path is None:
            data = b"".join(self.parts)
            return Saved(data, None, self.size, self.size - len(data))
        try:
            kept = self.path.stat().st_size
        except OSError:
            kept = 0
        return Saved(b"", self.path, self.size, max(self.size - kept, 0))


class Shown:
    """The start and the end of the output in the order it came, in bounded memory; limits in bytes.

    Under a flood only counting costs anything: bytes are looked at when the end has grown to twice its room.
    """

    def __init__(self, head: int = HEAD_LIMIT, tail: int = TAIL_LIMIT) -> None:
        self._head_limit = head
        self._tail_limit = tail
        self._head: tuple[Piece, ...] = ()
        self._cut = False
        self._tail: deque[tuple[StreamName, bytearray]] = deque()
        self._size = 0
        self._lines = 0
        self._bytes = 0

    def write(self, stream: StreamName, data: bytes) -> None:
        """Take what came."""
        if self._tail and self._tail[-1][0] == stream:
            self._tail[-1][1].extend(data)
        else:
            self._tail.append((stream, bytearray(data)))
        self._size += len(data)
        if self._size > 2 * (self._head_limit + self._tail_limit):
            self._compact()

    def take(self) -> tuple[tuple[Piece, ...], tuple[Piece, ...], int, int]:
        """(head, tail, omitted lines, omitted bytes)."""
        if self._cut or self._size > self._head_limit + self._tail_limit:
            self._compact()
        tail = tuple(Piece(stream, bytes(data)) for stream, data in self._tail)
        return (self._head, tail, self._lines, self._bytes) if self._cut else (tail, (), 0, 0)

    def _compact(self) -> None:
        for _, data in self._tail:
            if b"\r" in data:
                data[:] = last_drawings(bytes(data))
        self._size = sum(len(data) for _, data in self._tail)
        if not self._cut:
            if self._size <= self._head_limit + self._tail_limit:
                return
            self._head = self._pop(self._head_limit)
            self._cut = True
        for piece in self._pop(self._size - self._tail_limit):
            self._lines += piece.data.count(b"\n")
            self._bytes += len(piece.data)

    def _pop(self, size: int) -> tuple[Piece, ...]:
        """Take ``size`` bytes off the front, or a few more so that the cut falls on the end of a line."""
        taken: list[Piece] = []
        while size > 0 and self._tail:
            stream, data = self._tail[0]
            stop = min(size, len(data))
            line_end = data.find(b"\n", stop - 1, stop + 2 * _LINE)
            if line_end >= 0:
                stop = line_end + 1
            taken.append(Piece(stream, bytes(data[:stop])))
            del data[:stop]
            size -= stop
            self._size -= stop
            if not data:
                self._tail.popleft()
        return tuple(taken)
