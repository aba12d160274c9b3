"""Reaper: the containers of ours that an engine has, and those that nobody minds any more."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from . import session
from .failures import translate
from .naming import pick
from .ownership import own_name
from .removal import remove as _remove
from .session import LABEL
from .stopper import steps

if TYPE_CHECKING:
    from ..host import Host
    from .connect import Engine

__all__ = ["Container", "containers", "find", "logs", "remove", "stop", "sweep"]

SWEEP_PATIENCE = 5.0
"""Seconds that a run waits for the removal of what another left."""

SWEEP_INTERVAL = 30.0
"""Seconds within which a second sweep of one engine is not worth its call."""

FRESH = 60.0
"""Seconds for which a container of this process that belongs to no run is left alone."""


@dataclass(frozen=True)
class Container:
    """One container of ours.

    :param state: the engine's word: ``created``, ``running``, ``paused``, ``exited``, ``dead``, ``removing``.
    :param created: seconds since the epoch. :param directory: the notebook's directory it was started for.
    :param alive: whether the process that started it still runs; ``None`` where that cannot be known from
        here (another machine or another person).
    :param ours: whether this very process started it.
    :param keep: started to outlive its process. :param remove: to be removed at its end (``rm``).
    :param earlier_boot: started before this machine was, or on another machine.
    """

    id: str
    name: str
    skill: str
    image: str
    state: str
    status: str
    created: float
    directory: str
    user: str
    alive: bool | None
    ours: bool
    keep: bool
    remove: bool
    earlier_boot: bool = False

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.state in ("running", "paused", "restarting")

    @property
    def orphan(self) -> bool:
        """Whether nobody minds it and nobody asked for it to stay."""
        return self.alive is False and not self.keep and (self.remove or self.running)


def containers(engine: Engine, host: Host | None = None) -> list[Container]:
    """All containers that this person's processes have made, newest first; only those of ``host``'s user where it is
    given. What is not signed is left out, whatever its labels say: see :mod:`.ownership`.

    :raises EngineError: the engine refused or did not answer.
    """
    with translate("list its containers"):
        found = engine.api.containers(all=True, filters={"label": [LABEL + "session"]})
    key = engine.key
    every = [_container(entry, name) for entry in found if (name := own_name(key, entry))]
    return [one for one in every if host is None or one.user == str(host.uid)]


def find(engine: Engine, name: str, *, prefer: Callable[[Container], bool] | None = None) -> Container:
    """One container of ours by its name, its id, the beginning of either, or its skill's name.

    :param prefer: see :func:`.naming.pick`.
    :raises EngineError: there is none of ours, or more than one.
    """
    return pick(name, containers(engine), prefer=prefer)


def stop(engine: Engine, name: str) -> Container:
    """End a run of ours, by the signals and times of :mod:`.stopper`. Its own process, if any, sees it end.

    :raises EngineError: no such run, or the engine refused.
    """
    one = find(engine, name, prefer=lambda each: each.running)
    live = session.current().live.get(one.name)
    if live is not None:
        live.stop()
        return one
    import docker.errors

    plan = _steps(engine, one.id)
    for (after, signal), (until_next, _) in zip(plan, (*plan[1:], (plan[-1][0] + 2.0, "")), strict=True):
        with translate(f"stop {one.name}"):
            try:
                engine.api.kill(one.id, signal)
            except docker.errors.NotFound:
                return one
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise
                break  # it does not run
        until = time.monotonic() + until_next - after
        while time.monotonic() < until and _running(engine, one.id):
            time.sleep(0.05)
        if not _running(engine, one.id):
            break
    if one.orphan:
        remove(engine, one.id)
    return one


def _steps(engine: Engine, container: str) -> tuple[tuple[float, str], ...]:
    import docker.errors

    if engine.podman:  # gives every container a time of its own
        return steps(None, None)
    try:
        config = engine.api.inspect_container(container)["Config"]
    except docker.errors.APIError:
        return steps(None, None)
    # The signal alone may be the image's own, which says nothing of how a person wants to stop it.
    timeout = config.get("StopTimeout")
    return steps(config.get("StopSignal") if timeout is not None else None, timeout)


def remove(engine: Engine, name: str) -> Container:
    """Remove a container of ours, running or not, with its anonymous volumes.

    :raises EngineError: no such container of ours, or the engine refused.
    """
    one = find(engine, name, prefer=lambda each: not each.running)
    _remove(engine, one.id)
    return one


def logs(engine: Engine, name: str, *, tail: int | None = None) -> Iterator[tuple[str, bytes]]:
    """What a kept run has written so far, as ``("stdout" | "stderr", bytes)``.

    :param tail: only that many lines from the end.
    :raises EngineError: no such run, or the engine did not keep its output (only kept runs have a log).
    """
    from .stream import Demultiplexer, Response

    one = find(engine, name, prefer=lambda each: each.keep)
    if not one.keep:
        raise EngineError(
            f"{one.name} has no log at the engine: its output went to the notebook that started it",
            "start it with `--bg --keep` to read it from elsewhere",
        )
    params = {"stdout": 1, "stderr": 1, "tail": "all" if tail is None else str(tail)}
    split = Demultiplexer()
    with translate(f"read the log of {one.name}"):
        response = Response(engine.api, "GET", f"/containers/{one.id}/logs", params)
        try:
            for chunk in response.chunks():
                for output in split.feed(chunk):
                    yield output.stream, output.data
        finally:
            response.close()


def sweep(engine: Engine, host: Host, *, force: bool = False) -> tuple[str, ...]:
    """Remove what dead processes of this person have left on the engine; returns the names.

    A container counts as left behind when its process is known to be dead: same person, same boot of the same
    machine, same pid namespace, and no process of that pid and start time. One of an earlier boot does when
    it does not run and the engine is this machine's own. Kept ones stay.

    :param force: also when the last sweep was less than half a minute ago.
    :raises EngineError: the engine did not answer; what it refuses to remove is left for the next time.
    """
    now = time.monotonic()
    if not force and engine.last_sweep is not None and now - engine.last_sweep < SWEEP_INTERVAL:
        return ()
    engine.last_sweep = now
    gone = []
    for one in containers(engine, host):
        if _left_behind(engine, one):
            if not _taken(engine, one):
                break  # the engine holds on to it; the others wait for the next time, and the run does not
            gone.append(one.name)
    return tuple(gone)


def _taken(engine: Engine, one: Container) -> bool:
    """Remove or end one container; whether that was done in :data:`SWEEP_PATIENCE`."""
    done = threading.Event()

    def work() -> None:
        with contextlib.suppress(EngineError):
            if one.remove:
                _remove(engine, one.id)
            else:
                engine.api.kill(one.id)
            done.set()

    thread = threading.Thread(target=work, name=f"skill-magic-sweep-{one.name}", daemon=True)
    thread.start()
    thread.join(SWEEP_PATIENCE)
    return done.is_set()


def _left_behind(engine: Engine, one: Container) -> bool:
    if one.ours:
        # Of this process, but no run of it any more: the engine was away when it was to be removed. What is
        # new may belong to a look into an image, which is no run.
        forgotten = one.name not in session.current().live and time.time() - one.created > FRESH
        return forgotten and not one.keep and one.remove
    if one.orphan:
        return True
    return (
        one.alive is None
        and engine.local
        and not one.running
        and not one.keep
        and one.remove
        and one.earlier_boot
    )


def _container(entry: Mapping[str, Any], name: str) -> Container:
    labels: Mapping[str, str] = entry.get("Labels") or {}

    def label(key: str) -> str:
        return str(labels.get(LABEL + key, ""))

    return Container(
        id=str(entry["Id"]),
        name=name,
        skill=label("skill"),
        image=label("image") or str(entry.get("Image") or ""),
        state=str(entry.get("State") or ""),
        status=str(entry.get("Status") or ""),
        created=float(entry.get("Created") or 0),
        directory=label("directory"),
        user=label("user"),
        alive=_alive(label("pid"), label("pid-start"), label("pid-ns"), label("boot-id")),
        ours=label("session") == session.current().id,
        keep=label("keep") == "true",
        remove=label("rm") != "false",
        earlier_boot=label("boot-id") != session.boot_id(),
    )


def _alive(pid: str, start: str, namespace: str, boot: str) -> bool | None:
    if boot != session.boot_id() or namespace != session.pid_namespace():
        return None
    return bool(pid.isdigit() and start and session.process_start(int(pid)) == start)


def _running(engine: Engine, container: str) -> bool:
    import docker.errors

    with translate("look at the container"):
        try:
            return bool(engine.api.inspect_container(container)["State"]["Running"])
        except docker.errors.NotFound:
            return False
