"""Fixtures of the tests that need a real engine. A missing engine is a failure, never a skip."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pace import pace

from skill_magic.engine import Engine, Run, connect, session
from skill_magic.events import Event, Finished, Output
from skill_magic.host import Host, discover
from skill_magic.spec import RunSpec

from . import people
from .kernels import ours
from .probes import Person, Project, project_in

PYTHON = "python:3.12-slim"
"""An image with a shell, the core utilities and Python, which most tests run."""


@dataclasses.dataclass
class Outcome:
    """All events of one run."""

    events: list[Event]

    @property
    def stdout(self) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, Output) and e.stream == "stdout")

    @property
    def stderr(self) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, Output) and e.stream == "stderr")

    @property
    def finished(self) -> Finished:
        last = self.events[-1]
        assert isinstance(last, Finished), self.events
        return last

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """This machine, with directories of its own for the notebook and for everything a person keeps."""
    directory = tmp_path / "project"
    directory.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    return dataclasses.replace(
        discover(directory),
        directory=directory.resolve(),
        home=home,
        config_dir=home / ".config" / "skill_magic",
        data_dir=home / ".local" / "share" / "skill_magic",
        cache_dir=home / ".cache" / "skill_magic",
        system_dir=tmp_path / "etc",
    )


@pytest.fixture
def engine(host: Host) -> Engine:
    """The real engine."""
    return connect(host)


@pytest.fixture
def make_spec(host: Host) -> Callable[..., RunSpec]:
    """A spec with little in it: ``make_spec("echo", "hi", timeout=3.0)``; no mounts unless they are given."""

    def make(*args: str, image: str = PYTHON, **fields: Any) -> RunSpec:
        fields.setdefault("skill", "test")
        fields.setdefault("directory", host.directory)
        fields.setdefault("entrypoint", None)
        return RunSpec(image=image, args=tuple(args), **fields)

    return make


@pytest.fixture
def go(engine: Engine, host: Host, make_spec: Callable[..., RunSpec]) -> Callable[..., Outcome]:
    """Run to the end: ``go("echo", "hi").stdout``. ``stdin``, ``check_image``, ``keep`` go to the Run, the
    rest to the spec."""

    def run(*args: str, **fields: Any) -> Outcome:
        own = {name: fields.pop(name) for name in ("stdin", "check_image", "keep") if name in fields}
        return Outcome(list(Run(engine, make_spec(*args, **fields), host, **own)))

    return run


@pytest.fixture(scope="session", autouse=True)
def clean() -> Iterator[None]:
    """After the whole session: no container, volume or network that these tests made is left.

    Containers of other processes that are alive (somebody uses the same engine meanwhile) are theirs. Where tests run
    in several processes, another one has volumes and networks of its own at any time: then ``scripts/test`` looks.
    """
    engine = connect(discover())
    before = _left(engine)
    yield
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    until = time.monotonic() + 10
    while (left := _left(engine) - before) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left, f"left behind on the engine: {sorted(left)}"


def _left(engine: Engine) -> set[str]:
    """Whatever carries a label of ours, signed by whomever: each test has a data directory, so a key, of its own."""
    found = engine.api.containers(all=True, filters={"label": [session.LABEL + "session"]})
    ours = {
        f"container {entry['Names'][0]}"
        for entry in found
        if entry["Labels"].get(session.LABEL + "session") == session.current().id
        or not _alive(entry["Labels"])
    }
    volumes = engine.api.volumes(filters={"dangling": True})["Volumes"] or ()
    networks = engine.api.networks()
    return (
        ours
        | {f"volume {volume['Name']}" for volume in volumes}
        | {f"network {network['Name']}" for network in networks if "skill" in str(network["Name"])}
    )


def _alive(labels: Mapping[str, str]) -> bool:
    pid = labels.get(session.LABEL + "pid", "")
    return pid.isdigit() and session.process_start(int(pid)) == labels.get(session.LABEL + "pid-start")


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """``wait_until(condition, seconds=5.0)``: the first true value of ``condition``; fails the test if none comes
    in that time of a quiet machine."""

    def wait(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
        began, limit, measured = time.monotonic(), seconds, False
        while not (value := condition()):
            if time.monotonic() - began > limit and not measured:
                limit, measured = seconds * pace(), True
            assert time.monotonic() - began < limit, f"not within {seconds} s, nor {limit:.1f} s at this pace"
            time.sleep(0.02)
        return value

    return wait


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory to work in, and nothing of ours left running for it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    until = time.monotonic() + 5
    while (left := ours(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with project_in(tmp_path, monkeypatch) as found:
        yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that become another user, marked by what they ask for."""
    for item in items:
        if {"users", "person"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.root)


@pytest.fixture(scope="session")
def users() -> Iterator[None]:
    """The two ordinary users of :mod:`.people`, gone with the session."""
    assert os.getuid() == 0, "this test becomes another user, which takes root"
    with people.users():
        yield


@pytest.fixture
def person(users: None) -> Iterator[Person]:
    with Person.appears() as found:
        yield found
