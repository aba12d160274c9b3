"""Who the tool runs as."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..findings import Violation
from .context import Context

if TYPE_CHECKING:
    from ..host import Host

_ROOT_NAMES = frozenset(("root", "toor"))
_MAX_ID = 2**31 - 1

# What Go's `bytes.TrimSpace` takes off; Python's `strip()` takes more, and would read another line first.
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_GO_SPACE += "\u2028\u2029\u202f\u205f\u3000"


def root_is_caller(host: Host) -> bool:
    """Whether uid 0 in the container is no more than the caller is already."""
    return host.uid == 0 or (host.engine is not None and host.engine.rootless)


def _zero(part: str) -> bool:
    number = part.lstrip("+-")
    return (number != "" and not number.strip("0")) or part.lower() in _ROOT_NAMES


def user(context: Context) -> Iterator[Violation]:
    """uid 0 with a read-write folder leaves setuid-root files on the host; group 0 reads what root's group
    may."""
    spec = context.spec
    where = spec.user_field or "user"
    if not spec.user_field and spec.user is not None:
        return  # the caller's own
    yield from identity(context, spec.user, where)
    if not root_is_caller(context.host):
        for index, group in enumerate(spec.group_add):
            yield context.violation(
                "group-add",
                f"group_add[{index}]",
                group,
                f"The group {group} of the host may read and write what is shared with it.",
                "Leave it out, or",
                grant=f"group-add:{group}",
            )


def identity(context: Context, name: str | None, where: str) -> Iterator[Violation]:
    """Judge a user as it stands in a manifest or an image; ``None`` is the image's own, whatever that is."""
    if root_is_caller(context.host):
        return
    if name is None:
        yield context.violation(
            "user-image",
            where,
            "image",
            "The image's own user is root in most images.",
            "Leave user out to run as yourself, or",
            grant="uid0",
        )
        return
    uid, _, gid = name.partition(":")
    if uid == "" or _zero(uid):
        yield context.violation(
            "user-root",
            where,
            name,
            "Root in the container can leave setuid-root files in a folder of the host.",
            "Leave user out to run as yourself, or",
            grant="uid0",
        )
    elif _zero(gid) and context.host.gid != 0:  # else it is the caller's own
        yield context.violation(
            "user-root-group",
            where,
            name,
            "Group 0 may read and write what the host shares with root's group.",
            "Leave the group out, or",
            grant="gid0",
        )


def numeric(name: str, passwd: str, group: str) -> str | None:
    """``uid:gid`` of a user as an image's /etc/passwd and /etc/group say it; ``None`` where they do not know
    it.

    By the rules of moby/sys/user ``GetExecUser``: a number is always an id; the first line of a name counts;
    without a group the user's own counts, else 0; what is missing or is no number is 0.
    """
    user_part, _, group_part = name.partition(":")
    if not user_part:
        uid, gid = 0, 0
    elif _plain(user_part):
        uid = _id(user_part)
        gid = next((_id(line[3]) for line in _lines(passwd) if _id(line[2]) == uid), 0)
    else:
        known = next((line for line in _lines(passwd) if line[0] == user_part), None)
        if known is None:
            return None
        uid, gid = _id(known[2]), _id(known[3])
    if _plain(group_part):
        gid = _id(group_part)
    elif group_part:
        found = next((line for line in _lines(group) if line[0] == group_part), None)
        if found is None:
            return None
        gid = _id(found[2])
    return f"{uid}:{gid}"


def _lines(text: str) -> Iterator[list[str]]:
    """The lines of an account file, each with four fields at least."""
    for line in text.split("\n"):
        line = line.strip(_GO_SPACE)
        if line and not line.startswith("#"):
            yield [*line.split(":"), "", "", ""]


def _plain(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _id(text: str) -> int:
    """An id of an account file; 0 (root) for whatever is none, as the engine reads it."""
    if not _plain(text) or len(text.lstrip("0")) > len(str(_MAX_ID)):
        return 0
    number = int(text.lstrip("0") or "0")
    return number if number <= _MAX_ID else 0


def account(context: Context, passwd: str, group: str) -> Iterator[Violation]:
    """Judge a user's name by what the image makes of it: an image can call root ``nobody``."""
    spec = context.spec
    if spec.user is None or not spec.user_field or root_is_caller(context.host):
        return
    meant = numeric(spec.user, passwd, group)
    if meant is None:
        yield context.violation(
            "user-unknown",
            spec.user_field,
            spec.user,
            "The image knows no such user or group.",
            "Write uid:gid, or leave user out to run as yourself.",
            kind="invalid",
        )
        return
    # What is root by its own words was judged before, and may have been allowed.
    user_part, _, group_part = spec.user.partition(":")
    uid, _, gid = meant.partition(":")
    if uid == "0":
        if user_part and not _zero(user_part):
            yield context.violation(
                "user-root",
                spec.user_field,
                spec.user,
                f"In this image {spec.user} is root.",
                'Leave user out to run as yourself; where root is meant, write "0:0", which can be allowed.',
            )
    elif gid == "0" and not _zero(group_part) and context.host.gid != 0:
        yield context.violation(
            "user-root-group",
            spec.user_field,
            spec.user,
            f"In this image {spec.user} has root's group.",
            f'Name another group; where root\'s is meant, write "{uid}:0", which can be allowed.',
        )


def strict(context: Context) -> Iterator[Violation]:
    """In the strict profile a user is a number: a name means what the image's /etc/passwd says it means."""
    spec = context.spec
    if not context.settings.strict or spec.user is None:
        return
    if not re.fullmatch(r"[0-9]+(?::[0-9]+)?", spec.user):
        yield context.violation(
            "user-name",
            spec.user_field or "user",
            spec.user,
            "In the strict profile a user is a number: the image decides what a name means.",
            "Write uid:gid.",
        )
