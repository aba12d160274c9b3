"""Images: what the engine has, and pulling what it lacks."""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import EngineError, GpuUnavailable, ImageError
from ..events import Pulling
from ..spec import ImageFacts
from .failures import explain, lost, silent, translate
from .progress import Progress
from .stream import Response

if TYPE_CHECKING:
    from .connect import Engine

__all__ = ["ensure", "inspect", "require_gpu"]

Pull = Literal["missing", "never", "always"]

INTERVAL = 0.1
"""Seconds between two reports of progress, and between two looks at whether to go on."""


def ensure(
    engine: Engine,
    image: str,
    *,
    platform: str | None = None,
    pull: Pull = "missing",
    emit: Callable[[Pulling], None] = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ImageFacts:
    """The facts of ``image``, pulled first where need be.

    :param platform: ``os/architecture[/variant]``; a local image of another one counts as missing.
    :param emit: told of the pull's progress, about ten times a second.
    :param cancelled: asked about ten times a second; true ends the pull, the engine drops what it had of it.
    :raises ImageError: it cannot be had, ``problem`` says why (``stopped`` when ``cancelled``).
    """
    if pull != "always":
        facts = inspect(engine, image, platform=platform)
        if facts is not None:
            return facts
        if pull == "never":
            raise ImageError(
                f"the image {image}{_for(platform)} is not on this machine, and pulling was forbidden",
                f"Leave out `--pull never`, or fetch it first: `docker pull {image}`.",
                problem="not-local",
            )
    _pull(engine, image, platform, emit, cancelled)
    facts = inspect(engine, image, platform=platform)
    if facts is None:
        raise ImageError(
            f"the engine pulled {image} but it is not for {platform or 'this machine'}",
            "Leave out `platform`, or name one that the image is made for.",
            problem="platform",
        )
    return facts


def inspect(engine: Engine, image: str, *, platform: str | None = None) -> ImageFacts | None:
    """The facts of a local image, ``None`` where the engine has none of that name and platform.

    :raises EngineError: the engine refused or did not answer.
    """
    import docker.errors

    with translate(f"look for the image {image}"):
        try:
            found = engine.api.inspect_image(image)
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as error:
            if error.status_code != 400:
                raise
            raise _image_error(image, platform, error) from error  # not the name of an image
    return facts_of(found, image) if _fits(found, platform) else None


def facts_of(found: Mapping[str, Any], image: str) -> ImageFacts:
    """The engine's inspect of an image as :class:`ImageFacts`."""
    config = found.get("Config") or {}
    health = config.get("Healthcheck") or {}
    return ImageFacts(
        id=str(found["Id"]),
        digest=_digest(found.get("RepoDigests") or (), image),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=str(config.get("User") or ""),
        working_dir=str(config.get("WorkingDir") or ""),
        environment=tuple(config.get("Env") or ()),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        healthcheck=bool(health.get("Test")) and health.get("Test") != ["NONE"],
        architecture=str(found.get("Architecture") or ""),
        labels=dict(config.get("Labels") or {}),
    )


def require_gpu(engine: Engine) -> None:
    """Check, before anything is pulled, that the engine can give a GPU to a container.

    An engine can when it knows the ``nvidia`` runtime or a CDI device of NVIDIA, or when the toolkit's hook
    is on its PATH, which a local engine shares with us (moby, ``daemon/nvidia_linux.go``).

    :raises GpuUnavailable: naming what is missing.
    """
    info = engine.info
    if "nvidia" in (info.get("Runtimes") or {}):
        return
    if any("nvidia.com/gpu" in str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ()):
        return
    folders = os.pathsep.join(
        [os.environ.get("PATH", ""), "/usr/bin", "/usr/local/bin", "/usr/local/nvidia/toolkit"]
    )
    if engine.local and shutil.which("nvidia-container-runtime-hook", path=folders):
        return
    toolkit = (
        "Install nvidia-container-toolkit and run `sudo nvidia-ctk runtime configure --runtime=docker`, "
        "then restart the engine."
    )
    if engine.local and not Path("/proc/driver/nvidia/version").exists():
        raise GpuUnavailable(
            "the skill wants a GPU, and this machine has no NVIDIA driver loaded "
            "(nor does its engine know the nvidia-container-toolkit)",
            f"Leave out `gpus`, or install the driver. {toolkit}",
        )
    raise GpuUnavailable(
        "the skill wants a GPU, and the engine has no support for one: nvidia-container-toolkit is missing",
        toolkit,
    )


def _digest(digests: Iterator[str] | Any, image: str) -> str | None:
    # One image may carry digests of several repositories; the one of the name that was asked for is meant.
    wanted = _familiar(_repository(image))
    pairs = [str(entry).rsplit("@", 1) for entry in digests if "@" in str(entry)]
    for repository, digest in pairs:
        if _familiar(repository) == wanted:
            return digest
    return pairs[0][1] if pairs else None


def _repository(image: str) -> str:
    name = image.split("@", 1)[0]
    head, _, tail = name.rpartition("/")
    return f"{head}/{tail.split(':', 1)[0]}" if head else tail.split(":", 1)[0]


def _familiar(repository: str) -> str:
    return repository.removeprefix("docker.io/").removeprefix("library/")


_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm"}


def _fits(found: Mapping[str, Any], platform: str | None) -> bool:
    if platform is None:
        return True
    parts = platform.lower().split("/")
    system = parts[0] if len(parts) > 1 else "linux"
    architecture = parts[1] if len(parts) > 1 else parts[0]
    if system != str(found.get("Os") or "linux").lower():
        return False
    have = str(found.get("Architecture") or "").lower()
    if _ARCHITECTURES.get(architecture, architecture) != _ARCHITECTURES.get(have, have):
        return False
    variant = str(found.get("Variant") or "").lower()
    # "v8" is what every arm64 is; engines leave it out as often as not.
    return len(parts) < 3 or not variant or parts[2] == variant or (parts[2], variant) == ("v8", "")


def _pull(
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
                raise _image_error(image, platform, item)
            if cancelled():
                raise ImageError(
                    f"the pull of {image} was stopped", "Run it again to go on.", problem="stopped"
                )
            if "error" in item:
                raise _image_error(image, platform, EngineError(str(item["error"])))
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
            response = _request(*self._arguments)
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


def _request(engine: Engine, image: str, platform: str | None) -> Response:
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    params = {"fromImage": repository, "tag": tag or "latest"}
    if platform:
        params["platform"] = platform
    return Response(engine.api, "POST", "/images/create", params, _authentication(engine, repository))


def _authentication(engine: Engine, repository: str) -> dict[str, str]:
    import docker.auth
    import docker.errors

    # The file may have changed since the client was made: `docker login` in a terminal must not need a new
    # kernel.
    engine.api.reload_config()
    registry, _ = docker.auth.resolve_repository_name(repository)
    try:
        header = docker.auth.get_config_header(engine.api, registry)
    except (docker.errors.DockerException, OSError) as error:
        raise ImageError(
            f"the credentials for {registry} cannot be read: {explain(error)}",
            "A credential helper named in ~/.docker/config.json (`credsStore`, `credHelpers`) does not work. "
            "Install it, or take its entry out of that file.",
            problem="denied",
        ) from error
    if not header:
        return {}
    return {"X-Registry-Auth": header.decode("ascii")}


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


def _image_error(image: str, platform: str | None, error: BaseException) -> BaseException:
    """The error of a failed pull, told apart by the engine's words: it has no codes for them."""
    if isinstance(error, ImageError):
        return error
    if silent(error):
        return lost(error)
    words = explain(error)
    low = words.lower()
    problem, message, hint = "failed", f"the image {image} could not be pulled: {words}", "See `docker pull`."
    if "toomanyrequests" in low or "rate limit" in low or "too many requests" in low:
        problem = "rate-limit"
        message = f"the registry of {image} allows no more pulls for now (rate limit)"
        hint = "Wait some hours, or `docker login`: accounts may pull more often."
    elif "no space left" in low or "disk quota exceeded" in low:
        problem = "no-space"
        message = f"no space left on the engine's disk for {image}"
        hint = "`docker system df` shows what takes it, `docker image prune` frees some."
    elif (
        "no matching manifest" in low
        or "no match for platform" in low
        or "does not match the specified platform" in low
        or "cannot be used on" in low
    ):
        problem = "platform"
        message = f"there is no {image} for {platform or 'the platform of this machine'}: {words}"
        hint = "Choose another tag, or set `platform` to one the image has and the engine can emulate."
    elif "pull access denied" in low:
        problem = "denied"
        message = f"there is no public image {image}: its repository does not exist or needs a login"
        hint = "Check its spelling; for a private one, `docker login` first."
    elif (
        "unauthorized" in low
        or "authentication required" in low
        or "access denied" in low
        or "forbidden" in low
    ):
        problem = "denied"
        message = f"the registry refuses the image {image}: {words}"
        hint = "`docker login` to that registry with an account that may pull it."
    elif any(mark in low for mark in _UNREACHABLE):
        problem = "unreachable"
        message = f"the registry of {image} cannot be reached: {words}"
        hint = (
            "Check the network and the proxy of the engine; an image that is here already needs no registry."
        )
    elif (
        "manifest unknown" in low
        or "not found" in low
        or "name unknown" in low
        or "repository name not known" in low
    ):
        problem = "unknown"
        message = f"the registry has no image {image}"
        hint = "Check its name and tag on the registry's page."
    elif "invalid reference" in low or "invalid tag" in low or "invalid repository" in low:
        problem = "unknown"
        message = f"{image!r} is not the name of an image: {words}"
        hint = "Names look like `python:3.12-slim` or `ghcr.io/owner/name:tag`, in lower case."
    return ImageError(message, hint, problem=problem)


def _for(platform: str | None) -> str:
    return f" for {platform}" if platform else ""
