"""Which files of the notebook's directory a run made or changed, and which of them may be another run's."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import natural, overlap, run_table
from .aftermath import SHOWN, Aftermath, shorten
from .file_change import FileChange, FileRefusedError, Kind, open_result, read_result
from .look import writable

if TYPE_CHECKING:
    from .host import Host
    from .spec import RunSpec

__all__ = ["SKIPPED", "FileChange", "FileRefusedError", "Watch", "open_result", "read_result"]

ENTRIES = 20_000
SECONDS = 0.3
"""Bounds of one look at the directory; beyond them the list of files is cut short, and a note says so."""

SKIPPED = frozenset({
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".cache",
    ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox",
})  # fmt: skip
"""Directories that are not looked into: large, or nobody's results."""


class _Entry(NamedTuple):  # there are many of them
    mode: int
    size: int
    changed: int
    inode: int


class _Snapshot:
    """One look: every name below the roots, without following links, within the bounds."""

    def __init__(self, directory: Path, roots: tuple[str, ...]) -> None:
        self.entries: dict[str, _Entry] = {}
        self.complete = True
        self._roots = roots
        self._listed: set[str] = set()
        deadline = time.monotonic() + SECONDS
        waiting: deque[str] = deque()
        for root in roots:
            with contextlib.suppress(OSError):
                facts = os.lstat(directory / root)
                if stat.S_ISDIR(facts.st_mode):
                    waiting.append(root)
                else:
                    self._add(root, facts)
        while waiting:  # breadth first: what is cut off lies deep
            folder = waiting.popleft()
            try:
                with os.scandir(directory / folder) as found:
                    for entry in found:
                        if len(self.entries) >= ENTRIES or time.monotonic() > deadline:
                            self.complete = False
                            return
                        path = f"{folder}/{entry.name}" if folder else entry.name
                        try:
                            facts = entry.stat(follow_symlinks=False)
                        except OSError:
                            continue  # gone in between
                        self._add(path, facts)
                        if stat.S_ISDIR(facts.st_mode) and entry.name not in SKIPPED:
                            waiting.append(path)
            except OSError:
                continue  # not readable for the caller: no result of theirs
            self._listed.add(folder)

    def knew(self, folder: str) -> bool:
        """Whether what is not in ``entries`` was not there: ``folder`` was listed whole, or is new."""
        return folder in self._listed or not (folder in self.entries or folder in self._roots)

    def _add(self, path: str, facts: os.stat_result) -> None:
        # The time of the last change of the inode: unlike that of the content, no program can set it back.
        self.entries[path] = _Entry(facts.st_mode, facts.st_size, facts.st_ctime_ns, facts.st_ino)


