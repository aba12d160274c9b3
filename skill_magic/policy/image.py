"""The image: where it comes from, and what it brings along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..findings import Violation
from .context import Context
from .image_paths import KERNEL, declared_volumes
from .protected import below, clean
from .user import identity

if TYPE_CHECKING:
    from ..spec import ImageFacts

_ID = re.compile(r"(?:sha256:)?[0-9a-fA-F]{1,64}")
_HOOK_VARIABLES = frozenset(("LD_PRELOAD", "LD_AUDIT"))
_DOCKER_HUB = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"))


def registry_of(image: str) -> str:
    """The registry that ``image`` comes from, by the rule of Docker's reference grammar: the first part is
    a host when it has a dot, a colon or a capital letter, or is ``localhost``."""
    head, slash, _ = image.partition("/")
    if not slash or not (any(char in head for char in ".:") or head == "localhost" or head.lower() != head):
        return "docker.io"
    host = head.lower()
    return "docker.io" if host in _DOCKER_HUB else host


def reference(context: Context) -> Iterator[Violation]:
    """A pull is a request that the engine sends to a host which the manifest names."""
    image = context.spec.image
    if _ID.fullmatch(image):
        yield context.violation(
            "image-id",
            "image",
            image,
            "This names an image of this machine by its id, which may be somebody's private one.",
            "Write NAME:TAG or NAME@sha256:DIGEST, or",
            grant=f"image:{image}",
        )
        return
    registry = registry_of(image)
    if registry not in context.settings.registries:
        yield context.violation(
            "image-registry",
            "image",
            image,
            f"The registry {registry} is not one of those that need no grant.",
            "Name an image of a known registry or list this one under registries in policy.toml, or",
            grant=f"registry:{registry}",
        )
    if context.settings.strict and not re.search(r"@sha256:[0-9a-f]{64}$", image):
        yield context.violation(
            "image-digest",
            "image",
            image,
            "In the strict profile an image is named by its digest: a tag can move.",
            "Write NAME@sha256:DIGEST.",
        )


def _in_kernel(path: str) -> bool:
    """Whether a path of an image, which starts at the root in any case, is the kernel's."""
    return any(below(clean(f"/{path}"), tree) for tree in KERNEL)


def facts(context: Context, image: ImageFacts) -> Iterator[Violation]:
    """What a local image says of itself; its labels are never read as configuration."""
    spec = context.spec
    if image.working_dir and _in_kernel(image.working_dir):
        yield context.violation(
            "image-workdir",
            "image",
            image.working_dir,
            "The image starts in a directory of the kernel, the way out of CVE-2024-21626.",
            "Do not use this image.",
        )
    yield from declared_volumes(context, image)
    if spec.gpus is not None:
        for variable in image.environment:
            name = variable.partition("=")[0]
            if name.upper() in _HOOK_VARIABLES:
                yield context.violation(
                    "gpu-loader",
                    "image",
                    f"{name}=…",
                    f"The image sets {name}, which reaches the hook that prepares the GPU on the host.",
                    "Use another image, or",
                    grant=f"gpu-env:{name}",
                )
    if spec.user is None:
        yield from identity(context, image.user or "0", "user")
