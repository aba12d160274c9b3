"""Standard input: what may be given to a tool in Python, and what a shell's caller lends to it.

In Python a source is checked before anything runs (:func:`source`). In a shell one rule holds for terminals, pipes and
files alike (:func:`takes_stdin`): the caller's standard input often is the caller's own script or list (``while read``,
``bash -s``, ssh), so a tool gets it only where it has nothing else to work on, or where it was asked for.
"""

from __future__ import annotations

import fcntl
import io
import os
import posixpath
import re
import stat
import struct
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, cast

STDIN_WORDS = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "pipe:", "pipe:0", "fd:0"))
"""Arguments by which common tools are told to read their standard input."""


_FORMAT = re.compile("[A-Za-z][A-Za-z0-9]*:-")
"""ImageMagick's way to say so, with the format of the data. Only as the first argument: the last is the output."""


def _psql(args: Sequence[str]) -> bool:
    """Whether psql reads its commands from standard input."""
    return not any(_PSQL_ELSEWHERE.match(word) for word in args)


def _redis_cli(args: Sequence[str]) -> bool:
    """Whether redis-cli reads its commands, or data for one, from standard input."""
    if {"-x", "-X", "--pipe"} & set(args):
        return True
    words = iter(args)
    for word in words:
        if not word.startswith("-") or _REDIS_ELSEWHERE.match(word):
            return False
        if word in _REDIS_VALUES:
            next(words, None)
    return True


_PSQL_ELSEWHERE = re.compile(r"-[A-Za-z0-9]*[cflV?]|--(?:command|file|list|help|version)\b")
"""Options with which psql reads its commands elsewhere, or none: psql(1)."""

_REDIS_ELSEWHERE = re.compile(
    r"--(?:scan|stat|bigkeys|memkeys|keystats|hotkeys|latency|lru-test|replica|rdb|functions-rdb|eval|cluster|ldb"
    r"|intrinsic|help|version|vset)|-v$"
)
_REDIS_VALUES = frozenset(
    """
    -h -p -t -s -a -u -r -i -n -d -D --user --pass --sni --cacert --cacertdir --cert --key --tls-ciphers
    --tls-ciphersuites --show-pushes --count --pattern --quoted-pattern
    """.split()  # noqa: SIM905
)
"""Options of redis-cli that do something else than commands, and those that have a value: ``redis-cli --help``."""

_CLIENTS = {"psql": _psql, "redis-cli": _redis_cli}


class SourceError(Exception):
    """A source that broke off before its end; the message names the source's own error."""


class Readable(Protocol):
    """A file that has been opened for reading, binary or text."""

    def read(self, size: int, /) -> bytes | str:
        """At most ``size`` bytes or characters; nothing at the end."""


Stdin = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | Readable
"""What :func:`source` takes."""


def takes_stdin(args: Sequence[str], program: str = "") -> bool:
    """Whether a tool with these arguments gets its caller's standard input without being asked: one without
    arguments, one that an argument tells to read it, or a client of a database that has no command among them.

    :param program: the entrypoint; a path or a name.
    """
    client = _CLIENTS.get(posixpath.basename(program))
    return (
        (client is not None and client(args))
        or not args
        or any(word in STDIN_WORDS for word in args)
        or _FORMAT.fullmatch(args[0]) is not None
    )


def source(value: object) -> bytes | BinaryIO | None:
    """``value`` as a tool's input: bytes, or a file that is read while the tool runs.

    :param value: ``None``, text (sent as UTF-8), bytes, a path (the file's content), or a file opened for reading, in
        binary or in text mode (sent as UTF-8).
    :raises TypeError: for anything else; a text that names a file is sent as the text that it is.
    :raises OSError: for a path that cannot be opened. :raises ValueError: for a file that is closed or not open for
        reading.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if callable(getattr(value, "read", None)):
        return cast(BinaryIO, _File(cast(Readable, value)))
    if isinstance(value, os.PathLike):
        return cast(BinaryIO, _Path(Path(value)))
    raise TypeError(f"stdin is {_kind(value)}: {_way_out(value)}")


def _kind(value: object) -> str:
    name = type(value).__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _way_out(value: object) -> str:
    if isinstance(value, int):  # subprocess.DEVNULL and PIPE are numbers too
        return "leave it out for an empty input; of a file descriptor make a file with os.fdopen"
    if hasattr(value, "to_csv"):
        return "write stdin=NAME.to_csv(index=False), or another of its formats"
    return "text, bytes, a path, or a file opened for reading is an input"


class _File:
    """A file of the caller's; text becomes UTF-8, and whatever is no data is an error."""

    def __init__(self, file: Readable) -> None:
        if getattr(file, "closed", False):
            raise ValueError("stdin is a file that is closed already")
        readable = getattr(file, "readable", None)
        if callable(readable) and not readable():
            raise ValueError("stdin is a file that is not open for reading")
        self._file = file
        # What is there, so that what a person types arrives at once; a text file has no such thing.
        self._read = getattr(file, "read1", None) or file.read

    def read1(self, size: int) -> bytes:
        """The next bytes; empty at the end.

        :raises SourceError: the source broke off.
        """
        try:
            data = self._read(size)
        except Exception as error:
            raise SourceError(f"{type(error).__name__}: {error}") from error
        if isinstance(data, str):
            return data.encode()
        if isinstance(data, (bytes, bytearray, memoryview)):
            return bytes(data)
        raise SourceError(f"its read() returned {_kind(data)} in place of bytes")

    read = read1


class _Path:
    """The content of a file, opened when it is read."""

    def __init__(self, path: Path) -> None:
        with _opened(path):
            pass  # the error of a path that cannot be opened belongs to the call
        self._path = path
        self._file: io.FileIO | None = None

    def read1(self, size: int) -> bytes:
        """The next bytes; empty at the end, where the file is closed.

        :raises SourceError: the file cannot be read any more.
        """
        try:
            if self._file is None:
                self._file = _opened(self._path)
            data = self._file.read(size)
        except (OSError, ValueError) as error:
            raise SourceError(str(error)) from error
        if not data:
            self._file.close()
        return data or b""

    read = read1


def _opened(path: Path) -> io.FileIO:
    """``path`` for reading.

    :raises ValueError: it is no regular file. A pipe would be opened for as long as nobody writes to it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return io.FileIO(descriptor, "r")
    os.close(descriptor)
    raise ValueError(f"{path} is no regular file; open it and hand over the file")


class CallerInput:
    """The standard input of the ``skill`` command, unbuffered, as a tool's input.

    :param descriptor: stays open: it is the interpreter's.
    """

    def __init__(self, descriptor: int) -> None:
        # A reader that is blocked in a buffer would hold the interpreter at exit.
        self._file = io.FileIO(descriptor, "r", closefd=False)
        self.taken = 0
        """Bytes that were read."""
        self.at_end = False

    def read(self, size: int) -> bytes:
        """The next bytes, as soon as there are any; empty at the end."""
        data = self._file.read(size) or b""
        self.taken += len(data)
        self.at_end = not data
        return data


def waiting(descriptor: int) -> bool:
    """Whether input that nobody has read waits at ``descriptor``: a file that is not at its end, or a pipe or socket
    that holds something. Never blocks and takes nothing away."""
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return os.lseek(descriptor, 0, os.SEEK_CUR) < status.st_size
        if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
            return False
        answer = fcntl.ioctl(descriptor, termios.FIONREAD, struct.pack("i", 0))
        return bool(struct.unpack("i", answer)[0] > 0)
    except OSError:
        return False
