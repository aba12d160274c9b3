"""An engine that goes away in the middle of a run: a real relay in front of the real engine is cut or
frozen."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skill_magic.engine import Engine, Run, connect, containers
from skill_magic.errors import EngineLost, EngineUnavailable
from skill_magic.events import Output, Started
from skill_magic.host import EngineAddress, Host

pytestmark = pytest.mark.engine


class Relay:
    """Passes a Unix socket's connections on to the engine's; can stop doing so in two ways."""

    def __init__(self, path: Path, engine: Path) -> None:
        self.path = path
        self._engine = engine
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        """Listen, and let everything through."""
        self.path.unlink(missing_ok=True)
        self._flows.set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def freeze(self) -> None:
        """As an engine that hangs: connections are taken, nothing is answered."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """As an engine that has died: all connections end, no new one is taken."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inner, _ = listener.accept()
                outer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                outer.connect(str(self._engine))
                self._sockets += [inner, outer]
                for source, target in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(host: Host, tmp_path: Path) -> Iterator[Relay]:
    assert host.engine is not None
    upstream = host.engine.socket
    assert upstream is not None, "these tests need an engine on a Unix socket"
    relay = Relay(tmp_path / "relay.sock", upstream)
    yield relay
    relay.thaw()
    relay.cut()


@pytest.fixture
def relayed(host: Host, relay: Relay) -> Engine:
    return connect(dataclasses.replace(host, engine=EngineAddress(f"unix://{relay.path}", "test relay")))


def lost_within(run: Run, seconds: float) -> None:
    asked = time.monotonic()
    with pytest.raises(EngineLost) as caught:
        for _ in run:
            pass
    assert time.monotonic() - asked < seconds
    assert "docker info" in caught.value.hint


def test_engine_dies(
    relayed: Engine,
    relay: Relay,
    engine: Engine,
    host: Host,
    make_spec: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    run = Run(relayed, make_spec("sh", "-c", "while :; do echo tick; sleep 0.1; done"), host)
    while not isinstance(run.next(10), Output):
        pass
    relay.cut()
    lost_within(run, 5.0)
    assert [one for one in containers(engine) if one.name == run.name], (
        "the container still runs at the engine"
    )
    relay.mend()  # it is back: what was left is taken away
    wait_until(lambda: not [one for one in containers(engine) if one.name == run.name], 10.0)


@pytest.mark.parametrize(
    "script", ["sleep 60", "while :; do echo tick; sleep 0.1; done"], ids=["silent", "talking"]
)
def test_engine_hangs(
    relayed: Engine,
    relay: Relay,
    engine: Engine,
    host: Host,
    make_spec: Callable[..., Any],
    wait_until: Callable[..., Any],
    script: str,
) -> None:
    run = Run(relayed, make_spec("sh", "-c", script), host)
    while not isinstance(run.next(10), Started):
        pass
    relay.freeze()
    lost_within(run, 5.5)  # "five seconds", and what this test's own machine takes
    relay.thaw()
    wait_until(lambda: not [one for one in containers(engine) if one.name == run.name], 15.0)


def test_engine_hangs_before_the_start(
    relayed: Engine, relay: Relay, host: Host, make_spec: Callable[..., Any]
) -> None:
    relay.freeze()
    run = Run(relayed, make_spec("sleep", "60"), host)
    lost_within(run, 5.5)
    relay.thaw()
    run.close()
    assert run.id is None, "nothing was made once the engine was back"


def test_stop_while_the_engine_hangs(
    relayed: Engine,
    relay: Relay,
    engine: Engine,
    host: Host,
    make_spec: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    run = Run(relayed, make_spec("sleep", "60"), host)
    while not isinstance(run.next(10), Started):
        pass
    relay.freeze()
    run.stop()
    lost_within(run, 5.5)
    run.close(0.1)
    relay.thaw()
    wait_until(lambda: not [one for one in containers(engine) if one.name == run.name], 15.0)


def test_connecting_to_a_hung_engine_says_so(relay: Relay, host: Host) -> None:
    relay.freeze()
    address = EngineAddress(f"unix://{relay.path}", "test relay")
    asked = time.monotonic()
    with pytest.raises(EngineUnavailable) as caught:
        connect(dataclasses.replace(host, engine=address))
    assert caught.value.problem == "no-answer"
    assert time.monotonic() - asked < 8.0
