"""Connect: the engine that this person's own ``docker`` would talk to, or why it is not to be had."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import socket
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, EngineUnavailable
from .client import CALL_TIMEOUT, api_client
from .failures import os_error, tls_error, translate
from .ownership import person_key

if TYPE_CHECKING:
    from pathlib import Path

    from ..host import EngineAddress, Host

__all__ = ["Engine", "connect"]

CONNECT_TIMEOUT = 5.0
"""Seconds within which a living engine accepts a connection and names its version."""

ASKING = "1.41"
"""The API version of a client that only asks for the version."""

_engines: dict[tuple[int, str, str, str], Engine] = {}
_lock = threading.Lock()


class Engine:
    """One Docker engine: an API client and the facts about it, asked once.

    Values of this class are safe to share between threads and survive a fork.

    :param data_dir: the person's data directory, where the key to their containers is kept.
    """

    def __init__(self, address: EngineAddress, data_dir: Path) -> None:
        self.address = address
        self._data_dir = data_dir
        self._pid = -1
        self._client: Any = None
        self._client_lock = threading.Lock()
        self.last_sweep: float | None = None

    def close(self) -> None:
        """Close the connections that wait for the next call; a later call makes new ones."""
        client, own = self._client, self._pid == os.getpid()
        if client is not None and own:
            client.close()

    def __repr__(self) -> str:
        return f"Engine({self.address.url!r}, {self.address.source!r})"

    @property
    def api(self) -> Any:
        """docker-py's low-level client (untyped: so are most of its methods). A forked child gets its own:
        two processes must not share a connection."""
        client = self._client
        if client is not None and self._pid == os.getpid():
            return client
        with self._client_lock:
            if self._client is None or self._pid != os.getpid():
                self._client = _client(self.address)
                self._pid = os.getpid()
            return self._client

    @property
    def key(self) -> bytes:
        """What the containers of this person are signed with, see :mod:`.ownership`."""
        return person_key(self._data_dir)

    @property
    def local(self) -> bool:
        """Whether it is reached through a socket of this machine, so that it sees the same files."""
        return not self.address.remote

    @cached_property
    def version(self) -> Mapping[str, Any]:
        """The engine's own version report."""
        with translate("name its version"):
            return dict(self.api.version(api_version=False))

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """The engine's own description of itself and its machine, as ``docker info`` prints it."""
        with translate("describe itself"):
            return dict(self.api.info())

    @property
    def cpus(self) -> int:
        """Logical CPUs of the engine's machine."""
        return int(self.info.get("NCPU") or 1)

    @property
    def memory(self) -> int:
        """Bytes of RAM of the engine's machine."""
        return int(self.info.get("MemTotal") or 0)

    @property
    def rootless(self) -> bool:
        """Whether the engine runs as an ordinary user, so that a container's root is that user."""
        options = self.info.get("SecurityOptions") or ()
        return any("rootless" in str(option) for option in options)

    @property
    def cgroup(self) -> int:
        """1 or 2, the version of the control groups it uses."""
        return 2 if str(self.info.get("CgroupVersion", "1")) == "2" else 1

    @property
    def system(self) -> str:
        """The operating system it runs on, as it says ("Docker Desktop", "Debian GNU/Linux 12")."""
        return str(self.info.get("OperatingSystem") or "")

    @property
    def podman(self) -> bool:
        """Whether Podman answers, which speaks the same API with small differences."""
        components = self.version.get("Components") or ()
        return any("podman" in str(part.get("Name", "")).lower() for part in components)

    def alive(self, timeout: float) -> bool:
        """Whether it answers within ``timeout`` seconds."""
        import docker.errors
        import requests

        try:
            self.api.get(f"{self.api.base_url}/_ping", timeout=timeout).close()
        except (requests.RequestException, docker.errors.DockerException, EngineError, OSError):
            return False
        return True


def connect(host: Host) -> Engine:
    """Connect to the engine that ``host.engine`` names. One value per engine and process; a lost one is tried
    anew.

    :raises EngineUnavailable: nothing answers there; ``problem`` says which of the five it is.
    """
    address = host.engine
    if address is None:
        raise _nothing_found()
    if address.problem:
        raise EngineUnavailable(address.reason, address.fix, problem=address.problem)
    key = (os.getpid(), address.url, str(address.tls or ""), str(host.data_dir))
    with _lock:
        engine = _engines.get(key)
    if engine is not None and engine.alive(CONNECT_TIMEOUT):
        return engine
    engine = Engine(address, host.data_dir)
    _ = engine.api
    with _lock:
        if not _engines:
            atexit.register(_close_all)
        _engines[key] = engine
    return engine


