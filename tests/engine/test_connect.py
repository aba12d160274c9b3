"""Finding the engine, and saying what is the matter when there is none."""

from __future__ import annotations

import dataclasses
import importlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pace import pace

from skill_magic.engine import Engine, Run, connect, watchdog
from skill_magic.errors import EngineUnavailable
from skill_magic.events import Finished, Output, Started
from skill_magic.host import EngineAddress, Host

from .relay import Relay

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]


CERTIFICATES = """
req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=test-ca
req -newkey rsa:2048 -nodes -keyout key.pem -out csr.pem -subj /CN=me -addext subjectAltName=IP:127.0.0.1
x509 -req -in csr.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem -days 2 -copy_extensions copy
"""


def refusal(host: Host, url: str, **fields: Any) -> EngineUnavailable:
    with pytest.raises(EngineUnavailable) as caught:
        connect(dataclasses.replace(host, engine=EngineAddress(url, "DOCKER_HOST", **fields)))
    error = caught.value
    assert error.hint, error
    assert "Traceback" not in error.message
    assert len(error.message) < 300, error.message
    return error


def test_facts_of_the_engine(engine: Engine, host: Host) -> None:
    assert engine.cpus >= 1
    assert engine.memory > 1 << 20
    assert engine.version["ApiVersion"]
    assert engine.cgroup in (1, 2)
    assert engine.system
    assert engine.local
    assert not engine.podman
    assert connect(host) is engine, "one value per engine"


def test_no_engine_was_found(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        connect(dataclasses.replace(host, engine=None))
    assert caught.value.problem == "no-daemon", "docker is installed here"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable) as caught:
        connect(dataclasses.replace(host, engine=None))
    assert caught.value.problem == "no-client"
    assert "install Docker" in caught.value.hint


def test_a_context_that_does_not_exist(host: Host) -> None:
    reason = "The docker context 'gone' does not exist."
    error = refusal(host, "", problem="no-context", reason=reason, fix="See `docker context ls`.")
    assert (error.problem, error.message) == ("no-context", reason)


def test_the_socket_does_not_exist(host: Host, tmp_path: Path) -> None:
    error = refusal(host, f"unix://{tmp_path}/docker.sock")
    assert error.problem == "no-daemon"
    assert "does not exist" in error.message
    assert "DOCKER_HOST" in error.message, "where the address comes from"


def test_nobody_listens(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert refusal(host, f"unix://{path}").problem == "no-daemon"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert refusal(host, f"tcp://127.0.0.1:{taken.getsockname()[1]}").problem == "no-daemon"


def test_a_host_that_cannot_be_found(host: Host) -> None:
    assert refusal(host, "tcp://engine.invalid:2375").problem == "no-daemon"


def test_an_engine_that_hangs(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen(8)
        asked = time.monotonic()
        assert refusal(host, f"unix://{path}").problem == "no-answer"
        assert time.monotonic() - asked < 8 * pace()


def test_something_else_answers(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(8)

        def answer() -> None:
            connection, _ = other.accept()  # the probe
            connection.close()
            connection, _ = other.accept()
            connection.recv(4096)
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        assert refusal(host, f"unix://{path}").problem == "no-daemon"


@pytest.mark.skipif(os.getuid() != 0, reason="another user's rights need root to take on")
def test_no_permission(host: Host, tmp_path: Path) -> None:
    assert host.engine is not None
    script = """
import os, dataclasses
from skill_magic.host import discover
from skill_magic.engine import connect
import docker
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    connect(dataclasses.replace(discover(), engine=discover().engine))
except Exception as error:
    print(type(error).__name__, error.problem, error.hint)
"""
    environment = {**os.environ, "DOCKER_HOST": host.engine.url}
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    assert out.stdout.startswith("EngineUnavailable no-permission"), out
    assert "usermod -aG docker" in out.stdout


def test_over_ssh(host: Host) -> None:
    error = refusal(host, "ssh://me@far.example")
    assert error.problem == "no-client"
    assert "ssh -L" in error.hint


def test_certificates_that_are_missing(host: Host, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()
    error = refusal(host, "tcp://127.0.0.1:2376", tls=tmp_path)
    assert error.problem == "no-client"
    assert "ca.pem" in error.message
    assert "key.pem" in error.message


def test_over_tls_with_certificates(host: Host, make_spec: Callable[..., Any], tmp_path: Path) -> None:
    assert host.engine is not None
    assert host.engine.socket is not None
    for command in CERTIFICATES.strip().splitlines():
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    relay = Relay(tmp_path / "unused", host.engine.socket, tls=context)
    address = EngineAddress(f"tcp://127.0.0.1:{relay.port}", "DOCKER_HOST", tls=tmp_path)
    engine = connect(dataclasses.replace(host, engine=address))
    assert not engine.local
    text = os.urandom(3 << 20)
    events = list(Run(engine, make_spec("cat", timeout=60.0), host, stdin=text))
    assert b"".join(event.data for event in events if isinstance(event, Output)) == text
    assert isinstance(events[-1], Finished)
    assert events[-1].state == "finished"
    run = Run(engine, make_spec("sleep", "60"), host)
    while not isinstance(run.next(10), Started):
        pass
    run.stop()
    *_, last = run
    assert isinstance(last, Finished)
    assert last.state == "stopped"
    # The watchdog has a client of its own, since it must do without docker-py.
    for verify in ("yes", ""):
        task = {"url": address.url, "tls": str(tmp_path), "verify": verify}
        assert watchdog.call(task, 5.0, "GET", "/_ping") == b"OK"
    relay.cut()


def test_an_engine_that_another_authority_vouches_for(host: Host, tmp_path: Path) -> None:
    for command in CERTIFICATES.strip().splitlines():
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert host.engine is not None
    assert host.engine.socket is not None
    relay = Relay(tmp_path / "unused", host.engine.socket, tls=context)
    subprocess.run(
        ["openssl", *CERTIFICATES.strip().splitlines()[0].split()],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    error = refusal(host, f"tcp://127.0.0.1:{relay.port}", tls=tmp_path)
    assert error.problem == "no-permission"
    assert "ca.pem" in error.hint
    relay.cut()


def test_the_persons_proxies_stay_out_of_the_container(
    host: Host, make_spec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    proxies = '{"proxies": {"default": {"httpProxy": "http://jo:secret@proxy.example:3128"}}}'
    (folder / "config.json").write_text(proxies)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("HTTPS_PROXY", "http://jo:secret@proxy.example:3128")
    monkeypatch.setattr(importlib.import_module("skill_magic.engine.connect"), "_engines", {})
    engine = connect(host)
    events = list(Run(engine, make_spec("env"), host))
    text = b"".join(event.data for event in events if isinstance(event, Output)).lower()
    assert b"path=" in text
    assert b"proxy" not in text


def test_a_broken_docker_configuration(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_spec: Callable[..., Any]
) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text('{"auths": {"x": ')
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setattr(importlib.import_module("skill_magic.engine.connect"), "_engines", {})
    events = list(Run(connect(host), make_spec("echo", "hi"), host))
    assert Output("stdout", b"hi\n") in events, "docker itself goes on without it"


def test_importing_the_room_imports_no_client() -> None:
    script = "import sys, skill_magic.engine; print([m for m in ('docker', 'requests') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "[]"
