"""Live probes: what this machine runs later, wherever it lies in the notebook's directory, and rights given away."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from skill_magic.errors import PolicyError
from skill_magic.mounts import guards

from .probes import TRIES, Person, Project, codes

pytestmark = pytest.mark.engine

ATTACK = """
import shutil
def write(path):
    with open(path, "ab") as file:
        file.write(b"planted")
def replace(path):
    with open("other", "wb") as file:
        file.write(b"planted")
    os.replace("other", path)
for path, top in {paths!r}:
    attempt("write:" + path, lambda: write(path))
    attempt("unlink:" + path, lambda: os.unlink(path))
    attempt("replace:" + path, lambda: replace(path))
    attempt("chmod:" + path, lambda: os.chmod(path, 0o777))
    attempt("move:" + path, lambda: os.rename(top, "elsewhere"))
    shutil.rmtree(top, ignore_errors=True)
    attempt("inside:" + path, lambda: write(os.path.join(top, "hooks")))
attempt("rest", lambda: write("sub/result.txt"))
"""

GUARDED = (
    ("inner/.git/config", "inner/.git"),
    ("inner/.git/hooks/pre-commit", "inner/.git"),
    ("tree/.git", "tree/.git"),
    ("store/config", "store"),
    ("repo/.hg/hgrc", "repo/.hg"),
    ("bare/config", "bare"),
    ("__pycache__/helper.cpython-311.pyc", "__pycache__"),
    ("pkg/__pycache__/helper.cpython-311.pyc", "pkg/__pycache__"),
    ("sub/.venv/bin/python", "sub/.venv"),
    ("sub/named/bin/python", "sub/named"),
    ("node_modules/.bin/eslint", "node_modules"),
    ("web/node_modules/.bin/eslint", "web/node_modules"),
    (".tox/py/bin/python", ".tox"),
    (".ipynb_checkpoints/a-checkpoint.ipynb", ".ipynb_checkpoints"),
    (".gitmodules", ".gitmodules"),
    (".mcp.json", ".mcp.json"),
    ("sub/.Rprofile", "sub/.Rprofile"),
)


def look(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_none_of_them_can_be_changed(project: Project) -> None:
    """Nested clones, worktrees, other version control, caches of modules, environments, tools of node."""
    project.write()
    for name, _ in GUARDED:
        path = project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was\n")
    (project.path / "tree/.git").write_text("gitdir: ../store/worktrees/tree\n")
    (project.path / "store/worktrees/tree").mkdir(parents=True)
    (project.path / "store/worktrees/tree/commondir").write_text("../..\n")
    (project.path / "sub/named/pyvenv.cfg").write_text("home = /usr/bin\n")
    (project.path / "bare/HEAD").write_text("ref: refs/heads/main\n")
    for folder in ("objects", "refs"):
        (project.path / "bare" / folder).mkdir()
    before = look(project.path)
    found = project.attempts(ATTACK.format(paths=GUARDED))
    assert found.pop("rest") == "DONE "
    for name, _ in GUARDED:
        for way in ("write", "unlink", "replace", "chmod", "move", "inside"):
            assert found[f"{way}:{name}"] in {"EROFS", "EBUSY", "EXDEV", "EISDIR", "ENOTDIR"}, (
                way,
                name,
                found,
            )
    after = look(project.path)
    assert {name: after.get(name) for name in before} == before


def test_the_folders_above_a_clone_cannot_be_moved(project: Project) -> None:
    project.write()
    (project.path / "a/b/inner/.git").mkdir(parents=True)
    found = project.attempts(
        "attempt('inner', lambda: os.rename('a/b/inner', 'a/b/old'))\n"
        "attempt('b', lambda: os.rename('a/b', 'a/old'))\n"
        "attempt('a', lambda: os.rename('a', 'old'))\n"
        "attempt('beside', lambda: open('a/b/inner/result', 'w').close())\n"
    )
    assert found == {"inner": "EBUSY", "b": "EBUSY", "a": "EBUSY", "beside": "DONE "}


def git(folder: Path, *words: str) -> None:
    settings = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True, env=environment)


def test_git_in_a_nested_clone_runs_nothing_of_the_tools(project: Project) -> None:
    """The attack as it was made: settings and a hook of a clone below the notebook's directory."""
    project.write()
    inner = project.path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    proof = project.path.parent / "proof"
    project.run(
        "import os\n"
        f"for name, text in (('config', '[core]\\n\\tfsmonitor = touch {proof}\\n'), ('hooks/pre-commit', "
        f"'#!/bin/sh\\ntouch {proof}\\n')):\n"
        "    try:\n"
        "        path = 'inner/.git/' + name\n"
        "        open(path, 'a').write(text); os.chmod(path, 0o755)\n"
        "    except OSError as error:\n"
        "        print(error)\n"
    )
    (inner / "f").write_text("x")
    git(inner, "add", "f")
    git(inner, "status")
    git(inner, "commit", "-q", "-m", "x")
    assert not proof.exists()


