"""Nothing is left behind: by a killed process, by an earlier one; and what is to stay stays."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pace import pace

from skill_magic import engine as room
from skill_magic.command import parse as command
from skill_magic.door import Door
from skill_magic.engine import Engine, Run, containers, session
from skill_magic.engine.removal import remove_named
from skill_magic.errors import EngineError
from skill_magic.events import Finished, Output, Started
from skill_magic.host import Host
from skill_magic.verbs import perform
from skill_magic.views.base import QuietView

from .conftest import PYTHON

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]

KERNEL = """
import sys, time
from pathlib import Path
from skill_magic.engine import Run, connect, session
from skill_magic.events import Started
from skill_magic.host import discover
from skill_magic.spec import Mount, RunSpec

keep, rm, script = sys.argv[1] == "keep", sys.argv[2] == "rm", sys.argv[3]
host = discover()
spec = RunSpec("kernel", "python:3.12-slim", ("sh", "-c", script), remove=rm,
               mounts=(Mount("volume", "/data"),), directory=Path(sys.argv[4]))
run = Run(connect(host), spec, host, keep=keep)
for event in run:
    if isinstance(event, Started):
        print(session.current().id, event.name, flush=True)
"""

TICKS = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done"


class Kernel:
    """A process that runs a tool, as a notebook's kernel would."""

    def __init__(
        self,
        data_home: Path,
        *,
        keep: bool = False,
        rm: bool = True,
        script: str = TICKS,
        directory: str = "/",
    ) -> None:
        words = ["keep" if keep else "-", "rm" if rm else "-", script, directory]
        self.process = subprocess.Popen(
            [sys.executable, "-c", KERNEL, *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "XDG_DATA_HOME": str(data_home)},
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.session, self.container = self.process.stdout.readline().split()

    def kill(self) -> None:
        """As a kernel manager does it: the whole process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def watchdogs(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.session in entry.read_text():
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found


@pytest.fixture
def kernel(engine: Engine, host: Host) -> Iterator[Callable[..., Kernel]]:
    made: list[Kernel] = []

    def make(**options: Any) -> Kernel:
        made.append(Kernel(host.data_dir.parent, **options))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.kill()
        for left in engine.api.containers(all=True, filters={"label": f"skill-magic.session={one.session}"}):
            engine.api.remove_container(left["Id"], force=True, v=True)


def present(engine: Engine, name: str) -> str | None:
    """The state of a container, ``None`` where there is none of that name."""
    return next((one.state for one in containers(engine) if one.name == name), None)


def volumes_of(engine: Engine, name: str) -> list[str]:
    found = engine.api.volumes(filters={"label": f"skill-magic.container={name}"})["Volumes"]
    return [volume["Name"] for volume in found or ()]


def test_labels_say_whose_it_is(engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
    with Run(engine, make_spec("sleep", "60"), host) as run:
        while not isinstance(run.next(10), Started):
            pass
        (one,) = [one for one in containers(engine, host) if one.name == run.name]
        labels = engine.api.inspect_container(one.id)["Config"]["Labels"]
    assert labels["skill-magic.pid"] == str(os.getpid())
    assert labels["skill-magic.session"] == session.current().id
    assert labels["skill-magic.user"] == str(os.getuid())
    assert (one.skill, one.image) == ("test", "python:3.12-slim")
    assert one.directory == str(host.directory)
    assert one.running
    assert one.ours
    assert one.alive
    assert not one.orphan


def test_a_killed_process_takes_its_container_with_it(
    kernel: Callable[..., Kernel], engine: Engine, wait_until: Callable[..., Any]
) -> None:
    process = kernel()
    assert volumes_of(engine, process.container)
    assert len(process.watchdogs()) == 1
    process.kill()
    killed = time.monotonic()
    wait_until(lambda: present(engine, process.container) is None)
    wait_until(lambda: not volumes_of(engine, process.container))
    wait_until(lambda: not process.watchdogs(), 5.0 - (time.monotonic() - killed))


def test_an_interrupted_process_does_so_itself(
    kernel: Callable[..., Kernel], engine: Engine, wait_until: Callable[..., Any]
) -> None:
    process = kernel()
    os.kill(process.process.pid, signal.SIGINT)
    process.process.wait(20)
    assert present(engine, process.container) is None, "before the process ended"
    wait_until(lambda: not process.watchdogs(), 1.0)


def test_a_kept_run_outlives_its_process_and_can_be_picked_up(
    kernel: Callable[..., Kernel], engine: Engine, host: Host, wait_until: Callable[..., Any]
) -> None:
    process = kernel(keep=True)
    process.kill()
    wait_until(lambda: not process.watchdogs())
    assert present(engine, process.container) == "running"
    assert process.container not in room.sweep(engine, host, force=True)
    assert present(engine, process.container) == "running"

    log = b"".join(data for stream, data in room.logs(engine, process.container) if stream == "stdout")
    assert log.startswith(b"tick 1\ntick 2\n")

    run = Run.attach_existing(engine, process.container, host)
    text = b""
    while log not in text or text == log:
        event = run.next(5)
        assert event is not None
        text += event.data if isinstance(event, Output) else b""
    assert text.startswith(log), "from the beginning, and on"
    run.stop()
    *_, last = run
    assert isinstance(last, Finished)
    assert last.state == "stopped"
    assert last.duration > 0
    assert present(engine, process.container) == "exited"
    room.remove(engine, process.container)
    assert present(engine, process.container) is None
    assert volumes_of(engine, process.container) == []


def test_only_a_kept_run_can_be_picked_up(kernel: Callable[..., Kernel], engine: Engine, host: Host) -> None:
    process = kernel()
    with pytest.raises(EngineError, match="cannot be picked up"):
        Run.attach_existing(engine, process.container, host)
    with pytest.raises(EngineError, match="no log"):
        list(room.logs(engine, process.container))


def test_the_watchdog_stops_what_is_not_to_be_removed(
    kernel: Callable[..., Kernel], engine: Engine, wait_until: Callable[..., Any]
) -> None:
    process = kernel(rm=False)
    process.kill()
    wait_until(lambda: present(engine, process.container) == "exited")
    wait_until(lambda: not process.watchdogs())
    assert present(engine, process.container) == "exited"


def orphaned(kernel: Callable[..., Kernel], **options: Any) -> Kernel:
    """A process that died together with its watchdog: the machine's control group was killed."""
    process = kernel(**options)
    for pid in process.watchdogs():
        os.kill(pid, signal.SIGKILL)
    process.kill()
    return process


def test_the_sweep_removes_what_dead_processes_left(
    kernel: Callable[..., Kernel], engine: Engine, host: Host
) -> None:
    dead, alive = orphaned(kernel), kernel()
    time.sleep(0.3)
    assert present(engine, dead.container) == "running"
    swept = room.sweep(engine, host, force=True)
    assert dead.container in swept
    assert present(engine, dead.container) is None
    assert volumes_of(engine, dead.container) == []
    assert present(engine, alive.container) == "running", "its process lives"
    assert room.sweep(engine, host) == (), "not again so soon"


def labels_of(engine: Engine, container: str) -> dict[str, str]:
    labels: dict[str, str] = engine.api.inspect_container(container)["Config"]["Labels"]
    return labels


@pytest.fixture
def theirs(engine: Engine) -> Iterator[Callable[..., str]]:
    """Makes containers that are none of ours: ``theirs(name, image, labels, started=True)``; gone after the test."""
    made: list[str] = []

    def make(
        name: str, image: str = PYTHON, labels: dict[str, str] | None = None, *, started: bool = True
    ) -> str:
        config = engine.api.create_container_config(image, ["sleep", "60"], labels=labels)
        made.append(engine.api.create_container_from_config(config, name)["Id"])
        if started:
            engine.api.start(made[-1])
        return name

    yield make
    for container in made:
        engine.api.remove_container(container, force=True, v=True)


@pytest.fixture
def committed(engine: Engine) -> Iterator[Callable[[str], str]]:
    """Makes an image of a container, as ``docker commit`` does: with its labels."""
    images: list[str] = []

    def commit(container: str) -> str:
        images.append(
            engine.api.commit(container, repository="skill-test-committed", tag=uuid.uuid4().hex)["Id"]
        )
        return images[-1]

    yield commit
    for image in images:
        engine.api.remove_image(image, force=True)


def somebodys(number: int) -> str:
    """A name of the form of ours."""
    return f"skill-theirs-{uuid.uuid4().hex[:7]}{number}"


def everything_that_cleans(engine: Engine, host: Host) -> None:
    """All that removes or stops without being told a name of a container."""
    room.sweep(engine, host, force=True)
    perform(command.parse(["clean", "--yes"], door="shell"), Door("shell", host, QuietView, None))


@pytest.mark.parametrize("started", [True, False], ids=["running", "never started"])
def test_what_an_image_made_of_a_run_of_ours_begins_is_not_ours(
    kernel: Callable[..., Kernel],
    engine: Engine,
    host: Host,
    committed: Callable[[str], str],
    theirs: Callable[..., str],
    started: bool,
) -> None:
    """``docker commit`` of a run copies every label of it, the signature too."""
    dead = orphaned(kernel)
    image = committed(dead.container)
    names = [theirs(somebodys(number), image, started=started) for number in range(2)]
    assert labels_of(engine, names[0]) == labels_of(engine, dead.container)
    everything_that_cleans(engine, host)
    assert present(engine, dead.container) is None
    for name in names:
        assert engine.api.inspect_container(name)["State"]["Running"] is started


@pytest.mark.parametrize("started", [True, False], ids=["running", "never started"])
def test_what_takes_the_name_of_a_run_that_is_gone_is_not_ours(
    kernel: Callable[..., Kernel],
    engine: Engine,
    host: Host,
    committed: Callable[[str], str],
    theirs: Callable[..., str],
    started: bool,
) -> None:
    """Every label, the signature and the name are those of a run of ours; the image is another one."""
    kept = orphaned(kernel, keep=True)
    image = committed(kept.container)
    room.stop(engine, kept.container)
    room.remove(engine, kept.container)
    theirs(kept.container, image, started=started)
    assert kept.container not in {one.name for one in containers(engine)}
    with pytest.raises(EngineError, match="no run"):
        room.find(engine, kept.container)
    everything_that_cleans(engine, host)
    assert remove_named(engine, kept.container), "as after a create that was refused for its name"
    assert engine.api.inspect_container(kept.container)["State"]["Running"] is started


def test_the_watchdog_leaves_what_has_taken_a_name(
    kernel: Callable[..., Kernel],
    engine: Engine,
    committed: Callable[[str], str],
    theirs: Callable[..., str],
    wait_until: Callable[..., Any],
) -> None:
    process = kernel()
    image = committed(process.container)
    engine.api.remove_container(process.container, force=True, v=True)
    theirs(process.container, image, started=True)
    process.kill()
    wait_until(lambda: not process.watchdogs())
    assert engine.api.inspect_container(process.container)["State"]["Running"]


@pytest.mark.parametrize(
    "forged",
    [
        {"session": "x", "user": "{uid}", "rm": "true"},
        {"session": "{session}", "user": "{uid}", "rm": "true"},
        {"session": "x", "user": "{uid}", "rm": "false", "keep": "true"},
        {"session": "x", "user": "{uid}", "rm": "true", "signature": ""},
        {"session": "x", "user": "{uid}", "rm": "true", "signature": "0" * 64},
        {
            "session": "x", "user": "{uid}", "rm": "true", "pid": "1", "pid-start": "0", "pid-ns": "{pid-ns}",
            "boot-id": "{boot-id}", "container": "{name}",
        },
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("started", [True, False], ids=["running", "never started"])
def test_labels_without_the_signature_are_nothing(
    engine: Engine, host: Host, theirs: Callable[..., str], forged: dict[str, str], started: bool
) -> None:
    name = somebodys(0)
    facts = {
        "uid": str(host.uid), "session": session.current().id, "pid-ns": session.pid_namespace(),
        "boot-id": session.boot_id(), "name": name,
    }  # fmt: skip
    labels = {f"skill-magic.{key}": value.format_map(facts) for key, value in forged.items()}
    theirs(name, labels=labels, started=started)
    assert name not in {one.name for one in containers(engine)}
    for ask in (room.find, room.stop, room.remove, lambda e, n: list(room.logs(e, n))):
        with pytest.raises(EngineError, match="no run"):
            ask(engine, name)
    with pytest.raises(EngineError, match="no run"):
        Run.attach_existing(engine, name, host)
    everything_that_cleans(engine, host)
    assert engine.api.inspect_container(name)["State"]["Running"] is started


def test_the_watchdog_takes_what_is_signed_alone(
    kernel: Callable[..., Kernel], engine: Engine, theirs: Callable[..., str], wait_until: Callable[..., Any]
) -> None:
    process = kernel()
    labels = labels_of(engine, process.container)
    copied = theirs(somebodys(1), labels=labels)  # of the very session, with its signature
    process.kill()
    wait_until(lambda: present(engine, process.container) is None)
    wait_until(lambda: not process.watchdogs())
    assert engine.api.inspect_container(copied)["State"]["Running"]


def test_a_person_of_another_key_has_other_containers(
    kernel: Callable[..., Kernel], engine: Engine, host: Host, tmp_path: Path
) -> None:
    dead = orphaned(kernel)
    somebody = dataclasses.replace(host, data_dir=tmp_path / "somebody")
    assert dead.container not in {one.name for one in containers(room.connect(somebody))}
    assert dead.container not in room.sweep(room.connect(somebody), somebody, force=True)
    assert present(engine, dead.container) == "running"


def test_a_persons_own_containers_of_a_compose_project_stay(
    engine: Engine, host: Host, theirs: Callable[..., str], go: Callable[..., Any]
) -> None:
    project = f"skill-{uuid.uuid4().hex[:8]}"
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "db"}
    names = [
        theirs(f"{project}-db-1", labels=labels),
        theirs(f"{project}-web-1", labels=labels, started=False),
    ]
    assert go("true").finished.state == "finished"
    everything_that_cleans(engine, host)
    assert [engine.api.inspect_container(name)["State"]["Running"] for name in names] == [True, False]


def test_the_sweep_leaves_other_peoples(kernel: Callable[..., Kernel], engine: Engine, host: Host) -> None:
    dead = orphaned(kernel)
    somebody = dataclasses.replace(host, uid=host.uid + 1)
    assert dead.container not in room.sweep(engine, somebody, force=True)
    assert present(engine, dead.container) == "running"


def test_a_pid_that_was_given_anew_is_another_process(engine: Engine) -> None:
    from skill_magic.engine.reaper import _alive

    here = session.pid_namespace(), session.boot_id()
    start = session.process_start(os.getpid())
    assert _alive(str(os.getpid()), start, *here) is True
    assert _alive(str(os.getpid()), str(int(start) + 1), *here) is False
    assert _alive(str(os.getpid()), start, here[0], "another boot") is None
    assert _alive(str(os.getpid()), start, "pid:[1]", here[1]) is None


def test_stopping_a_run_of_another_process(
    kernel: Callable[..., Kernel], engine: Engine, wait_until: Callable[..., Any]
) -> None:
    process = kernel()
    asked = time.monotonic()
    assert room.stop(engine, process.container[:-2]).name == process.container
    assert time.monotonic() - asked < 2.5 * pace()
    wait_until(lambda: present(engine, process.container) is None)
    assert process.process.wait(20) == 0, "it saw the end of its run"


def test_names_that_fit_nothing_or_too_much(kernel: Callable[..., Kernel], engine: Engine) -> None:
    kernel(), kernel()
    with pytest.raises(EngineError, match="no run"):
        room.find(engine, "no-such-run")
    with pytest.raises(EngineError, match="fits 2 runs"):
        room.find(engine, "skill-kernel-")


def test_a_forked_child_has_a_session_of_its_own(engine: Engine) -> None:
    here = session.current()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, session.current().id.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() != here.id
    assert session.current() is here
