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


def root_is_caller(host: Host) -> bool:
    """Whether uid 0 in the container is no more than the caller is already."""
    return host.uid == 0 or (host.engine is not None and host.engine.rootless)


def _zero(part: str) -> bool:
    return (part.isascii() and part.isdigit() and int(part) == 0) or part.lower() in _ROOT_NAMES


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
    elif _zero(gid):
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

    By the rules of moby/sys/user ``GetExecUser``: a number is always an id, and without a group the user's
    own counts, else 0.
    """
    user_part, colon, group_part = name.partition(":")
    lines = [line.split(":") for line in passwd.splitlines()]
    users = [line for line in lines if len(line) > 3 and line[2].isdecimal() and line[3].isdecimal()]
    if user_part.isdecimal():
        uid = int(user_part)
        gid = next((int(line[3]) for line in users if int(line[2]) == uid), 0)
    else:
        known = next((line for line in users if line[0] == user_part), None)
        if known is None:
            return None
        uid, gid = int(known[2]), int(known[3])
    if colon and group_part.isdecimal():
        gid = int(group_part)
    elif colon:
        lines = [line.split(":") for line in group.splitlines()]
        groups = (
            int(line[2]) for line in lines if line[0] == group_part and len(line) > 2 and line[2].isdecimal()
        )
        found = next(groups, None)
        if found is None:
            return None
        gid = found
    return f"{uid}:{gid}"


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
    if uid == "0" and user_part and not _zero(user_part):
        yield context.violation(
            "user-root",
            spec.user_field,
            spec.user,
            f"In this image {spec.user} is root.",
            'Leave user out to run as yourself; where root is meant, write "0:0", which can be allowed.',
        )
    elif gid == "0" and group_part and not _zero(group_part):
        yield context.violation(
            "user-root-group",
            spec.user_field,
            spec.user,
            f"In this image {spec.user} has root's group.",
            "Leave the group out; where it is meant, write it as a number, which can be allowed.",
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
