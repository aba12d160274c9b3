"""The facts of the machine, and which engine a person's own docker would use."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skill_magic import host
from skill_magic.errors import SkillError
from skill_magic.host import EngineAddress, engine_address

UID = 1000


def address(home: Path, sockets: tuple[str, ...] = (), **environment: str) -> EngineAddress | None:
    return engine_address(environment, home, UID, exists=lambda path: path in sockets)


def context(home: Path, name: str, meta: object, *, tls: bool = False) -> Path:
    """A docker context as the CLI stores it."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = home / ".docker" / "contexts" / "meta" / digest / "meta.json"
    file.parent.mkdir(parents=True)
    file.write_text(meta if isinstance(meta, str) else json.dumps(meta))
    certificates = home / ".docker" / "contexts" / "tls" / digest / "docker"
    if tls:
        certificates.mkdir(parents=True)
    return certificates


def current(home: Path, text: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(text)


SYSTEM = "/var/run/docker.sock"
ROOTLESS = "/run/user/1000/docker.sock"


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("unix://", "unix:///var/run/docker.sock"),
        ("  unix:///run/x.sock\n", "unix:///run/x.sock"),
        ("tcp://10.0.0.5:2375", "tcp://10.0.0.5:2375"),
        ("tcp://10.0.0.5", "tcp://10.0.0.5:2375"),
        ("tcp://", "tcp://localhost:2375"),
        ("tcp://[::1]:99/prefix", "tcp://[::1]:99/prefix"),
        ("10.0.0.5:99", "tcp://10.0.0.5:99"),
        ("somewhere", "tcp://somewhere:2375"),
        ("ssh://me@there", "ssh://me@there"),
        ("http://h:1", "http://h:1"),
        ("npipe:////./pipe/docker_engine", "npipe:////./pipe/docker_engine"),
    ],
)
def test_docker_host_comes_first(tmp_path: Path, named: str, url: str) -> None:
    current(tmp_path, '{"currentContext": "other"}')
    found = address(tmp_path, (SYSTEM,), DOCKER_HOST=named, DOCKER_CONTEXT="another")
    assert found == EngineAddress(url, "DOCKER_HOST")


@pytest.mark.parametrize(
    "named", ["ftp://x", "://x", "unix:/run/docker.sock", "/run/docker.sock", "fd://3", "a b"]
)
def test_a_docker_host_that_names_no_engine_is_a_problem_and_not_an_address(
    tmp_path: Path, named: str
) -> None:
    found = address(tmp_path, (SYSTEM,), DOCKER_HOST=named)
    assert found is not None
    assert (found.url, found.problem) == ("", "no-daemon")
    assert repr(named) in found.reason
    assert found.fix


def test_certificates_of_docker_host(tmp_path: Path) -> None:
    found = address(tmp_path, DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="1")
    assert found == EngineAddress("tcp://h:2376", "DOCKER_HOST", tmp_path / ".docker")
    found = address(tmp_path, DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH="/certs")
    assert found == EngineAddress("tcp://h:2376", "DOCKER_HOST", Path("/certs"))
    found = address(tmp_path, DOCKER_HOST="tcp://h", DOCKER_TLS="1", DOCKER_CONFIG="/cfg")
    assert found == EngineAddress("tcp://h:2376", "DOCKER_HOST", Path("/cfg"), tls_verify=False)
    found = address(tmp_path, DOCKER_HOST="tcp://h", DOCKER_CERT_PATH="/certs")
    assert found == EngineAddress("tcp://h:2375", "DOCKER_HOST")
    found = address(tmp_path, DOCKER_HOST="unix:///x", DOCKER_TLS_VERIFY="1")
    assert found is not None
    assert found.tls is None


