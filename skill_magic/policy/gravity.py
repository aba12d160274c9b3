"""What a grant means to a person, and how grave it is: one table, from which the question, the errors and the
counts take their words and their order.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import PolicyError
from ..findings import Violation, without_offer
from ..fit import columns, cut, value
from ..flags.table import OPTIONS
from .redact import secret_name

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import RunSpec


BRIEF = 200
"""Columns that the error of a skill without its grants has for what it asks for: about two lines of a page."""


@dataclass(frozen=True)
class Kind:
    """Grants that mean the same.

    :param says: one of them in words, ``{}`` for its value; :param one: :param many: how they are counted.
    :param why: why it stands where it stands.
    :param whole: grants of this name; :param starts: grants that begin so, their value follows.
    """

    name: str
    says: str
    one: str
    many: str
    why: str
    whole: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()


# fmt: off
KINDS = (
    Kind("unknown", "what this version cannot explain: {}", "thing without an explanation",
         "things without an explanation", "What it gives cannot be told, so it may be anything."),
    Kind("engine", "the group {}, which steers the engine, and so the machine", "group that steers the engine",
         "groups that steer the engine", "Who has the engine's socket has the machine."),
    Kind("root", "root in the container", "root", "root",
         "It leaves files of root wherever it may write, set-uid ones among them, and is one hole of the kernel "
         "away from the machine.", ("uid0",)),
    Kind("root-group", "root's group in the container", "root's group", "root's group",
         "What root shares with its group on the host is then the tool's.", ("gid0",)),
    Kind("device", "the device {}", "device", "devices",
         "A driver is a part of the kernel, and a large one.", (), ("device:",)),
    Kind("gpu-variable", "the GPU variable {}, which root reads on the host", "GPU variable", "GPU variables",
         "The hook runs on the host, as root, before there is a container.", (), ("gpu-env:",)),
    Kind("remote", "paths of the machine that the engine runs on", "paths of a remote machine",
         "paths of a remote machine", "What lies there cannot be looked at from here.", ("remote-mounts",)),
    Kind("capability", "the capability {}", "capability", "capabilities",
         "It is a part of what root may.", (), ("cap-add:",)),
    Kind("write", "write to {}", "place to write to", "places to write to",
         "Files that others rely on can be changed, and later run.", (), ("mount:rw:",)),
    Kind("group", "the group {}", "group", "groups",
         "What a group may is seldom known; some of them may do all that root may.", (), ("gid:", "group-add:")),
    Kind("port", "open the port {}", "open port", "open ports",
         "Others reach the tool from outside, past the machine's firewall.", ("publish-all",), ("publish:",)),
    Kind("option", "the option {}", "option of docker run", "options of docker run",
         "Each loosens a limit of the container."),
    Kind("secret", "your variable {}, a secret by its name", "secret of yours", "secrets of yours",
         "Who has the value can use it from anywhere."),
    Kind("network", "the network {}", "network", "networks",
         "What the tool reads can leave, and what it reaches is more than the internet.", (), ("network:",)),
    Kind("read", "read {}", "place to read", "places to read",
         "What is read can be left in the notebook's directory.", (), ("mount:ro:",)),
    Kind("variable", "your variable {}", "variable of yours", "variables of yours",
         "A secret may stand under any name, but most hold none.", (), ("env:",)),
    Kind("user", "run as the user {}", "other user", "other users",
         "It reads what that user may read, and leaves files of theirs.", (), ("uid:",)),
    Kind("registry", "an image from {}", "registry", "registries",
         "Nobody knows who keeps it; the image is confined like any other.", (), ("registry:",)),
    Kind("image", "the image {} of this machine", "local image", "local images",
         "Where it came from cannot be told; it is confined like any other.", (), ("image:",)),
    Kind("gpu", "a GPU", "GPU", "GPUs",
         "Without the strict profile it needs no grant.", ("gpus",)),
)
# fmt: on
"""Gravest first."""

_NAMED: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
_RANK: Mapping[str, int] = {kind.name: rank for rank, kind in enumerate(KINDS)}
_WHOLE: Mapping[str, Kind] = {grant: kind for kind in KINDS for grant in kind.whole}
_STARTS: Mapping[str, Kind] = {start: kind for kind in KINDS for start in kind.starts}
_BRIDGE = "a network: the internet, your local network, what listens there"


@dataclass(frozen=True)
class Ask:
    """One grant that is asked for.

    :param value: what the kind's sentence is about; :param skills: who asks; :param code: of the refusal that it
        lifts.
    """

    grant: str
    kind: Kind
    value: str
    skills: tuple[str, ...] = ()
    code: str = ""

    @property
    def rank(self) -> int:
        """0 for the gravest kind."""
        return _RANK[self.kind.name]

    def text(self, limit: int) -> str:
        """It in words, in at most ``limit`` columns; the value is what gives way."""
        if self.grant == "network:bridge":
            return cut(_BRIDGE, limit)
        room = limit - columns(self.kind.says.replace("{}", ""))
        if "{}" not in self.kind.says:
            return cut(self.kind.says, limit)
        if room < 12:  # on so few columns the value counts
            return cut(self.kind.says.partition("{}")[0] + value(self.value, max(limit - 12, 4)), limit)
        return self.kind.says.replace("{}", value(self.value, room), 1)


def ask(grant: str, skills: Iterable[str] = (), steering: frozenset[str] = frozenset()) -> Ask:
    """A grant with its kind. ``steering``: the grants that :func:`steering` found."""
    kind, said = _kind(grant)
    if grant in steering:
        kind = _NAMED["engine"]
    return Ask(grant, kind, said, tuple(skills))


def _kind(grant: str) -> tuple[Kind, str]:
    if grant in _WHOLE:
        return _WHOLE[grant], grant
    head, colon, rest = grant.partition(":")
    for start in (head + colon, grant[:9]):  # "mount:ro:" and "mount:rw:" have nine characters
        if start in _STARTS:
            kind = _STARTS[start]
            said = grant[len(start) :]
            return (_NAMED["secret"] if kind.name == "variable" and secret_name(said) else kind), said
    if head in OPTIONS and colon:
        return _NAMED["option"], f"--{head}={rest}"
    return _NAMED["unknown"], grant


def unlike(pattern: str) -> str | None:
    """For a pattern that no grant can fit: the name that may have been meant, empty where none is near. ``None`` for
    any other."""
    literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    starts = (*_STARTS, *(f"{name}:" for name in OPTIONS))
    if pattern in _WHOLE or any(literal.startswith(start) for start in starts):
        return None
    if literal != pattern and any(name.startswith(literal) for name in (*_WHOLE, *starts)):
        return None
    head, colon, _ = literal.lower().partition(":")
    near = difflib.get_close_matches(head + colon, (*_WHOLE, *starts), 1, 0.7)
    return near[0] + ("*" if near[0].endswith(":") else "") if near else ""


def asked(
    found: Iterable[tuple[str, Iterable[Violation]]], steering: frozenset[str] = frozenset(), home: str = ""
) -> tuple[Ask, ...]:
    """What skills ask for, each grant once, gravest first.

    Of one kind those come first that a long list of others must not hide: what holds the home directory or lies in
    it, then short paths before long ones; one option of each name before the second of any.

    :param found: the skills' names, each with what the policy says of it.
    :param home: the caller's home directory.
    """
    who: dict[str, dict[str, None]] = {}
    codes: dict[str, str] = {}
    for name, violations in found:
        for each in violations:
            if each.grant is not None:
                who.setdefault(each.grant, {})[name] = None
                codes.setdefault(each.grant, each.code)
    made = [replace(ask(grant, names, steering), code=codes[grant]) for grant, names in who.items()]
    repeated: dict[str, int] = {}
    keys: dict[str, tuple[int, int, int, str]] = {}
    for one in sorted(made, key=lambda one: one.value):
        keys[one.grant] = (one.rank, *_within(one, repeated, home), one.value)
    return tuple(sorted(made, key=lambda each: keys[each.grant]))


def _within(each: Ask, repeated: dict[str, int], home: str) -> tuple[int, int]:
    """The place of ``each`` among those of its kind, see :func:`asked`."""
    if each.kind.name in ("write", "read"):
        whole = each.value.rstrip("/") + "/"
        near = bool(home) and (whole.startswith(home + "/") or f"{home}/".startswith(whole))
        return (0 if near else 1), whole.count("/")
    if each.kind.name == "option":
        name = each.grant.partition(":")[0]
        repeated[name] = repeated.get(name, 0) + 1
        return 0, repeated[name]
    return 0, 0


def brief(asks: Sequence[Ask], limit: int) -> str:
    """The gravest of ``asks`` in words, with the codes of their refusals, in about ``limit`` columns, and the
    number of the others."""
    shown: list[str] = []
    used = 0
    for at, each in enumerate(asks):
        left = len(asks) - at - 1
        text = each.text(60) + (f" [{each.code}]" if each.code else "")
        used += columns(text) + 2
        if shown and used + (len(f" and {left} more") if left else 0) > limit:
            break
        shown.append(text)
    left = len(asks) - len(shown)
    return "; ".join(shown) + (f"; and {left:,} more" if left else "")


def untrusted(
    message: str, lacking: Sequence[tuple[str, Sequence[Violation]]], hint: str, details: str
) -> PolicyError:
    """The error of skills that lack grants: ``message`` with the gravest of them, see ``PolicyError``.

    :param lacking: the skills' names, each with what the policy says of it.
    """
    asks = asked(lacking)
    found = [violation for _, violations in lacking for violation in violations]
    return PolicyError(f"{message}: {brief(asks, BRIEF)}", found, hint, details=details)


def first_reason(found: Sequence[Violation]) -> str:
    """Why the gravest of ``found`` is asked about, and where grants are explained."""
    gravest = asked([("", found)])[0].grant
    (one,) = without_offer([next(each for each in found if each.grant == gravest)])
    return f"{one.sentences} Grants are explained in SECURITY.md."


def counts(asks: Iterable[Ask]) -> list[str]:
    """How many there are of each kind: ``["1 root", "12 variables of yours"]``, gravest first."""
    number: dict[str, int] = {}
    for each in asks:
        number[each.kind.name] = number.get(each.kind.name, 0) + 1
    return [
        f"{count:,} {kind.one if count == 1 else kind.many}"
        for kind in KINDS
        if (count := number.get(kind.name, 0))
    ]


def steering(host: Host) -> frozenset[str]:
    """The grants that give the group of the engine's socket, by its number and its name."""
    import grp

    socket = host.engine.socket if host.engine is not None else None
    if not socket:
        return frozenset()
    with contextlib.suppress(OSError):
        number = os.stat(socket).st_gid
        words = {str(number)}
        with contextlib.suppress(KeyError):
            words.add(grp.getgrgid(number).gr_name)
        return frozenset(f"{start}{word}" for start in ("gid:", "group-add:") for word in words)
    return frozenset()


