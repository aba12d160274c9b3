"""Live probes of the second gate: an engine that makes something else than it was asked for.

The real engine does not do that, so a relay in front of it rewrites the request on its way.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import skill_magic

from .probes import Project, codes, docker, left_volumes, volumes

pytestmark = pytest.mark.engine

Change = Callable[[dict[str, Any]], None]


class Tamperer:
    """Passes a Unix socket's connections on to the engine's, and changes the body of each create."""

    def __init__(self, path: Path, change: Change) -> None:
        self.change = change
        self.changed = 0
        self.asked: list[str] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                inner, _ = self._listener.accept()
                outer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                outer.connect("/var/run/docker.sock")
                self._sockets += [inner, outer]
                for work, source, target in ((self._requests, inner, outer), (self._raw, outer, inner)):
                    threading.Thread(target=work, args=(source, target), daemon=True).start()

    def _raw(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _requests(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source.makefile("rb", buffering=0) as stream:
            while first := stream.readline():
                headers = [first]
                while (line := stream.readline()) not in (b"\r\n", b""):
                    headers.append(line)
                fields = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (header.partition(b":") for header in headers[1:])
                }
                body = b""
                while len(body) < int(fields.get(b"content-length", b"0")):
                    body += stream.read(int(fields[b"content-length"]) - len(body)) or b""
                self.asked.append(first.decode().split(" HTTP")[0])
                # A container that is made to look into its image is never started.
                if (
                    first.startswith(b"POST")
                    and b"/containers/create" in first
                    and b"skill-look-" not in first
                ):
                    asked = json.loads(body)
                    self.change(asked)
                    self.changed += 1
                    body = json.dumps(asked).encode()
                    headers = [each for each in headers if not each.lower().startswith(b"content-length")]
                    headers.append(b"Content-Length: %d\r\n" % len(body))
                target.sendall(b"".join(headers) + b"\r\n" + body)
                if b"upgrade" in fields:
                    self._raw(source, target)
                    return
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def behind(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Change], Tamperer]]:
    with contextlib.ExitStack() as stack:

        def make(change: Change) -> Tamperer:
            relay = Tamperer(tmp_path / "engine.sock", change)
            stack.callback(relay.close)
            monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
            return relay

        yield make
    monkeypatch.delenv("DOCKER_HOST")


def of_host(**changes: Any) -> Change:
    return lambda body: body["HostConfig"].update(changes)


def top(**changes: Any) -> Change:
    return lambda body: body.update(changes)


BIND = {"Type": "bind", "Source": "/etc", "Target": "/host", "ReadOnly": True}

TAMPERED: dict[str, Change] = {
    "privileged": of_host(Privileged=True),
    "binds": of_host(Binds=["/etc:/host:ro"]),
    "mounts": lambda body: body["HostConfig"]["Mounts"].append(BIND),
    "source": lambda body: body["HostConfig"]["Mounts"][0].update(Source="/etc"),
    "writable": lambda body: body["HostConfig"]["Mounts"][1].update(ReadOnly=False),
    "guard left out": lambda body: body["HostConfig"]["Mounts"].pop(1),
    "network": of_host(NetworkMode="bridge"),
    "host network": of_host(NetworkMode="host"),
    "pid": of_host(PidMode="host"),
    "ipc": of_host(IpcMode="host"),
    "capability": of_host(CapAdd=["SYS_ADMIN"]),
    "capabilities kept": of_host(CapDrop=[]),
    "seccomp": of_host(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]),
    "new privileges": of_host(SecurityOpt=[]),
    "device": of_host(
        Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]
    ),
    "device rule": of_host(DeviceCgroupRules=["b *:* rwm"]),
    "memory": of_host(Memory=0, MemorySwap=0),
    "pids": of_host(PidsLimit=0),
    "unmasked": of_host(MaskedPaths=[], ReadonlyPaths=[]),
    "restart": of_host(RestartPolicy={"Name": "always"}),
    "volumes": top(Volumes={"/vol": {}}),
    "user": top(User="12345:0"),
    "entrypoint": top(Entrypoint=["/bin/sh"]),
    "arguments": top(Cmd=["-c", "print('other')"]),
    "environment": lambda body: body["Env"].clear(),
    "directory": top(WorkingDir="/etc"),
    "terminal": top(Tty=True),
    "labels": lambda body: body["Labels"].clear(),
    "group": of_host(GroupAdd=["0"]),
    "log": of_host(LogConfig={"Type": "json-file", "Config": {}}),
    "sysctl": of_host(Sysctls={"net.ipv4.ip_forward": "1"}),
    "port": of_host(PortBindings={"80/tcp": [{"HostPort": "0"}]}),
    "image": top(Image="redis:7-alpine"),
}

HARMLESS = {"volumes"}
"""An anonymous volume, as any image may declare one: it goes with the container."""


@pytest.mark.parametrize("what", [each for each in TAMPERED if each not in HARMLESS])
def test_whatever_differs_is_seen_and_removed(
    project: Project, behind: Callable[[Change], Tamperer], what: str
) -> None:
    project.write()
    relay = behind(TAMPERED[what])
    with pytest.raises(skill_magic.SkillError) as caught:
        project.run("open('/workdir/started', 'w').close()")
    assert relay.changed == 1, relay.asked
    assert isinstance(caught.value, skill_magic.PolicyError), caught.value
    assert codes(caught.value) == {"engine-differs"}
    assert "nothing was started" in str(caught.value)
    assert not any("/start" in line for line in relay.asked)
    assert not (project.path / "started").exists()
    names = [line.partition("name=")[2] for line in relay.asked if "/containers/create" in line]
    for name in names:
        assert docker("ps", "-aq", "--filter", f"name={name}") == ""  # also one that lost its labels


def test_an_engine_that_does_as_it_is_told_passes(
    project: Project, behind: Callable[[Change], Tamperer]
) -> None:
    """The control: through the relay, unchanged, the skill runs."""
    project.write("environment = ['A=1']")
    relay = behind(lambda body: None)
    assert project.run("import os; print(os.environ['A'])").stdout == "1\n"
    assert relay.changed == 1


def test_an_anonymous_volume_more_is_nothing_of_the_hosts(
    project: Project, behind: Callable[[Change], Tamperer]
) -> None:
    project.write()
    before = volumes()
    behind(TAMPERED["volumes"])
    with contextlib.suppress(skill_magic.PolicyError):
        project.run("open('/vol/x', 'w').close()")
    assert left_volumes(before) == set()
