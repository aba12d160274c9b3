"""Images: what the engine has of one, and whether it can give it a GPU."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import GpuUnavailable, ImageError
from ..spec import ImageFacts
from .failures import translate
from .pull import fetch, image_error

if TYPE_CHECKING:
    from ..events import Pulling
    from .connect import Engine

__all__ = ["ensure", "inspect", "require_gpu"]

Pull = Literal["missing", "never", "always"]


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
                f"leave out `--pull never`, or get it first: `docker pull {image}`",
                problem="not-local",
            )
    fetch(engine, image, platform, emit, cancelled)
    facts = inspect(engine, image, platform=platform)
    if facts is None:
        raise ImageError(
            f"the engine pulled {image} but it is not for {platform or 'this machine'}",
            "leave out `platform`, or name one that the image is made for",
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
            raise image_error(image, platform, error) from error  # not the name of an image
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
        "install nvidia-container-toolkit and run `sudo nvidia-ctk runtime configure --runtime=docker`, "
        "then restart the engine"
    )
    if engine.local and not Path("/proc/driver/nvidia/version").exists():
        raise GpuUnavailable(
            "the skill wants a GPU, and this machine has no NVIDIA driver loaded, "
            "nor does its engine know the nvidia-container-toolkit",
            f"leave out `gpus`, or install the driver; then {toolkit}",
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


def _for(platform: str | None) -> str:
    return f" for {platform}" if platform else ""
