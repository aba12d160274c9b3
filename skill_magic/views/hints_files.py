"""Hints for files that a tool cannot have although they lie in the notebook's directory: links that lead out of it,
scripts whose interpreter is not there, and rights that only the person has.

Files are looked at in the notebook's directory alone, and links are read and not followed by the system: what a tool
writes must not make anybody look elsewhere.
"""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .. import programs
from ..foreign import line
from .hints_words import CARRIAGE_RETURN, DENIED, MISSING, NAMES, NOT_STARTED

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import RunSpec

__all__ = ["links", "paths", "rights", "scripts"]

_HOPS = 16
_NAMES = 40
"""Words of the output that are tried as names of files."""

_SHELLS = ("/bin/sh", "/usr/bin/env")


def _place(spec: RunSpec) -> str | None:
    """Where the tool sees the notebook's directory; ``None`` where it does not, or what it is called is secret."""
    from ..policy.redact import mount as shown

    for each in spec.mounts:
        if each.kind == "bind" and each.source == str(spec.directory) and shown(each) == each:
            return each.target
    return None


def _inside(spec: RunSpec, word: str, workdir: str) -> str | None:
    """``word`` as a path relative to the notebook's directory; ``None`` for what is elsewhere or no path."""
    if not word or "\0" in word or len(word) > 1000:
        return None
    path = posixpath.normpath(posixpath.join(spec.working_dir or "/", word))
    home = str(spec.directory)
    for tree in (workdir, home):
        if path != tree and PurePosixPath(path).is_relative_to(tree):
            return posixpath.relpath(path, tree)
    return None


def _candidates(spec: RunSpec, words: Sequence[str], lines: Sequence[str], workdir: str) -> Iterator[str]:
    """Files of the directory that the arguments or ``lines`` may mean, each once, relative to the directory."""
    named = [word.partition("=")[2] if word.startswith("-") else word for word in words]
    said = [name.rstrip(".") for each in lines for name in NAMES.findall(each)]
    for word in dict.fromkeys((*named, *said[:_NAMES])):
        path = _inside(spec, word, workdir)
        if path is not None:
            yield path


# --- Paths of the host