def test_a_compiled_module_of_the_tools_is_not_imported(project: Project) -> None:
    project.write()
    (project.path / "helper.py").write_text("SAYS = 'mine'\n")
    environment = {"PATH": os.environ["PATH"]}  # nothing that keeps Python from writing what it compiles
    subprocess.run([sys.executable, "-c", "import helper"], cwd=project.path, check=True, env=environment)
    [compiled] = (project.path / "__pycache__").glob("helper.*.pyc")
    project.run(
        "import importlib.util, marshal, struct\n"
        "code = marshal.dumps(compile('SAYS = 1', 'helper.py', 'exec'))\n"
        f"open('__pycache__/{compiled.name}', 'wb').write({compiled.read_bytes()[:4]!r} + "
        "struct.pack('<I', 1) + bytes(8) + code)\n"
    )
    words = [sys.executable, "-c", "import helper; print(helper.SAYS)"]
    done = subprocess.run(
        words, cwd=project.path, check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout == "mine\n"
    # In the container the module can be imported all the same.
    assert project.run(
        "import sys; sys.path.insert(0, '/workdir'); import helper; print(helper.SAYS)"
    ).stdout == ("mine\n")


def test_submodules_in_two_runs(project: Project) -> None:
    """Run 1 hides the list of submodules, run 2 writes what is no longer in it."""
    project.write()
    (project.path / ".gitmodules").write_text('[submodule "v"]\n\tpath = vendor\n')
    (project.path / "vendor/.git").mkdir(parents=True)
    (project.path / "vendor/.git/config").write_text("as it was")
    first = project.attempts("attempt('list', lambda: os.rename('.gitmodules', 'other'))")
    (project.path / ".gitmodules").unlink()
    second = project.attempts("attempt('config', lambda: open('vendor/.git/config', 'w').close())")
    assert (first, second) == ({"list": "EBUSY"}, {"config": "EROFS"})
    assert (project.path / "vendor/.git/config").read_text() == "as it was"


PLANTED = [
    "json/__init__.py",
    "random.pyc",
    "data/HEAD",
    ".Rprofile",
    ".pdbrc",
    ".npmrc",
    ".yarnrc.yml",
    ".mcp.json",
    ".claude",
    ".cursor",
    ".octaverc",
    "startup.m",
    ".gitattributes",
    ".mise.toml",
    "deep/er/sitecustomize.py",
    "vendor/.git",
    "sub/.hg",
    "sub/.venv",
    "Makefile",
    "jupyter_server_config.py",
]

FOLDERS = {".claude", ".cursor", "vendor/.git", "sub/.hg", "sub/.venv"}


def test_what_was_not_there_is_told(project: Project) -> None:
    project.write()
    files = [f"{name}/x" if name in FOLDERS else name for name in PLANTED]
    result = project.run(
        "import pathlib\n"
        f"for name in {files!r}:\n"
        "    path = pathlib.Path(name); path.parent.mkdir(parents=True, exist_ok=True); path.write_text('x')\n"
        "for name in ('objects', 'refs'):\n"
        "    pathlib.Path('data', name).mkdir()\n"
    )
    assert result.ok, result.stderr
    text = "\n".join(result.notes)
    for group in {"json/__init__.py", "data/HEAD", ".Rprofile", ".npmrc", ".claude", "sub/.venv", "Makefile"}:
        assert group in text, text
    named = [name for name in PLANTED if name in text]
    more = sum(
        int(words.split(" ")[0]) for words in text.replace(":", " ").split(" and ")[1:] if words[:1].isdigit()
    )
    assert len(named) + more >= len(PLANTED), text


@pytest.mark.parametrize("name", ["random.py", "sub/sitecustomize.py", ".Rprofile"])
def test_forty_thousand_files_hide_nothing(project: Project, name: str) -> None:
    project.write()
    (project.path / "sub").mkdir()
    result = project.run(
        f"open({name!r}, 'w').close()\nfor n in range(40_000): open(f'{{n:05}}', 'w').close()\n"
    )
    assert result.ok, result.stderr
    assert any(f"created {name}" in note for note in result.notes), result.notes


def test_changes_in_folders_that_are_not_listed_are_counted(project: Project) -> None:
    project.write()
    result = project.run(
        "import os\n"
        "for folder in ('pkg/__pycache__', '.cache/x'):\n"
        "    os.makedirs(folder)\n"
        "    for n in range(3): open(f'{folder}/{n}', 'w').close()\n"
    )
    assert result.files == ()
    assert any("6 files" in note and "3 in .cache, 3 in __pycache__" in note for note in result.notes), (
        result.notes
    )


# --- rights given away ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["helper", "sub/.venv/bin/helper", "node_modules/x/helper", "__pycache__/helper"]
)
@pytest.mark.parametrize("mode", [0o4755, 0o6711])
def test_a_set_id_program_is_taken_its_bits(project: Project, name: str, mode: int) -> None:
    project.write()
    result = project.run(
        f"import os, shutil\nos.makedirs(os.path.dirname({name!r}) or '.', exist_ok=True)\n"
        f"shutil.copy('/bin/cat', {name!r}); os.chmod({name!r}, {mode})\nprint(oct(os.stat({name!r}).st_mode))\n"
    )
    assert result.stdout == f"{oct(stat.S_IFREG | mode)}\n", result.stderr  # it had them in the container
    assert stat.S_IMODE((project.path / name).stat().st_mode) == mode & 0o777
    assert any(f"taken from {name}" in note for note in result.notes), result.notes


