"""What other accounts of this machine can do since a run that they could not before it: told, not changed.

A folder that everybody can write to lets everybody put a module beside a notebook; a tool that made it so has given
away what is the person's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .access_lists import NONE, access_lists

if TYPE_CHECKING:
    from .look import Look


@dataclass
class Openings:
    """Paths by what others can do now.

    :param everybody: folders that all can write to; :param group: that others of a group can write to;
        :param seen: that all can look into; :param files: files that all can write to; :param shared: files that others
        of a group can write to; :param lists: folders and files with an access list that the run made or changed.
    """

    everybody: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)


def openings(before: Look, after: Look, knew: Callable[[str], bool], user: str) -> Openings:
    """Compare two looks. Where others had the same rights in the folder that a new one is in, it is no news.

    :param knew: whether the first look would have seen a path; :param user: the caller's name.
    """
    found = Openings()
    had: dict[str, int] = {}

    def same(path: str) -> bool:
        """Whether a folder has the group of before, or a new one that of the folder around it."""
        known = path if path in before.groups else os.path.dirname(path)
        return known not in before.groups or before.groups[known] == after.groups[path]

    for path, mode in sorted(after.folders.items()):  # each comes after the folder that it is in
        was = before.folders.get(path)
        old = had[path] = had.get(os.path.dirname(path), 0) if was is None else was
        if was is None and not knew(path):
            continue
        lists = after.lists.get(path, NONE)
        parent = after.lists.get(os.path.dirname(path), NONE)
        had_by_right = before.lists.get(path, NONE) if was is not None else parent.passed_on(folder=True)
        if not lists.within(had_by_right):
            found.lists.append(path)
        if _open_to_all(mode):
            if not _open_to_all(old):
                found.everybody.append(path)
        elif mode & stat.S_IWGRP and not (old & stat.S_IWGRP and same(path)) and _shared(path, user):
            found.group.append(path)
        elif was is not None and mode & ~was & (stat.S_IROTH | stat.S_IXOTH):
            found.seen.append(path)
    found.files = sorted(path for path in after.loose if not _open_to_all(had.get(os.path.dirname(path), 0)))
    for path in sorted({*after.grouped, *after.loose}):
        around = after.lists.get(os.path.dirname(path), NONE).passed_on(folder=False)
        if not access_lists(path).within(around):
            found.lists.append(path)
    known = set(found.lists)
    for path in sorted(after.grouped):
        folder = os.path.dirname(path)
        theirs = had.get(folder, 0) & stat.S_IWGRP and before.groups.get(folder) in (None, _group_of(path))
        if path not in known and not theirs and _writes(path, user):
            found.shared.append(path)
    return found


def _group_of(path: str) -> int | None:
    try:
        return os.lstat(path).st_gid
    except OSError:
        return None


def _writes(path: str, user: str) -> bool:
    try:
        return bool(os.lstat(path).st_mode & stat.S_IWGRP) and _shared(path, user)
    except OSError:
        return False


def _open_to_all(mode: int) -> bool:
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _shared(path: str, user: str) -> bool:
    """Whether the group of a folder or file is more than the caller, or an access list names somebody."""
    import grp

    if access_lists(path).named:
        return True
    try:
        found = os.lstat(path)
        group = grp.getgrgid(found.st_gid)
    except KeyError:
        return found.st_gid != os.getuid()
    except OSError:
        return False
    # A group of the caller's own name is theirs alone by convention; who has it as first group is not told.
    return group.gr_name != user or bool({*group.gr_mem} - {user})
