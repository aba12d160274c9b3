"""A registry with one image whose bytes come as slowly as a test wants; the engine pulls from it for real."""

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

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    """The name of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """Serves ``name`` (docker takes a registry on 127.0.0.1 without TLS).

    :param layers: sizes in bytes. :param rate: bytes a second of each download.
    """

    def __init__(self, layers: list[int], rate: int) -> None:
        self.blobs: dict[str, bytes] = {}
        self.rate = rate
        tars = [self._tar(number, size) for number, size in enumerate(layers)]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/data-0"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        }
        blob = self._add(json.dumps(config).encode())
        kind = "application/vnd.docker"
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": f"{kind}.container.image.v1+json",
                "size": len(self.blobs[blob]),
                "digest": blob,
            },
            "layers": [
                {
                    "mediaType": f"{kind}.image.rootfs.diff.tar.gzip",
                    "size": len(self.blobs[name]),
                    "digest": name,
                }
                for name in (self._add(gzip.compress(tar, 1)) for tar in tars)
            ],
        }
        self.manifest = json.dumps(manifest).encode()
        self._add(self.manifest)
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                name = self.path.rpartition("/")[2]
                blob = "/blobs/" in self.path
                if self.path == "/v2/":
                    data = b"{}"
                elif "/manifests/" in self.path and (name == "1" or name in registry.blobs):
                    data = registry.manifest
                elif blob and name in registry.blobs:
                    data = registry.blobs[name]
                else:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Content-Type", "application/octet-stream" if blob else MANIFEST)
                self.send_header("Docker-Content-Digest", digest(data))
                self.end_headers()
                step = registry.rate // 20
                for start in range(0, len(data) if body else 0, step):
                    try:
                        self.wfile.write(data[start : start + step])
                    except OSError:
                        return  # the pull was stopped
                    if len(data) > step:
                        time.sleep(0.05)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.name = f"127.0.0.1:{self._server.server_port}/slow:1"

    def _add(self, data: bytes) -> str:
        self.blobs[digest(data)] = data
        return digest(data)

    @staticmethod
    def _tar(number: int, size: int) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            entry = tarfile.TarInfo(f"data-{number}")
            entry.size, entry.mode = size, 0o755
            tar.addfile(entry, io.BytesIO(os.urandom(size)))
        return file.getvalue()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
