"""Live probes: runs beside one another, and what lies around the mounted folder."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import skill_magic
from skill_magic.background import Handle
from skill_magic.engine import Engine, connect, neighbours
from skill_magic.errors import EngineError
from skill_magic.host import discover

from .probes import TRIES, Project, codes, docker

pytestmark = pytest.mark.engine

SLEEPS = "import time; print('ready', flush=True); time.sleep(60)"


def paused(handle: Handle) -> bool:
    return docker("inspect", "-f", "{{.State.Paused}}", handle.name) == "true"


@pytest.fixture
def beside(project: Project) -> Iterator[Handle]:
    """A run that goes on in the project's directory."""
    project.write()
    handle = skill_magic.start("x", ["-c", SLEEPS], directory=project.path)
    until = time.monotonic() + 20
    while "ready" not in str(handle.logs()):
        assert time.monotonic() < until
        time.sleep(0.05)
    yield handle
    handle.stop()
    handle.stop()
    handle.wait(20) if handle.state == "finished" else None
    while not handle.done:
        time.sleep(0.05)


def test_a_run_that_can_write_there_stands_still_while_another_starts(
    project: Project, beside: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot swap a folder for a link between the look at a path and the engine's."""
    seen: list[bool] = []
    from docker.api.container import ContainerApiMixin

    start = ContainerApiMixin.start

    def watched(self: Any, container: str, *args: Any, **options: Any) -> Any:
        seen.append(paused(beside))
        return start(self, container, *args, **options)

    monkeypatch.setattr(ContainerApiMixin, "start", watched)
    result = project.run("print('second')")
    assert result.stdout == "second\n"
    assert seen == [True]
    assert not paused(beside)
    assert beside.state == "running"


def starts(monkeypatch: pytest.MonkeyPatch, look: Callable[[], bool]) -> list[bool]:
    """What ``look`` sees in the moment of each start."""
    from docker.api.container import ContainerApiMixin

    seen: list[bool] = []
    start = ContainerApiMixin.start

    def watched(self: Any, container: str, *args: Any, **options: Any) -> Any:
        seen.append(look())
        return start(self, container, *args, **options)

    monkeypatch.setattr(ContainerApiMixin, "start", watched)
    return seen


def test_a_run_whose_folder_was_moved_since_stands_still_too(
    project: Project, beside: Handle, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The engine knows its folder by the name of before; what it has mounted lies where it is now."""
    seen = starts(monkeypatch, lambda: paused(beside))
    other = Project(tmp_path / "other")
    other.path.mkdir()
    other.write('volumes = ["./moved:/data:ro"]')
    project.path.rename(other.path / "moved")
    try:
        assert other.run("print(1)").ok
    finally:
        (other.path / "moved").rename(project.path)
    assert seen == [True]
    assert not paused(beside)
    assert beside.state == "running"


def test_a_run_that_can_write_nowhere_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    project.write('volumes = [".:/workdir:ro"]')
    handle = skill_magic.start("x", ["-c", SLEEPS], directory=project.path)
    until = time.monotonic() + 20
    while "ready" not in str(handle.logs()):
        assert time.monotonic() < until
        time.sleep(0.05)
    seen = starts(monkeypatch, lambda: paused(handle))
    other = Project(tmp_path / "other")
    other.path.mkdir()
    other.write()
    assert other.run("print(1)").ok
    assert seen == [False]
    handle.stop()
    handle.stop()
    while not handle.done:
        time.sleep(0.05)


def test_what_cannot_be_paused_refuses_the_start(
    project: Project, beside: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(engine: Engine, container: str) -> bool:
        raise EngineError("another run can write to this directory and cannot be paused", "Wait.")

    monkeypatch.setattr(neighbours, "_pause", refused)
    with pytest.raises(EngineError, match="cannot be paused"):
        project.run("print('must not run')")
    assert not paused(beside)


def test_starts_come_one_after_the_other_wherever_they_are(project: Project, tmp_path: Any) -> None:
    """One that ended in between would let the neighbours of the next go on."""
    project.write()
    below = Project(project.path / "sub")
    elsewhere = Project(tmp_path / "elsewhere")
    results: list[Any] = []
    threads = []
    for each in (project, below, elsewhere, project):
        each.path.mkdir(exist_ok=True)
        each.write()
        threads.append(threading.Thread(target=lambda each=each: results.append(each.run("print('done')"))))
    host = discover(project.path)
    with neighbours._alone(host) as alone:
        assert alone
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        assert results == []
    for thread in threads:
        thread.join(60)
    assert [result.stdout for result in results] == ["done\n"] * 4


def test_a_start_that_never_ends_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write()
    monkeypatch.setattr(neighbours, "PATIENCE", 0.2)
    host = discover(project.path)
    with neighbours._alone(host), pytest.raises(EngineError, match="runs start one by one"):
        project.run("print('must not run')")
    assert project.run("print(1)").ok


def test_what_a_killed_start_has_paused_goes_on(project: Project, beside: Handle) -> None:
    """Its process had no time to let it go on; the run sees to it itself."""
    host = discover(project.path)
    identity = docker("inspect", "-f", "{{.Id}}", beside.name)
    docker("pause", identity)
    (host.data_dir / neighbours.LOCK).write_text(f"{identity}\n")
    until = time.monotonic() + 20
    while paused(beside):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert (host.data_dir / neighbours.LOCK).read_text() == ""
    docker("pause", identity)  # by a person: that is left alone
    time.sleep(1.5)
    assert paused(beside)
    assert project.run("print(1)").ok
    assert paused(beside)
    docker("unpause", identity)


def test_a_run_that_is_about_to_end_is_waited_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a moment the engine says that a container runs whose process has ended."""
    import docker.errors

    tries: list[str] = []
    api = connect(discover(project.path)).api

    def refused(container: str) -> None:
        tries.append(container)
        raise docker.errors.APIError("OCI runtime pause failed: container not running")

    monkeypatch.setattr(type(api), "pause", lambda self, container: refused(container))
    monkeypatch.setattr(neighbours, "_still", lambda engine, container: len(tries) > 2)
    assert neighbours._pause(connect(discover(project.path)), "x") is False
    assert len(tries) == 3


def test_without_a_lock_nothing_starts_beside_one_that_can_write_there(
    project: Project, beside: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(EngineError, match="no lock keeps other starts"):
        project.run("print('must not run')")
    assert not paused(beside)


def test_a_guarded_cache_that_was_moved_away_is_looked_at(project: Project) -> None:
    """Its folder is another one's, so what lies in it is counted, told, and loses its bits."""
    project.write()
    (project.path / "pkg/__pycache__").mkdir(parents=True)
    (project.path / "pkg/mod.py").write_text("x = 1\n")
    result = project.run(
        "import os, shutil\n"
        "os.rename('pkg', 'old'); os.makedirs('pkg/__pycache__'); shutil.copy('old/mod.py', 'pkg')\n"
        "shutil.copy('/bin/sh', 'pkg/__pycache__/su'); os.chmod('pkg/__pycache__/su', 0o4755)\n"
    )
    assert result.ok, result.stderr
    left = (project.path / "pkg/__pycache__/su").stat()
    assert not left.st_mode & stat.S_ISUID
    assert any("pkg/__pycache__/su" in note for note in result.notes), result.notes


def git(folder: Any, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_a_folder_of_a_repository_keeps_its_hooks_and_settings(project: Project) -> None:
    """The notebook lies in a part of the repository; what the repository runs lies in it."""
    project.write()
    for name in ("hooks/pre-commit", "scripts/merge.sh", "tools/fs.sh", "settings"):
        (project.path / name).parent.mkdir(exist_ok=True)
        (project.path / name).write_text("theirs\n")
    around = project.path.parent
    inner = project.path.name
    git(around, "init", "-q")
    git(around, "config", "core.hooksPath", f"{inner}/hooks")
    git(around, "config", "include.path", f"../{inner}/settings")
    git(around, "config", "core.fsmonitor", f"{inner}/tools/fs.sh")
    git(around, "config", "filter.x.clean", f"sh {inner}/scripts/merge.sh %f")
    names = ("hooks/pre-commit", "settings", "tools/fs.sh", "scripts/merge.sh")
    found = project.attempts(
        "\n".join(f"attempt({name!r}, lambda: open({name!r}, 'w').close())" for name in names)
    )
    assert set(found.values()) == {"EROFS"}, found
    assert {(project.path / name).read_text() for name in names} == {"theirs\n"}


def test_what_settings_include_in_turn_is_read_as_well(project: Project) -> None:
    project.write()
    for name in ("tools/hooks/pre-commit", "tools/strip.sh", "more/own"):
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_text("theirs\n")
    git(project.path, "init", "-q")
    git(project.path, "config", "include.path", "../.gitconfig")
    (project.path / ".gitconfig").write_text("[include]\n\tpath = more/settings\n")
    (project.path / "more/settings").write_text(
        '[core]\n\thooksPath = tools/hooks\n[filter "x"]\n\tclean = sh tools/strip.sh %f\n[include]\n\tpath = own\n'
    )
    names = ("tools/hooks/pre-commit", "tools/strip.sh", ".gitconfig", "more/settings", "more/own")
    before = {name: (project.path / name).read_text() for name in names}
    found = project.attempts(
        "\n".join(f"attempt({name!r}, lambda: open({name!r}, 'w').close())" for name in names)
    )
    assert set(found.values()) == {"EROFS"}, found
    assert {name: (project.path / name).read_text() for name in names} == before


GIT_SETTINGS = {
    "a link": ("tools/hooks/x", None),
    "quotes in it": ("tools/hooks/x", '[core]\n\thooksPath = tools"/hooks"\n'),
    "two lines": ("tools/hooks/x", "[core]\n\thooksPath = tools/\\\nhooks\n"),
    "a command": ("tools/run.sh", '[alias]\n\tlint = "!tools/run.sh; true"\n'),
    "an option": ("tools/run.sh", "[core]\n\teditor = sh --file=tools/run.sh&\n"),
    "a remark": ("tools/hooks/x", "[core]\n\thooksPath = tools/hooks # or not\n"),
}


@pytest.mark.parametrize("form", GIT_SETTINGS)
def test_settings_in_every_form_that_git_reads(project: Project, form: str) -> None:
    name, text = GIT_SETTINGS[form]
    project.write()
    for each in ("tools/hooks/x", "tools/run.sh", "tools/own"):
        (project.path / each).parent.mkdir(parents=True, exist_ok=True)
        (project.path / each).write_text("theirs\n")
    (project.path / "tools/own").write_text("[core]\n\thooksPath = tools/hooks\n")
    git(project.path, "init", "-q")
    git(project.path, "config", "include.path", "../.gitconfig")
    if text is None:
        (project.path / ".gitconfig").symlink_to("tools/own")
    else:
        (project.path / ".gitconfig").write_text(text)
    found = project.attempts(f"attempt('write', lambda: open({name!r}, 'w').close())")
    assert found == {"write": "EROFS"}


@pytest.mark.parametrize("way", ["a link", "GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME", "GIT_CONFIG_COUNT"])
def test_the_persons_own_settings_count_wherever_they_are(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, way: str
) -> None:
    project.write()
    (project.path / "tools/hooks").mkdir(parents=True)
    (project.path / "tools/hooks/pre-commit").write_text("theirs\n")
    git(project.path, "init", "-q")
    settings = tmp_path / "kept/git/config"
    settings.parent.mkdir(parents=True)
    settings.write_text("[core]\n\thooksPath = tools/hooks\n")
    if way == "a link":
        (Path(os.environ["HOME"]) / ".gitconfig").symlink_to(settings)
    elif way == "GIT_CONFIG_GLOBAL":
        monkeypatch.setenv(way, str(settings))
    elif way == "XDG_CONFIG_HOME":
        monkeypatch.setenv(way, str(tmp_path / "kept"))
    else:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "tools/hooks")
    found = project.attempts("attempt('write', lambda: open('tools/hooks/pre-commit', 'w').close())")
    assert found == {"write": "EROFS"}


def test_settings_without_end_are_refused(project: Project) -> None:
    project.write()
    git(project.path, "init", "-q")
    for number in range(100):
        (project.path / f"c{number}").write_text(f"[include]\n\tpath = c{number + 1}\n")
    git(project.path, "config", "include.path", "../c0")
    assert codes(project.refusal()) == {"mount-guards"}


def test_what_variables_name_is_read_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write()
    names = ("start.py", "tools/run", "gitconfig", "bin/run")
    for name in names:
        (project.path / name).parent.mkdir(exist_ok=True)
        (project.path / name).write_text("theirs\n")
    monkeypatch.setenv("PYTHONSTARTUP", str(project.path / "start.py"))
    monkeypatch.setenv("PATH", f"{project.path}/tools:./bin::{os.environ['PATH']}")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(project.path / "gitconfig"))
    found = project.attempts(
        "\n".join(f"attempt({name!r}, lambda: open({name!r}, 'w').close())" for name in names)
    )
    assert set(found.values()) == {"EROFS"}, found


@pytest.mark.parametrize("target", ["/workdir", "/x"])
@pytest.mark.parametrize("repository", ["", "sub"])
def test_what_a_repository_runs_is_not_mounted_in_the_notebooks_place(
    project: Project, target: str, repository: str
) -> None:
    """A mount at /workdir takes the place of the notebook's directory; what is guarded there is guarded for all."""
    place = project.path / repository
    (place / "tools/hooks").mkdir(parents=True)
    (place / "tools/hooks/pre-commit").write_text("theirs\n")
    git(place, "init", "-q")
    git(place, "config", "core.hooksPath", "tools/hooks")
    project.write(f'volumes = ["./{repository or "."}/tools/hooks:{target}"]')
    assert "mount-project-code" in codes(project.refusal())


@pytest.mark.parametrize("text", [b"gitdir: \0x\n", b"gitdir: a\0b\n", b"\0"])
def test_a_nul_in_a_pointer_of_git_is_no_error(project: Project, text: bytes) -> None:
    project.write()
    (project.path / ".git").write_bytes(text)
    assert project.run("print(1)").ok


def test_an_environment_as_the_notebooks_directory(project: Project) -> None:
    project.write()
    (project.path / "pyvenv.cfg").touch()
    (project.path / "share/jupyter/kernels/python3").mkdir(parents=True)
    (project.path / "share/jupyter/kernels/python3/kernel.json").write_text("{}")
    found = project.attempts(
        "attempt('kernel', lambda: open('share/jupyter/kernels/python3/kernel.json', 'w').close())"
    )
    assert found == {"kernel": "EROFS"}, TRIES
    assert os.path.getsize(project.path / "share/jupyter/kernels/python3/kernel.json") == 2


@pytest.fixture
def disk(project: Project) -> Iterator[Any]:
    """Mounts another file system in the project: ``disk(path)``."""
    assert os.getuid() == 0, "to mount takes root"
    made: list[str] = []

    def mount(path: Any) -> None:
        path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", str(path)], check=True)
        made.append(str(path))

    yield mount
    for path in made:
        subprocess.run(["umount", path], check=True)


@pytest.mark.root
@pytest.mark.parametrize(
    ("place", "line", "code"),
    [
        ("data/disk", 'volumes = ["./data:/data:ro"]', "mount-below"),
        ("data/de ep/disk", 'volumes = ["./data:/data:ro"]', "mount-below"),
        (".venv/lib", "", "mount-guards"),
        ("sub/.git/objects", "", "mount-guards"),
    ],
)
def test_read_only_reaches_no_file_system_below(
    project: Project, disk: Any, place: str, line: str, code: str
) -> None:
    """The engine's read-only is of one mount; what is mounted in it would stay writable."""
    project.write(line)
    disk(project.path / place)
    assert code in codes(project.refusal())
    assert list((project.path / place).iterdir()) == []


@pytest.mark.root
def test_a_file_system_in_a_folder_that_may_be_written_is_there(project: Project, disk: Any) -> None:
    project.write()
    disk(project.path / "disk")
    assert project.run("open('disk/x', 'w').close()").ok
