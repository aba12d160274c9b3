"""What only the engine knows of a container that is made and not started: its volumes, its image's files.

The policy judges them (``decide.check_volumes``); this module fetches them, and only where they matter.
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import tarfile
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from .failures import translate

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import RunSpec
    from .connect import Engine

__all__ = ["check", "read"]

LARGEST = 1 << 20
"""Bytes; an account file beyond them is not read, and the run refused."""

HOPS = 8
"""Symlinks that are followed to an account file."""


def check(engine: Engine, spec: RunSpec, host: Host) -> None:
    """Let the policy look at the volumes.

    :raises PolicyError: it refuses. :raises EngineError: what it needs to know is not to be had.
    """
    names = {mount.source for mount in spec.mounts if mount.kind == "volume" and mount.source is not None}
    if not names:
        return
    from ..policy.decide import check_volumes

    volumes: dict[str, Any] = {}
    with translate("look at the volumes"):
        for name in names:
            volumes[name] = engine.api.inspect_volume(name)
    check_volumes(spec, volumes, host)


def read(engine: Engine, container: str, path: str, *, follow: bool = True) -> str:
    """A small file of a container as text; empty where there is none.

    :param follow: follow symlinks, as the engine does when it looks a user up.
    :raises EngineError: it is no file, is too large, or the engine refuses.
    """
    start = path
    for _ in range(HOPS):
        packed = _archive(engine, container, path, start)
        if packed is None:
            return ""
        try:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                member = archive.next()
                file = archive.extractfile(member) if member is not None and member.isreg() else None
                if file is not None:
                    return file.read().decode("utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise EngineError(f"the image's {start} cannot be read: {error}") from error
        if member is None or not member.issym() or not follow:
            break
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
    raise EngineError(f"the image's {start} is not a file")


def link_text(engine: Engine, container: str, path: str) -> str:
    """What a link of a container says, not followed.

    :raises EngineError: it is no link, or the engine refuses.
    """
    packed = _archive(engine, container, path, path) or b""
    with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.next()
        if member is not None and member.issym() and member.linkname:
            return member.linkname
    raise EngineError(f"the image's {path} cannot be read")


def _archive(engine: Engine, container: str, path: str, shown: str) -> bytes | None:
    """The tar that the engine makes of a path, ``None`` where there is nothing."""
    api = engine.api
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    packed = b""
    # As long as the answer is neither read to its end nor closed, the engine holds the container's lock and
    # cannot remove it; docker-py's get_archive gives nothing to close.
    with translate(f"read {shown} of the image"), api.get(url, params={"path": path}, stream=True) as answer:
        if answer.status_code == 404:
            return None
        api._raise_for_status(answer)
        for chunk in answer.iter_content(1 << 16):
            packed += chunk
            if len(packed) > LARGEST:
                raise EngineError(f"the image's {shown} is too large")
    return packed
