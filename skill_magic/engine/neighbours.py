"""Neighbours: other runs of this person that can write where a run is about to be mounted.

The engine finds the source of a mount by its path, in the moment of the start. A tool that runs already, with the same
folder mounted, could swap a folder of that path for a link in this very moment, and swap it back before anybody looks
again. So such containers stand still from the last look at the paths to the first look after the start, and two runs of
one directory are started one after the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from .failures import translate
from .ownership import own_name
from .session import LABEL

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import RunSpec
    from .connect import Engine

__all__ = ["held"]

PATIENCE = 30.0
"""Seconds that a start waits for another one in the same directory."""


@contextlib.contextmanager
def held(engine: Engine, spec: RunSpec, host: Host) -> Iterator[None]:
    """Keep the neighbours of a run still.

    :raises EngineError: one of them cannot be paused; nothing was started.
    """
    sources = {mount.source for mount in spec.mounts if mount.kind == "bind" and mount.source}
    if not sources or not engine.local:
        yield
        return
    paused: list[str] = []
    with _alone(host, str(spec.directory)):
        try:
            for container in _writing(engine, sources):
                if _pause(engine, container):
                    paused.append(container)
            yield
        finally:
            for container in paused:
                _go_on(engine, container)


@contextlib.contextmanager
def _alone(host: Host, directory: str) -> Iterator[None]:
    """One start at a time in a directory, over all processes of this person. Where no lock can be had (a data directory
    that cannot be written) the pause alone remains."""
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    folder = host.data_dir / "starts"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(folder / f"{name}.lock", flags, 0o600)
    except OSError:
        yield
        return
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def _writing(engine: Engine, sources: set[str]) -> list[str]:
    """The running containers of this person that can rename something on the way to one of ``sources``."""
    with translate("list the runs beside"):
        filters = {"label": [LABEL + "session"], "status": ["running"]}
        running = engine.api.containers(filters=filters)
    key = engine.key
    return [str(entry["Id"]) for entry in running if own_name(key, entry) and _can_write(entry, sources)]


def _can_write(entry: Mapping[str, Any], sources: set[str]) -> bool:
    for mount in entry.get("Mounts") or ():
        if mount.get("Type") != "bind" or mount.get("RW") is False:
            continue
        root = str(mount.get("Source") or "").rstrip("/") + "/"
        if any(source.startswith(root) and source != root for source in sources):
            return True
    return False


def _pause(engine: Engine, container: str) -> bool:
    """Whether it stands still by our doing; not where it has ended meanwhile, or somebody else has paused it."""
    import docker.errors

    with translate("pause a run beside"):
        try:
            engine.api.pause(container)
        except docker.errors.NotFound:
            return False
        except docker.errors.APIError as error:
            if _still(engine, container):
                return False
            raise EngineError(
                "another run can write to this directory and cannot be paused for the start of this one",
                "wait until it has ended, or stop it",
            ) from error
    return True


def _still(engine: Engine, container: str) -> bool:
    """Whether a container does nothing: it has ended, is gone, or stands still already."""
    import docker.errors

    try:
        state: Mapping[str, Any] = engine.api.inspect_container(container)["State"]
    except docker.errors.NotFound:
        return True
    return bool(state.get("Paused")) or not state.get("Running")


def _go_on(engine: Engine, container: str) -> None:
    import docker.errors
    import requests

    for _ in range(20):
        try:
            engine.api.unpause(container)
        except docker.errors.APIError as error:
            if error.status_code in (404, 409) or "not paused" in str(error).lower():
                return
        except (requests.RequestException, OSError):
            pass
        else:
            return
        time.sleep(0.05)
