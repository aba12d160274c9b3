"""Finds what the host runs later in a folder that is to be mounted, wherever it lies in it.

No link is followed, and what is guarded as a whole is not looked into. Types come with the listing, so that ordinary
files cost no look at each. The walk has bounds; who mounts the folder must refuse where they are hit.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ..policy.protected_later import bare_repository, guarded

ENTRIES = 500_000
SECONDS = 10.0
LONG = 256
"""Bounds of one walk. What is so many characters deep counts once more."""

KEPT_ENTRIES = 200_000
KEPT_SECONDS = 2.0
"""Bounds of the look for sockets in what is kept read-only."""

SEEN_SECONDS = 3.0
"""Seconds for a folder that is mounted read-only, in which only sockets are looked for."""

LARGE = "It has too many files to look for what this machine runs later."
SHUT = "It cannot be looked into, but the run could open it, and nobody knows what this machine runs later in it."

_BARE = (
    "HEAD",
    "config",
    "config.worktree",
    "commondir",
    "hooks",
    "objects",
    "refs",
    "packed-refs",
    "info",
    "worktrees",
    "modules",
)
_ENVIRONMENT = (
    "pyvenv.cfg",
    "conda-meta",
    "bin",
    "condabin",
    "Scripts",
    "lib",
    "lib64",
    "Lib",
    "libexec",
    "etc",
    "sbin",
    "share",
    "ssl",
    "plugins",
    "opt",
    "Library",
)


@dataclass
class Walk:
    """What one walk found.

    :param keep: to be read-only; :param special: sockets, pipes and devices; :param pointers: those of ``keep`` that
        git follows; :param many: it found too many; :param problem: why not all was looked at, empty where it was.
    """

    keep: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    many: bool = False
    problem: str = ""


def walk(
    top: str, skip: Collection[str] = (), *, most: int, read_only: bool = False, seconds: float = SECONDS
) -> Walk:
    """Look through ``top``, but not into the folders in ``skip``.

    :param most: finds that can be dealt with; with one more the walk is over.
    :param read_only: the folder is mounted read-only.
    :param seconds: a bound besides the walk's own.
    """
    found = Walk()
    waiting = deque([top])
    left = ENTRIES
    deadline = time.monotonic() + min(seconds, SEEN_SECONDS if read_only else SECONDS)
    while waiting:
        folder = waiting.popleft()
        if len(found.keep) + len(found.special) > most:
            found.many = True
            return found
        if time.monotonic() > deadline:
            found.problem = LARGE
            return found
        try:
            with os.scandir(folder) as listing:
                names: dict[str, os.DirEntry[str]] = {}
                for entry in listing:
                    left -= 1 + len(folder) // LONG
                    if left < 0:
                        found.problem = LARGE
                        return found
                    names[entry.name] = entry
            # A folder may be listed and no more: what is in it can be neither looked at nor guarded by itself.
            os.lstat(f"{folder}/.")
        except FileNotFoundError:
            continue
        except OSError:
            # The run's user owns it perhaps and can open it; what is in it then nobody has looked at.
            if folder == top:
                found.problem = SHUT
                return found
            found.keep.append(folder)
            continue
        whole = _whole(names)
        if bare_repository(names):
            found.pointers.append(folder)
        if whole and folder != top:
            found.keep.append(folder)
            continue
        found.keep.extend(f"{folder}/{name}" for name in whole if name in names)
        _sort(folder, names.values(), skip, found, waiting)
    return found


def special_in(kept: Collection[str], most: int) -> list[str]:
    """Sockets, pipes and devices in what is kept read-only as a whole, which does not stop a connection.

    A look that ends at :data:`KEPT_ENTRIES` and :data:`KEPT_SECONDS`: an environment or a repository is large.
    """
    found: list[str] = []
    waiting = deque(kept)
    left = KEPT_ENTRIES
    deadline = time.monotonic() + KEPT_SECONDS
    while waiting and left > 0 and len(found) < most and time.monotonic() < deadline:
        folder = waiting.popleft()
        with contextlib.suppress(OSError), os.scandir(folder) as listing:  # a file, or gone
            for entry in listing:
                left -= 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{folder}/{entry.name}")
                elif not entry.is_symlink() and not entry.is_file(follow_symlinks=False):
                    found.append(f"{folder}/{entry.name}")
    return found[:most]


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
        except FileNotFoundError:
            continue  # gone in between
        except OSError:
            plain, inner, later = True, False, True  # whatever it is, it is not left to the run
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
