"""One look at all the folders that a run may write to: names that the host runs later, and modes.

Unlike the list of result files it leaves no folder out, for a tool can put a file where nobody lists it. What is
mounted read-only over itself is not looked into: the run cannot change it. No link is followed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from .access_lists import AccessLists, access_lists
from .policy.paths import leads, resolve
from .policy.protected_later import FIXED, MODULE, MOST_HOOKS, bare_repository, in_namespace, why

if TYPE_CHECKING:
    from .spec import RunSpec

ENTRIES = 300_000
SECONDS = 3.0
LONG = 256
"""Bounds of one look; where they are hit, a note says so. What is so many characters deep counts once more."""

SET_ID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class Facts:
    """What tells whether a file is still the same one, untouched."""

    mode: int
    inode: int
    size: int
    modified: int
    changed: int
    leads: str = ""


def facts_of(path: str, found: os.stat_result) -> Facts:
    """The facts of one ``lstat``, and where a link ends: a link on its way may be changed instead of it."""
    end = leads(path) if stat.S_ISLNK(found.st_mode) else ""
    return Facts(found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, end)


def writable(spec: RunSpec) -> tuple[str, ...]:
    """The host paths that the run may write to, outermost ones alone."""
    sources = sorted(
        {each.source for each in spec.mounts if each.kind == "bind" and not each.read_only and each.source}
    )
    kept: list[str] = []
    for source in sources:
        if not kept or not _in(source, kept[-1]):
            kept.append(source)
    return tuple(kept)


def out_of_reach(spec: RunSpec) -> dict[str, tuple[int, int] | None]:
    """The host paths that are mounted read-only over themselves, and nowhere else read-write, with what stood there."""
    written = [
        each.source for each in spec.mounts if each.kind == "bind" and not each.ours and not each.read_only
    ]
    return {
        each.source: each.identity
        for each in spec.mounts
        if each.kind == "bind" and each.ours and each.read_only and each.source
        if not any(_in(source, each.source) for source in written if source)
    }


def _in(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree.rstrip("/") + "/")


class Look:
    """What was found below ``roots``.

    :param skip: folders that are not looked into, with the (device, inode) that each is guarded as. Another one in its
        place was moved there by the run.
    :param since: nanoseconds since the epoch; where it is given every file is looked at, and those changed later
        are counted and searched for bits that give their owner's rights away.
    :param known: folders of an earlier look: the fixed names in them are looked at even where a bound is hit.
    :param apart: names of folders that are counted together (``__pycache__``); :param ignored: files that are
        not; :param same: files that are known not to have changed since.
    """

    def __init__(
        self,
        roots: Iterable[str],
        *,
        skip: Mapping[str, tuple[int, int] | None] = MappingProxyType({}),
        since: int | None = None,
        known: Iterable[str] = (),
        apart: frozenset[str] = frozenset(),
        ignored: frozenset[str] = frozenset(),
        same: Collection[str] = (),
    ) -> None:
        self.folders: dict[str, int] = {}
        self.groups: dict[str, int] = {}
        self.lists: dict[str, AccessLists] = {}
        self.listed: set[str] = set()
        self.named: dict[str, tuple[Facts, str]] = {}
        self.risky: list[str] = []
        self.loose: list[str] = []
        self.grouped: list[str] = []
        self.outward: list[tuple[str, str]] = []
        self.counted: Counter[str] = Counter()
        self.closed: list[str] = []
        self.complete = True
        self._skip, self._since, self._apart, self._ignored = skip, since, apart, ignored
        self._same = same
        self._entries = 0
        self._deadline = time.monotonic() + SECONDS
        self._waiting: deque[tuple[str, str]] = deque()
        self._roots = tuple(roots)
        self._below = min(
            (len(root) for root in self._roots), default=0
        )  # folders further up are none of Python's
        for root in self._roots:
            self._root(root)
        while self._waiting and self.complete:
            self._folder(*self._waiting.popleft())
        if not self.complete:
            self._fixed(known)

    def _root(self, root: str) -> None:
        try:
            found = os.lstat(root)
        except OSError:
            return
        if stat.S_ISDIR(found.st_mode):
            self._found(root, found)
            self._waiting.append((root, ""))
        else:
            reason = why(os.path.basename(root))
            if reason is not None:
                self.named[root] = (facts_of(root, found), reason)
            self._file(root, found, "")

    def _folder(self, folder: str, group: str) -> None:
        parent = os.path.basename(folder)
        names: list[str] = []
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    self._entries += 1 + len(folder) // LONG
                    if self._entries > ENTRIES or time.monotonic() > self._deadline:
                        self.complete = False
                        return
                    names.append(entry.name)
                    self._entry(entry, folder, parent, group)
        except FileNotFoundError:
            return
        except OSError:
            self.closed.append(folder)
            return
        self.listed.add(folder)
        if bare_repository(names) and parent != ".git":
            head = next(name for name in names if name.lower() == "head")
            self._name(os.path.join(folder, head), "version control runs hooks and commands named there")

    def _entry(self, entry: os.DirEntry[str], folder: str, parent: str, group: str) -> None:
        path = f"{folder}/{entry.name}" if folder != "/" else f"/{entry.name}"
        try:
            is_folder, is_link = entry.is_dir(follow_symlinks=False), entry.is_symlink()
            reason = why(entry.name, parent, link=is_link) or (
                in_namespace(path[self._below :]) if entry.name.endswith(MODULE) else None
            )
            if not is_folder and reason is None and (self._since is None or path in self._same):
                return
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # gone in between
        except OSError:  # its path is too long, or the folder may be listed and no more
            if folder not in self.closed[-1:]:
                self.closed.append(folder)
            return
        if reason is not None:
            self.named[path] = (facts_of(path, found), reason)
            if entry.name.lower() == ".git":
                self._hooks(path, reason)
        if is_folder:
            guarded = self._skip.get(path, ())
            if guarded not in (None, (found.st_dev, found.st_ino)):
                self._found(path, found)
                self._waiting.append((path, group or (entry.name if entry.name in self._apart else "")))
        elif is_link:
            self._link(path, found)
        elif self._since is not None:
            self._file(path, found, group)

    def _link(self, path: str, found: os.stat_result) -> None:
        """A new link that leads out of what the run may write to: what the person does with it they do elsewhere."""
        if self._since is None or found.st_ctime_ns < self._since:
            return
        end = resolve(path)
        if not any(_in(end, root) for root in self._roots):
            self.outward.append((path, end))

    def _hooks(self, repository: str, reason: str) -> None:
        """Hooks that are links: the folder is guarded, but not each link that one of them passes."""
        with contextlib.suppress(OSError), os.scandir(f"{repository}/hooks") as entries:
            for entry in itertools.islice(entries, MOST_HOOKS):
                if entry.is_symlink():
                    self._name(entry.path, reason)

    def _found(self, folder: str, found: os.stat_result) -> None:
        self.folders[folder], self.groups[folder] = found.st_mode, found.st_gid
        if lists := access_lists(folder):
            self.lists[folder] = lists

    def _file(self, path: str, found: os.stat_result, group: str) -> None:
        if self._since is None or not stat.S_ISREG(found.st_mode) or found.st_ctime_ns < self._since:
            return
        if group and path not in self._ignored:
            self.counted[group] += 1
        if found.st_mode & stat.S_IWOTH:
            self.loose.append(path)
        elif found.st_mode & stat.S_IRWXG:  # with an access list these bits are the most that it gives
            self.grouped.append(path)
        if found.st_mode & SET_ID or (found.st_mode & 0o111 and has_capabilities(path)):
            self.risky.append(path)

    def _name(self, path: str, reason: str) -> None:
        try:
            self.named[path] = (facts_of(path, os.lstat(path)), reason)
        except OSError:
            return

    def _fixed(self, known: Iterable[str]) -> None:
        """The names themselves, in the folders that were there before."""
        for folder in known:
            if folder in self.listed:
                continue
            if time.monotonic() > self._deadline + SECONDS:
                return
            for name in _spellings():
                reason = why(name)
                if reason is not None:
                    self._name(os.path.join(folder, name), reason)


def has_capabilities(path: str, *, follow: bool = False) -> bool:
    """Whether a program has rights of its own (file capabilities of Linux)."""
    if not hasattr(os, "getxattr"):
        return False
    try:
        return bool(os.getxattr(path, "security.capability", follow_symlinks=follow))
    except OSError:
        return False


def _spellings() -> tuple[str, ...]:
    """The names to try one by one: as programs spell them, and modules beside a notebook."""
    from .policy.protected_later import shadowed

    usual = {"Makefile", "GNUmakefile", "Taskfile.yml", "Snakefile", "Rakefile", ".Rprofile", ".Renviron"}
    return (*sorted(FIXED | usual), *(f"{name}.py" for name in sorted(shadowed())))
