"""Who the tool runs as: the key `user`, the caller where it is not set, and the groups that go with the caller."""

from __future__ import annotations

from collections.abc import Iterable

from ..findings import Violation
from ..flags.values import Wanted
from ..host import Host
from ..manifest import values
from ..manifest.expand import ExpandError, expand, split
from ..manifest.layers import Skill
from ..policy import redact
from ..policy.protected import below
from ..policy.user import number, steering_group
from ..spec import Mount
from . import limits
from .envvars import sentence


def user(skill: Skill, wanted: Wanted) -> tuple[str | None, str, tuple[str, ...]]:
    """The user as the engine is told, the field it comes from, and the host variables that are a part of it."""
    host = wanted.host
    names: tuple[str, ...] = ()
    written = skill.docker.user
    if written is not None and values.user_fault(written) is not None:
        written, names = _filled_in(written, wanted)
    chosen, field = limits.chosen(wanted, "user", written, None, values.user_fault, str)
    if field != "user":
        names = ()
    rootless = _rootless(host)
    if chosen is None:
        # Under a rootless engine the container's root is the caller; any other uid is nobody the host knows.
        return ("0:0" if rootless else f"{host.uid}:{host.gid}"), "", ()
    if chosen.isdigit() and host.uid != 0 and not rootless:
        # Without a group the image decides, and an image that does not know the number gives root's.
        chosen = f"{chosen}:{host.gid}" if chosen.strip("0") else f"{chosen}:0"
    return (None if chosen == "image" else chosen), field, names


def _rootless(host: Host) -> bool:
    return host.engine is not None and host.engine.rootless


def _filled_in(written: str, wanted: Wanted) -> tuple[str | None, tuple[str, ...]]:
    """``written`` with its variables filled in, ``None`` where it cannot be. ``UID`` and ``GID`` are the caller's,
    by the numbers that the caller has in a container of this engine."""
    variables = wanted.host.variables
    if _rootless(wanted.host):
        variables |= {"UID": "0", "GID": "0"}
    parts: list[str] = []
    names: dict[str, None] = {}
    for part in split(written):
        try:
            filled = expand(part, variables)
        except ExpandError as error:
            _fault(wanted, written, values.Fault("variable", sentence(error.message), sentence(error.hint)))
            return None, ()
        # A number is no secret, and the value of any other variable is not shown.
        secret = next((name for name in filled.names if redact.secret_name(name)), None)
        if secret is not None or (filled.names and not (filled.text.isascii() and filled.text.isdigit())):
            what = (
                f"The name of {secret} speaks of a secret"
                if secret
                else f"{_listed(filled.names)} is no number"
            )
            fix = 'Variables stand for numbers here, as in "${UID}:${GID}"; write a name as it is.'
            _fault(wanted, written, values.Fault("user-invalid", f"{what}.", fix))
            return None, ()
        parts.append(filled.text)
        names.update(dict.fromkeys(filled.names))
    text = ":".join(parts)
    if fault := values.user_fault(text):
        _fault(wanted, written, fault)
        return None, ()
    return text, tuple(names)


def _fault(wanted: Wanted, written: str, fault: values.Fault) -> None:
    wanted.faults.append(Violation(fault.code, "user", written, fault.reason, fault.fix, kind="invalid"))


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"${{{name}}}" for name in names)


def groups(user: str | None, mounts: Iterable[Mount], wanted: Wanted) -> tuple[int, ...]:
    """The further groups of a run as the caller: those that share the notebook's directory (``directory_groups``).

    A run as somebody else has none of them, and one without the directory needs none. In a rootless engine the
    numbers are not those of the host, and on another machine they are other people's.
    """
    host = wanted.host
    uid, _, gid = (user or "").partition(":")
    elsewhere = _rootless(host) or (host.engine is not None and host.engine.remote)
    if elsewhere or number(uid) != host.uid or not _mounted(mounts, host):
        return ()
    given, steering = [], steering_group(host)
    for each in host.directory_groups:
        withheld = each.withheld
        if each.gid == steering:
            withheld = "may use the engine, and with it this machine"
        if withheld:
            wanted.notes.append(
                f"the group {each} of the notebook's directory is not given to the container: it {withheld}"
            )
        elif each.gid != number(gid):
            given.append(each.gid)
    return tuple(given)


def _mounted(mounts: Iterable[Mount], host: Host) -> bool:
    """Whether the notebook's directory, a part of it, or what is around it is there."""
    own = str(host.directory)
    sources = [each.source for each in mounts if each.kind == "bind" and each.source]
    return any(below(source, own) or below(own, source) for source in sources)
