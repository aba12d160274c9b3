"""Finds what the host runs later in a folder that is to be mounted, wherever it lies in it.

No link is followed, and what is guarded as a whole is not looked into. Types come with the listing, so that ordinary
files cost no look at each. The walk has bounds; who mounts the folder must refuse where they are hit.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ..policy.protected_later import bare_repository, guarded

ENTRIES = 500_000
SECONDS = 10.0
"""Bounds of one walk."""

_BARE = ("HEAD", "config", "hooks", "objects", "refs", "packed-refs", "info", "worktrees", "modules")
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta", "bin", "Scripts", "lib", "lib64", "Lib", "libexec", "etc", "sbin")


@dataclass
class Walk:
    """What one walk found.

    :param keep: to be read-only; :param special: sockets, pipes and devices; :param pointers: those of ``keep`` that
        git follows; :param complete: whether all was looked at.
    """

    keep: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    complete: bool = True


def walk(top: str, skip: Collection[str] = ()) -> Walk:
    """Look through ``top``, but not into the folders in ``skip``."""
    found = Walk()
    waiting = deque([top])
    left, deadline = ENTRIES, time.monotonic() + SECONDS
    while waiting:
        folder = waiting.popleft()
        if time.monotonic() > deadline:
            found.complete = False
            return found
        try:
            with os.scandir(folder) as listing:
                names: dict[str, os.DirEntry[str]] = {}
                for entry in listing:
                    left -= 1
                    if left < 0:
                        found.complete = False
                        return found
                    names[entry.name] = entry
        except FileNotFoundError:
            continue
        except OSError:
            # The run's user owns it perhaps and can open it; what is in it then nobody has looked at.
            found.keep.append(folder)
            continue
        whole = _whole(names)
        if whole and folder != top:
            found.keep.append(folder)
            continue
        found.keep.extend(f"{folder}/{name}" for name in whole if name in names)
        _sort(folder, names.values(), skip, found, waiting)
    return found


def _sort(
    folder: str,
    entries: Collection[os.DirEntry[str]],
    skip: Collection[str],
    found: Walk,
    waiting: deque[str],
) -> None:
    for entry in entries:
        name = entry.name
        path = f"{folder}/{name}"
        later = guarded(name)
        try:
            plain = entry.is_symlink() or entry.is_file(follow_symlinks=False)
            inner = not plain and entry.is_dir(follow_symlinks=False)
        except OSError:
            continue  # gone in between
        if not plain and not inner:
            found.special.append(path)  # a connection needs no right to write
        elif later:
            found.keep.append(path)
            if name.lower() == ".git":
                found.pointers.append(path)
        elif inner and path not in skip:
            waiting.append(path)


def _whole(names: Collection[str]) -> tuple[str, ...]:
    """What makes a folder a thing of its own, guarded as a whole: its parts, for a folder that is mounted itself."""
    if "pyvenv.cfg" in names or "conda-meta" in names:
        return _ENVIRONMENT
    if bare_repository(names):
        return _BARE
    return ()


def above(root: str, path: str) -> Iterator[str]:
    """The places from below ``root`` down to ``path`` that are guarded by their names or by what is in them."""
    place = root
    for part in os.path.relpath(path, root).split("/"):
        place = os.path.join(place, part)
        if guarded(part):
            yield place
            continue
        try:
            names = os.listdir(place)
        except OSError:
            continue
        if _whole(names):
            yield place