def paths(spec: RunSpec, words: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    """The hint for the notebook's directory by its path on this machine, inside an argument or in a script."""
    workdir, home = _place(spec), str(spec.directory)
    missing = [each for each in lines if MISSING.search(each)]
    if workdir is None or workdir == home or not missing:
        return
    named = [each[at:] for each in (*words, *missing) if (at := each.find(f"{home}/")) >= 0]
    for text in named:
        found = NAMES.match(text)
        path = posixpath.relpath(posixpath.normpath(found[0].rstrip(".")), home) if found else ""
        if found is None or path.startswith(".."):
            continue
        name = path if spec.working_dir == workdir else posixpath.join(workdir, path)
        yield f"the tool sees {line(home)} as {line(workdir)}: write {line(name)[:200]}"
        return


# --- Links


def links(spec: RunSpec, words: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    """The hint for a link that the tool could not follow, where it said that a file is not there."""
    workdir = _place(spec)
    missing = [each for each in lines if MISSING.search(each)]
    if workdir is None or not missing:
        return
    for path in _candidates(spec, words, missing, workdir):
        if found := _leads_out(spec, path, workdir):
            yield found
            return


def _leads_out(spec: RunSpec, path: str, workdir: str) -> str:
    """The hint for a path with a link in it that leads to where the tool sees nothing of the host."""
    home = str(spec.directory)
    targets = {each.target for each in spec.mounts}
    done, left, hops = "", path.split("/"), 0
    while left:
        here = posixpath.join(done, left.pop(0))
        text = _link(Path(home) / here)
        if not text:
            done = here
            continue
        hops += 1
        to = posixpath.normpath(posixpath.join(posixpath.dirname(posixpath.join(workdir, here)), text))
        if hops > _HOPS:
            return ""
        if PurePosixPath(to).is_relative_to(workdir):
            done, left = "", [*posixpath.relpath(to, workdir).split("/"), *left]
            continue
        if any(PurePosixPath(to).is_relative_to(target) for target in targets):
            return ""  # another mount
        real = posixpath.normpath(posixpath.join(posixpath.dirname(posixpath.join(home, here)), text))
        if PurePosixPath(real).is_relative_to(home):
            there = posixpath.normpath(posixpath.join(posixpath.relpath(real, home), *left))
            return (
                f"{line(here)} is a link by its path on this machine, which the tool sees as {line(workdir)}: "
                f"write {line(there)}, or make the link relative"
            )
        return (
            f"{line(here)} is a link to {line(text)}, which the tool does not see: "
            "put the file itself there, or mount its folder (`volumes`)"
        )
    return ""


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


# --- Scripts


def scripts(spec: RunSpec, words: Sequence[str], lines: Sequence[str], raw: bytes) -> Iterator[str]:
    """The hint for a script that a shell of the image could not run."""
    workdir = _place(spec)
    if workdir is None:
        return
    if CARRIAGE_RETURN.search(raw):
        name = next(
            (path for path in _candidates(spec, words, lines, workdir) if b"\r\n" in _start(spec, path)), ""
        )
        what = line(name) if name else "a script"
        yield f"{what} has line ends of Windows (CRLF): save it with LF"
        return
    for found in map(NOT_STARTED.search, lines):
        path = _inside(spec, (found[1] or found["late"]), workdir) if found else None
        head = _start(spec, path) if path is not None else b""
        if path is None or not head:
            continue
        if told := _script(path, programs.read(head), found is not None and "xec format" in found[0]):
            yield told
            return


def _script(path: str, program: programs.Program, unknown: bool) -> str:
    if program.carriage_return:
        return f"the first line of {line(path)} ends in CRLF, as Windows has it: save the file with LF"
    here = programs.machine(os.uname().machine)
    if not programs.fits(program.architecture, here):
        return f"{line(path)} is a program for linux/{program.architecture}, this machine is linux/{here}"
    if program.needs and program.needs not in _SHELLS:
        what = "interpreter" if program.kind == "script" else "loader"
        return f"{line(path)} is there: what is missing is its {what} {line(program.needs)}"
    if program.kind == "other" and unknown:
        return f"{line(path)} has no first line such as #!/bin/sh"
    return ""


def _start(spec: RunSpec, path: str) -> bytes:
    """The first bytes of a regular file of the directory, no link on the way to it; empty for anything else."""
    try:
        descriptor = os.open(spec.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return b""
    try:
        names = path.split("/")
        for index, name in enumerate(names):
            last = index == len(names) - 1
            kind = os.O_RDONLY | os.O_NONBLOCK if last else os.O_PATH | os.O_DIRECTORY
            deeper = os.open(name, kind | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        return os.read(descriptor, programs.HEAD) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except (OSError, ValueError):
        return b""
    finally:
        os.close(descriptor)


# --- Rights


def rights(spec: RunSpec, host: Host, words: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    """The hint for a file or folder to which the person has a right that the tool has not: a group's, or root's."""
    denied = [each for each in lines if DENIED.search(each)]
    workdir = _place(spec)
    if not denied or workdir is None or spec.user_field or (host.engine is not None and host.engine.rootless):
        return
    for path in (*_candidates(spec, words, denied, workdir), "."):
        for place in dict.fromkeys((path, posixpath.dirname(path) or ".")):
            if found := _right(spec, host, place):
                yield found
                return


def _right(spec: RunSpec, host: Host, path: str) -> str:
    steps = PurePosixPath(path)
    if any(_link(spec.directory / step) for step in (steps, *steps.parents)):
        return ""
    try:
        facts = os.lstat(spec.directory / path)
    except (OSError, ValueError):
        return ""
    name = line(str(spec.directory) if path == "." else path)
    wanted = 0o3 if stat.S_ISDIR(facts.st_mode) else 0o2
    mode = facts.st_mode
    if facts.st_uid == host.uid or mode & wanted == wanted:
        return ""
    added = {str(facts.st_gid)} & {
        *map(str, spec.groups),
        *spec.group_add,
        *(w.value for w in spec.wishes if w.option == "group-add"),
    }
    of_group = facts.st_gid in host.groups and (mode >> 3) & wanted == wanted
    if of_group and not added and facts.st_gid != host.gid:
        return f"{name} is yours through the group {_group(facts.st_gid)}, which the tool is not in"
    shares = facts.st_gid == host.gid or bool(added)
    if host.uid != 0 and shares and not of_group and path != ".":
        owner = _user(facts.st_uid)
        return f"{name} belongs to {owner}, and its group cannot write to it: {owner} can change that (chmod g+w)"
    if host.uid == 0 and not (facts.st_gid == host.gid and of_group):
        return (
            f"{name} belongs to the user {facts.st_uid}, and the tool runs as root without root's right "
            f"to pass over that: chown it, or chmod o+w"
        )
    return ""


def _user(number: int) -> str:
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        return f"the user {number}"
    return name if re.fullmatch(r"[\w.-]{1,32}", name) else f"the user {number}"


def _group(number: int) -> str:
    try:
        name = grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
    return f"{name} ({number})" if re.fullmatch(r"[\w.-]{1,32}", name) else str(number)
