"""Why a program could not be executed, by a look at it in the image, or in the mounted folder that it is in.

Never at the container that has run: an engine that is asked for a file of it mounts the run's folders anew, as root, at
whatever the tool has made of their places.

The kernel has one word, "No such file or directory", for a command that is not there, for a script whose interpreter
is not there or whose first line ends in a carriage return, and for a program whose loader is not there. The exit codes
126 and 127 say no more. What the file itself begins with tells them apart.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import re
import stat
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import programs
from ..errors import EngineError
from ..policy.paths import resolve
from ..policy.protected import below
from . import image_links, image_look
from .failures import translate
from .image_links import GO_LINK, GO_TYPE, Facts

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine

__all__ = ["SAID", "another_processor", "look", "look_wanted", "note", "reason"]

SAID = 500
"""Bytes of the start of standard error in which signs of a program that did not start are looked for."""

_GO_DIRECTORY = 1 << 31

_HOPS = 8
_DIRECTORIES = 16
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_READ = 64 << 10

# The init of a container says the first; a shell that was given a program for another processor the second.
_BY_INIT = re.compile(rb"^\[FATAL tini[^\]]*\] exec |^exec .{0,200}: exec format error", re.IGNORECASE)
_NO_SCRIPT = re.compile(rb"exec format error|syntax error:|cannot execute binary", re.IGNORECASE)


def another_processor(engine: Engine, facts: ImageFacts) -> tuple[str, str] | None:
    """The platforms of an image and of the engine's machine, where the image is for another processor."""
    here = programs.machine(str(engine.version.get("Arch") or ""))
    image = programs.machine(facts.architecture)
    return None if programs.fits(image, here) else (f"linux/{image}", f"linux/{here}")


def note(engine: Engine, spec: RunSpec, facts: ImageFacts) -> str:
    """What to say before an image for another processor is run. Docker says it too, and not to who named a
    platform."""
    platforms = None if spec.platform else another_processor(engine, facts)
    if platforms is None:
        return ""
    image, here = platforms
    return f"the image is for {image}, the engine's machine is {here}: it needs emulation, and is slow"


def look(
    engine: Engine, container: str, spec: RunSpec, host: Host, facts: ImageFacts, code: int, said: bytes
) -> str:
    """What :func:`reason` says of a container that has ended with ``code``; empty where nothing speaks for it.

    The end of a run is told all the same where an engine refuses the look.
    """
    silent = code not in (0, 126, 127) and not said and another_processor(engine, facts) is not None
    if not silent and not look_wanted(code, said):
        return ""
    with contextlib.suppress(EngineError):
        with translate("inspect the container"):
            inspect = engine.api.inspect_container(container)
        return reason(engine, spec, host, inspect, facts, code, said)
    return ""


def look_wanted(code: int, said: bytes) -> bool:
    """Whether an exit code, and the start of standard error, may be of a program that was not executed."""
    return code in (126, 127) or (code != 0 and bool(_BY_INIT.search(said) or _NO_SCRIPT.search(said)))


def reason(
    engine: Engine,
    spec: RunSpec,
    host: Host,
    inspect: Mapping[str, Any],
    facts: ImageFacts,
    code: int,
    said: bytes,
) -> str:
    """Why the program of a container that has ended was not executed, in a sentence; empty where that is not known.

    :param inspect: the engine's account of the container. :param said: the start of its standard error.
    :raises EngineError: the engine refuses, or its answer is not understood.
    """
    platforms = another_processor(engine, facts)
    if platforms is not None and (code in (126, 127) or not said or _BY_INIT.search(said)):
        return (
            f"the image is for {platforms[0]}, the engine's machine is {platforms[1]}: "
            "name an image for it, or set up emulation (QEMU with binfmt_misc)"
        )
    program = str(inspect.get("Path") or "")
    with image_look.opened(engine, spec, host, facts) as container:
        found = _Look(engine, container, spec, inspect.get("Config") or {}).found(program)
    if isinstance(found, str):
        return found if code in (126, 127) else ""
    path, head, exists = found
    told = _of(path, head, exists, programs.machine(str(engine.version.get("Arch") or "")))
    if told or code not in (126, 127) or _BY_INIT.search(said):
        return told
    fault = "was not found" if code == 127 else "cannot be executed"
    return f"{program} was started; {code} mostly means that a command which it called {fault}"


