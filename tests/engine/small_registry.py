"""A registry for tests, as small as the engine's pull allows: real HTTP, real manifests and layers, chosen
troubles.

    with SmallRegistry() as registry:
        image = registry.add("tool:1", sizes=[30 << 20], rate=10 << 20)     # bytes, bytes per second
        registry.fail("limited:1", 429, "TOOMANYREQUESTS", "You have reached your pull rate limit")

An engine speaks plain HTTP with registries on 127.0.0.1. Written after the OCI distribution specification,
pull part.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class SmallRegistry:
    """Serves on a free port of 127.0.0.1 until it is closed."""

    def __init__(self) -> None:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry._answer(self, body=True)

            def do_HEAD(self) -> None:
                registry._answer(self, body=False)

            def log_message(self, *args: Any) -> None:
                pass

        self._blobs: dict[str, bytes] = {}
        self._manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._failures: dict[tuple[str, str], tuple[int, str, str]] = {}
        self._rates: dict[str, float] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        """(method, path, Authorization) of every request."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> SmallRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(
        self,
        name: str,
        *,
        sizes: list[int],
        rate: float | None = None,
        architecture: str = "amd64",
        indexed: bool = False,
    ) -> str:
        """An image of random layers; returns its full name.

        :param sizes: bytes of each layer; :param rate: bytes per second of each download; :param indexed:
            behind a list of platforms.
        """
        repository, tag = name.split(":")
        layers, plain = [], []
        for number, size in enumerate(sizes):
            tar = io.BytesIO()
            with tarfile.open(fileobj=tar, mode="w") as archive:
                member = tarfile.TarInfo(f"layer-{number}")
                member.size = size
                archive.addfile(member, io.BytesIO(os.urandom(size)))
            plain.append(_digest(tar.getvalue()))
            layers.append(self._blob(gzip.compress(tar.getvalue(), 1), LAYER, rate))
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": plain},
        }
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._blob(json.dumps(config).encode(), CONFIG, None),
                "layers": layers,
            }
        ).encode()
        self._manifests[repository, _digest(manifest)] = (MANIFEST, manifest)
        if indexed:
            entry = {
                "mediaType": MANIFEST,
                "size": len(manifest),
                "digest": _digest(manifest),
                "platform": {"architecture": architecture, "os": "linux"},
            }
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
            packed = json.dumps(index).encode()
            self._manifests[repository, tag] = self._manifests[repository, _digest(packed)] = (INDEX, packed)
        else:
            self._manifests[repository, tag] = (MANIFEST, manifest)
        return f"{self.address}/{name}"

    def fail(self, name: str, status: int, code: str, message: str) -> str:
        """An image whose manifest is answered with an error; returns its full name."""
        repository, tag = name.split(":")
        self._failures[repository, tag] = (status, code, message)
        return f"{self.address}/{name}"

    def _blob(self, data: bytes, kind: str, rate: float | None) -> dict[str, Any]:
        digest = _digest(data)
        self._blobs[digest] = data
        if rate is not None:
            self._rates[digest] = rate
        return {"mediaType": kind, "size": len(data), "digest": digest}

    def _answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        self.asked.append((request.command, request.path, request.headers.get("Authorization")))
        path = request.path.split("?")[0].removeprefix("/v2/")
        if path in ("", "/v2"):
            return self._send(request, 200, "application/json", b"{}", body)
        repository, kind, reference = path.rsplit("/", 2)
        failure = self._failures.get((repository, reference))
        if failure is not None:
            return self._error(request, *failure, body)
        if kind == "manifests" and (repository, reference) in self._manifests:
            return self._send(request, 200, *self._manifests[repository, reference], body)
        if kind == "blobs" and reference in self._blobs:
            data = self._blobs[reference]
            return self._send(
                request, 200, "application/octet-stream", data, body, self._rates.get(reference)
            )
        known = any(repository == one for one, _ in self._manifests)
        code, words = ("MANIFEST_UNKNOWN", "manifest unknown") if known else ("NAME_UNKNOWN", "name unknown")
        return self._error(request, 404, code, words, body)

    def _error(
        self, request: BaseHTTPRequestHandler, status: int, code: str, message: str, body: bool
    ) -> None:
        data = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self._send(request, status, "application/json", data, body)

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        kind: str,
        data: bytes,
        body: bool,
        rate: float | None = None,
    ) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        request.send_header("Docker-Content-Digest", _digest(data))
        request.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        request.end_headers()
        if not body:
            return
        step = len(data) if rate is None else max(int(rate / 20), 1)
        try:
            for at in range(0, len(data), step or 1):
                request.wfile.write(data[at : at + step])
                if rate is not None:
                    time.sleep(0.05)
        except OSError:
            request.close_connection = True  # the engine has let go: the pull was stopped


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