_READS = ("secret", "variable", "write", "read", "remote", "user", "group", "engine")
_ROOTS = ("root", "root-group", "capability")


def together(asks: Iterable[Ask], specs: Iterable[RunSpec], given: Iterable[str] = ()) -> list[str]:
    """What is worse in company: a clause for each combination. What one skill reads it can leave where another
    one with a network finds it, so the skills of a project are one company.

    :param specs: the runs as planned, for their networks and what they were granted before.
    :param given: what else was granted in this project.
    """
    specs = tuple(specs)
    before = {*given, *(grant for spec in specs for grant in spec.grants)}
    kinds = {each.kind.name for each in asks} | {_kind(grant)[0].name for grant in before}
    network = "network" in kinds or any(spec.network != "none" for spec in specs)
    found = []
    if network and kinds & {*_READS}:
        what = [
            words
            for words, names in (
                ("your secrets", ("secret",)),
                ("your variables", ("variable",)),
                ("files from outside", _READS[2:]),
            )
            if kinds & {*names}
        ]
        said = " and ".join(filter(None, (", ".join(what[:-1]), what[-1])))
        found.append(f"{said} can leave this machine by the network")
    if "write" in kinds and kinds & {*_ROOTS}:
        found.append("files of root can be left outside the notebook's directory")
    return found