def _close_all() -> None:
    # Connections that nobody closed are told on standard error by a Python that looks for them (-X dev).
    with _lock:
        engines = list(_engines.values())
    for engine in engines:
        with contextlib.suppress(Exception):
            engine.close()


def _client(address: EngineAddress) -> Any:
    import docker.errors
    import requests

    if address.url.startswith("ssh://"):
        raise EngineUnavailable(
            f"the engine at {address.url} ({address.source}) is behind ssh, which skill_magic does not speak",
            "forward its socket (`ssh -L $HOME/docker.sock:/var/run/docker.sock HOST`) and set "
            "DOCKER_HOST=unix://$HOME/docker.sock; or run the notebook on that machine",
            problem="no-client",
        )
    _knock(address)
    options: dict[str, Any] = {"base_url": address.url, "timeout": int(CONNECT_TIMEOUT)}
    try:
        if address.tls is not None:
            options["tls"] = _tls(address.tls, verify=address.tls_verify)
        # docker-py would ask for the version before its client can be told how to ask.
        first = api_client(address, version=ASKING, **options)
        try:
            version = str(first.version(api_version=False)["ApiVersion"])
        finally:
            first.close()
        client = api_client(address, version=version, **options)
    except (
        docker.errors.DockerException,
        requests.RequestException,
        OSError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise _unavailable(address, error) from error
    client.timeout = CALL_TIMEOUT
    return client


def _tls(directory: Path, *, verify: bool) -> Any:
    from docker.tls import TLSConfig

    needed = ["cert.pem", "key.pem", *(["ca.pem"] if verify else [])]
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        raise EngineUnavailable(
            f"the engine's certificates are incomplete: {directory} has no {', '.join(missing)}",
            "set DOCKER_CERT_PATH to the directory that holds ca.pem, cert.pem and key.pem",
            problem="no-client",
        )
    pair = (str(directory / "cert.pem"), str(directory / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(directory / "ca.pem") if verify else None, verify=verify)


def _knock(address: EngineAddress) -> None:
    # A plain connect tells the causes apart by their errno; through docker-py they are one sentence of prose.
    path = address.socket
    if path is None:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT)
        try:
            probe.connect(os.fspath(path))
        except OSError as error:
            raise _unavailable(address, error) from error


def _unavailable(address: EngineAddress, error: Exception) -> EngineUnavailable:
    import requests

    where = f"{address.url} ({address.source})"
    found = os_error(error)
    number = found.errno if found is not None else None
    secure = tls_error(error)
    if secure is not None:
        return EngineUnavailable(
            f"no trusted connection to the Docker engine at {where}: {secure.reason or secure}",
            f"check the certificates in {address.tls or 'DOCKER_CERT_PATH'}: ca.pem must be of the engine's "
            "authority, cert.pem of one that the engine accepts",
            problem="no-permission",
        )
    if number in (errno.EACCES, errno.EPERM):
        return EngineUnavailable(
            f"no permission to talk to the Docker engine at {where}",
            "add yourself to its group (`sudo usermod -aG docker $USER`, then log in again), "
            "or use a rootless engine",
            problem="no-permission",
        )
    timeouts = (TimeoutError, requests.Timeout)
    if number == errno.ETIMEDOUT or isinstance(error, timeouts) or "timed out" in str(error).lower():
        return EngineUnavailable(
            f"the Docker engine at {where} does not answer",
            "look at its log, or start it anew (`sudo systemctl restart docker`)",
            problem="no-answer",
        )
    if address.socket is not None and number == errno.ENOENT:
        return EngineUnavailable(f"no Docker engine: {where} does not exist", _START, problem="no-daemon")
    if number is not None:
        why = (found.strerror if found is not None else "") or "no connection"
        return EngineUnavailable(f"no Docker engine answers at {where}: {why}", _START, problem="no-daemon")
    # The words of the libraries below us (a class, a URL with http+docker in it) say less than this.
    return EngineUnavailable(
        f"what answers at {where} is no Docker engine",
        "set DOCKER_HOST to the engine that you use, or leave it out for this machine's own",
        problem="no-daemon",
    )


_START = "start it (`sudo systemctl start docker`, or Docker Desktop), or set DOCKER_HOST to the one you use"


def _nothing_found() -> EngineUnavailable:
    if shutil.which("docker") or shutil.which("dockerd") or shutil.which("podman"):
        return EngineUnavailable(
            "Docker is installed but no engine runs: none of the usual sockets exists",
            _START,
            problem="no-daemon",
        )
    return EngineUnavailable(
        "there is no Docker on this machine: neither a docker command nor an engine's socket",
        "install Docker (https://docs.docker.com/engine/install/), or set DOCKER_HOST to another engine",
        problem="no-client",
    )
