"""Two ordinary users of one machine who both may use the engine: what one runs, allows and sets is not the other's."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pace import pace

from . import people
from .kernels import ours
from .people import OTHER_UID, UID
from .probes import docker, inspect

pytestmark = pytest.mark.engine

WAITS = ("python-runner", "--", "-c", "import time; print('up', flush=True); time.sleep(300)")


@dataclasses.dataclass(frozen=True)
class Somebody:
    """One of the two, with a home and a project."""

    uid: int
    home: Path

    @property
    def project(self) -> Path:
        return self.home / "project"

    def start(self, *words: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        """A program of theirs, in a process group of its own."""
        return subprocess.Popen(
            [*people.become(self.uid, [people.engine_group()]), *words],
            cwd=cwd or self.project,
            env=people.environment(self.home, variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.start(*words, cwd=cwd, **variables) as process:
            told, said = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, told, said)

    def skill(
        self, *words: str, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run(people.python(), "-m", "skill_magic", *words, cwd=cwd, **variables)

    def own(self, path: Path, mode: int) -> None:
        os.chown(path, self.uid, self.uid, follow_symlinks=False)
        path.chmod(mode)

    def write(self, name: str, text: str) -> Path:
        """A file in the home, private, with its directories."""
        path = self.home / name
        for folder in reversed(path.relative_to(self.home).parents[:-1]):
            (self.home / folder).mkdir(exist_ok=True)
            self.own(self.home / folder, 0o755)
        path.write_text(text)
        self.own(path, 0o600)
        return path

    @contextlib.contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A run of theirs that goes on: its process, and the name of its container."""
        process = self.start(people.python(), "-m", "skill_magic", *WAITS)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n", process.communicate()
            (name,) = ours(self.project)
            yield process, name
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            for left in ours(self.project):
                with contextlib.suppress(subprocess.CalledProcessError):  # its watchdog is quicker
                    docker("rm", "--force", "--volumes", left)


@pytest.fixture
def two(users: None) -> Iterator[tuple[Somebody, Somebody]]:
    with contextlib.ExitStack() as stack:
        found = []
        for uid in (UID, OTHER_UID):
            home = Path(tempfile.mkdtemp(prefix="skill-test-two-", dir="/tmp"))
            stack.callback(shutil.rmtree, home)
            somebody = Somebody(uid, home)
            somebody.project.mkdir()
            somebody.own(home, 0o755)
            somebody.own(somebody.project, 0o755)
            found.append(somebody)
        one, other = found
        yield one, other


def there(container: str) -> bool:
    return container in docker("ps", "--format", "{{.Names}}").split()


# --- runs -----------------------------------------------------------------------------------------------


def test_neither_lists_stops_reads_nor_removes_what_the_other_runs(two: tuple[Somebody, Somebody]) -> None:
    one, other = two
    with one.running() as (process, name):
        assert name in one.skill("ps", "--json").stdout, "the control: its owner sees it"
        assert name not in other.skill("ps", "--json").stdout
        for verb in ("stop", "logs", "clean"):
            done = other.skill(verb, name)
            assert done.returncode != 0, (verb, done.stdout)
            assert "up" not in done.stdout
        assert other.skill("clean").returncode == 0
        assert there(name)
        assert process.poll() is None
        assert one.skill("stop", name).returncode == 0
        process.communicate(timeout=30)
        assert not there(name)


def test_a_process_that_is_killed_takes_its_own_run_along_and_no_other(
    two: tuple[Somebody, Somebody], wait_until: Callable[..., Any]
) -> None:
    one, other = two
    with one.running() as (process, name), other.running() as (untouched, theirs):
        os.killpg(process.pid, signal.SIGKILL)
        wait_until(lambda: not ours(one.project), 5.0 * pace())
        assert not there(name)
        assert there(theirs)
        assert untouched.poll() is None


def test_nobody_sweeps_the_orphans_of_the_other(
    two: tuple[Somebody, Somebody], wait_until: Callable[..., Any]
) -> None:
    one, other = two
    with one.running() as (process, name):
        session = inspect(name)["Config"]["Labels"]["skill-magic.session"]
        for pid in with_word(session):
            os.kill(pid, signal.SIGKILL)  # the watchdog first
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert with_word(session) == []
        assert other.skill("python-runner", "--", "-c", "print(1)").stdout == "1\n"
        assert other.skill("clean").returncode == 0
        assert there(name)
        # The control: it is one that a sweep takes.
        assert one.skill("python-runner", "--", "-c", "print(1)").stdout == "1\n"
        wait_until(lambda: not there(name), 10.0 * pace())


