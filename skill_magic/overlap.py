"""Runs beside one another: which of them could have made the last change of a file.

Which process writes a file is not to be learned afterwards. What can be known is who could have: the folders that each
run can write to, and the time from its start to its end. This person's runs are in a table, see
:mod:`skill_magic.run_table`. Those that only the engine knows (another person's, or one whose process is gone) come
from its list of containers, see :mod:`skill_magic.engine.neighbours`.
"""

from __future__ import annotations

import bisect
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SLACK = 0.02
"""Seconds by which the time of a change, which a file system takes from a coarse clock, may lag behind ours."""

_LOCAL = frozenset({
    "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "overlayfs", "ramfs", "reiserfs", "tmpfs",
    "xfs", "zfs",
})  # fmt: skip
"""File systems that take their times from this machine's own clock."""


@dataclass(frozen=True)
class Other:
    """Another run: ``roots`` are the host paths that it could write to, from ``began`` to ``ended``, in seconds since
    the epoch."""

    name: str
    roots: tuple[str, ...]
    began: float
    ended: float = math.inf

    def meets(self, roots: Iterable[str]) -> bool:
        """Whether there is a file below ``roots`` that it could write to."""
        return any(within(mine, root) or within(root, mine) for mine in roots for root in self.roots)


class Reach:
    """Where other runs could write, and when."""

    def __init__(self, others: Iterable[Other]) -> None:
        spans: dict[str, list[tuple[float, float]]] = {}
        for other in others:
            for root in other.roots:
                spans.setdefault(root.rstrip("/"), []).append((other.began - SLACK, other.ended))
        self._spans = {root: _joined(found) for root, found in spans.items()}

    def includes(self, path: str, at: float | None) -> bool:
        """Whether one of them may have made the last change of ``path``, at the time ``at`` where that is known."""
        while True:
            spans = self._spans.get(path)
            if spans is not None:
                if at is None:
                    return True
                place = bisect.bisect_right(spans, (at, math.inf)) - 1
                if place >= 0 and at <= spans[place][1]:
                    return True
            if not path:
                return False
            path = path.rpartition("/")[0]


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for began, ended in sorted(spans):
        if joined and began <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], ended)
        else:
            joined.append((began, ended))
    return joined


def within(path: str, tree: str) -> bool:
    """Whether ``path`` is ``tree`` or below it."""
    return path == tree or path.startswith(tree.rstrip("/") + "/")


class Clock:
    """Whether times of files below a directory can be compared with ours, over a stretch of time."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.path.realpath(directory)
        self._offset = _offset()

    def sound(self) -> bool:
        """Whether it is so: the file system takes its times from this machine, and nobody has set the clock since."""
        steady = abs(_offset() - self._offset) < SLACK / 2
        return steady and _file_system(self._directory) in _LOCAL


def _offset() -> float:
    """How far our clock is before the one that nobody sets; a pause between the two readings makes it look less."""
    return max(time.time() - time.monotonic() for _ in range(3))


def _file_system(directory: str) -> str:
    """The type of the file system that ``directory`` is on; empty where it is not known."""
    from .policy.paths import mounted_file_systems

    found = ""
    longest = 0
    for point, kind in mounted_file_systems():
        if len(point) >= longest and within(directory, point):  # a later one covers an earlier one
            found, longest = kind, len(point)
    return found
