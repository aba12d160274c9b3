"""``ps``, ``stop``, ``logs`` and ``clean``: the runs that an engine has of this person."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import engine, finished, road
from ..answer import Answer, Table, Text
from ..engine import session
from ..engine.image_look import LOOK
from ..engine.naming import matching, pick
from ..errors import CommandError, EngineError
from ..finished import Finished

if TYPE_CHECKING:
    from ..background import Handle
    from ..command.parse import Command
    from ..door import Door
    from ..engine import Container, Engine

NOTEBOOK_TAIL = 2000
"""Lines of a log that a notebook is given; a shell gets all of it."""


def ps(command: Command, door: Door) -> Answer:
    """What runs, and what was kept."""
    # Asked first: what begins while the engine answers is in the one list or in the other.
    starting = [handle for handle in _handles() if handle.state == "starting"]
    connected = engine.containers(road.connect(door.host), door.host)
    found = [one for one in connected if not one.name.startswith(LOOK)]  # those are no runs
    known = {one.name for one in found}
    found += [_begun(handle, door) for handle in starting if handle.name not in known and not handle.done]
    if not found:
        return Answer([Text("no runs")], [])
    now = time.time()
    rows = [(one.name, one.skill, _state(one), _age(now - one.created), one.directory) for one in found]
    return Answer([Table(("run", "skill", "state", "age", "directory"), rows)], [_data(one) for one in found])


def _begun(handle: Handle, door: Door) -> Container:
    """A background run of this process of which the engine has no container yet."""
    return engine.Container(
        id="",
        name=handle.name,
        skill=handle.skill,
        image=handle.spec.image,
        state="created",
        status="",
        created=time.time(),
        directory=str(handle.spec.directory),
        user=str(door.host.uid),
        alive=True,
        ours=True,
        keep=handle.keep,
        remove=handle.spec.remove,
    )


def stop(command: Command, door: Door) -> Answer:
    """End the named runs."""
    connected = road.connect(door.host)
    stopped = [_stop(connected, name) for name in _named(command, door, "stop")]
    return Answer([Text(f"stopped {name}", good=True) for name in stopped], stopped)


def _stop(connected: Engine, word: str) -> str:
    """A run of this process can be stopped before the engine knows of it."""
    handles = _handles()
    one = next((handle for handle in handles if handle.name == word), None)
    if one is None:
        mine = {handle.name: handle for handle in handles}
        others = [each for each in engine.containers(connected) if each.name not in mine]
        pool: list[Handle | Container] = [*handles, *others]
        if not matching(word, pool) and (over := matching(word, finished.runs())):
            hint = f"`skill logs {over[0].name}` shows what it wrote"
            raise EngineError(f"{over[0].name} has ended already", hint)
        found = pick(word, pool, prefer=_runs)
        if found.name not in mine:
            return engine.stop(connected, found.name).name
        one = mine[found.name]
    one.stop()
    return one.name


def _runs(one: Handle | Container) -> bool:
    return one.running if isinstance(one, engine.Container) else True


def logs(command: Command, door: Door) -> Answer:
    """What a run has written so far: stdout to stdout, stderr to stderr."""
    names = _named(command, door, "logs")
    if len(names) != 1:
        raise CommandError("logs shows one run at a time", f"write `{door.line('logs RUN')}`")
    _write(_output(names[0], door), plain=door.kind == "shell" and not sys.stdout.isatty())
    return Answer()


def clean(command: Command, door: Door) -> Answer:
    """Remove what is over: all of it, or the named runs. What still runs is stopped first, by ``stop``."""
    from .. import logs as output_logs
    from ..views.words import size

    connected = road.connect(door.host)
    swept = list(engine.sweep(connected, door.host, force=True))
    if command.names:
        names = [name for name in command.names if name not in swept]
        wanted = [engine.find(connected, name, prefer=lambda one: not one.running) for name in names]
        running = [one.name for one in wanted if one.running]
        if running:
            way = door.line(f"stop {' '.join(running)}")
            hint = f"stop {'it' if len(running) == 1 else 'them'} first: `{way}`"
            raise CommandError(f"still running: {', '.join(running)}", hint)
    else:
        live = session.current().live
        wanted = [
            one for one in engine.containers(connected, door.host) if _over(one) and one.name not in live
        ]
    gone = swept + [engine.remove(connected, one.name).name for one in wanted]
    freed = 0 if command.names else output_logs.clean(door.host.cache_dir / "runs")
    removed = [*gone, *([f"{size(freed)} of output of earlier runs"] if freed else [])]
    words = f"removed {', '.join(removed)}" if removed else "nothing to remove"
    return Answer([Text(words, good=True)], gone)


def _over(one: Container) -> bool:
    """Whether it has ended and no process is about to see to it."""
    if one.running:
        return False
    minded = bool(one.alive) and (one.state == "created" or (one.remove and not one.keep))
    return not minded


def _handles() -> list[Handle]:
    """The background runs of this process that are not over."""
    background = sys.modules.get("skill_magic.background")
    return background.handles() if background else []


def _named(command: Command, door: Door, verb: str) -> tuple[str, ...]:
    if not command.names:
        hint = f"write `{door.line(f'{verb} RUN')}`; `{door.line('ps')}` lists them"
        raise CommandError(f"{verb} needs the name of a run", hint)
    return command.names


def _output(word: str, door: Door) -> Iterable[tuple[str, bytes]]:
    """A run of this process remembers its output itself, for some time also after its end; a kept one of another
    process has it at the engine."""
    pool: list[Handle | Container | Finished] = [*_handles(), *finished.runs()]
    known = {one.name for one in pool}
    connected: Engine | None = None
    # A skill's name means a run of this process, where there is one.
    if not matching(word, pool):
        connected = road.connect(door.host)
        pool += [one for one in engine.containers(connected) if one.name not in known]
    # A run that goes on or was kept is meant rather than one that is over.
    found = pick(word, pool, prefer=lambda one: not isinstance(one, Finished))
    if isinstance(found, Finished):
        return finished.chunks(found)
    if not isinstance(found, engine.Container):
        return list(found.chunks())
    assert connected is not None  # noqa: S101  (it has told of this container)
    return engine.logs(connected, found.name, tail=None if door.kind == "shell" else NOTEBOOK_TAIL)


def _write(output: Iterable[tuple[str, bytes]], *, plain: bool) -> None:
    from ..text import Sanitizer

    clean = {"stdout": Sanitizer(), "stderr": Sanitizer()}
    for name, data in output:
        stream = sys.stdout if name == "stdout" else sys.stderr
        if plain:
            stream.buffer.write(data)
        else:
            stream.write(clean[name].feed(data))
    sys.stdout.flush()
    sys.stderr.flush()


def _state(one: Container) -> str:
    starting = one.state == "created" and one.alive
    words = ["starting" if starting else one.status.lower() or one.state]
    if one.keep:
        words.append("kept")
    elif not one.remove:
        words.append("rm = false")
    if one.orphan:
        words.append("its process is gone")
    return ", ".join(words)


def _age(seconds: float) -> str:
    from ..views.words import duration

    return duration(max(seconds, 0.0))


def _data(one: Container) -> dict[str, Any]:
    return dataclasses.asdict(one)
