"""POSIX access lists: which accounts a file or folder is opened to besides its owner, its group and everybody.

The form is the kernel's (``struct posix_acl_xattr_header`` and ``posix_acl_xattr_entry`` in
``include/uapi/linux/posix_acl_xattr.h``): a version of four bytes, then entries of a tag, rights and a number.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

Entry = tuple[int, int, int]
"""Tag, rights, number of a user or group."""

_USER, _GROUP = 0x02, 0x08
_VERSION = 2
_NOTHING: frozenset[Entry] = frozenset()


@dataclass(frozen=True, slots=True)
class AccessLists:
    """:param named: the entries for users and groups by number; :param given: the list that is given to what is made in
    a folder."""

    named: frozenset[Entry] = _NOTHING
    given: frozenset[Entry] = _NOTHING

    def __bool__(self) -> bool:
        return bool(self.named or self.given)

    def passed_on(self, *, folder: bool) -> AccessLists:
        """What a new file or folder in this folder has by it; other rights show in its mode."""
        return AccessLists(_numbered(self.given), self.given if folder else _NOTHING)

    def within(self, other: AccessLists) -> bool:
        """Whether it opens nothing that ``other`` does not."""
        return self.named <= other.named and (self.given == other.given or not self.given)


NONE = AccessLists()


def access_lists(path: str) -> AccessLists:
    """The lists of a file or folder; a list that is not understood counts as one that opens it."""
    return AccessLists(_numbered(_read(path, "access")), _read(path, "default"))


def _numbered(entries: frozenset[Entry]) -> frozenset[Entry]:
    return frozenset(each for each in entries if each[0] in (_USER, _GROUP))


def _read(path: str, which: str) -> frozenset[Entry]:
    if not hasattr(os, "getxattr"):
        return _NOTHING  # macOS keeps its lists elsewhere
    try:
        data = os.getxattr(path, f"system.posix_acl_{which}", follow_symlinks=False)
    except OSError:
        return _NOTHING  # it has none, or its file system knows none
    if len(data) < 4 or len(data) % 8 != 4 or struct.unpack_from("<I", data)[0] != _VERSION:
        return frozenset({(_USER, 7, -1)})
    return frozenset(struct.iter_unpack("<HHI", data[4:]))
