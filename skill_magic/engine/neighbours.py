"""Neighbours: other runs of this person while one is started.

The engine finds the source of a mount by its path, in the moment of the start. A tool that runs already, with a folder
mounted that lies on the way, could swap a folder of that path for a link in this very moment, and swap it back before
anybody looks again. So all containers that can write to a folder of the host stand still from the last look at the
paths to the first look after the start. Which folder that is does not count: since a container was started its folder
may have been moved to the path in question, and it keeps what it has open. All runs of a person are started one after
the other: a run that starts meanwhile would not stand still, and the end of another start would let one go on too
early.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..events import Beside
from ..look import writable
from ..overlap import Other
from .failures import translate
from .ownership import own_name
from .session import LABEL

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import RunSpec
    from .connect import Engine

__all__ = ["beside", "held", "release"]

PATIENCE = 60.0
"""Seconds that a start waits for another one; the engine needs about a seventh of one."""


LOCK = "starts.lock"
"""In the data directory; it holds the ids of what is paused."""

MOST_BYTES = 1 << 16

ENDING = 2.0
"""Seconds in which a container that cannot be paused may still be about to end."""

_ID = re.compile("[0-9a-f]{64}")


@contextlib.contextmanager
def held(engine: Engine, spec: RunSpec, host: Host) -> Iterator[None]:
    """Keep the neighbours of a run still.

    :raises EngineError: one of them cannot be paused, or another start does not end; nothing was started.
    """
    if not engine.local or not any(mount.kind == "bind" for mount in spec.mounts):
        yield
        return
    paused: list[str] = []
    with _alone(host) as lock:
        try:
            if lock is not None:
                _release(engine, lock)
            for container in _writing(engine):
                if lock is None:
                    raise EngineError(
                        "another run goes on meanwhile, and no lock keeps other starts from letting it write",
                        f"make {host.data_dir} writable, or wait until the other run has ended",
                    )
                os.pwrite(lock, f"{container}\n".encode(), os.fstat(lock).st_size)
                if _pause(engine, container):
                    paused.append(container)
            yield
        finally:
            for container in paused:
                _go_on(engine, container)
            if lock is not None:
                os.ftruncate(lock, 0)


def release(engine: Engine, host: Host) -> None:
    """Let go on what the start of another run has paused whose process was killed in that moment. Nothing while a start
    is going on; never raises for what it cannot do."""
    path = host.data_dir / LOCK
    try:
        if not path.stat().st_size:
            return
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _release(engine, lock)
    except OSError:
        return  # somebody starts a run
    finally:
        os.close(lock)


def _release(engine: Engine, lock: int) -> None:
    """Let go on what the lock's file lists, which its last holder had no time for."""
    for container in os.pread(lock, MOST_BYTES, 0).decode("ascii", "replace").split():
        if _ID.fullmatch(container):
            _go_on(engine, container)
    os.ftruncate(lock, 0)


def beside(engine: Engine, spec: RunSpec, own: str) -> list[Beside]:
    """The runs that are on now and can write where a run of ``spec`` can, whoever's they are; what they are is only
    told, so that no signature is asked for. Nothing where the engine does not answer.

    :param own: the name of the run itself.
    """
    roots = writable(spec)
    if not roots or not engine.local:
        return []
    try:
        running = _on(engine)
    except EngineError:
        return []
    found = []
    for entry in running:
        name = str((entry.get("Names") or ["/"])[0]).lstrip("/")
        theirs = tuple(_written(entry))
        if name != own and Other(name, theirs, 0.0).meets(roots):
            found.append(Beside(name, theirs, float(entry.get("Created") or 0)))
    return found


@contextlib.contextmanager
def _alone(host: Host) -> Iterator[int | None]:
    """One start at a time, over all processes of this person: the file that is locked. ``None`` where no lock can be
    had (a data directory that cannot be written, a file system without locks).

    :raises EngineError: another start has not ended in :data:`PATIENCE`.
    """
    try:
        host.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(host.data_dir / LOCK, flags, 0o600)
    except OSError:
        yield None
        return
    try:
        yield descriptor if _locked(descriptor) else None
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise EngineError(
                    f"another run of yours has not started within {PATIENCE:.0f} seconds, and runs start one by one",
                    "see what the engine is doing (`docker ps`, `docker info`), then try again",
                ) from None
            time.sleep(0.005)
        except OSError:
            return False
        else:
            return True


def _writing(engine: Engine) -> list[str]:
    """The running containers of this person that can write to a folder of the host."""
    key = engine.key
    found = [entry for entry in _on(engine) if entry.get("State") != "paused"]
    return [str(entry["Id"]) for entry in found if own_name(key, entry) and any(_written(entry))]


def _on(engine: Engine) -> list[Mapping[str, Any]]:
    with translate("list the runs beside"):
        filters = {"label": [LABEL + "session"], "status": ["running", "paused"]}
        found: list[Mapping[str, Any]] = engine.api.containers(filters=filters)
    return found


def _written(entry: Mapping[str, Any]) -> Iterator[str]:
    """The host paths that a container of the engine's list can write to."""
    for mount in entry.get("Mounts") or ():
        if mount.get("Type") == "bind" and mount.get("RW") is not False and mount.get("Source"):
            yield str(mount["Source"])


def _pause(engine: Engine, container: str) -> bool:
    """Whether it stands still by our doing; not where it has ended meanwhile, or somebody else has paused it."""
    import docker.errors

    until = time.monotonic() + ENDING
    with translate("pause a run beside"):
        while True:
            try:
                engine.api.pause(container)
                return True
            except docker.errors.NotFound:
                return False
            except docker.errors.APIError as error:
                if _still(engine, container):
                    return False
                if time.monotonic() < until:  # its process has ended, and the engine does not know yet
                    time.sleep(0.05)
                    continue
                raise EngineError(
                    "another run goes on that cannot be paused for the start of this one",
                    "wait until it has ended, or stop it",
                ) from error


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
