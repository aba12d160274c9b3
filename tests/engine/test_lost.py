"""An engine that goes away in the middle of a run: a real relay in front of the real engine is cut or
frozen."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pace import pace

from skill_magic.engine import Engine, Run, connect, containers
from skill_magic.errors import EngineLost, EngineUnavailable
from skill_magic.events import Output, Started
from skill_magic.host import EngineAddress, Host

from .relay import Relay

pytestmark = pytest.mark.engine


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
    assert time.monotonic() - asked < 8.0 * pace()
