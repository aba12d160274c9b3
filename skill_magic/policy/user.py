"""Who the tool runs as."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..findings import Violation
from .context import Context

if TYPE_CHECKING:
    from ..host import Host

_ROOT_NAMES = frozenset(("root", "toor"))


def root_is_caller(host: Host) -> bool:
    """Whether uid 0 in the container is no more than the caller is already.

    Then no other identity is more either: what another uid or gid may do, a caller who is root may do anyway,
    and all ids of a rootless engine are the caller's own or nobody's.
    """
    return host.uid == 0 or (host.engine is not None and host.engine.rootless)


def steering_group(host: Host) -> int | None:
    """The group of the engine's socket, ``None`` where there is none to be seen: whoever has it has the machine."""
    socket = host.engine.socket if host.engine is not None else None
    if socket is not None:
        with contextlib.suppress(OSError):
            return os.stat(socket).st_gid
    return None


def own_groups(host: Host) -> frozenset[int]:
    """The groups that a tool may have without a grant: the caller's own, without the one that steers the engine
    (unless every run has it, as the caller's first)."""
    return frozenset({host.gid, *host.groups} - {steering_group(host)} | {host.gid})


def number(text: str) -> int | None:
    """An id as the engine reads it (``010`` is ten, ``+5`` five); ``None`` for a name."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    digits = (
        text.lstrip("+-").lstrip("0")[:20] or "0"
    )  # what is longer is beyond every id, and as foreign cut off
    return -int(digits) if text.startswith("-") else int(digits)


def is_root(part: str) -> bool:
    """Whether a user or a group is root's by its own words."""
    return number(part) == 0 or part.lower() in _ROOT_NAMES


def user(context: Context) -> Iterator[Violation]:
    """uid 0 with a read-write folder leaves setuid-root files on the host; another's uid or gid reads what the
    caller may not, and leaves files that lend their rights to others."""
    spec = context.spec
    where = spec.user_field or "user"
    if not spec.user_field and spec.user is not None:
        return  # the caller's own
    yield from identity(context, spec.user, where)


def given_groups(context: Context) -> Iterator[Violation]:
    """What the plan gives of the caller's own groups, looked at once more: nothing lifts it where it is another."""
    known = {each.gid for each in context.host.directory_groups if not each.withheld}
    for gid in context.spec.groups:
        if gid <= 0 or gid not in known or gid == steering_group(context.host):
            yield context.violation(
                "group-add",
                "groups",
                str(gid),
                f"The group {gid} is none that the notebook's directory may be shared with.",
                "Run the skill in a directory of your own.",
            )


def added_groups(context: Context) -> Iterator[Violation]:
    """Groups that are asked for always need a grant, the caller's own too: a run has only those of them that share
    the notebook's directory."""
    if root_is_caller(context.host):
        return
    for index, group in enumerate(context.spec.group_add):
        yield context.violation(
            "group-add",
            f"group_add[{index}]",
            group,
            f"The group {group} of the host may read and write what is shared with it.",
            "Leave it out, or",
            grant=f"group-add:{group}",
        )


def identity(context: Context, name: str | None, where: str) -> Iterator[Violation]:
    """Judge a user as it stands in a manifest or an image; ``None`` is the image's own, whatever that is.

    What is a name here is judged once the image is at hand (``accounts.account``).
    """
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
    user_part, _, group_part = name.partition(":")
    uid, gid = number(user_part), number(group_part)
    root = user_part == "" or is_root(user_part)
    if root:
        yield context.violation(
            "user-root",
            where,
            name,
            "Root in the container can leave setuid-root files in a folder of the host.",
            "Leave user out to run as yourself, or",
            grant="uid0",
        )
    elif uid is not None:
        yield from other_user(context, where, name, uid)
    if is_root(group_part):
        if not root and 0 not in own_groups(context.host):
            yield root_group(context, where, name)
    elif gid is not None:
        yield from other_group(context, where, name, gid)


def other_user(context: Context, where: str, name: str, uid: int, meaning: str = "") -> Iterator[Violation]:
    """The refusal of a uid that is not the caller's; ``meaning`` tells where it comes from."""
    if uid != context.host.uid:
        yield context.violation(
            "user-other",
            where,
            name,
            f"{meaning}The user {uid} is not you: a tool would read what is theirs and leave files of theirs.",
            "Leave user out to run as yourself, or",
            grant=f"uid:{uid}",
        )


def other_group(context: Context, where: str, name: str, gid: int, meaning: str = "") -> Iterator[Violation]:
    """The refusal of a gid that is none of the caller's, or that steers the engine."""
    host = context.host
    if gid in own_groups(host):
        return
    what = "is none of yours: a tool would have its rights on what is mounted"
    if gid == steering_group(host):
        what = "may use the engine, and with it the whole machine: files that a tool leaves could lend that to others"
    yield context.violation(
        "group-other",
        where,
        name,
        f"{meaning}The group {gid} {what}.",
        "Leave the group out, or",
        grant=f"gid:{gid}",
    )


def root_group(context: Context, where: str, name: str) -> Violation:
    """The refusal of group 0."""
    return context.violation(
        "user-root-group",
        where,
        name,
        "Group 0 may read and write what the host shares with root's group.",
        "Leave the group out, or",
        grant="gid0",
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
