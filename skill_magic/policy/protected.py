"""Host paths that no container gets: system trees, engine and session sockets, credentials, start-up files.

Names are compared folded (:func:`fold`): a refusal must not hang on the case, the Unicode form or the
invisible characters that a file system ignores.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ..host import Host
from .protected_tables import (
    ENV_CREDENTIALS,
    ENV_SOCKETS,
    EXACT,
    HOME_CODE,
    HOME_CREDENTIALS,
    HOME_SOCKETS,
    SOCKETS,
    SYSTEM_TREES,
)

Kind = Literal["system", "exact", "socket", "credential", "code", "home"]

_FIRMLINK = "/system/volumes/data"  # macOS shows the whole data volume a second time below this name


@dataclass(frozen=True)
class Entry:
    """One protected place.

    :param path: absolute, as it is written on this system; :param folded: the same for comparison.
    :param tree: everything below is protected too.
    """

    path: str
    folded: str
    kind: Kind
    tree: bool = True


def fold(path: str) -> str:
    """``path`` as a forgiving file system sees it: case, Unicode form and ignorable characters gone,
    aliases undone."""
    if not path.isascii():
        path = "".join(char for char in path if unicodedata.category(char) != "Cf")
        path = unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
    else:
        path = path.lower()
    path = clean(path)
    return path.removeprefix(_FIRMLINK) if path.startswith(_FIRMLINK + "/") else path


def clean(path: str) -> str:
    """``path`` with ``.``, ``..`` and doubled slashes worked out as text, as the engine does (Go's
    ``path.Clean``)."""
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else posixpath.normpath(path)


def below(path: str, tree: str) -> bool:
    """Whether ``path`` is ``tree`` or lies in it; both clean."""
    return path == tree or path.startswith(tree if tree.endswith("/") else tree + "/")


_HOME_IN_SYSTEM = re.compile(r"/root|/var/(?:lib|spool|cache)/[^/]+(?:/.*)?")
_REMOVABLE = re.compile(r"/run/media/[^/]+/[^/]+(?:/.*)?")


def exempt(entry: Entry, folded: str, folded_home: str) -> bool:
    """Whether ``folded``, though below the system tree ``entry``, is a person's own data.

    True in a home directory that lies in a system tree (``/root``, ``/var/lib/jenkins``), which is judged
    as a home instead, and on removable disks (``/run/media/USER/DISK``).
    """
    if entry.kind not in ("system", "socket"):
        return False
    if _REMOVABLE.fullmatch(folded):
        return entry.folded in ("/run", "/var/run")
    return (
        _HOME_IN_SYSTEM.fullmatch(folded_home) is not None
        and below(folded_home, entry.folded)
        and below(folded, folded_home)
    )


Relation = Literal["is", "is in", "contains"]


class Table:
    """Every protected place for one person on one machine, existing or not, found by name."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self._at: dict[str, list[Entry]] = {}
        self._above: dict[str, list[Entry]] = {}
        for entry in entries:
            self._at.setdefault(entry.folded, []).append(entry)
            for parent in _parents(entry.folded):
                self._above.setdefault(parent, []).append(entry)

    def touching(self, folded: str) -> Iterator[tuple[Entry, Relation]]:
        """Every entry that the path is, is in, or contains."""
        for entry in self._at.get(folded, ()):
            yield entry, "is"
        for parent in _parents(folded):
            for entry in self._at.get(parent, ()):
                if entry.tree:
                    yield entry, "is in"
        for entry in self._above.get(folded, ()):
            yield entry, "contains"


def _parents(path: str) -> Iterator[str]:
    while path != "/":
        path = posixpath.dirname(path)
        yield path


def table(host: Host) -> Table:
    """The protected places for this person on this machine; made once for the same facts."""
    variables = tuple((name, host.environment.get(name, "")) for name in (*ENV_SOCKETS, *ENV_CREDENTIALS))
    socket = str(host.engine.socket) if host.engine is not None and host.engine.socket is not None else ""
    own = (str(host.config_dir), str(host.data_dir), str(host.cache_dir), str(host.system_dir))
    docker_host = host.environment.get("DOCKER_HOST", "")
    return _table(
        str(host.home), str(host.directory), variables, socket, docker_host, own, _links(str(host.home))
    )


_HOME: tuple[tuple[tuple[str, ...], Kind], ...] = (
    (HOME_SOCKETS, "socket"),
    (HOME_CREDENTIALS, "credential"),
    (HOME_CODE, "code"),
)


