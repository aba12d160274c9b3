"""The groups of the caller that count in the notebook's directory, and whether a container may have them.

A tool runs with the caller's uid and first group. Where a team shares a directory (mode 2770, or an access list), what
the caller may do there comes from a further group, and a container without it could not even list the directory.

A group counts where it may write to the directory, or where it is what lets a caller in who is not its owner. Looked
at is the directory alone, its mode and its POSIX access list. The folders above it do not matter: the engine mounts
the directory itself. What is below it is not searched: that would take long, and a file deep in a tree should not
decide what a run may do.

A group may be given where it is known to be one of persons: it has a name on this machine, a number beyond those of
the system, and no name that stands for power over the machine. All else is withheld.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

LOGIN_DEFS = Path("/etc/login.defs")

_FIRST = 1000
"""The first number of a group of persons, where the system does not say it (shadow's own default)."""

_RESERVED = range(61_184, 65_536)
"""Numbers that systemd gives to services, `nogroup`, and those that no file has."""

_MOST = 2**31 - 1
"""The largest number that an engine takes."""

_USERS = (100, "users")
"""The one group of persons below the others: on many systems every person has it as first or only group."""

_NAMES_OF_POWER = """
root toor sudo sudoers doas wheel admin admins administrator administrators disk kmem shadow
docker dockerroot podman containerd lxd lxc incus libvirt libvirtd kvm qemu
"""
_POWERS = frozenset(_NAMES_OF_POWER.split())
"""Words of a group's name that speak of the rights of root: who has such a group can have the machine."""

_ENGINES = ("docker", "podman", "containerd", "libvirt", "incus", "sudo")
"""What such a word begins with."""

_NAMES_OF_THE_SYSTEM = """
adm audio avahi backup bin bluetooth buildkit cdrom cdrw colord crontab daemon dba dialout dip fax floppy fuse games gdm
gnats input irc kdm lightdm list lock log lp lpadmin mail man mem messagebus mlocate mysql netdev network news nobody
nogroup operator optical plocate plugdev polkitd postfix postgres power proxy pulse rdma redis render rfkill sambashare
sasl saned scanner sddm sgx shutdown slocate src ssh ssl-cert sshd staff storage sync sys sysadmin systemd tape tss tty
usb utmp uucp uuidd vboxusers video voice wireshark www-data
"""
_SYSTEM = frozenset(_NAMES_OF_THE_SYSTEM.split())
"""Names of groups of the system, which some machines give numbers of persons."""

_ACCESS_LIST = "system.posix_acl_access"
_OWNER, _PERSON, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
"""Tags of an access list's entries (linux/posix_acl.h)."""


@dataclass(frozen=True)
class DirectoryGroup:
    """A group of the caller's that counts in the notebook's directory.

    :param name: empty where it has none.
    :param withheld: why no container gets it, as the end of a sentence that begins with its name; empty where one may
        have it.
    """

    gid: int
    name: str
    withheld: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.gid})" if self.name else str(self.gid)


def directory_groups(directory: Path, uid: int, groups: Collection[int]) -> tuple[DirectoryGroup, ...]:
    """The further groups that count in ``directory``, in the order of their numbers.

    :param groups: those that the process really has, less its first.
    """
    return tuple(_judged(gid) for gid in sorted(_that_count(directory, uid, groups)))


def _that_count(directory: Path, uid: int, groups: Collection[int]) -> Iterator[int]:
    if not groups:
        return
    try:
        found = os.stat(directory)
    except OSError:
        return
    entries = _access_list(directory)
    # With an access list the group's bits of the mode are its mask, and the owning group has an entry.
    mask, others = _entry(entries, _MASK, 7), found.st_mode & 7
    rights = {found.st_gid: _entry(entries, _OWNING_GROUP, found.st_mode >> 3 & 7) & mask}
    for tag, allowed, gid in entries:
        if tag == _GROUP:
            rights[gid] = rights.get(gid, 0) | (allowed & mask)
    # The kernel asks a file's owner, and who is named in its list, for no group.
    personal = uid == found.st_uid or any(tag == _PERSON and who == uid for tag, _, who in entries)
    for gid, allowed in rights.items():
        if gid in groups and (allowed & stat.S_IWOTH or (not personal and allowed & ~others)):
            yield gid


def _access_list(directory: Path) -> list[tuple[int, int, int]]:
    """The entries (tag, rights, id) of the POSIX access list; none where there is none, or not in that form."""
    try:
        data = os.getxattr(directory, _ACCESS_LIST) if hasattr(os, "getxattr") else b""
    except OSError:
        return []
    if len(data) < 4 or (len(data) - 4) % 8 or struct.unpack_from("<I", data)[0] != 2:
        return []
    return [(tag, allowed & 7, who) for tag, allowed, who in struct.iter_unpack("<HHI", data[4:])]


def _entry(entries: list[tuple[int, int, int]], tag: int, otherwise: int) -> int:
    return next((allowed for each, allowed, _ in entries if each == tag), otherwise)


def _judged(gid: int) -> DirectoryGroup:
    import grp

    try:
        name = grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        name = ""
    return DirectoryGroup(gid, name, withheld(gid, name, first_of_persons()))


def withheld(gid: int, name: str, first: int) -> str:
    """Why no container gets a group, empty where one may have it.

    :param first: the first number of a group of persons on this machine.
    """
    words = {word for word in re.split(r"[^a-z]+", name.lower()) if word}
    if gid <= 0 or words & _POWERS or any(word.startswith(_ENGINES) for word in words):
        return "has power over this machine"
    if not name:
        return "has no name on this machine, so that it is not known what it may do"
    if (gid, name) == _USERS:
        return ""
    plain = name.lower().lstrip("_")
    if gid < first or gid in _RESERVED or gid > _MOST or plain in _SYSTEM or plain.startswith("systemd-"):
        return "is one of the system's"
    return ""


def first_of_persons() -> int:
    """The first number of a group of persons, as the system's own tools have it: above those of the system."""
    try:
        text = LOGIN_DEFS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _FIRST
    found = dict(re.findall(r"^[ \t]*(GID_MIN|SYS_GID_MAX)[ \t]+([0-9]{1,9})[ \t]*$", text, re.MULTILINE))
    return max(int(found.get("GID_MIN", _FIRST)), int(found.get("SYS_GID_MAX", 0)) + 1, _USERS[0] + 1)
