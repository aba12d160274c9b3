"""What a run left behind apart from its results: told in notes, and its set-id bits taken away.

Compares two looks (:mod:`look`) at every folder that the run may write to.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from . import natural
from .look import Look, out_of_reach, writable
from .mode_bits import drop, shut
from .openings import openings
from .policy.protected_later import CACHES

if TYPE_CHECKING:
    from .host import Host
    from .spec import RunSpec

SHOWN = 5
"""Names in one note; the rest is counted."""

DEEP = 16
"""Closed folders in closed folders that are opened one after the other."""

WIDTH = 120
"""Characters of a name in a note."""

SLACK = 20_000_000
"""Nanoseconds by which a file system's clock may lag behind the one that we read."""


class Aftermath:
    """:param apart: names of folders whose changes are counted only."""

    def __init__(self, spec: RunSpec, host: Host, apart: frozenset[str]) -> None:
        self._directory = str(spec.directory)
        self._roots = writable(spec)
        self._skip = out_of_reach(spec)
        self._apart = apart
        self._ignored = _jupyters(host)
        self._user = host.user
        self._since = time.time_ns() - SLACK
        self._before = Look(self._roots, skip=self._skip)

    def notes(self, same: Collection[str] = (), *, who: str = "this run") -> Iterator[str]:
        """Look again, take the bits away and say what there is to say.

        :param same: files that are known not to have changed.
        :param who: who has done it; where runs overlapped, that it may have been another one.
        """
        after = Look(
            self._roots,
            skip=self._skip,
            since=self._since,
            known=self._before.folders,
            apart=self._apart,
            ignored=self._ignored,
            same=same,
        )
        yield from self._later(after, who)
        yield from self._bits(after)
        yield from self._open(after, who)
        if after.outward:
            places = [f"{path} → {end}" for path, end in sorted(after.outward)]
            yield (
                f"{who} made links that lead out of the directory: {self._names(places)}; "
                "what reads or writes them here reads or writes there"
            )
        if after.counted:
            counts = ", ".join(
                f"{count} in {name}"
                for name, count in sorted(after.counted.items(), key=lambda each: each[0])
            )
            total = sum(after.counted.values())
            more = "; Python runs those in __pycache__ instead of the modules beside it"
            yield (
                f"{total} file{'s' * (total != 1)} made or changed in folders that are not listed: {counts}"
                f"{more if '__pycache__' in after.counted else ''}"
            )
        if not (self._before.complete and after.complete):
            yield (
                "the mounted folders are too large to be looked at whole: what this run left there that this "
                "machine may run later, and set-user-id bits, were not all looked for"
            )
        yield from self._closed(after, who)

    def _closed(self, after: Look, who: str) -> Iterator[str]:
        """Folders that the run closed to the person: opened for them alone, and looked into like the others."""
        closed = set(after.closed) - set(self._before.closed)
        opened: set[str] = set()
        stuck: set[str] = set()
        for _ in range(DEEP):
            if not closed:
                break
            shut(self._roots, sorted(closed))
            inner = Look(sorted(closed), skip=self._skip, since=self._since)
            yield from self._later(inner, who)
            yield from self._bits(inner)
            stuck |= closed & set(inner.closed)
            opened |= closed - stuck
            closed = set(inner.closed) - opened - stuck
        if opened:
            yield (
                f"{who} made folders that could not be looked into: {self._names(sorted(opened))}; "
                "they are open to you alone now"
            )
        if stuck or closed:
            yield (
                f"{who} made folders that cannot be looked into: {self._names(sorted(stuck | closed))}; "
                "other people on this machine have no access to them any more"
            )

    def _later(self, after: Look, who: str) -> Iterator[str]:
        """Names that other programs run: made (or put in place of another) and changed, by what happens."""
        found: dict[tuple[str, str], list[str]] = {}
        new = ""
        for path, (now, reason) in sorted(after.named.items(), key=_in_order):
            was = self._before.named.get(path)
            if was is None and not self._knew(path) and now.changed < self._since:
                continue
            if path in self._ignored or (was is not None and was[0] == now):
                continue
            if new and path.startswith(new):
                continue  # in a folder that is told
            # A number of an inode is used again, so that it alone does not tell what is still the same.
            other = was is None or stat.S_IFMT(was[0].mode) != stat.S_IFMT(now.mode)
            if stat.S_ISDIR(now.mode) and not other:
                continue  # what changed in it is told for itself
            if stat.S_ISDIR(now.mode):
                if os.path.basename(path) in CACHES:
                    continue  # counted
                new = path + "/"
            verb = "created" if other else "changed"
            found.setdefault((verb, reason), []).append(path)
        for (verb, reason), paths in found.items():
            yield f"{who} {verb} {self._names(paths)}: {reason}; look before you use it"

    def _bits(self, after: Look) -> Iterator[str]:
        dropped = drop(self._roots, sorted(after.risky))
        if dropped.done:
            yield (
                f"set-user-id and set-group-id bits were taken from {self._names(dropped.done)}: "
                "with them other people on this machine could act as the file's owner"
            )
        if dropped.left:
            yield (
                f"set-user-id or set-group-id bits could not be taken from {self._names(dropped.left)}: "
                "other people on this machine may act as the file's owner; remove it"
            )

    def _open(self, after: Look, who: str) -> Iterator[str]:
        """What other accounts can do since the run."""
        found = openings(self._before, after, self._knew, self._user)
        if found.everybody:
            yield (
                f"{who} made folders that everybody on this machine can write to: "
                f"{self._names(found.everybody)}"
            )
        if found.group:
            yield (
                f"{who} made folders that others of a group on this machine can write to: "
                f"{self._names(found.group)}"
            )
        if found.seen:
            yield f"{who} let everybody on this machine look into {self._names(found.seen)}"
        if found.files:
            yield (
                f"{who} made or changed files that everybody on this machine can write to: "
                f"{self._names(found.files)}"
            )
        if found.shared:
            yield (
                f"{who} made or changed files that others of a group on this machine can write to: "
                f"{self._names(found.shared)}"
            )
        if found.lists:
            yield (
                f"{who} made or changed files and folders with an access list that opens them to other accounts of "
                f"this machine: {self._names(found.lists)}; see getfacl, and setfacl -b to take the list away"
            )

    def _knew(self, path: str) -> bool:
        """Whether the look before the run would have seen ``path``: its folder was listed whole, or is new."""
        parent = os.path.dirname(path)
        return parent in self._before.listed or (self._before.complete and parent not in self._before.folders)

    def _names(self, paths: list[str] | tuple[str, ...]) -> str:
        paths = sorted(paths, key=natural.order)
        prefix = self._directory.rstrip("/") + "/"
        shown = [
            path if path == self._directory else shorten(path.removeprefix(prefix)) for path in paths[:SHOWN]
        ]
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        return (
            ", ".join("the notebook's directory" if path == self._directory else path for path in shown)
            + more
        )


def shorten(path: str) -> str:
    """A path as it fits into a note: its beginning and its end."""
    return path if len(path) <= WIDTH else f"{path[: WIDTH // 3]}…{path[-(WIDTH - WIDTH // 3 - 1) :]}"


def _in_order(item: tuple[str, object]) -> str:
    """What is in a folder comes right after it."""
    return item[0].replace("/", "\0")


def _jupyters(host: Host) -> frozenset[str]:
    """What Jupyter itself writes during a run: the open notebook, and the checkpoint of it."""
    if host.notebook is None:
        return frozenset()
    copy = host.notebook.parent / ".ipynb_checkpoints" / f"{host.notebook.stem}-checkpoint.ipynb"
    return frozenset({str(host.notebook), str(copy)})