def with_word(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found


# --- what they allowed and set --------------------------------------------------------------------------

ASKS = '[skills.x.docker]\nimage = "python:3.12-slim"\nentrypoint = "echo"\nnetwork = "bridge"\n'
"""Asks for one grant."""


@pytest.fixture
def shared(two: tuple[Somebody, Somebody]) -> Iterator[Path]:
    """A project that both work in, with a manifest that asks for a network."""
    path = Path(tempfile.mkdtemp(prefix="skill-test-shared-", dir="/tmp"))
    path.chmod(0o777)
    (path / "skills.toml").write_text(ASKS)
    (path / "skills.toml").chmod(0o644)
    yield path
    shutil.rmtree(path)


def test_what_one_allowed_in_a_shared_project_is_not_allowed_for_the_other(
    two: tuple[Somebody, Somebody], shared: Path
) -> None:
    one, other = two
    done = other.skill("trust", "x", "--yes", cwd=shared)
    assert done.returncode == 0, done.stderr
    assert other.skill("x", "--", "hello", cwd=shared).stdout == "hello\n"
    done = one.skill("x", "--", "hello", cwd=shared)
    assert (done.returncode, done.stdout) == (125, "")
    assert "network-bridge" in done.stderr
    theirs = str(other.home / ".local/share")
    for variables in ({"XDG_DATA_HOME": theirs}, {"HOME": str(other.home)}):
        done = one.skill("x", "--", "hello", cwd=shared, **variables)
        assert done.returncode == 125, done.stdout
        assert done.stdout == ""


OFFLINE = ASKS.replace("bridge", "none")

FILES = {
    ".local/share/skill_magic/trust.json": ('{"version": 1, "projects": {}}', "trust-unsafe"),
    ".config/skill_magic/policy.toml": ('networks = ["bridge"]\n', "settings-unsafe"),
    ".config/skill_magic/skills.toml": (ASKS, "manifest-not-private"),
}
"""Files of one's own, what is in them, and the code where somebody else could have written that."""


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["theirs", "writable", "directory"])
def test_a_file_of_ones_own_that_the_other_could_have_written_stops_the_run(
    two: tuple[Somebody, Somebody], name: str, how: str
) -> None:
    one, other = two
    text, code = FILES[name]
    path = one.write(name, text)
    if not name.endswith("skills.toml"):  # that one has the skill itself
        one.write("project/skills.toml", OFFLINE)
    assert one.skill("x", "--", "hello").stdout == "hello\n", "the control"
    if how == "theirs":
        os.chown(path, other.uid, other.uid)
        path.chmod(0o644)
    elif how == "writable":
        os.chown(path, one.uid, people.engine_group())
        path.chmod(0o664)
    else:
        os.chown(path.parent, one.uid, people.engine_group())
        path.parent.chmod(0o775)
    done = one.skill("x", "--", "hello")
    assert (done.returncode, done.stdout) == (125, ""), done.stderr
    assert code in done.stderr + one.skill("check", "--json").stdout


def test_a_manifest_above_that_the_other_could_have_written_is_not_read(
    two: tuple[Somebody, Somebody], shared: Path
) -> None:
    one, other = two
    (shared / "skills.toml").write_text(OFFLINE)
    (shared / "book").mkdir()
    one.own(shared / "book", 0o755)
    assert one.skill("x", "--", "hello", cwd=shared / "book").returncode == 125
    other.own(shared / "skills.toml", 0o644)
    done = one.skill("x", "--", "hello", cwd=shared / "book")
    assert done.returncode == 125
    assert "manifest-not-private" in one.skill("check", "--json", cwd=shared / "book").stdout
    shared.chmod(0o755)
    os.chown(shared / "skills.toml", 0, 0)
    assert one.skill("x", "--", "hello", cwd=shared / "book").stdout == "hello\n", "the control"


# --- the other front end --------------------------------------------------------------------------------


def test_the_magic_works_for_them_and_standard_error_is_clean(two: tuple[Somebody, Somebody]) -> None:
    lines = (
        "%load_ext skill_magic\nr = %skill python-runner -- -c \"open('made', 'w').write('x'); print(42)\"\n"
    )
    lines += "import json; print(json.dumps([r.ok, r.stdout]))\n"
    for somebody in two:
        script = somebody.write("project/cell.ipy", lines)
        done = somebody.run(people.python(), "-m", "IPython", "--no-banner", "--colors=NoColor", str(script))
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == [True, "42\n"]
        made = (somebody.project / "made").stat()
        assert (made.st_uid, made.st_gid) == (somebody.uid, somebody.uid)
        assert ours(somebody.project) == []