def _of(path: str, head: bytes, exists: Mapping[str, bool], here: str) -> str:
    program = programs.read(head)
    if program.carriage_return:
        return f"the first line of {path} ends in CRLF, as Windows has it: save the file with LF"
    if not programs.fits(program.architecture, here):
        return f"{path} is a program for linux/{program.architecture}, the engine's machine is linux/{here}"
    if program.needs and not exists.get(program.needs, True):
        if program.kind == "script":
            return f"{path} is there, but its interpreter {program.needs} is not in the image"
        return (
            f"{path} is there, but its loader {program.needs} is not in the image: "
            "it was built for another C library or processor"
        )
    return ""


class _Look:
    """Files of a run's image and of its mounted folders, as its container sees them.

    :param container: one of the image that has no mounts.
    """

    def __init__(self, engine: Engine, container: str, spec: RunSpec, config: Mapping[str, Any]) -> None:
        self._engine, self._container = engine, container
        self._api = engine.api
        self._local = engine.local
        self._mounts = sorted(spec.mounts, key=lambda mount: len(mount.target), reverse=True)
        self._url = f"{self._api.base_url}/v{self._api.api_version}/containers/{container}/archive"
        self._directory = str(config.get("WorkingDir") or "/")
        names = (str(item).partition("=") for item in config.get("Env") or ())
        self._path = next((value for name, _, value in names if name == "PATH" and value), _PATH)

    def found(self, program: str) -> str | tuple[str, bytes, dict[str, bool]]:
        """Path and start of the program, and whether what it needs exists; or in words why there is none."""
        if not program:
            return ""
        for path in self._places(program):
            facts = self._stat(path)
            if facts is None:
                continue
            mode = facts.mode
            if mode & _GO_DIRECTORY:
                return f"{path} is a directory and no program"
            if not facts.regular:
                return ""
            if not mode & 0o111:
                return f"{path} is not executable: chmod +x"
            head = self._head(path)
            needs = programs.read(head).needs
            return path, head, {needs: self._stat(needs) is not None} if needs.startswith("/") else {}
        if "/" in program:
            return f"the program {program} does not exist in the container"
        return f"the command {program} is not in the image"

    def _places(self, program: str) -> list[str]:
        if "/" in program:
            return [posixpath.normpath(posixpath.join(self._directory, program))]
        folders = self._path.split(":")[:_DIRECTORIES]
        return [posixpath.join(self._directory, folder, program) for folder in folders]

    def _stat(self, path: str) -> Facts | None:
        """The facts of a path, links followed; ``None`` where there is nothing."""
        for _ in range(_HOPS):
            if (place := self._on_host(path)) is not None:
                return _stat_of(place)
            facts = image_links.stat(self._engine, self._container, path)
            if facts is None or not facts.mode & GO_LINK:
                return facts
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), facts.link))
        return None

    def _on_host(self, path: str) -> str | None:
        """Where a path lies in a mounted folder of the host; ``None`` where it is the image's own.

        :raises EngineError: it is in another kind of mount, or a link leads to it: it is not looked at.
        """
        mount = next((each for each in self._mounts if below(path, each.target)), None)
        if mount is None:
            return None
        source = mount.source or ""
        place = os.path.normpath(os.path.join(source, os.path.relpath(path, mount.target)))
        if mount.kind != "bind" or not self._local or resolve(place) != place:
            raise EngineError(f"{path} is not looked at")
        return place

    def _head(self, path: str) -> bytes:
        for _ in range(_HOPS):
            if (place := self._on_host(path)) is not None:
                return _head_of(place)
            packed = b""
            with (
                translate(f"read {path}"),
                self._api.get(self._url, params={"path": path}, stream=True) as answer,
            ):
                self._api._raise_for_status(answer)
                for chunk in answer.iter_content(8 << 10):
                    packed += chunk
                    if len(packed) > _READ:
                        break
            try:
                with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                    member = archive.next()
            except tarfile.TarError as error:
                raise EngineError(f"{path} cannot be read: {error}") from error
            if member is None or not member.issym():
                at = member.offset_data if member is not None and member.isreg() else len(packed)
                return packed[at : at + min(programs.HEAD, member.size if member is not None else 0)]
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
        return b""


def _stat_of(place: str) -> Facts | None:
    """As the engine would say it of a file of its own."""
    try:
        mode = os.lstat(place).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EngineError(f"{place} cannot be looked at") from error
    kind = 0 if stat.S_ISREG(mode) else _GO_DIRECTORY if stat.S_ISDIR(mode) else GO_TYPE & ~GO_LINK
    return Facts(stat.S_IMODE(mode) & 0o777 | kind)


def _head_of(place: str) -> bytes:
    try:
        file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"{place} cannot be read") from error
    try:
        return os.read(file, programs.HEAD) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)
