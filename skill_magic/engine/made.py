"""What only the engine knows of a container that is made and not started: its volumes, its image's accounts.

The policy judges both (``decide.check_made``); this module fetches them, and only where they matter.
"""

from __future__ import annotations

import io
import posixpath
import re
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


def check(engine: Engine, container: str, spec: RunSpec, host: Host) -> None:
    """Let the policy look at the volumes and at what the user's name means in the image.

    :raises PolicyError: it refuses. :raises EngineError: what it needs to know is not to be had.
    """
    from ..policy_user import root_is_caller

    names = {mount.source for mount in spec.mounts if mount.kind == "volume" and mount.source is not None}
    named = re.fullmatch(r"[0-9]+(:[0-9]+)?", spec.user or "0") is None and bool(spec.user_field)
    look = named and not root_is_caller(host)
    if not names and not look:
        return
    from ..decide import check_made

    volumes: dict[str, Any] = {}
    with translate("look at the volumes"):
        for name in names:
            volumes[name] = engine.api.inspect_volume(name)
    accounts = None
    if look:
        accounts = (read(engine, container, "/etc/passwd"), read(engine, container, "/etc/group"))
    check_made(spec, host, volumes=volumes, accounts=accounts)


def read(engine: Engine, container: str, path: str) -> str:
    """A small file of a container as text, symlinks followed as the engine does; empty where there is none.

    :raises EngineError: it is no file, is too large, or the engine refuses.
    """
    import docker.errors

    start = path
    for _ in range(HOPS):
        with translate(f"read {start} of the image"):
            try:
                chunks, _ = engine.api.get_archive(container, path)
            except docker.errors.NotFound:
                return ""
            packed = b""
            for chunk in chunks:
                packed += chunk
                if len(packed) > LARGEST:
                    raise EngineError(f"the image's {start} is too large")
        try:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                member = archive.next()
                file = archive.extractfile(member) if member is not None and member.isreg() else None
                if file is not None:
                    return file.read().decode("utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise EngineError(f"the image's {start} cannot be read: {error}") from error
        if member is None or not member.issym():
            break
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
    raise EngineError(f"the image's {start} is not a file")
