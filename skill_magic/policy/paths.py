"""Judges one host path: may a container get it at all?

Three readings of a path are judged, and one refusal is enough: as it was written, with ``..`` worked out as
text (as the engine does), and with every symlink followed (as the kernel does). Each is compared with every
protected place as equal, below and above, by name and, where both exist, by device and inode, so that a
bind mount or a link is no disguise.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ..host import Host
from .protected import (
    Entry,
    Kind,
    Relation,
    below,
    clean,
    exempt,
    fold,
    foreign_home,
    session_socket,
    table,
    ticket,
)

Identity = tuple[int, int]

MOST_LINKS = 40
"""Symlinks on one way, as many as Linux follows."""

_KERNEL = ("/proc", "/sys", "/dev")
_PIPES = ("//./pipe", "//?/")


@dataclass(frozen=True)
class Hit:
    """A protected place that a path touches: ``path`` ``relation`` ``place``.

    :param foreign: it is protected for being in somebody's home directory, whoever that is.
    """

    kind: Kind | Literal["kernel", "pipe"]
    path: str
    relation: Relation
    place: str
    foreign: bool = False


def _plainness(hit: Hit) -> tuple[int, int]:
    """Order in which reasons are told: the nearest place first."""
    length = len(hit.place)
    return {"is": (0, -length), "is in": (1, -length), "contains": (2, length)}[hit.relation]


@dataclass
class Budget:
    """What may still be read of git's settings for one answer, of whatever number of repositories.

    :param size: bytes; :param words: that are looked for as files.
    """

    size: int = 16 << 20
    words: int = 100_000


class Judge:
    """All judgements of one check, sharing one look at the file system.

    :param home_project: the home directory itself may be the notebook's directory (a setting).
    """

    def __init__(self, host: Host, *, home_project: bool = False) -> None:
        self.host = host
        self.table = table(host)
        self.home_project = home_project
        self.homes = {fold(str(host.home)), fold(resolve(str(host.home)))}
        self._inodes: dict[Identity, list[tuple[Entry, Relation]]] | None = None
        self._known: dict[tuple[str, str, bool, bool], Hit | None] = {}
        #: What ``mount_guards`` has found out, by mounted folder: one look serves all skills of a check.
        self.guards: dict[tuple[object, ...], tuple[tuple[str, str], ...]] = {}
        #: Why a folder cannot be mounted, in the same way.
        self.unguarded: dict[tuple[object, ...], Exception] = {}
        #: What the host runs later by where it is named, by mounted folder.
        self.named: dict[tuple[object, ...], tuple[str, ...]] = {}
        #: What may still be read of git's settings.
        self.budget = Budget()
        #: Seconds that were spent in walks through mounted folders.
        self.seconds_walked = 0.0

    def hit(
        self, declared: str, resolved: str, *, read_only: bool = False, notebook: bool = False
    ) -> Hit | None:
        """The protected place that a path touches, ``None`` where it touches none.

        Places that an allowed directory merely contains (``~/.config`` has ``gh``) are no hit when they can
        be hidden.

        :param declared: the absolute path as it was written; :param resolved: its ``os.path.realpath``.
        :param read_only: it is to be seen only; what the host merely runs later may be.
        :param notebook: it is the notebook's own directory, which may be a directory directly below
            ``/home``.
        """
        key = (declared, resolved, read_only, notebook)
        if key not in self._known:
            self._known[key] = self._find(*key)
        return self._known[key]

    def _find(self, declared: str, resolved: str, read_only: bool, notebook: bool) -> Hit | None:
        lexical = self._lexical(declared)
        if lexical is not None:
            return lexical
        cleaned = clean(declared)
        paths = {cleaned: None, resolved: None, resolve(cleaned): None}
        hits = [
            hit
            for path in paths
            for hit in self._hits(path)
            if not (hit.kind == "code" and read_only)
            and not (hit.kind == "home" and hit.foreign and notebook)
        ]
        return min(hits, key=_plainness, default=None)

    def contained(self, resolved: str, kinds: Iterable[Kind]) -> Iterator[Entry]:
        """The protected places of ``kinds`` that lie below a directory, by name."""
        return (
            entry
            for entry, relation in self.table.touching(fold(resolved))
            if relation == "contains" and entry.kind in kinds
        )

    def _lexical(self, declared: str) -> Hit | None:
        if declared.lower().startswith(_PIPES):
            return Hit("pipe", declared, "is", declared)
        for path in (clean(declared), *way(declared), *way(clean(declared))):
            for tree in _KERNEL:
                if below(fold(path), tree):
                    return Hit("kernel", path, "is in", tree)
        return None

    def _hits(self, path: str) -> Iterator[Hit]:
        folded = fold(path)
        for entry, relation in self.table.touching(folded):
            if self._counts(entry, relation, folded):
                yield Hit(entry.kind, path, relation, entry.path)
        foreign = foreign_home(folded)
        if foreign is not None and not any(below(folded, home) for home in self.homes):
            kind, place = foreign
            yield Hit(kind, path, "is" if folded == place else "is in", place, foreign=True)
        if session_socket(folded):
            yield Hit("socket", path, "is", path)
        if ticket(folded):
            yield Hit("credential", path, "is", path)
        yield from self._same_inode(path, folded)

    def _counts(self, entry: Entry, relation: Relation, folded: str) -> bool:
        if relation == "contains":
            if self.home_project and folded in self.homes:
                return entry.kind not in ("credential", "code", "socket")
            return entry.kind not in ("credential", "code")
        if any(exempt(entry, folded, home) for home in self.homes):
            return False
        return not (entry.kind == "home" and self.home_project and relation == "is")

    def _same_inode(self, path: str, folded: str) -> Iterator[Hit]:
        if self._inodes is None:
            self._inodes = self._look()
        here = identity(path)
        place = path
        while True:
            found = identity(place)
            for entry, relation in self._inodes.get(found, ()) if found is not None else ():
                # A directory's own inode says equal or above; a parent's says below.
                if found == here and place == path:
                    pass
                elif relation == "is" and entry.tree:
                    relation = "is in"
                else:
                    continue
                if self._counts(entry, relation, folded):
                    yield Hit(entry.kind, path, relation, entry.path)
            parent = os.path.dirname(place)
            if parent == place:
                return
            place = parent

    def _look(self) -> dict[Identity, list[tuple[Entry, Relation]]]:
        """What exists of the protected places, by inode; and the directories above those that must not be
        shown."""
        seen: dict[Identity, list[tuple[Entry, Relation]]] = {}
        parents: dict[str, str | None] = {}
        above: set[str] = set()
        for entry in self.table.entries:
            parent = os.path.dirname(entry.path)
            if parent not in parents:
                parents[parent] = resolve(parent) if os.path.exists(parent) else None
            real = parents[parent]
            found = identity(entry.path, follow=True) if real is not None else None
            if found is None or real is None:
                continue
            seen.setdefault(found, []).append((entry, "is"))
            if entry.kind in ("credential", "code"):
                continue
            while real not in above:
                above.add(real)
                over = identity(real)
                if over is not None:
                    seen.setdefault(over, []).append((entry, "contains"))
                real = os.path.dirname(real)
        return seen


def resolve(path: str) -> str:
    """An absolute path with every symlink followed, as far as it exists and may be looked at."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # /proc/1/root may not be read; Python 3.11 lets that through
        return [clean(path), *way(path)][-1]


