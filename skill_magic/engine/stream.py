"""Streams of the Engine API: the attached container, and responses that come piece by piece.

All of them can be closed from another thread, which a blocking read in docker-py's generators cannot.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Literal

from ..events import Output

__all__ = ["Attachment", "Demultiplexer", "Response"]

CHUNK = 1 << 18
"""Bytes of one read from the engine."""

STDIN_CHUNK = 1 << 16

_NAMES: dict[int, Literal["stdout", "stderr"]] = {0: "stdout", 1: "stdout", 2: "stderr"}


class Demultiplexer:
    """Undoes the engine's framing (8 bytes: stream, 0, 0, 0, length), whatever way the bytes were cut.

    Source of the format: the Engine API's "attach to a container", section "Stream format".
    """

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._stream: Literal["stdout", "stderr"] = "stdout"

    def feed(self, data: bytes | memoryview) -> list[Output]:
        """Outputs in the order they were written; neighbours of one stream are joined."""
        view = memoryview(data)
        runs: list[tuple[Literal["stdout", "stderr"], list[bytes]]] = []
        at, end = 0, len(view)
        while at < end:
            if self._left:
                size = min(self._left, end - at)
                piece = bytes(view[at : at + size])
                if runs and runs[-1][0] == self._stream:
                    runs[-1][1].append(piece)
                else:
                    runs.append((self._stream, [piece]))
                at += size
                self._left -= size
                continue
            wanted = 8 - len(self._header)
            self._header += bytes(view[at : at + wanted])
            at += wanted
            if len(self._header) == 8:
                self._stream = _NAMES.get(self._header[0], "stderr")
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""
        return [Output(stream, b"".join(pieces)) for stream, pieces in runs]


class Attachment:
    """A container's standard streams, attached before it starts so that no first line is missed.

    :param stdin: attach to its standard input too, which the container was created with.
    :param output: attach to what it writes.
    """

    def __init__(self, api: Any, container: str, *, stdin: bool, output: bool = True) -> None:
        params = {
            "stream": 1,
            **({"stdout": 1, "stderr": 1} if output else {}),
            **({"stdin": 1} if stdin else {}),
        }
        self._reader = api.attach_socket(container, params)
        self._response: Any = getattr(self._reader, "_response", None)
        self._socket: socket.socket = _socket_of(self._reader)
        self._socket.settimeout(None)
        self._write = self._socket if stdin else None
        self._output = output

    def outputs(self) -> Iterator[Output]:
        """What the tool writes, until its streams are closed or :meth:`close` is called."""
        split = Demultiplexer()
        buffer = bytearray(CHUNK)
        view = memoryview(buffer)
        while True:
            try:
                size = self._socket.recv_into(buffer)
            except OSError:
                return  # cut off: whether the tool has ended or the engine has is asked of the engine
            if not size:
                return
            yield from split.feed(view[:size])

    def send(self, source: bytes | BinaryIO) -> None:
        """Write all of ``source`` to the tool's standard input, then close that. Blocks; run it in a thread.

        An error of the source is raised, and the tool's input stays open: at an end of input the tool would take what
        it has for all there is.
        """
        assert self._write is not None  # noqa: S101 - attached without stdin there is nothing to send to
        for piece in pieces(source):
            try:
                self._write.sendall(piece)
            except OSError:
                break  # the tool has ended without reading all of its input
        if self._output:
            with contextlib.suppress(OSError):
                self._write.shutdown(socket.SHUT_WR)
        else:
            self._say_goodbye()
            self.close()

    def _say_goodbye(self) -> None:
        # The end of a TLS connection has to be said, or the engine may take what it read for cut off.
        unwrap = getattr(self._socket, "unwrap", None)
        if unwrap is not None:
            with contextlib.suppress(OSError, ValueError):
                self._socket.settimeout(5.0)
                unwrap()

    def close(self) -> None:
        """Let go; wakes the threads that read or write. Safe to call from any thread, any number of times."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # The response before the socket below it: Python 3.13 flushes a response that is not closed when it is freed,
        # and complains on standard error where what is below has gone.
        for one in (self._response, self._reader):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                one.close()


def pieces(source: bytes | BinaryIO) -> Iterator[bytes | memoryview]:
    """``source`` in pieces; of a file as much as is there, so that what a person types arrives at once."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield memoryview(source)
        return
    read = getattr(source, "read1", source.read)
    while piece := read(STDIN_CHUNK):
        yield piece


class Response:
    """A response of the engine that is read as it comes.

    :raises docker.errors.APIError: the engine refused.
    """

    def __init__(
        self,
        api: Any,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        import docker.errors
        import requests

        self._response: Any = api.request(
            method,
            f"{api.base_url}/v{api.api_version}{path}",
            params=params,
            headers=headers,
            stream=True,
            timeout=None,
        )
        self._closed = threading.Event()
        try:
            self._response.raise_for_status()
        except requests.HTTPError as error:
            docker.errors.create_api_error_from_http_exception(error)

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes as they arrive; ends early when :meth:`close` is called."""
        import requests

        try:
            yield from self._response.iter_content(None)
        except (requests.RequestException, OSError, AttributeError, ValueError):
            # Closing from another thread pulls the socket away in the middle of a read.
            if not self._closed.is_set():
                raise

    def objects(self) -> Iterator[dict[str, Any]]:
        """The body as JSON objects, one per line."""
        for line in _lines(self.chunks()):
            if line.strip():
                yield json.loads(line)

    def close(self) -> None:
        """Let go of the connection, from any thread."""
        self._closed.set()
        with contextlib.suppress(OSError, AttributeError):
            _socket_of(self._response.raw._fp.fp.raw).shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._response.close()


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _socket_of(reader: Any) -> socket.socket:
    # docker-py hands out a socket.SocketIO; half-closing and waking a reader need the socket below it.
    found: socket.socket = getattr(reader, "_sock", reader)
    return found
