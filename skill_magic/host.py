"""Host: the facts of this machine and this person that the pure rooms need, gathered once, handed on as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class EngineAddress:
    """Which engine this person's ``docker`` would talk to, read from files and variables; nothing is connected.

    :param url: ``unix:///var/run/docker.sock``, ``tcp://…``, ``ssh://…``, ``npipe://…``.
    :param source: how it was found: ``DOCKER_HOST``, ``context NAME``, ``default socket``, ``rootless socket``, …
    :param tls: directory of client certificates for ``tcp://``, else ``None``.
    """

    url: str
    source: str
    tls: Path | None = None

    @property
    def socket(self) -> Path | None:
        """The Unix socket's path, ``None`` for a network address."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def remote(self) -> bool:
        """Whether host paths would name another machine's files."""
        return self.socket is None and not self.url.startswith("npipe://")

    @property
    def rootless(self) -> bool:
        """Whether container root is the caller (a socket below /run/user or the home directory's rootless ones)."""
        path = self.socket
        return path is not None and str(path).startswith("/run/user/")


@dataclass(frozen=True)
class Host:
    """The machine and the caller.

    :param directory: the notebook's directory, absolute, symlinks resolved; ``${PWD}`` in a manifest.
    :param home: the caller's home directory.
    :param environment: variables for ``${VAR}``; never the container's.
    :param cpus: logical CPUs the engine can give; :param memory: its bytes of RAM.
    :param engine: where the engine is, ``None`` where none was found.
    :param config_dir: user configuration (``policy.toml``, ``skills.toml``); :param data_dir: grants (``trust.json``);
        :param cache_dir: logs of runs; :param system_dir: the administrator's configuration.
    :param notebook: the open notebook's file, where it is known.
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


def discover(directory: Path | None = None, *, notebook: Path | None = None) -> Host:
    """Gather the facts. Reads the environment, the password database and Docker's configuration; no engine is asked.

    :param directory: the notebook's directory; default: the process's working directory.
    """
    raise NotImplementedError
