"""Live probes: ways to the host's files and to the engine's socket."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import skill_magic
from skill_magic import road
from skill_magic.command.parse import Request
from skill_magic.engine import Engine, Run
from skill_magic.errors import PolicyError
from skill_magic.host import Host, discover
from skill_magic.mounts.mounts import project_mount
from skill_magic.policy.decide import check_image
from skill_magic.spec import Mount, RunSpec

from .kernels import ours
from .probes import TRIES, UID, Person, Project, codes, docker, manifest

pytestmark = pytest.mark.engine

SOCKET = "/var/run/docker.sock"

PING = """
import os, socket
found = []
for top in ("/x", "/workdir", "/run", "/var/run", "/tmp"):
    for folder, _, names in os.walk(top):
        for path in [folder, *(os.path.join(folder, name) for name in names)]:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(2)
                try:
                    probe.connect(path)
                    probe.sendall(b"GET /_ping HTTP/1.0\\r\\n\\r\\n")
                    found.append((path, probe.recv(100).split(b"\\r\\n")[0].decode()))
                except OSError:
                    pass
print(found)
"""


# --- 1. the engine's socket -----------------------------------------------------------------------


def test_the_probe_for_the_socket_works(engine: Engine, go: Callable[..., Any]) -> None:
    """The control: past the policy the parent of the socket is the engine, read-only or not."""
    parent = os.path.realpath("/var/run")
    identity = (os.stat(parent).st_dev, os.stat(parent).st_ino)
    mount = Mount("bind", "/x", parent, read_only=True, identity=identity)
    outcome = go("python3", "-c", PING, user="0:0", mounts=(mount,))
    assert "200 OK" in outcome.stdout.decode()


@pytest.mark.parametrize(
    "line",
    [
        'volumes = ["/var/run:/x"]',
        'volumes = ["/run:/x:ro"]',
        'volumes = ["/var/run/docker.sock:/x/s"]',
        'volumes = ["/var:/x:ro"]',
        'volumes = ["/:/x:ro"]',
        'volumes = ["./to-run:/x:ro"]',
        'volumes = ["./to-socket:/x/s:ro"]',
        'volumes = ["./chain:/x:ro"]',
        'volumes = ["./to-run/../run:/x"]',
        'volumes = ["${PWD}/to-root/var/run:/x:ro"]',
        'volumes = ["/proc/self/root/run:/x:ro"]',
        'volumes = ["./to-proc/run:/x:ro"]',
        'extra_args = ["--mount", "type=bind,src=./to-run,dst=/x,readonly"]',
        'extra_args = ["--mount=type=bind,src=.,dst=/x,src=/run"]',
        'extra_args = ["-v./to-socket:/x/s"]',
        'extra_args = ["--mount", "type=volume,dst=/x,volume-opt=o=bind,volume-opt=device=/run"]',
        'extra_args = ["--use-api-socket"]',
        'extra_args = ["--volumes-from", "portainer"]',
    ],
)
def test_the_engines_socket_is_out_of_reach(project: Project, line: str) -> None:
    (project.path / "to-run").symlink_to("/var/run")
    (project.path / "to-root").symlink_to("/")
    (project.path / "to-proc").symlink_to("/proc/self/root")
    (project.path / "to-socket").symlink_to(SOCKET)
    (project.path / "chain").symlink_to("to-run")
    project.write(line)
    error = project.refusal(PING)
    assert not error.liftable, codes(error)


def test_links_and_sockets_in_the_project_lead_nowhere(project: Project) -> None:
    """A link in the mounted directory is resolved in the container's own root."""
    (project.path / "to-run").symlink_to("/var/run")
    (project.path / "to-socket").symlink_to(SOCKET)
    project.write()
    result = project.run(PING)
    assert result.stdout == "[]\n", result.stderr


def test_a_socket_is_not_mounted_wherever_it_is(project: Project) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(project.path / "s"))
        project.write('volumes = ["./s:/x/s:ro"]')
        assert codes(project.refusal()) == {"mount-special"}