class Watch:
    """Compares the notebook's directory before and after a run, as far as the tool may write there."""

    def __init__(self, spec: RunSpec, host: Host) -> None:
        self._directory = spec.directory
        self._roots = tuple(_writable(spec))
        self._closed = frozenset(_read_only(spec))
        self._ignored = {host.notebook} if host.notebook else set()
        self._entry = run_table.Entry(host.cache_dir / "writing", writable(spec))
        self._clock = overlap.Clock(spec.directory)
        self._own = ""
        self._since = 0.0
        self._seen: dict[str, overlap.Other] = {}
        self._began = time.time_ns()
        self._aftermath = Aftermath(spec, host, SKIPPED)
        self._before = _Snapshot(self._directory, self._roots)
        self.unattributed: tuple[FileChange, ...] = ()
        """Set by :meth:`changes`: what another run may have made or changed as well."""

    def started(self, name: str, since: float) -> None:
        """The tool runs.

        :param since: the time just before the engine was asked to start it, 0 where it is not known.
        """
        self._own, self._since = name, since
        self._entry.started(name, since)

    def beside(self, other: overlap.Other) -> None:
        """The engine has another run that can write to the same folders."""
        self._seen[other.name] = other

    def close(self) -> None:
        """Nothing more is asked: the run is over, or was never started."""
        self._entry.close()

    def changes(self) -> tuple[tuple[FileChange, ...], tuple[str, ...]]:
        """(files made or changed by this run and no other, in natural order; notes for the person)."""
        before, after = self._before, _Snapshot(self._directory, self._roots)
        found: list[tuple[FileChange, float]] = []
        same = set()
        for path, now in after.entries.items():
            was = before.entries.get(path)
            if was is not None and was.changed > self._began:
                was = None  # it came while the first look was still going on
            if was == now:
                same.add(f"{self._directory}/{path}")
                continue
            if self._directory / path in self._ignored or self._out_of_reach(path):
                continue
            if was is None and not before.knew(path.rpartition("/")[0]):
                continue
            if stat.S_ISREG(now.mode):
                kind: Kind = "created" if was is None else "changed"
                found.append((FileChange(path, kind, now.size, self._directory), now.changed / 1e9))
        found.sort(key=lambda each: natural.order(each[0].path))
        others = self._others()  # after the look: a run that began since is among them
        files, shared = self._attributed(found, others)
        who = "this run or another beside it" if others else "this run"
        notes = [*_cannot_tell(shared, len(others)), *self._aftermath.notes(same, who=who)]
        if not (before.complete and after.complete):
            notes.append(
                f"not all changed files are listed: more than {ENTRIES} are there, or it took too long"
            )
        self.unattributed = tuple(shared)
        self._entry.close()  # only now: taking bits away is a change that others would take for their tool's
        return tuple(files), tuple(notes)

    @property
    def overlapped(self) -> bool:
        """Whether another run could write where this one could."""
        return bool(self._others())

    def _others(self) -> list[overlap.Other]:
        """The runs that overlapped with this one in a folder that both can write to."""
        known = self._entry.others()
        named = {other.name for other in known}
        ours = [str(self._directory / root) for root in self._roots]
        return [
            other
            for other in (*known, *(seen for seen in self._seen.values() if seen.name not in named))
            if (other.name != self._own or not other.name) and other.meets(ours)
        ]

    def _attributed(
        self, found: list[tuple[FileChange, float]], others: list[overlap.Other]
    ) -> tuple[list[FileChange], list[FileChange]]:
        """(what this run alone has made or changed, what another may have)."""
        known = self._clock.sound()
        reach = overlap.Reach(others)
        own: list[FileChange] = []
        shared: list[FileChange] = []
        for change, at in found:
            if known and at < self._since - overlap.SLACK:
                continue  # somebody else's: the tool was not on yet
            path = f"{self._directory}/{change.path}"
            (shared if reach.includes(path, at if known else None) else own).append(change)
        return own, shared

    def _out_of_reach(self, path: str) -> bool:
        while path:
            if path in self._closed:
                return True
            path = path.rpartition("/")[0]
        return False


def _cannot_tell(shared: list[FileChange], others: int) -> Iterator[str]:
    if not shared:
        return
    names = ", ".join(shorten(change.path) for change in shared[:SHOWN])
    more = f" and {len(shared) - SHOWN} more" if len(shared) > SHOWN else ""
    yield (
        f"another run could write here at the same time, so whose these files are cannot be told: {names}{more}"
        if others == 1
        else f"{others} other runs could write here at the same time, so whose these files are cannot be told: "
        f"{names}{more}"
    )


def _writable(spec: RunSpec) -> Iterator[str]:
    """What of the notebook's directory the tool can write to: paths relative to it, ``""`` for all of it."""
    found: set[str] = set()
    for mount in spec.mounts:
        if mount.kind != "bind" or mount.read_only or mount.source is None:
            continue
        source = Path(mount.source)
        if spec.directory.is_relative_to(source):
            yield ""
            return
        if source.is_relative_to(spec.directory):
            found.add(source.relative_to(spec.directory).as_posix())
    yield from (path for path in sorted(found) if not any(path.startswith(other + "/") for other in found))


def _read_only(spec: RunSpec) -> Iterator[str]:
    """What below the notebook's directory is mounted read-only over itself, and nowhere else read-write: relative
    paths."""
    binds = [each for each in spec.mounts if each.kind == "bind" and each.source]
    written = [(str(each.source), each.target) for each in binds if not each.read_only]
    for each in binds:
        source = str(each.source)
        if not each.read_only or not Path(source).is_relative_to(spec.directory):
            continue
        ways = [
            target.rstrip("/") + source[len(root.rstrip("/")) :]
            for root, target in written
            if overlap.within(source, root)
        ]
        if ways == [each.target] and not any(overlap.within(root, source) for root, _ in written):
            yield Path(source).relative_to(spec.directory).as_posix()