def test_an_ordinary_user_gives_nothing_away(person: Person) -> None:
    """In folders that the list of results leaves out, one of which its owner shut."""
    person.project.write()
    done = person.tool(
        "import os, shutil\n"
        "for folder in ('node_modules', '.venv/closed'):\n"
        "    os.makedirs(folder); shutil.copy('/bin/cat', folder + '/helper'); os.chmod(folder + '/helper', 0o4755)\n"
        "os.chmod('node_modules/helper', 0o4111)\n"
        "os.chmod('.venv/closed', 0o011)\n"
    )
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((person.home / "project/node_modules/helper").stat().st_mode) == 0o111
    assert "taken from node_modules/helper" in done.stdout + done.stderr
    # Whoever may pass through the folder would reach a program in it, though its owner cannot list it: nobody may now.
    assert stat.S_IMODE((person.home / "project/.venv/closed").stat().st_mode) & 0o077 == 0
    assert ".venv/closed" in done.stdout + done.stderr


def test_a_link_to_a_set_id_program_of_the_host_changes_nothing_there(project: Project) -> None:
    project.write()
    mine = project.path.parent / "mine"
    mine.write_text("x")
    mine.chmod(0o4755)
    project.run(f"import os; os.symlink({str(mine)!r}, 'helper'); os.symlink('..', 'up')")
    assert stat.S_IMODE(mine.stat().st_mode) == 0o4755


