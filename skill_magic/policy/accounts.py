"""What names of users and groups mean: the image's own /etc/passwd and /etc/group decide, and are judged."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Violation
from ..spec import RunSpec, Wish
from .context import Context
from .user import is_root, number, other_group, other_user, own_groups, root_group, root_is_caller

_MAX_ID = 2**31 - 1

# What Go's `bytes.TrimSpace` takes off; Python's `strip()` takes more, and would read another line first.
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_GO_SPACE += "\u2028\u2029\u202f\u205f\u3000"


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
        gid = next((_id(line[3]) for line in lines_of(passwd) if _id(line[2]) == uid), 0)
    else:
        known = next((line for line in lines_of(passwd) if line[0] == user_part), None)
        if known is None:
            return None
        uid, gid = _id(known[2]), _id(known[3])
    if _plain(group_part):
        gid = _id(group_part)
    elif group_part:
        found = next((line for line in lines_of(group) if line[0] == group_part), None)
        if found is None:
            return None
        gid = _id(found[2])
    return f"{uid}:{gid}"


def lines_of(text: str) -> Iterator[list[str]]:
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


def group_number(name: str, group: str) -> int | None:
    """The gid of a group as an image's /etc/group says it; ``None`` where it does not know it."""
    if _plain(name):
        return _id(name)
    found = next((line for line in lines_of(group) if line[0] == name), None)
    return None if found is None else _id(found[2])


def named_groups(spec: RunSpec) -> list[Wish]:
    """The wishes for further groups that are names."""
    return [wish for wish in spec.wishes if wish.option == "group-add" and not _plain(wish.value)]


def account(context: Context, passwd: str, group: str, image_user: str = "") -> Iterator[Violation]:
    """Judge names by what the image makes of them: an image can call root ``nobody``, and the host's group of
    the engine ``users``.

    :param image_user: the image's own user, for a run with ``user = "image"``.
    """
    spec = context.spec
    if root_is_caller(context.host):
        return
    if spec.user is None:
        yield from _user(context, image_user or "0", "user", passwd, group)
    elif spec.user_field:
        yield from _user(context, spec.user, spec.user_field, passwd, group)
    for wish in named_groups(spec):
        yield from _added(context, wish, group)


def _user(context: Context, name: str, where: str, passwd: str, group: str) -> Iterator[Violation]:
    meant = numeric(name, passwd, group)
    if meant is None:
        yield _unknown(context, where, name)
        return
    # What is a number or root's by its own words was judged before, and may have been allowed.
    user_part, _, group_part = name.partition(":")
    uid, gid = (int(part) for part in meant.split(":"))
    own = context.spec.user is not None
    if uid == 0:
        if own and user_part and not is_root(user_part):
            yield context.violation(
                "user-root",
                where,
                name,
                f"In this image {name} is root.",
                'Leave user out to run as yourself; where root is meant, write "0:0", which can be allowed.',
            )
            return
    elif number(user_part) is None:
        yield from other_user(context, where, name, uid, f"In this image {name} is {meant}. ")
    if gid != 0:
        if number(group_part) is None:
            yield from other_group(context, where, name, gid, f"In this image {name} is {meant}. ")
    elif uid != 0 and not is_root(group_part) and 0 not in own_groups(context.host):
        if not own:
            yield root_group(context, where, name)
            return
        yield context.violation(
            "user-root-group",
            where,
            name,
            f"In this image {name} has root's group.",
            f'Name another group; where root\'s is meant, write "{uid}:0", which can be allowed.',
        )


def _added(context: Context, wish: Wish, group: str) -> Iterator[Violation]:
    """A group that was asked for by name and allowed by name: the image could call any number so."""
    gid = group_number(wish.value, group)
    if gid is None:
        yield _unknown(context, wish.field, f"--group-add {wish.value}")
    elif gid not in own_groups(context.host):
        yield context.violation(
            "group",
            wish.field,
            f"--group-add {wish.value}",
            f"In this image the group {wish.value} is {gid}, which is none of yours.",
            "Leave it out, or",
            grant=f"group-add:{gid}",
        )


def _unknown(context: Context, where: str, name: str) -> Violation:
    return context.violation(
        "user-unknown",
        where,
        name,
        "The image knows no such user or group.",
        "Write uid:gid, or leave user out to run as yourself.",
        kind="invalid",
    )