def test_the_variable_wins_over_the_current_context(tmp_path: Path) -> None:
    context(tmp_path, "one", {"Endpoints": {"docker": {"Host": "unix:///one.sock"}}})
    context(tmp_path, "two", {"Endpoints": {"docker": {"Host": "tcp://two:1", "SkipTLSVerify": True}}})
    current(tmp_path, '{"currentContext": "one", "auths": {}}')
    assert address(tmp_path, (SYSTEM,)) == EngineAddress("unix:///one.sock", "context one")
    found = address(tmp_path, (SYSTEM,), DOCKER_CONTEXT="two", DOCKER_HOST="")
    assert found == EngineAddress("tcp://two:1", "context two", tls_verify=False)
    assert address(tmp_path, (SYSTEM,), DOCKER_CONTEXT="default") == EngineAddress(
        f"unix://{SYSTEM}", "default socket"
    )


def test_certificates_of_a_context(tmp_path: Path) -> None:
    tls = context(tmp_path, "far", {"Endpoints": {"docker": {"Host": "tcp://far:2376"}}}, tls=True)
    found = address(tmp_path, DOCKER_CONTEXT="far")
    assert found == EngineAddress("tcp://far:2376", "context far", tls)


def test_docker_config_moves_the_files(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    context(elsewhere, "c", {"Endpoints": {"docker": {"Host": "unix:///c.sock"}}})
    current(elsewhere, '{"currentContext": "c"}')
    found = address(tmp_path, (SYSTEM,), DOCKER_CONFIG=str(elsewhere / ".docker"))
    assert found == EngineAddress("unix:///c.sock", "context c")


@pytest.mark.parametrize(
    "meta", ["", "not json", "[]", "{}", '{"Endpoints": []}', '{"Endpoints": {"docker": {"Host": 3}}}', None]
)
def test_a_context_that_cannot_be_used_says_so(tmp_path: Path, meta: str | None) -> None:
    if meta is not None:
        context(tmp_path, "c", meta)
    current(tmp_path, '{"currentContext": "c"}')
    found = address(tmp_path, (SYSTEM,))
    assert found is not None
    assert (found.url, found.problem, found.source) == ("", "no-context", "context c")
    assert ("does not exist" if meta is None else "names no Docker engine") in found.reason
    assert str(tmp_path / ".docker" / "config.json") in found.reason
    assert "docker context" in found.fix
    assert found.socket is None
    assert not found.remote


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"currentContext": 3}',
        '{"currentContext": ""}',
        '{"currentContext": "default"}',
        "[" * 9999,
    ],
)
def test_a_broken_configuration_is_passed_over_as_docker_does(tmp_path: Path, text: str) -> None:
    current(tmp_path, text)
    assert address(tmp_path, (SYSTEM,)) == EngineAddress(f"unix://{SYSTEM}", "default socket")


def test_the_usual_sockets_in_their_order(tmp_path: Path) -> None:
    expected = [
        (SYSTEM, "default socket"),
        (ROOTLESS, "rootless socket"),
        (f"{tmp_path}/.docker/run/docker.sock", "Docker Desktop socket"),
        (f"{tmp_path}/.docker/desktop/docker.sock", "Docker Desktop socket"),
        (f"{tmp_path}/.colima/default/docker.sock", "Colima socket"),
        (f"{tmp_path}/.config/colima/default/docker.sock", "Colima socket"),
        (f"{tmp_path}/.orbstack/run/docker.sock", "OrbStack socket"),
        (f"{tmp_path}/.rd/docker.sock", "Rancher Desktop socket"),
        ("/run/user/1000/podman/podman.sock", "rootless Podman socket"),
        ("/run/podman/podman.sock", "Podman socket"),
    ]
    paths = tuple(path for path, _ in expected)
    for number, (path, source) in enumerate(expected):
        assert address(tmp_path, paths[number:]) == EngineAddress(f"unix://{path}", source)
    assert address(tmp_path) is None


def test_the_runtime_directory_is_the_variables(tmp_path: Path) -> None:
    found = address(tmp_path, ("/my/run/docker.sock",), XDG_RUNTIME_DIR="/my/run")
    assert found == EngineAddress("unix:///my/run/docker.sock", "rootless socket")


