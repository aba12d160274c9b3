"""Host: what the pure rooms need to know of this machine and this person, gathered once, a plain value."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .directory_groups import DirectoryGroup, directory_groups
from .errors import SkillError


@dataclass(frozen=True)
class EngineAddress:
    """Which engine this person's ``docker`` would talk to, as files and variables say; nothing is connected.

    :param url: ``unix:///var/run/docker.sock``, ``tcp://…``, ``ssh://…``, ``npipe://…``; empty where there is
        a problem.
    :param source: how it was found: ``DOCKER_HOST``, ``context NAME``, ``default socket``, ``rootless
        socket``, …
    :param tls: directory of client certificates for ``tcp://``, else ``None``.
    :param tls_verify: whether the server's certificate is checked.
    :param problem: why no engine can be had this way, an ``EngineUnavailable.problem``; empty where nothing
        is known.
    :param reason: the problem in a sentence; :param fix: the way out.
    """

    url: str
    source: str
    tls: Path | None = None
    tls_verify: bool = True
    problem: str = ""
    reason: str = ""
    fix: str = ""

    @property
    def socket(self) -> Path | None:
        """The Unix socket's path, ``None`` for a network address."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def remote(self) -> bool:
        """Whether host paths would name another machine's files."""
        return bool(self.url) and self.socket is None and not self.url.startswith("npipe://")

    @property
    def rootless(self) -> bool:
        """Whether container root is the caller: a rootless engine's socket is below /run/user."""
        path = self.socket
        return path is not None and str(path).startswith("/run/user/")


