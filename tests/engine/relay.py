"""A relay in front of the real engine, for tests in which the way to it fails or is another one."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path


class Relay:
    """Passes a Unix socket's connections on to the engine's; can stop doing so in two ways.

    :param tls: take connections on a port of 127.0.0.1 instead, with TLS.
    """

    def __init__(self, path: Path, engine: Path, *, tls: ssl.SSLContext | None = None) -> None:
        self.path = path
        self._tls = tls
        self._engine = engine
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        """Listen, and let everything through."""
        self.path.unlink(missing_ok=True)
        self._flows.set()
        if self._tls is None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(self.path))
        else:
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
        self.port = 0 if self._tls is None else self._listener.getsockname()[1]
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def freeze(self) -> None:
        """As an engine that hangs: connections are taken, nothing is answered."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """As an engine that has died: all connections end, no new one is taken."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inner, _ = listener.accept()
                if self._tls is not None:
                    inner = self._tls.wrap_socket(inner, server_side=True)
                outer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                outer.connect(str(self._engine))
                self._sockets += [inner, outer]
                for source, target in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
