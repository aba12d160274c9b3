"""Paths of an image that meet the mounts of a run: volumes it declares, and links that lead a mount elsewhere.

The engine makes what it needs for a mount. Where that lies in a mounted folder it makes it on the host, as root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from ..findings import Violation
from ..spec import ImageFacts, Mount, RunSpec
from .context import Context
from .protected import below, clean

KERNEL = ("/proc", "/sys", "/dev")

ENGINE = ("/etc", "/sbin", "/usr/sbin")
"""Directories in which the engine puts files of its own: hosts, hostname, resolv.conf; its init program."""

MOST_VOLUMES = 64
"""Volumes that an image may declare; each costs questions to the engine."""


def declared_volumes(context: Context, image: ImageFacts) -> Iterator[Violation]:
    """Judge the volumes that an image declares."""
    if len(image.volumes) > MOST_VOLUMES:
        yield context.violation(
            "image-volume",
            "image",
            f"{len(image.volumes)} volumes",
            f"The image declares more than {MOST_VOLUMES} volumes.",
            "Do not use this image.",
        )
        return
    for written in image.volumes:
        path = clean(f"/{written}")
        if path == "/" or any(below(path, tree) for tree in KERNEL):
            yield context.violation(
                "image-volume",
                "image",
                written,
                "The image wants a volume over the kernel's directories, or over all of itself.",
                "Do not use this image.",
            )
            continue
        volume = next(
            (each for each in context.spec.mounts if each.kind == "volume" and _within(path, each)), None
        )
        if volume is not None:
            yield context.violation(
                "target-volume",
                "image",
                written,
                f"The image wants a volume in the one mounted at {context.target(volume)}, where an earlier run may "
                "have put a link to anywhere.",
                f"Mount something at {path}, mount the volume elsewhere, or use another image.",
            )
            continue
        around = inside(context.spec.mounts, path)
        if around is not None and not _is_folder(around, path):
            yield context.violation(
                "image-volume-missing",
                "image",
                written,
                f"The image wants a volume in the folder that is mounted at {around.target}, which has no such folder.",
                f"Create it first (the engine would make one that belongs to root), mount something at {path}, or use "
                "another image.",
            )


def _within(path: str, mount: Mount) -> bool:
    """Whether a path of the container lies in a named volume, and is not its own place."""
    target = clean(mount.target)
    return mount.source is not None and below(path, target) and path != target


def inside(mounts: Iterable[Mount], path: str) -> Mount | None:
    """The folder of the host in which a path of the container lies; ``None`` where it lies in none, or is itself the
    place of a mount."""
    around = [mount for mount in mounts if below(path, clean(mount.target))]
    inner = max(around, key=lambda mount: len(clean(mount.target)), default=None)
    if inner is None or inner.kind != "bind" or clean(inner.target) == path:
        return None
    return inner


def _is_folder(mount: Mount, path: str) -> bool:
    """Whether ``path`` in the container is a folder of ``mount``, and no link leads to it."""
    place = mount.source or ""
    for name in os.path.relpath(path, clean(mount.target)).split("/"):
        place = os.path.join(place, name)
        if os.path.islink(place) or not os.path.isdir(place):
            return False
    return True


def paths_in_image(spec: RunSpec, image: ImageFacts) -> tuple[str, ...]:
    """The paths where the engine will put something, for it to say where they lead in the image."""
    found = [clean(mount.target) for mount in spec.mounts]
    found += [clean(f"/{path}") for path in image.volumes]
    if spec.working_dir is not None:
        found.append(clean(spec.working_dir))
    found += ENGINE
    roots = [clean(mount.target) for mount in spec.mounts]
    # What lies in a mount is no path of the image.
    return tuple(
        path for path in dict.fromkeys(found) if not any(below(path, root) and path != root for root in roots)
    )


def links(context: Context, real: Mapping[str, str]) -> Iterator[Violation]:
    """Judge paths that lead elsewhere in the image.

    :param real: path → where it leads, for those of :func:`paths_in_image` with a link in them.
    """
    binds = [clean(mount.target) for mount in context.spec.mounts if mount.kind == "bind"]
    for path, place in real.items():
        bound = any(clean(mount.target) == path and mount.kind == "bind" for mount in context.spec.mounts)
        meets = any(
            below(place, target) or (path not in ENGINE and below(target, place))
            for target in binds
            if target != path
        )
        if meets or (bound and place == "/etc") or place == "/" or any(below(place, tree) for tree in KERNEL):
            yield context.violation(
                "target-link",
                "image",
                path,
                f"In this image {path} leads to {place}, where nothing may be put.",
                "Mount at another path of the container, or use another image.",
            )
