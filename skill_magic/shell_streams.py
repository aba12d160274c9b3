"""Standard output and standard error of the ``skill`` command where they cannot be written: closed, or a full disk.

A run is never broken off by that, and Python has nothing to complain of at exit: what cannot be written is dropped,
and the first error is kept to be told once. A reader that has gone (``BrokenPipeError``) ends the run all the same.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


class Descriptor(io.RawIOBase):
    """A descriptor to write to, which keeps the error of the first write that failed and takes all that follow.

    :param number: ``None`` for a stream that the caller has closed.
    """

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self._number = number
        self.error: OSError | None = None
        self._unread = False

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def fileno(self) -> int:
        """The descriptor's number, which decides whether it is a terminal."""
        if self._number is None:
            raise io.UnsupportedOperation("the stream is closed")
        return self._number

    def isatty(self) -> bool:
        """Whether it leads to a terminal."""
        return self._number is not None and os.isatty(self._number)

    def write(self, data: Any, /) -> int:
        """Write some of ``data``, or drop all of it. Raises BrokenPipeError where nobody reads any more, once: Python
        tries again at its exit, and would end with a code of its own."""
        size = len(memoryview(data).cast("B"))
        if self.error is None and not self._unread and size:
            try:
                if self._number is None:
                    raise OSError(errno.EBADF, "it is closed")
                return os.write(self._number, data)
            except BrokenPipeError:
                self._unread = True
                raise
            except (InterruptedError, BlockingIOError):
                raise
            except OSError as error:
                self.error = error
        return size


@contextlib.contextmanager
def guarded() -> Iterator[Descriptor | None]:
    """Put streams that cannot fail in the place of ``sys.stdout`` and ``sys.stderr``, for as long as the process lives.

    Yields what stands behind standard output; ``None`` where it is no descriptor of the process (a test, a notebook).
    """
    for number in (
        0,
        1,
        2,
    ):  # or a connection to the engine could get the number of one that the caller closed
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    output = _replaced("stdout", 1)
    _replaced("stderr", 2)
    yield output
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError, ValueError):
            stream.flush()


def _replaced(name: str, number: int) -> Descriptor | None:
    stream = getattr(sys, name)
    if stream is not None:
        try:
            if stream.fileno() != number:
                return None
        except (OSError, ValueError, AttributeError):
            return None
        with contextlib.suppress(OSError):
            stream.flush()
    descriptor = Descriptor(None if stream is None else number)
    text = io.TextIOWrapper(
        io.BufferedWriter(descriptor),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors=getattr(stream, "errors", "backslashreplace"),
        line_buffering=name == "stderr" or descriptor.isatty(),
    )
    setattr(sys, name, text)
    return descriptor
