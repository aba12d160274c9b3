"""Mounts of our own inside an allowed mount: credentials are hidden, what the host runs later is read-only.

A read-write mount of the notebook's directory lets a tool write anything there, also what this machine runs
by itself later: hooks of git, tasks of an editor, a virtual environment, the manifest, the open notebook.
Each such thing that exists is bind-mounted read-only over itself, which also stops renaming and removing
it. One that does not exist cannot be (the engine would create it on the host); :func:`watched` names those
for a comparison after the run.

A directory between the mounted one and such a thing is mounted over itself, read-write: the kernel lets
nobody rename a directory that is itself a mount point, but would let the parent of one be moved away.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ..errors import SkillError
from ..host import Host
from ..policy.paths import Judge, identity, leads, mount_points, mounted_below, resolve
from ..policy.protected import below
from ..policy.protected_later import CACHES
from ..spec import Mount, RunSpec
from .git import MOST_SETTINGS, TooManyError, personal, pointed
from .guard_walk import above, special_in, walk
from .named_later import places_named

WALKS = 20.0
"""Seconds of all walks through mounted folders for one answer, of whatever number of skills and folders."""

MOST_GUARDS = 512
"""Mounts of our own in one run. They cost the engine about a quarter of a millisecond each; beyond, nothing is
started."""

MASK_SIZE = 4096
"""Bytes of the empty tmpfs that hides a folder."""

MANY = f"More than {MOST_GUARDS} things in it would have to be made read-only."
SETTINGS = f"The settings of a repository in it are too large, or include more than {MOST_SETTINGS} files."
SMALLER = "Move the notebook into a smaller folder, or mount the folder read-only (:ro)."


class GuardsError(SkillError):
    """A folder in which not all that has to be guarded can be: it must not be mounted.

    :param source: the folder; :param fix: the way out.
    """

    def __init__(self, source: str, message: str, fix: str = SMALLER) -> None:
        super().__init__(message)
        self.source = source
        self.fix = fix


def complete(
    mounts: Iterable[Mount],
    host: Host,
    *,
    files: Iterable[Path] = (),
    judge: Judge | None = None,
) -> tuple[Mount, ...]:
    """``mounts`` with the protections that they need, right after the mount that each is in.

    :param files: further files to keep read-only (the manifest).
    :param judge: as for ``policy.check``.
    :raises GuardsError: where there is too much to guard, or too much to look at.
    """
    mounts = tuple(mounts)
    judge = judge or Judge(host)
    taken = {mount.target for mount in mounts}
    others = frozenset(taken)
    made: list[Mount] = []
    guards = 0
    points = mount_points()
    for mount in mounts:
        made.append(mount)
        if mount.kind != "bind" or mount.source is None or not os.path.isdir(mount.source):
            continue
        for guard in _guards(mount, judge, host, tuple(files)):
            if guard.target in taken or _covered(guard, mount, others):
                continue
            taken.add(guard.target)
            guard = _named(guard, mounts)
            made.append(guard)
            guards += 1
            _bounded(mount.source, guard, guards, points)
    return tuple(made)


def _named(guard: Mount, mounts: Iterable[Mount]) -> Mount:
    """The guard with the names of all variables that its path was made from: a folder that one mount has by a variable
    lies in another one as well."""
    path = guard.source if guard.kind == "bind" and guard.source else guard.declared
    names = dict.fromkeys(guard.names)
    targets = dict.fromkeys(guard.target_names or ())
    for mount in mounts:
        if mount.names and mount.source and below(path, mount.source):
            names |= dict.fromkeys(mount.names)
            targets |= dict.fromkeys(mount.names)
    if guard.target_names is None:
        return replace(guard, names=tuple(names))
    return replace(guard, names=tuple(names), target_names=tuple(targets))


def _covered(guard: Mount, mount: Mount, targets: frozenset[str]) -> bool:
    """Whether another mount lies over the guard's place. There the place may be missing, and the engine would make
    it, as root; what is below such a mount cannot be reached."""
    place = posixpath.dirname(guard.target)
    while len(place) > len(mount.target):
        if place in targets:
            return True
        place = posixpath.dirname(place)
    return False


def _bounded(source: str, guard: Mount, count: int, points: tuple[str, ...]) -> None:
    """:raises GuardsError: the engine would not take the guard."""
    if count > MOST_GUARDS:
        raise GuardsError(source, MANY)
    if (
        guard.kind == "bind"
        and guard.read_only
        and guard.source
        and (inner := mounted_below(guard.source, points))
    ):
        shown = os.fsencode(os.path.relpath(inner, source)).decode("utf-8", "replace")
        raise GuardsError(
            source, f"Another file system is mounted at {shown}, where read-only has no effect."
        )
    try:
        guard.target.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(os.path.relpath(guard.declared, source)).decode("utf-8", "replace")
        raise GuardsError(
            source,
            f"The name of {shown} in it is not UTF-8, so that the engine cannot make it read-only.",
            f"Rename it or remove it, or {SMALLER[0].lower()}{SMALLER[1:]}",
        ) from None


def watched(spec: RunSpec, host: Host) -> tuple[Path, ...]:
    """What a run could plant: protected names that do not exist (or are links) in read-write mounted
    directories."""
    found: dict[Path, None] = {}
    for mount in spec.mounts:
        if mount.kind == "bind" and not mount.read_only and mount.source is not None:
            with contextlib.suppress(TooManyError):  # then it is not mounted read-write
                for path in places_named(mount.source, host, ()):
                    if not _plain(path):
                        found[Path(path)] = None
    return tuple(found)


def absent(spec: RunSpec, host: Host) -> dict[Path, str]:
    """The watched places as they are before a run: where each leads, an empty string for nothing there."""
    return {path: leads(str(path)) for path in watched(spec, host)}


def planted(before: Mapping[Path, str]) -> tuple[Path, ...]:
    """Those of :func:`absent` that a run made or changed: what the host might now run or read by itself."""
    found = [p for p, link in before.items() if os.path.lexists(p) and (not link or leads(str(p)) != link)]
    return tuple(path for path in found if not any(other in path.parents for other in found))


def _guards(mount: Mount, judge: Judge, host: Host, files: tuple[Path, ...]) -> Iterator[Mount]:
    for sort, path in _known(mount.source or "", mount.read_only, judge, host, files):
        yield _mask(mount, path) if sort == "hide" else _over_itself(mount, path, read_only=sort == "keep")


def _known(
    source: str, read_only: bool, judge: Judge, host: Host, files: tuple[Path, ...]
) -> tuple[tuple[str, str], ...]:
    """:func:`_places_to_guard`, looked for once."""
    key = (source, read_only, files)
    if key in judge.unguarded:
        raise judge.unguarded[key]
    if key not in judge.guards:
        try:
            judge.guards[key] = tuple(_places_to_guard(source, read_only, judge, host, files))
        except TooManyError:
            error = judge.unguarded[key] = GuardsError(source, SETTINGS)
            raise error from None
        except GuardsError as error:
            judge.unguarded[key] = error
            raise
    return judge.guards[key]


def _named_in(source: str, host: Host, files: tuple[Path, ...], judge: Judge) -> tuple[str, ...]:
    """:func:`.named_later.places_named`, looked for once."""
    key = (source, files)
    if key not in judge.named:
        judge.named[key] = tuple(places_named(source, host, files, judge.budget))
    return judge.named[key]


def _places_to_guard(
    source: str, read_only: bool, judge: Judge, host: Host, files: tuple[Path, ...]
) -> Iterator[tuple[Literal["hide", "keep", "between"], str]]:
    """What to do with which path below ``source``, outer ones first."""
    done: set[str] = set()
    passed: set[str] = set()

    def fresh(path: str) -> bool:
        # A guard inside a guard would be mounted into an empty or read-only directory.
        if path == source or not below(path, source):
            return False
        if path in done or any(place in done for place in _between(source, path)):
            return False
        done.add(path)
        return True

    def around(path: str) -> Iterator[tuple[Literal["between"], str]]:
        if read_only or os.path.basename(path) in CACHES:
            return
        for place in _between(source, path):
            if place in passed:
                continue
            passed.add(place)
            if len(passed) + len(done) > MOST_GUARDS:
                raise GuardsError(source, MANY)
            yield "between", place

    secrets = {
        place for entry in judge.contained(source, ("credential", "socket")) for place in _places(entry.path)
    }
    code = {place for entry in judge.contained(source, ("code",)) for place in _places(entry.path)}
    began = time.monotonic()
    found = walk(
        source, secrets | code, most=MOST_GUARDS, read_only=read_only, seconds=WALKS - judge.seconds_walked
    )
    judge.seconds_walked += time.monotonic() - began
    if found.many or (found.problem and not read_only):
        raise GuardsError(source, MANY if found.many else found.problem)
    kept = {*code, *found.keep}
    with contextlib.suppress(TooManyError) if read_only else contextlib.nullcontext():
        kept.update(_named_in(source, host, files, judge))
    inner = special_in(kept, MOST_GUARDS - min(len(passed) + len(found.special), MOST_GUARDS))
    for path in sorted(secrets | {*found.special, *inner}):
        if fresh(path):
            yield from around(path)
            yield "hide", path
    if read_only:
        return
    pointers = (path for pointer in found.pointers for path in pointed(pointer, personal(host), judge.budget))
    parents: dict[str, str] = {}
    for path in (*kept, *pointers):
        code.update(_places(path, parents))
    for path in sorted(code):
        if fresh(path):
            yield from around(path)
            yield "keep", path


def run_later(
    host: Host, files: Iterable[Path] = (), source: str = "", judge: Judge | None = None
) -> tuple[str, ...]:
    """What the host runs or reads later in the notebook's directory, and where links of those names lead; whether or
    not the run has that directory mounted.

    :param source: a path in it: the places around it that are guarded by their names are among them.
    :param judge: shares one look at the file system with other checks.
    :raises GuardsError: where there is too much to guard, or too much to look at.
    """
    root = str(host.directory)
    files = tuple(files)
    judge = judge or Judge(host)
    try:
        named = _named_in(root, host, files, judge)
    except TooManyError:
        raise GuardsError(root, SETTINGS) from None
    found = dict.fromkeys(path for each in named for path in (each, *_places(each)))
    if source and source != root:
        found.update(dict.fromkeys(above(root, source)))
    found.update((path, None) for sort, path in _known(root, False, judge, host, files) if sort == "keep")
    return tuple(path for path in found if below(path, root) and path != root)


def _between(top: str, path: str) -> Iterator[str]:
    """The directories from below ``top`` down to the parent of ``path``."""
    place = top
    for part in os.path.relpath(os.path.dirname(path), top).split("/"):
        if part != ".":
            place = os.path.join(place, part)
            yield place


def _places(path: str, parents: dict[str, str] | None = None) -> Iterator[str]:
    """Where the thing at ``path`` really stands: there, unless it is a link or absent; and where it links
    to.

    :param parents: resolved folders, so that many things in one cost one look at the way there.
    """
    folder = os.path.dirname(path)
    parents = {} if parents is None else parents
    if folder not in parents:
        parents[folder] = resolve(folder)
    parent = parents[folder]
    here = os.path.join(parent, os.path.basename(path))
    if _exists(here):
        if _plain(here):
            yield here
        else:
            target = resolve(here)
            if _exists(target):
                yield target


def _exists(path: str) -> bool:
    return os.path.lexists(path)


def _plain(path: str) -> bool:
    """Whether ``path`` exists and is no link."""
    try:
        return not stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False


def _inner(mount: Mount, path: str) -> str:
    return posixpath.join(mount.target, os.path.relpath(path, mount.source))


def _mask(mount: Mount, path: str) -> Mount:
    folder = os.path.isdir(path)
    return Mount(
        "mask",
        _inner(mount, path),
        None if folder else "/dev/null",
        read_only=True,
        declared=path,
        size=MASK_SIZE if folder else None,
        ours=True,
        names=mount.names,
        target_names=mount.target_names,
    )


def _over_itself(mount: Mount, path: str, *, read_only: bool) -> Mount:
    return Mount(
        "bind",
        _inner(mount, path),
        path,
        read_only=read_only,
        declared=path,
        ours=True,
        names=mount.names,
        target_names=mount.target_names,
        identity=identity(path),
    )