@pytest.mark.parametrize(
    ("url", "socket", "remote", "rootless"),
    [
        ("unix:///var/run/docker.sock", Path("/var/run/docker.sock"), False, False),
        ("unix:///run/user/1000/docker.sock", Path("/run/user/1000/docker.sock"), False, True),
        ("tcp://h:1", None, True, False),
        ("ssh://h", None, True, False),
        ("npipe:////./pipe/docker_engine", None, False, False),
        ("", None, False, False),
    ],
)
def test_what_an_address_says(url: str, socket: Path | None, remote: bool, rootless: bool) -> None:
    found = EngineAddress(url, "test")
    assert (found.socket, found.remote, found.rootless) == (socket, remote, rootless)


# --- discover ---------------------------------------------------------------------------------------------


def test_discover_tells_what_the_system_tells(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = host.discover(tmp_path / "link")
    assert found.directory == (tmp_path / "real").resolve()
    assert found.environment["PWD"] == str(found.directory)
    assert (found.uid, found.gid, found.groups) == (os.getuid(), os.getgid(), tuple(os.getgroups()))
    assert found.cpus == os.cpu_count()
    with open("/proc/meminfo") as file:
        kibibytes = int(file.readline().split()[1])
    assert abs(found.memory - kibibytes * 1024) < 1 << 20
    assert str(found.system_dir) == "/etc/skill_magic"


def test_discover_without_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", "/somewhere/stale")
    assert host.discover().directory == tmp_path.resolve()
    assert host.discover().environment["PWD"] == str(tmp_path.resolve())
    (tmp_path / "sub").mkdir()
    found = host.discover(notebook=Path("sub/a.ipynb"))
    assert found.directory == (tmp_path / "sub").resolve()
    assert found.notebook == tmp_path / "sub" / "a.ipynb"


def test_a_directory_that_is_gone_or_none_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SkillError, match="nope cannot be read"):
        host.discover(tmp_path / "nope")
    with pytest.raises(SkillError, match="is not a directory"):
        host.discover(tmp_path / "file")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SkillError, match="the working directory cannot be read"):
        host.discover()


def test_own_directories_follow_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = host.discover(tmp_path)
    assert found.home == tmp_path
    plain = [tmp_path / ".config", tmp_path / ".local/share", tmp_path / ".cache"]
    assert [found.config_dir, found.data_dir, found.cache_dir] == [path / "skill_magic" for path in plain]
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x/config")
    monkeypatch.setenv("XDG_DATA_HOME", "/x/data")
    monkeypatch.setenv(
        "XDG_CACHE_HOME", "relative/cache"
    )  # would be below the project; the specification: ignore
    found = host.discover(tmp_path)
    assert found.config_dir == Path("/x/config/skill_magic")
    assert found.data_dir == Path("/x/data/skill_magic")
    assert found.cache_dir == tmp_path / ".cache/skill_magic"


def test_a_uid_that_no_file_knows() -> None:
    """As in a container started with --user: no passwd entry, no HOME."""
    code = """
import os, pwd, platformdirs.unix
from skill_magic import host
if os.getuid() == 0:
    os.setgroups([]); os.setgid(54321); os.setuid(54321)
os.environ.pop("HOME", None)
os.chdir("/")
found = host.discover()
print(found.user, found.home, found.uid == os.getuid())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    if os.getuid() == 0:
        assert done.stdout.split() == ["54321", "/", "True"]
    else:
        assert done.stdout.split()[2] == "True"


def test_values_of_variables_are_not_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "hunter2")
    assert host.discover().environment["MY_API_KEY"] == "hunter2"
    assert "hunter2" not in repr(host.discover())


def test_importing_it_is_cheap() -> None:
    code = """
import sys
from skill_magic import host
from skill_magic.command import parse
from skill_magic.manifest import layers
print(*{"platformdirs", "tomli", "docker", "IPython"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, [])