def leads(path: str) -> str:
    """What a link says and where it ends, whatever other links it passes; empty where there is none."""
    try:
        return f"{os.readlink(path)}\0{resolve(path)}"
    except (OSError, ValueError):
        return ""


def identity(path: str, *, follow: bool = False) -> Identity | None:
    """(device, inode), ``None`` where there is nothing or it cannot be seen."""
    try:
        found = os.stat(path) if follow else os.lstat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def way(path: str) -> Iterator[str]:
    """Every place that is passed on the way of an absolute path, links followed one by one; the last is its
    end.

    ``/proc/self/root`` and its like resolve to something else in the engine's process than in ours, so that
    a way that passes them has no meaning here, whatever it ends at.
    """
    todo = [part for part in reversed(path.split("/")) if part]
    done, links = "/", 0
    while todo:
        part = todo.pop()
        if part == ".":
            continue
        if part == "..":
            done = os.path.dirname(done)
            yield done
            continue
        step = os.path.join(done, part)
        yield step
        try:
            target = os.readlink(step)
        except (OSError, ValueError):
            done = step
            continue
        links += 1
        if links > MOST_LINKS:
            return
        if target.startswith("/"):
            done = "/"
        todo += [each for each in reversed(target.split("/")) if each]
    yield done


MOST_LOOKED_AT = 10_000
"""Entries of a folder that are looked at for a socket."""


def socket_in(path: str) -> str | None:
    """A socket directly in the folder ``path``, ``None`` where none was found."""
    try:
        with os.scandir(path) as entries:
            for entry in itertools.islice(entries, MOST_LOOKED_AT):
                # The type comes with the listing, so that ordinary files cost no look at each.
                if entry.is_symlink() or entry.is_file() or entry.is_dir():
                    continue
                if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                    return entry.path
    except OSError:
        pass  # what we cannot list, the caller could not give away either
    return None


def mount_points() -> tuple[str, ...]:
    """Where file systems are mounted on this machine, as this process sees it."""
    return tuple(point for point, _ in mounted_file_systems())


def mounted_file_systems() -> tuple[tuple[str, str], ...]:
    """(where it is mounted, its type) of each, in the order in which they were mounted."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            found = [(line.split(" ", 5)[4], line.split(" - ", 1)[1].split(" ", 1)[0]) for line in lines]
    except (OSError, IndexError):
        return ()  # no Linux: the engine has files of its own
    return tuple(
        (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point), kind) for point, kind in found
    )


def mounted_below(path: str, points: Iterable[str]) -> str | None:
    """Another file system of ``points`` that is mounted below ``path``, if there is one; a read-only mount does not
    reach it."""
    inside = path.rstrip("/") + "/"
    return next((point for point in points if point.startswith(inside)), None)


def file_type(path: str) -> Literal["directory", "file", "missing", "unreadable", "special"]:
    """What stands at ``path``, itself no symlink."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (OSError, ValueError):
        return "unreadable"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "missing"  # links were followed before: this one goes in a circle
    return "file" if stat.S_ISREG(mode) else "special"
