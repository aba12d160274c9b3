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

if TYPE_CHECKING:
    from .look import Look


@dataclass
class Openings:
    """Paths by what others can do now.

    :param everybody: folders that all can write to; :param group: that others of a group, or accounts of an access
        list, can write to; :param seen: that all can look into; :param files: files that all can write to.
    """

    everybody: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def openings(before: Look, after: Look, knew: Callable[[str], bool], user: str) -> Openings:
    """Compare two looks. Where others had the same rights in the folder that a new one is in, it is no news.

    :param knew: whether the first look would have seen a path; :param user: the caller's name.
    """
    found = Openings()
    had: dict[str, int] = {}
    for path, mode in sorted(after.folders.items()):  # each comes after the folder that it is in
        was = before.folders.get(path)
        old = had[path] = had.get(os.path.dirname(path), 0) if was is None else was
        if was is None and not knew(path):
            continue
        if _open_to_all(mode):
            if not _open_to_all(old):
                found.everybody.append(path)
        elif mode & stat.S_IWGRP and not old & stat.S_IWGRP and _shared(path, user):
            found.group.append(path)
        elif was is not None and mode & ~was & (stat.S_IROTH | stat.S_IXOTH):
            found.seen.append(path)
    found.files = sorted(path for path in after.loose if not _open_to_all(had.get(os.path.dirname(path), 0)))
    return found


def _open_to_all(mode: int) -> bool:
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _shared(path: str, user: str) -> bool:
    """Whether the group of a folder is more than the caller, or an access list names somebody."""
    import grp

    try:
        if hasattr(os, "getxattr") and os.getxattr(path, "system.posix_acl_access", follow_symlinks=False):
            return True
    except OSError:
        pass  # it has none
    try:
        found = os.lstat(path)
        group = grp.getgrgid(found.st_gid)
    except KeyError:
        return found.st_gid != os.getuid()
    except OSError:
        return False
    # A group of the caller's own name is theirs alone by convention; who has it as first group is not told.
    return group.gr_name != user or bool({*group.gr_mem} - {user})