@dataclass(frozen=True)
class Host:
    """The machine and the caller.

    :param directory: the notebook's directory, absolute, symlinks resolved; ``${PWD}`` in a manifest.
    :param home: the caller's home directory.
    :param environment: variables for ``${VAR}``, with ``PWD`` set to ``directory``; never the container's.
    :param cpus: logical CPUs the engine can give; :param memory: its bytes of RAM.
    :param engine: where the engine is, ``None`` where none was found.
    :param config_dir: user configuration (``policy.toml``, ``skills.toml``); :param data_dir: grants
        (``trust.json``);
        :param cache_dir: logs of runs; :param system_dir: the administrator's configuration.
    :param notebook: the open notebook's file, where it is known.
    :param groups: all groups of this process; :param directory_groups: those of them, less the first, that count in
        ``directory``.
    """

    directory: Path
    home: Path
    environment: Mapping[str, str] = field(repr=False)
    uid: int
    gid: int
    user: str
    cpus: int
    memory: int
    engine: EngineAddress | None
    config_dir: Path
    data_dir: Path
    cache_dir: Path
    system_dir: Path = Path("/etc/skill_magic")
    notebook: Path | None = None
    groups: tuple[int, ...] = ()
    directory_groups: tuple[DirectoryGroup, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """What ``${VAR}`` may name. ``PWD``, ``UID`` and ``GID`` are the run's own, whatever the environment says:
        shells know the two numbers and do not hand them on."""
        own = {"PWD": str(self.directory), "UID": str(self.uid), "GID": str(self.gid)}
        return {**self.environment, **own}

    def at(self, directory: Path) -> Host:
        """The same machine and caller for a notebook in another directory."""
        return replace(
            self,
            directory=directory,
            environment={**self.environment, "PWD": str(directory)},
            directory_groups=directory_groups(directory, self.uid, {*self.groups} - {self.gid}),
        )


def discover(directory: Path | None = None, *, notebook: Path | None = None) -> Host:
    """Gather the facts from the environment, the password database and Docker's files; no engine is asked.

    :param directory: the notebook's directory; default: the notebook file's, else the working directory.
    :raises SkillError: where that directory is gone or is none.
    """
    where = _directory(directory, notebook)
    environment = {**os.environ, "PWD": str(where)}
    uid, gid, groups = os.getuid(), os.getgid(), tuple(os.getgroups())
    user, home = _person(uid, environment)
    config, data, cache = _own_directories(home)
    return Host(
        directory=where,
        home=home,
        environment=environment,
        uid=uid,
        gid=gid,
        user=user,
        cpus=os.cpu_count() or 1,
        memory=_memory(),
        engine=engine_address(environment, home, uid),
        config_dir=config,
        data_dir=data,
        cache_dir=cache,
        notebook=Path(os.path.abspath(notebook)) if notebook is not None else None,
        groups=groups,
        directory_groups=directory_groups(where, uid, {*groups} - {gid}),
    )


def _directory(directory: Path | None, notebook: Path | None) -> Path:
    if directory is None and notebook is not None:
        directory = Path(notebook).parent
    try:
        where = Path(os.path.realpath(directory if directory is not None else os.getcwd(), strict=True))
    except (OSError, ValueError) as error:
        named = "the working directory" if directory is None else str(directory)
        raise SkillError(f"{named} cannot be read: {error}", "change to a directory that exists") from None
    if not where.is_dir():
        raise SkillError(f"{where} is not a directory", "name the directory the notebook is in")
    return where


def _person(uid: int, environment: Mapping[str, str]) -> tuple[str, Path]:
    """The caller's name and home directory; a container's arbitrary uid has neither entry nor name."""
    import pwd

    try:
        entry = pwd.getpwuid(uid)
        name, listed = entry.pw_name, entry.pw_dir
    except KeyError:
        name, listed = str(uid), "/"
    home = environment.get("HOME") or listed
    return name, Path(home if os.path.isabs(home) else listed)


def _own_directories(home: Path) -> tuple[Path, Path, Path]:
    """Configuration, data and cache. A relative XDG variable would point into the project, so it is passed
    over, as the XDG Base Directory Specification says."""
    import platformdirs

    spare = home / ".config" / "skill_magic", home / ".local/share/skill_magic", home / ".cache/skill_magic"
    try:
        found = platformdirs.PlatformDirs("skill_magic", appauthor=False)
        named = found.user_config_dir, found.user_data_dir, found.user_cache_dir
    except RuntimeError:  # neither HOME nor an entry in the password database
        return spare
    config, data, cache = (
        Path(name) if os.path.isabs(name) else other for name, other in zip(named, spare, strict=True)
    )
    return config, data, cache


def _memory() -> int:
    """Bytes of RAM, 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


# --- Which engine: the order and the file formats are docker/cli's (cli/command/cli.go, cli/context/store) --

_SCHEMES = ("unix", "tcp", "http", "https", "ssh", "npipe")
_BARE_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+)?(?::[0-9]+)?")


def engine_address(
    environment: Mapping[str, str],
    home: Path,
    uid: int,
    exists: Callable[[str], bool] = os.path.exists,
) -> EngineAddress | None:
    """The engine that this person's own ``docker`` would use: ``DOCKER_HOST``, then ``DOCKER_CONTEXT``, then
    the current context, then the usual sockets.

    :param exists: tells whether a socket's path is there.
    :returns: ``None`` where nothing is named and no usual socket is there; an address with a ``problem``
        where what is named cannot be.
    """
    config = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    if environment.get("DOCKER_HOST", "").strip():
        return _named_host(environment["DOCKER_HOST"].strip(), environment, config)
    source = "DOCKER_CONTEXT"
    context = environment.get("DOCKER_CONTEXT", "")
    if not context:
        source = str(config / "config.json")
        named = _json(config / "config.json").get("currentContext")
        context = named if isinstance(named, str) else ""
    if context and context != "default":
        return _context(context, source, config)
    for source, path in _usual_sockets(environment, home, uid):
        if exists(path):
            return EngineAddress(f"unix://{path}", source)
    return None


def _named_host(host: str, environment: Mapping[str, str], config: Path) -> EngineAddress:
    verify, plain = environment.get("DOCKER_TLS_VERIFY", "") != "", environment.get("DOCKER_TLS", "") != ""
    tls = Path(environment.get("DOCKER_CERT_PATH") or config) if verify or plain else None
    scheme, colon, rest = host.partition("://")
    if not colon and _BARE_ADDRESS.fullmatch(host):
        scheme, rest = "tcp", host
    if scheme not in _SCHEMES:
        return EngineAddress(
            "",
            "DOCKER_HOST",
            problem="no-daemon",
            reason=f"DOCKER_HOST is {host!r}, which names no engine",
            fix="write unix:///path/to/docker.sock, tcp://HOST:PORT or ssh://USER@HOST, or unset it",
        )
    if scheme == "unix":
        rest = rest or "/var/run/docker.sock"
    elif scheme == "tcp":
        # The defaults of docker's own option parser (opts/hosts.go).
        address, slash, path = rest.partition("/")
        if not re.search(r":\d+$", address):
            address = f"{address.rstrip(':') or 'localhost'}:{2376 if tls else 2375}"
        rest = address + slash + path
    return EngineAddress(
        f"{scheme}://{rest}", "DOCKER_HOST", tls if scheme == "tcp" else None, verify or not plain
    )


def _context(name: str, source: str, config: Path) -> EngineAddress:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    meta = config / "contexts" / "meta" / digest / "meta.json"
    endpoints = _json(meta).get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(host, str) or not host:
        fault = "does not exist" if not meta.exists() else "names no Docker engine"
        return EngineAddress(
            "",
            f"context {name}",
            problem="no-context",
            reason=f"the docker context {name!r}, which {source} names, {fault}",
            fix="choose one with `docker context use NAME` (`docker context ls` shows them)",
        )
    tls = config / "contexts" / "tls" / digest / "docker"
    skip = isinstance(docker, dict) and docker.get("SkipTLSVerify") is True
    return EngineAddress(host, f"context {name}", tls if tls.is_dir() else None, not skip)


def _usual_sockets(environment: Mapping[str, str], home: Path, uid: int) -> list[tuple[str, str]]:
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    return [
        ("default socket", "/var/run/docker.sock"),
        ("rootless socket", f"{runtime}/docker.sock"),
        ("Docker Desktop socket", f"{home}/.docker/run/docker.sock"),
        ("Docker Desktop socket", f"{home}/.docker/desktop/docker.sock"),
        ("Colima socket", f"{home}/.colima/default/docker.sock"),
        ("Colima socket", f"{home}/.config/colima/default/docker.sock"),
        ("OrbStack socket", f"{home}/.orbstack/run/docker.sock"),
        ("Rancher Desktop socket", f"{home}/.rd/docker.sock"),
        ("rootless Podman socket", f"{runtime}/podman/podman.sock"),
        ("Podman socket", "/run/podman/podman.sock"),
    ]


def _json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of Docker's; empty where there is none: docker, too, goes on without it."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
