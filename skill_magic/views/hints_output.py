"""Hints for what people meet in containers, each from signs in what a failed tool said.

A container has no network unless it is given one, `localhost` is itself, its image has the modules that it has, and
its shared memory is small. Only the lines that tell the cause (see :mod:`.cause`) and the end of standard error are
looked at, so that the cost is bounded. What the tool says is never more than a sign: nothing of the host is looked up
by it but names in the notebook's directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..foreign import line
from ..media import binary
from ..text import plain
from . import hints_files, hints_modules
from .hints_words import (
    ADDRESS,
    CONNECT,
    HOST_NAME,
    LOOPBACK,
    NO_SPACE,
    REFUSED,
    SHARED_MEMORY,
    SOCKET,
    UNREACHABLE,
    UNRESOLVED,
)

if TYPE_CHECKING:
    from ..events import Finished
    from ..host import Host
    from ..output import SavedOutput
    from ..spec import RunSpec

__all__ = ["MOST", "THIS_MACHINE", "names_loopback", "of"]

MOST = 2
"""Hints at most: more than that is a list of guesses."""

THIS_MACHINE = "host.docker.internal"
"""The name by which a container reaches the machine of its engine."""

_ADD_ALIAS = f'extra_args = ["--add-host={THIS_MACHINE}:host-gateway"]'
_ADD_NETWORK = 'network = "bridge"'
_LINES = 24  # of the end of standard error
_WIDTH = 1000  # characters of a line
_BODY = 64 << 10  # bytes of standard input
_SHM = 64 << 20  # bytes, Docker's default
_SIGBUS = 135
SHM = "/dev/shm"  # noqa: S108 - a path in the container


@dataclass(frozen=True)
class Seen:
    """What there is to go by.

    :param lines: of the tool's output, those that may tell the cause. :param raw: the same before carriage returns and
        colours were taken out.
    :param loopback: what the tool was given on standard input speaks of `localhost`.
    """

    spec: RunSpec
    host: Host
    words: tuple[str, ...]
    lines: tuple[str, ...] = ()
    raw: bytes = b""
    loopback: bool | None = False


def names_loopback(stdin: object) -> bool | None:
    """Whether the start of what a tool is given on standard input speaks of `localhost`; ``None``: it is a file or a
    pipe, of which that is not known."""
    if stdin is None or isinstance(stdin, bytes):
        return LOOPBACK.search((stdin or b"")[:_BODY].decode("utf-8", "replace")) is not None
    return None


def of(
    spec: RunSpec,
    end: Finished,
    output: SavedOutput,
    host: Host,
    shown: Sequence[str],
    *,
    loopback: bool | None = False,
) -> tuple[str, ...]:
    """The hints for a run that failed, or that was waiting for something until its time was up.

    :param shown: ``spec.args`` as they may be shown; an argument with a secret in it gets no hint.
    :param loopback: what :func:`names_loopback` said of its input.
    """
    if end.state not in ("failed", "timeout"):
        return ()
    words = tuple(word for word, seen in zip(spec.args, shown, strict=True) if word == seen)[:200]
    seen = Seen(spec, host, words, *_said(output), loopback)
    found: dict[str, None] = {}
    for hint in _all(seen, end):
        found.setdefault(hint)
        if len(found) == MOST:
            break
    return tuple(found)


def _all(seen: Seen, end: Finished) -> Iterator[str]:
    yield from _network(seen)
    yield from hints_modules.missing(seen.spec, seen.lines)
    yield from _shared_memory(seen, end)
    yield from hints_files.scripts(seen.spec, seen.words, seen.lines, seen.raw)
    yield from hints_files.paths(seen.spec, seen.words, seen.lines)
    yield from hints_files.links(seen.spec, seen.words, seen.lines)
    yield from hints_files.rights(seen.spec, seen.host, seen.words, seen.lines)


def _said(output: SavedOutput) -> tuple[tuple[str, ...], bytes]:
    from .words import cause, kept

    data = kept(output, "stderr")[-(32 << 10) :]
    if binary(data):
        data = b""
    last = [each for each in plain(data).replace("\r", "\n").split("\n") if each.strip()][-_LINES:]
    lines = dict.fromkeys(each.strip()[:_WIDTH] for each in (*cause(output).splitlines(), *last))
    return tuple(lines), data


# --- The network


def _network(seen: Seen) -> Iterator[str]:
    spec = seen.spec
    refused = next((each for each in seen.lines if _refused(each)), None)
    if spec.network == "none":
        if refused is not None and (LOOPBACK.search(refused) or _loopback(seen)):
            yield f"{_inside(seen)}, and {_no_network(spec, machine=True)}"
        elif any(UNRESOLVED.search(each) or UNREACHABLE.search(each) for each in seen.lines):
            yield _no_network(spec)
        return
    if any(HOST_NAME.search(each) and UNRESOLVED.search(each) for each in seen.lines):
        yield f"{THIS_MACHINE} is no name in this container: {_write(spec, _ADD_ALIAS)}"
    elif any(SOCKET.search(each) for each in seen.lines):
        yield f"no server was named, and there is none in the container: {_reach(seen)}"
    elif refused is None:
        return
    elif HOST_NAME.search(refused) or (not LOOPBACK.search(refused) and _mentions_machine(seen)):
        yield (
            f"{THIS_MACHINE} was reached and nothing listens there: "
            "on this machine the server has to listen on all addresses or on the bridge's, not on 127.0.0.1 alone"
        )
    elif LOOPBACK.search(refused) or (not ADDRESS.search(refused) and _loopback(seen)):
        yield f"{_inside(seen)}: {_reach(seen)}"
    elif not ADDRESS.search(refused) and seen.loopback is None:
        yield f"if it was localhost: that is the container itself, {_reach(seen)}"


def _refused(said: str) -> bool:
    return bool(REFUSED.search(said) or (CONNECT.search(said) and LOOPBACK.search(said)))


def _loopback(seen: Seen) -> bool:
    """Whether `localhost` is spoken of anywhere that the tool has its address from."""
    if seen.loopback or _variable(seen.spec):
        return True
    return any(LOOPBACK.search(each) for each in (*seen.words, *seen.lines))


def _mentions_machine(seen: Seen) -> bool:
    values = (each.value for each in seen.spec.environment)
    return any(HOST_NAME.search(each) for each in (*seen.words, *seen.lines, *values))


def _variable(spec: RunSpec) -> str:
    """The variable of the container that names `localhost`, if one does."""
    from ..policy.redact import secret_name

    for each in spec.environment:
        if not each.ours and not secret_name(each.name) and LOOPBACK.search(each.value[:_WIDTH]):
            return each.name
    return ""


def _inside(seen: Seen) -> str:
    name = _variable(seen.spec)
    return f"localhost{f' ({line(name)})' if name else ''} is the container itself"


def _reach(seen: Seen) -> str:
    remote = seen.host.engine is not None and seen.host.engine.remote
    where = "the engine's machine" if remote else "this machine"
    if any(
        wish.option == "add-host" and wish.value.startswith((f"{THIS_MACHINE}:", f"{THIS_MACHINE}="))
        for wish in seen.spec.wishes
    ):
        name = _variable(seen.spec)
        return f"write {line(name)}={THIS_MACHINE} for {where}" if name else f"{where} is {THIS_MACHINE}"
    return f"{where} is {THIS_MACHINE} once you {_write(seen.spec, _ADD_ALIAS)}"


def _no_network(spec: RunSpec, *, machine: bool = False) -> str:
    name, variant = line(spec.skill), _with_network(spec)
    if variant:
        what = f"reaches this machine as {THIS_MACHINE}" if machine else "has one"
        return f"{name} has no network; {variant} {what}"
    first = "fetch the file first, or " if spec.origin == "bundled" else ""
    return f"{name} has no network: {first}{_write(spec, _ADD_NETWORK)}"


def _with_network(spec: RunSpec) -> str:
    """The bundled skill that is this bundled one with a network; empty where there is none."""
    if spec.origin != "bundled":
        return ""
    from ..manifest.file import read
    from ..manifest.layers import BUNDLED

    for name, skill in read(BUNDLED, "bundled").skills.items():
        docker = skill.docker
        same = (docker.image, docker.entrypoint) == (spec.image, spec.entrypoint)
        if same and docker.network == "bridge" and name.startswith(spec.skill):
            return name
    return ""


def _write(spec: RunSpec, text: str) -> str:
    if spec.origin == "bundled":
        return f"write {text} in a skill of your own"
    if spec.origin == "user" or "size" in text:
        return f"write {text} in [skills.{line(spec.skill)}.docker]"
    return f"write {text} in [skills.{line(spec.skill)}.docker] and allow it: skill trust {line(spec.skill)}"


# --- Shared memory


def _shared_memory(seen: Seen, end: Finished) -> Iterator[str]:
    from .words import size

    spec = seen.spec
    full = any(NO_SPACE.search(each) for each in seen.lines)
    named = full and any(SHM in each for each in (*seen.words, *seen.lines))
    if end.exit_code != _SIGBUS and not named and not any(map(SHARED_MEMORY.search, seen.lines)):
        return
    has = spec.limits.shm_size or _SHM
    half = (spec.limits.memory or 2 << 30) // 2
    more = max(half >> 20, 1)
    if half <= has:
        yield f"shared memory (/dev/shm) may be too small: it is {size(has)}; more of it takes more `memory`"
        return
    yield (
        f"shared memory (/dev/shm) may be too small: it is {size(has)}; "
        + _write(spec, f'extra_args = ["--shm-size={more}m"]')
    )