def test_the_socket_that_docker_host_names_is_protected(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    project.write(f'volumes = ["{tmp_path}/elsewhere:/x:ro"]')
    project.trust(f"mount:ro:{tmp_path}/elsewhere")
    assert project.run("print(1)").ok  # a folder like any other, so far
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/elsewhere/engine.sock")
    with pytest.raises(PolicyError) as caught:
        project.run("print('must not run')")
    monkeypatch.undo()
    error = caught.value
    assert codes(error) == {"mount-socket"}
    assert not error.liftable


# --- 2. a directory swapped for a link ------------------------------------------------------------


class Swap:
    """Replaces the project's ``data`` by a link to /etc, once."""

    def __init__(self, project: Project) -> None:
        self.data = project.path / "data"
        self.data.mkdir()
        project.write('volumes = ["./data:/x:ro"]')
        self.request = Request(
            "x", ("-c", "import time; print(open('/x/passwd').read(), flush=True); time.sleep(5)")
        )
        self.host = discover(project.path)
        decision = road.decide(self.request, self.host)
        assert decision.verdict == "allow"
        assert decision.spec is not None
        self.spec: RunSpec = decision.spec

    def do(self) -> None:
        if not self.data.is_symlink():
            self.data.rename(self.data.with_name("old"))
            self.data.symlink_to("/etc")

    def refused(self, engine: Engine, **options: Any) -> None:
        said: list[str] = []
        with Run(engine, self.spec, self.host, **options) as run, pytest.raises(PolicyError) as caught:
            said.extend(str(event) for event in run)
        assert not any("root:" in event for event in said)
        assert codes(caught.value) == {"mount-changed"}
        assert "volumes[0]" in "\n".join(caught.value.lines())
        assert ours(self.host.directory) == []


def test_a_directory_swapped_between_check_and_create(project: Project, engine: Engine) -> None:
    swap = Swap(project)

    def gate(image: Any) -> None:
        check_image(swap.spec, image, swap.host)
        swap.do()

    swap.refused(engine, check_image=gate)


@pytest.mark.parametrize("moment", ["create_container_from_config", "start"])
def test_a_directory_swapped_around_the_start(
    project: Project, engine: Engine, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The engine resolves a path when it starts the container, so that is when it must still be the same."""
    swap = Swap(project)
    call = getattr(engine.api, moment)

    def meanwhile(*args: Any, **options: Any) -> Any:
        if moment == "start":
            swap.do()
            return call(*args, **options)
        made = call(*args, **options)
        swap.do()
        return made

    monkeypatch.setattr(engine.api, moment, meanwhile)
    swap.refused(engine)


def test_the_projects_directory_itself_swapped(project: Project, engine: Engine) -> None:
    project.write()
    host = discover(project.path)
    spec = road.decide(Request("x", ("-c", "print(open('/workdir/secret').read())")), host).spec
    assert spec is not None
    other = project.path.with_name("other")
    other.mkdir()
    (other / "secret").write_text("a secret")
    (other / "skills.toml").touch()  # the engine itself notices a mount whose source is gone

    def swap(image: Any) -> None:
        project.path.rename(project.path.with_name("aside"))
        project.path.symlink_to(other)

    with pytest.raises(PolicyError) as caught, Run(engine, spec, host, check_image=swap) as run:
        list(run)
    assert "mount-changed" in codes(caught.value)


# --- 3. a planted setuid file ---------------------------------------------------------------------

PLANT = """
import os, shutil
shutil.copy("/bin/sh", "sh")
os.chmod("sh", 0o6755)
print(os.stat("sh").st_uid, oct(os.stat("sh").st_mode))
"""


def test_an_ordinary_user_is_left_no_setuid_root_file(person: Person) -> None:
    person.project.write()
    done = person.tool(PLANT)
    found = os.stat(person.home / "project/sh")
    assert found.st_uid == UID, (done.stdout, done.stderr)
    assert found.st_gid == UID


@pytest.mark.parametrize(
    "lines",
    [
        ['user = "0"'],
        ['user = "0:0"'],
        ['user = "root"'],
        ['user = "image"'],
        ['extra_args = ["-u0", "--cap-add", "DAC_OVERRIDE"]'],
        ['extra_args = ["--user=00:00"]'],
    ],
)
def test_root_with_the_ordinary_users_files_takes_a_grant(person: Person, lines: list[str]) -> None:
    person.project.write(*lines)
    person.own()
    done = person.tool(PLANT)
    assert done.returncode == 125
    assert "user-root" in done.stderr or "user-image" in done.stderr
    assert "skill trust x" in done.stderr
    assert not (person.home / "project/sh").exists()


def test_what_the_grant_for_root_means(person: Person) -> None:
    """The control: with the grant the file is there, so the refusal above is what keeps it away."""
    person.project.write('user = "0"', 'extra_args = ["--cap-add=DAC_OVERRIDE"]')
    person.own()
    assert person.skill("trust", "x", "--yes").returncode == 0
    done = person.tool(PLANT)
    assert done.returncode == 0, done.stderr
    planted = os.stat(person.home / "project/sh")
    assert planted.st_uid == 0
    assert planted.st_mode & stat.S_ISUID


@pytest.mark.root
def test_for_a_caller_who_is_root_root_is_the_callers_own_uid(project: Project) -> None:
    """No grant is asked for, and nothing more is given: no capability over other people's files."""
    assert os.getuid() == 0
    (project.path / "others").mkdir(mode=0o700)
    os.chown(project.path / "others", UID, UID)
    project.write('user = "0"')
    found = project.attempts(
        "attempt('own', lambda: open('mine', 'w').close())\n"
        "attempt('other', lambda: open('others/theirs', 'w').close())\n"
        "attempt('give', lambda: os.chown('mine', 1000, 1000))\n"
    )
    assert found == {"own": "DONE ", "other": "EACCES", "give": "EPERM"}
    assert os.stat(project.path / "mine").st_uid == 0


# --- 4. what the host runs later ------------------------------------------------------------------

CODE = (
    ".git/hooks/pre-commit",
    ".git/config",
    ".vscode/tasks.json",
    ".idea/workspace.xml",
    ".devcontainer/devcontainer.json",
    ".husky/pre-commit",
    ".envrc",
    ".venv/bin/python",
    "myenv/pyvenv.cfg",
    "skills.toml",
    "book.ipynb",
)

PLANTING = """
import shutil
def write(path):
    with open(path, "a") as file:
        file.write("planted")
def make(path):
    with open(path, "x") as file:
        file.write("planted")
for path in {paths!r}:
    top = path.split("/")[0]
    attempt("write:" + path, lambda: write(path))
    attempt("unlink:" + path, lambda: os.unlink(path))
    attempt("replace:" + path, lambda: (make(path + ".new"), os.replace(path + ".new", path)))
    attempt("move:" + path, lambda: os.rename(top, "elsewhere"))
    attempt("over:" + path, lambda: (write("file"), os.replace("file", top)))
    attempt("chmod:" + path, lambda: os.chmod(path, 0o777))
    shutil.rmtree(top, ignore_errors=True)
    attempt("there:" + path, lambda: os.lstat(path).st_size)
attempt("rest", lambda: make("result.txt"))
"""


def in_notebook(project: Project, notebook: str | None = None) -> Host:
    return discover(project.path, notebook=None if notebook is None else project.path / notebook)


def look(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def execute(host: Host, code: str) -> skill_magic.RunResult:
    from skill_magic.views.base import QuietView

    return road.execute(Request("x", ("-c", TRIES + code)), host, QuietView())


def test_what_the_host_runs_later_cannot_be_changed(project: Project) -> None:
    project.write()
    for name in CODE:
        path = project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name != "skills.toml":
            path.write_text("as it was\n")
    before = look(project.path)
    result = execute(in_notebook(project, "book.ipynb"), PLANTING.format(paths=CODE))
    found = dict(line.split(" ", 1) for line in result.stdout.splitlines())
    for name in CODE:
        assert found[f"there:{name}"].startswith("DONE"), found
        for way in ("write", "unlink", "replace", "move", "over", "chmod"):
            assert found[f"{way}:{name}"] in {"EROFS", "EBUSY", "EISDIR"}, (way, name, found)
    assert found["rest"] == "DONE "
    after = look(project.path)
    assert {name: after.get(name) for name in before} == before


def test_shells_mv_and_rm_of_git(project: Project) -> None:
    project.write(entrypoint="sh")
    (project.path / ".git/hooks").mkdir(parents=True)
    (project.path / ".git/config").write_text("[core]\n")
    words = "mv .git x; rm -rf .git; echo evil > .git/hooks/pre-commit; mkdir .git; ln -sf /etc .git/hooks"
    result = skill_magic.run("x", ["-c", words], directory=project.path, check=False)
    assert result.stderr.count("Read-only file system") + result.stderr.count("busy") >= 3, result.stderr
    assert sorted(path.name for path in (project.path / ".git").iterdir()) == ["config", "hooks"]
    assert list((project.path / ".git/hooks").iterdir()) == []


def test_what_was_not_there_is_reported(project: Project) -> None:
    project.write()
    names = [
        ".git/hooks/pre-commit",
        ".vscode/x",
        ".envrc",
        ".venv/bin/python",
        ".devcontainer/x",
        ".husky/x",
    ]
    code = (
        f"import pathlib\nfor name in {names!r}:\n"
        "    path = pathlib.Path(name); path.parent.mkdir(parents=True, exist_ok=True)\n"
        "    path.write_text('evil')\n"
        "pathlib.Path('random.py').write_text('evil')\n"
    )
    result = project.run(code)
    assert result.ok, result.stderr
    text = " ".join(result.notes)
    for name in (".devcontainer", ".envrc", ".git", ".husky", ".venv", ".vscode", "random.py"):
        assert name in text, text
    from skill_magic.views import card

    assert ".envrc" in card.html(result)


@pytest.mark.parametrize("name", ["random.py", "skills.local/../.skill-engine.toml", ".husky", "conftest.py"])
def test_each_of_them_is_reported(project: Project, name: str) -> None:
    project.write()
    (project.path / "skills.local").mkdir()
    result = project.run(f"open({name!r}, 'w').write('evil')")
    assert any(os.path.basename(name) in note for note in result.notes), result.notes


def test_a_link_in_the_place_of_git_is_reported_when_it_is_replaced(project: Project) -> None:
    """A link cannot be mounted over itself; where it leads is read-only, and a new one is told."""
    project.write()
    (project.path / "store").mkdir()
    (project.path / "store/config").write_text("as it was")
    (project.path / ".git").symlink_to("store")
    found = project.attempts("attempt('inside', lambda: open('.git/config', 'w').close())")
    assert found == {"inside": "EROFS"}
    result = project.run("import os; os.unlink('.git'); os.makedirs('.git/hooks')")
    assert result.ok, result.stderr
    assert any(".git" in note for note in result.notes), result.notes


def test_a_worktrees_pointer_and_where_it_points(project: Project) -> None:
    """``.git`` is a file in a worktree; the repository it points to is as read-only, however deep it lies."""
    project.write()
    store = project.path / "deep/er/store"
    (store / "worktrees/w/hooks").mkdir(parents=True)
    (store / "hooks").mkdir()
    (store / "config").write_text("as it was")
    (store / "worktrees/w/commondir").write_text("../..\n")
    (project.path / ".git").write_text("gitdir: deep/er/store/worktrees/w\n")
    found = project.attempts(
        "attempt('pointer', lambda: open('.git', 'w').close())\n"
        "attempt('config', lambda: open('deep/er/store/config', 'w').close())\n"
        "attempt('hook', lambda: open('deep/er/store/hooks/x', 'w').close())\n"
        "attempt('own', lambda: open('deep/er/store/worktrees/w/config.worktree', 'w').close())\n"
        "attempt('store', lambda: os.rename('deep/er/store', 'deep/er/old'))\n"
        "attempt('parent', lambda: os.rename('deep/er', 'deep/old'))\n"
        "attempt('top', lambda: os.rename('deep', 'old'))\n"
        "attempt('beside', lambda: open('deep/er/result', 'w').close())\n"
    )
    assert found["beside"] == "DONE "
    del found["beside"]
    assert set(found.values()) <= {"EROFS", "EBUSY"}, found
    assert (store / "config").read_text() == "as it was"


def test_a_second_mount_of_the_project_is_no_way_around(project: Project) -> None:
    (project.path / ".git/hooks").mkdir(parents=True)
    (project.path / "sub/.git").mkdir(parents=True)
    project.write('volumes = [".:/again", "./sub:/sub"]')
    found = project.attempts(
        "attempt('hook', lambda: open('/again/.git/hooks/x', 'w').close())\n"
        "attempt('manifest', lambda: open('/again/skills.toml', 'w').close())\n"
        "attempt('inner', lambda: open('/sub/.git/x', 'w').close())\n"
        "attempt('rest', lambda: open('/again/result', 'w').close())\n"
    )
    assert found == {"hook": "EROFS", "manifest": "EROFS", "inner": "EROFS", "rest": "DONE "}


@pytest.mark.parametrize(
    "inner",
    [
        "skills.toml",
        "book.ipynb",
        ".git",
        ".git/hooks",
        "myenv",
        "myenv/bin",
        ".vscode",
        "store/hooks",
        "sub/.git",
    ],
)
def test_what_is_protected_is_not_mounted_alone_either(project: Project, inner: str) -> None:
    """Read-write, one by one and under another name."""
    for folder in (".git/hooks", "myenv/bin", ".vscode", "store/hooks", "sub"):
        (project.path / folder).mkdir(parents=True)
    (project.path / "myenv/pyvenv.cfg").touch()
    (project.path / "book.ipynb").write_text("{}")
    if inner in ("store/hooks", "sub/.git"):
        shutil.rmtree(project.path / ".git")
        (project.path / ".git").write_text("gitdir: store\n")
        (project.path / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n')
        (project.path / "sub/.git").mkdir(exist_ok=True)
    project.write(f'volumes = ["./{inner}:/x"]')
    host = in_notebook(project, "book.ipynb")
    decision = road.decide(Request("x"), host)
    assert decision.verdict == "trust", decision
    assert {each.code for each in decision.violations} == {"mount-project-code"}
    project.write(f'volumes = ["./{inner}:/x:ro"]')
    assert road.decide(Request("x"), host).verdict == "allow"


# --- named volumes --------------------------------------------------------------------------------


@pytest.mark.root  # a new volume is root's, and an ordinary user cannot write to it
def test_a_volume_that_is_a_directory_of_the_host(project: Project) -> None:
    """A named volume that exists already is looked at: with options it can be any directory."""
    project.write('volumes = ["data:/x"]')
    spec = road.decide(Request("x"), discover(project.path)).spec
    assert spec is not None
    name = next(str(mount.source) for mount in spec.mounts if mount.kind == "volume")
    docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/etc", name)
    try:
        error = project.refusal("print(open('/x/passwd').read())")
        assert codes(error) == {"volume-options"}
        assert not error.liftable
    finally:
        docker("volume", "rm", name)
    try:
        assert project.run("print(open('/x/a', 'w').write('1'))").stdout == "1\n"
    finally:
        docker("volume", "rm", name)


def test_the_passwd_file_of_ours_is_the_only_one_more(person: Person) -> None:
    """What is mounted beyond the spec for the caller's name is a copy of the image's file, read-only."""
    person.project.write()
    done = person.tool(TRIES + "attempt('passwd', lambda: open('/etc/passwd', 'a').close())")
    assert done.stdout.split() in (["passwd", "EROFS"], ["passwd", "EACCES"]), done.stderr


def test_the_projects_mount_is_the_engines_word_too(project: Project) -> None:
    """Nothing else of the host is in a container's mount table."""
    project.write()
    result = project.run("print(open('/proc/self/mountinfo').read())")
    targets = {line.split()[4] for line in result.stdout.splitlines() if line}
    unknown = {
        each
        for each in targets
        if not each.startswith(("/proc", "/dev", "/sys", "/workdir"))
        and each
        not in {
            "/",
            *(["/etc/passwd"] if os.getuid() else []),  # gives an ordinary user a name
            "/etc/hosts",
            "/etc/hostname",
            "/etc/resolv.conf",
            "/sbin/docker-init",
            "/usr/sbin/docker-init",
        }
    }
    assert unknown == set()
    assert "docker.sock" not in result.stdout
    assert manifest().splitlines()[0] == "[skills.x.docker]"
    assert project_mount(discover(project.path)).target == "/workdir"