@pytest.mark.parametrize("name", [".", "sub", "sub/new"])
def test_a_folder_that_everybody_may_write_to_is_told(project: Project, name: str) -> None:
    project.write()
    (project.path / "sub").mkdir()
    result = project.run(f"import os; os.makedirs({name!r}, exist_ok=True); os.chmod({name!r}, 0o777)")
    shown = "the notebook's directory" if name == "." else name
    assert any(f"everybody on this machine can write to: {shown}" in note for note in result.notes), (
        result.notes
    )


# --- sockets and bounds ---------------------------------------------------------------------------

CONNECT = """
import socket, stat
for path in ("TOP/s", "TOP/sub/s"):
    with socket.socket(socket.AF_UNIX) as probe:
        attempt(path, lambda: probe.connect(path))
attempt("pipe", lambda: "DEVICE" if stat.S_ISCHR(os.stat("TOP/pipe").st_mode) else "PIPE")
"""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose path is short enough for a socket's address."""
    folder = Path(tempfile.mkdtemp(prefix="later")) / "book"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder.parent))
    yield Project(folder)
    shutil.rmtree(folder.parent)


@pytest.mark.parametrize(
    ("line", "top"),
    [("", "/workdir"), ('volumes = [".:/again"]', "/again"), ('volumes = [".:/seen:ro"]', "/seen")],
)
def test_a_listening_socket_cannot_be_reached(short: Project, line: str, top: str) -> None:
    short.write(line)
    (short.path / "sub").mkdir()
    os.mkfifo(short.path / "pipe")
    reader = os.open(short.path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for server, name in ((one, "s"), (two, "sub/s")):
            server.bind(str(short.path / name))
            server.listen()
            os.chmod(short.path / name, 0o777)
        result = short.run(TRIES + CONNECT.replace("TOP", top))
    os.close(reader)
    found = dict(line.split(" ", 1) for line in result.stdout.splitlines())
    assert result.ok, result.stderr
    # What is there instead is the device that swallows everything.
    assert found[f"{top}/s"] == found[f"{top}/sub/s"] == "ECONNREFUSED", found
    assert found["pipe"] == "DONE DEVICE", found
    assert any("hidden from the container" in note for note in result.notes)


@pytest.mark.parametrize("place", [".git", ".venv/lib", "inner/.git", "node_modules/.cache", "bare"])
def test_a_socket_in_what_is_kept_cannot_be_reached(short: Project, place: str) -> None:
    """Read-only does not stop a connection."""
    short.write()
    (short.path / place).mkdir(parents=True)
    for name in ("HEAD", "config") if place == "bare" else ():
        (short.path / place / name).touch()
    for name in ("objects", "refs") if place == "bare" else ():
        (short.path / place / name).mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short.path / place / "s"))
        server.listen()
        os.chmod(short.path / place / "s", 0o777)
        path = f"/workdir/{place}/s"
        result = short.run(
            f"{TRIES}import socket\nwith socket.socket(socket.AF_UNIX) as probe:\n"
            f"    attempt('s', lambda: probe.connect({path!r}))\n"
        )
    assert result.stdout == "s ECONNREFUSED\n", result.stdout + result.stderr


def test_the_probe_for_sockets_works(short: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the mask the socket answers."""
    short.write()
    monkeypatch.setattr(guards, "_mask", lambda mount, path: mount)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short.path / "s"))
        server.listen()
        os.chmod(short.path / "s", 0o777)
        result = short.run(TRIES + CONNECT.replace("TOP", "/workdir"))
    assert "/workdir/s DONE" in result.stdout


def test_more_guards_than_can_be_made_refuse_the_run(project: Project) -> None:
    project.write()
    for number in range(300):
        (project.path / f"m{number}/.git").mkdir(parents=True)
    error = project.refusal()
    assert isinstance(error, PolicyError)
    assert codes(error) == {"mount-guards"}
    assert "smaller folder" in error.violations[0].fix


def test_as_many_as_can_be_made_are_made(project: Project) -> None:
    project.write()
    for number in range(250):
        (project.path / f"m{number}/.git").mkdir(parents=True)
    found = project.attempts("attempt('last', lambda: open('m249/.git/config', 'w').close())")
    assert found == {"last": "EROFS"}