@lru_cache(maxsize=1)
def _by_parent() -> Mapping[str, tuple[tuple[str, Kind], ...]]:
    """The names of ``_HOME`` by the directory they stand in, so that what is not there is looked at once."""
    found: dict[str, list[tuple[str, Kind]]] = {}
    for names, kind in _HOME:
        for name in names:
            parent, _, base = name.rpartition("/")
            found.setdefault(parent, []).append((base, kind))
    return {parent: tuple(names) for parent, names in found.items()}


def _links(home: str) -> tuple[tuple[str, Kind], ...]:
    """Where links in the home directory lead (``~/.ssh`` of somebody who keeps their dot files elsewhere)."""
    found: dict[tuple[str, Kind], None] = {}
    for below_home, names in _by_parent().items():
        parent = f"{home}/{below_home}" if below_home else home
        if not os.path.lexists(parent):
            continue
        real_parent = os.path.realpath(parent)
        for name, kind in names:
            real = f"{real_parent}/{name}"
            if os.path.islink(real):
                real = os.path.realpath(real)
            elif real_parent == parent:
                continue
            found[real, kind] = None
    return tuple(found)


@lru_cache(maxsize=8)
def _table(
    home: str,
    directory: str,
    variables: tuple[tuple[str, str], ...],
    socket: str,
    docker_host: str,
    own: tuple[str, ...],
    links: tuple[tuple[str, Kind], ...],
) -> Table:
    found: dict[tuple[str, bool], Entry] = {}

    def add(path: str, kind: Kind, tree: bool = True) -> None:
        path = clean(path)
        if path.startswith("/") and (path != "/" or not tree):
            found.setdefault((fold(path), tree), Entry(path, fold(path), kind, tree))

    def both(path: str, kind: Kind) -> None:
        add(path, kind)
        add(os.path.realpath(path), kind)

    for path in SYSTEM_TREES:
        add(path, "system")
    for path in EXACT:
        add(path, "exact", tree=False)
    for path in SOCKETS:
        add(path, "socket")
    for path in (socket, docker_host.removeprefix("unix://") if docker_host.startswith("unix://") else ""):
        if path.startswith("/"):
            both(path, "socket")
    for name, value in variables:
        for part in value.removeprefix("unix:").removeprefix("FILE:").split(":"):
            part = clean(part.split(",")[0])
            # A variable that names the home or the notebook's directory (or /tmp) would take away all there
            # is.
            if (
                part.startswith("/")
                and part.count("/") > 1
                and not below(home, part)
                and not below(directory, part)
            ):
                both(part, "socket" if name in ENV_SOCKETS else "credential")
    for path in own:
        both(path, "credential")
    for base in {clean(home), clean(os.path.realpath(home))}:
        add(base, "home", tree=False)
        for names, kind in _HOME:
            for name in names:
                add(f"{base}/{name}", kind)
    for path, kind in links:
        add(path, kind)
    return Table(tuple(found.values()))


_SESSION = re.compile(
    r"(?:/private)?(?:/var)?/tmp/(?:ssh-[^/]+(?:/agent\.[0-9]+)?|tmux-[0-9]+|dbus-[^/]+|com\.apple\.launchd\.[^/]+"
    r"|vscode-(?:ipc|git|ssh)[^/]*|emacs[0-9]+|(?:runtime|gpg|pulse)-[^/]+)(?:/.*)?"
)
_TICKET = re.compile(r"(?:/private)?(?:/var)?/tmp/(?:krb5cc[^/]*|x509up_u[0-9]+)(?:/.*)?")


def session_socket(folded: str) -> bool:
    """Whether a path below /tmp is where an agent or a session of some user keeps its socket."""
    return _SESSION.fullmatch(folded) is not None


def ticket(folded: str) -> bool:
    """Whether a path below /tmp is a Kerberos or grid credential of some user."""
    return _TICKET.fullmatch(folded) is not None


# Homes of other people, and homes seen through another system's eyes: judged like one's own.
_OTHER_HOME = re.compile(
    r"(?P<home>/root|/(?:home|users|export/home|var/home|(?:mnt/)?[a-z]/users)/[^/]+)(?:/(?P<rest>.*))?"
)


@lru_cache(maxsize=1)
def _home_names() -> Mapping[str, Kind]:
    return {fold("/" + name)[1:]: kind for names, kind in _HOME for name in names}


def foreign_home(folded: str) -> tuple[Kind, str] | None:
    """What a path in anybody's home directory is, by its place there: (kind, the protected place), ``None``
    for plain data."""
    match = _OTHER_HOME.fullmatch(folded)
    if match is None:
        return None
    home, rest = match["home"], match["rest"]
    if not rest:
        return "home", home
    for name, kind in _home_names().items():
        if below(rest, name):
            return kind, f"{home}/{name}"
    return None
