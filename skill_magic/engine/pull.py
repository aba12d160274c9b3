"""Pull: an image from its registry, with progress, to be stopped at any moment, and why it failed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, ImageError
from ..events import Pulling
from .credentials import Credentials, credentials
from .failures import explain, lost, silent
from .progress import Progress
from .stream import Response

if TYPE_CHECKING:
    from .connect import Engine

__all__ = ["fetch", "image_error"]

INTERVAL = 0.1
"""Seconds between two reports of progress, and between two looks at whether to go on."""


def fetch(
    engine: Engine,
    image: str,
    platform: str | None,
    emit: Callable[[Pulling], None],
    cancelled: Callable[[], bool],
) -> None:
    job = _Job(engine, image, platform)
    progress = Progress(image)
    last = 0.0
    emit(progress.event())
    try:
        while True:
            try:
                item = job.items.get(timeout=INTERVAL)
            except queue.Empty:
                item = {}
            if item is None:
                break
            if isinstance(item, BaseException):
                raise _with_fault(image_error(image, platform, item), job.fault)
            if cancelled():
                raise ImageError(
                    f"the pull of {image} was stopped", "run it again to go on", problem="stopped"
                )
            if "error" in item:
                raise _with_fault(image_error(image, platform, EngineError(str(item["error"]))), job.fault)
            if progress.update(item) and time.monotonic() - last >= INTERVAL:
                last = time.monotonic()
                emit(progress.event())
    finally:
        job.close()
    emit(progress.event())


class _Job:
    # The pull in a thread of its own: the engine may be silent for long, and an interrupt must not wait for
    # it.

    def __init__(self, engine: Engine, image: str, platform: str | None) -> None:
        self.items: queue.SimpleQueue[dict[str, Any] | BaseException | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._response: Response | None = None
        self._closed = False
        self.fault = ""
        self._arguments = (engine, image, platform)
        threading.Thread(target=self._work, name="skill-magic-pull", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            response = self._response
        if response is not None:
            response.close()

    def _work(self) -> None:
        try:
            # Read for every pull: `docker login` in a terminal must not need a new kernel.
            sent = _credentials(self._arguments[1])
            self.fault = sent.fault
            response = _request(*self._arguments, sent)
            with self._lock:
                self._response = response
                closed = self._closed
            if closed:
                response.close()
            for item in response.objects():
                self.items.put(item)
            response.close()
        except BaseException as error:
            self.items.put(error)
        else:
            self.items.put(None)


def _request(engine: Engine, image: str, platform: str | None, sent: Credentials) -> Response:
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    params = {"fromImage": repository, "tag": tag or "latest"}
    if platform:
        params["platform"] = platform
    headers = {"X-Registry-Auth": sent.header} if sent.header else {}
    return Response(engine.api, "POST", "/images/create", params, headers)


def _credentials(image: str) -> Credentials:
    import docker.auth
    import docker.errors
    from docker.utils import parse_repository_tag

    try:
        registry, _ = docker.auth.resolve_repository_name(parse_repository_tag(image)[0])
    except docker.errors.DockerException as error:
        raise ImageError(
            f"{image!r} is not the name of an image: {explain(error)}", problem="unknown"
        ) from error
    return credentials(registry)


def _with_fault(error: BaseException, fault: str) -> BaseException:
    """``error`` of a pull with what could not be read of the credentials, where that may be why."""
    if fault and isinstance(error, ImageError) and error.problem in ("denied", "unknown", "rate-limit"):
        error.hint = (
            f"no login was sent, because of a fault in Docker's configuration: {fault}; correct it, or "
            "`docker login` to that registry anew"
        )
    return error


_UNREACHABLE = (
    "no such host",
    "dial tcp",
    "i/o timeout",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "tls handshake",
    "client.timeout",
    "deadline exceeded",
    "request canceled while waiting",
    "server gave http response to https client",
    "x509:",
    "proxyconnect",
    "temporary failure in name resolution",
    "server misbehaving",
    "unexpected eof",
)


def image_error(image: str, platform: str | None, error: BaseException) -> BaseException:
    """The error of a failed pull, told apart by the engine's words: it has no codes for them."""
    if isinstance(error, ImageError):
        return error
    if silent(error):
        return lost(error)
    words = explain(error)
    low = words.lower()
    problem, message, hint = (
        "failed",
        f"the image {image} could not be pulled: {words}",
        f"`docker pull {image}` may say more",
    )
    if "toomanyrequests" in low or "rate limit" in low or "too many requests" in low:
        problem = "rate-limit"
        message = f"the registry of {image} allows no more pulls for now (rate limit)"
        hint = "wait some hours, or `docker login`: accounts may pull more often"
    elif "no space left" in low or "disk quota exceeded" in low:
        problem = "no-space"
        message = f"no space left on the engine's disk for {image}"
        hint = "`docker system df` shows what takes it, `docker image prune` frees some"
    elif (
        "no matching manifest" in low
        or "no match for platform" in low
        or "does not match the specified platform" in low
        or "cannot be used on" in low
    ):
        problem = "platform"
        message = f"there is no {image} for {platform or 'the platform of this machine'}: {words}"
        hint = "choose another tag, or set `platform` to one the image has and the engine can emulate"
    elif "pull access denied" in low:
        problem = "denied"
        message = f"there is no public image {image}: its repository does not exist or needs a login"
        hint = "check its spelling; for a private one, `docker login` first"
    elif (
        "unauthorized" in low
        or "authentication required" in low
        or "access denied" in low
        or "forbidden" in low
    ):
        problem = "denied"
        message = f"the registry refuses the image {image}: {words}"
        hint = "`docker login` to that registry with an account that may pull it"
    elif any(mark in low for mark in _UNREACHABLE):
        problem = "unreachable"
        message = f"the registry of {image} cannot be reached: {words}"
        hint = (
            "check the network and the proxy of the engine; an image that is here already needs no registry"
        )
    elif (
        "manifest unknown" in low
        or "not found" in low
        or "name unknown" in low
        or "repository name not known" in low
    ):
        problem = "unknown"
        message = f"the registry has no image {image}"
        hint = "check its name and tag on the registry's page"
    elif "invalid reference" in low or "invalid tag" in low or "invalid repository" in low:
        problem = "unknown"
        message = f"{image!r} is not the name of an image: {words}"
        hint = "names look like `python:3.12-slim` or `ghcr.io/owner/name:tag`, in lower case"
    return ImageError(message, hint, problem=problem)
