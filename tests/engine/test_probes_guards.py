"""Live probes: ways past the guards, with the run that would use them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from .probes import Person, Project, codes

pytestmark = pytest.mark.engine


def git(folder: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, env=environment)
    return done.stdout


SPLIT = """
import os
os.makedirs("rest/objects", exist_ok=True)
os.makedirs("rest/refs", exist_ok=True)
os.makedirs("data", exist_ok=True)
def put(path, text):
    with open(path, "w") as file:
        file.write(text)
for path, text in {files!r}.items():
    attempt(path, lambda: put(path, text))
"""


def split(project: Project, proof: Path) -> dict[str, str]:
    """A repository in two folders, whose settings name a program that git runs."""
    settings = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
    settings += f"\tfsmonitor = touch {proof}\n[extensions]\n\tworktreeConfig = true\n"
    return {
        "data/HEAD": "ref: refs/heads/main\n",
        "data/commondir": "../rest\n",
        "data/config.worktree": f"[core]\n\tbare = false\n\tworktree = {project.path}/data\n",
        "rest/config": settings,
    }


def test_a_repository_in_two_folders_is_told_and_then_guarded(project: Project) -> None:
    project.write()
    proof = project.path.parent / "proof"
    result = project.run("def attempt(name, work): work()\n" + SPLIT.format(files=split(project, proof)))
    assert result.ok, result.stderr
    assert any("created data/HEAD" in note for note in result.notes), result.notes
    git(project.path / "data", "status")
    assert proof.exists()  # the control: this git obeys such a folder
    proof.unlink()
    (project.path / "rest/config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
    found = project.attempts(SPLIT.format(files=split(project, proof)))
    assert set(found.values()) == {"EROFS"}, found
    git(project.path / "data", "status")
    assert not proof.exists()


def test_a_hook_that_links_to_a_script_is_the_script(project: Project) -> None:
    project.write()
    (project.path / "inner/.git/hooks").mkdir(parents=True)
    (project.path / "scripts").mkdir()
    (project.path / "scripts/check.sh").write_text("as it was")
    (project.path / "inner/.git/hooks/pre-commit").symlink_to("../../../scripts/check.sh")
    found = project.attempts(
        "open('scripts/new', 'w').close()\n"
        "attempt('write', lambda: open('scripts/check.sh', 'w').close())\n"
        "attempt('replace', lambda: os.replace('scripts/new', 'scripts/check.sh'))\n"
        "attempt('move', lambda: os.rename('scripts', 'old'))\n"
        "attempt('beside', lambda: open('scripts/other.sh', 'w').close())\n"
    )
    assert found == {"write": "EROFS", "replace": "EBUSY", "move": "EBUSY", "beside": "DONE "}
    assert (project.path / "scripts/check.sh").read_text() == "as it was"


def test_a_library_of_r_and_its_start(project: Project) -> None:
    project.write()
    for name in ("renv/activate.R", "sub/renv/library/x/R/x", "latexmkrc", "profile.do"):
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_text("as it was")
    (project.path / ".RData").write_text("as it was")
    result = project.run(
        "import errno\n"
        "for name in ('renv/activate.R', 'sub/renv/library/x/R/x', 'latexmkrc', 'profile.do', '.RData'):\n"
        "    try:\n"
        "        open(name, 'w').close(); print('DONE', name)\n"
        "    except OSError as error:\n"
        "        assert error.errno == errno.EROFS\n"
    )
    assert result.stdout == "DONE .RData\n", result.stderr
    assert any("changed .RData: R restores it" in note for note in result.notes), result.notes


# --- mounts over mounts, names --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bind", "volume", "tmpfs"])
def test_nothing_is_made_in_a_folder_that_is_mounted_over_another(project: Project, kind: str) -> None:
    """The guard of what lies below would be made on the host, by the engine, and belong to root."""
    (project.path / "a/b/.git").mkdir(parents=True)
    (project.path / "data").mkdir()
    line = {
        "bind": 'volumes = ["./data:/workdir/a"]',
        "volume": 'volumes = ["/workdir/a"]',
        "tmpfs": 'extra_args = ["--tmpfs", "/workdir/a"]',
    }[kind]
    project.write(line)
    found = project.attempts("attempt('there', lambda: os.listdir('/workdir/a'))")
    assert found == {"there": "DONE []"}
    assert list((project.path / "data").iterdir()) == []
    assert [path.name for path in (project.path / "a/b").iterdir()] == [".git"]


@pytest.mark.parametrize(
    "name", ["a b ", 'q"uote', "com,ma", "new\nline", "back\\slash", "naïve ☃", "co:lon", "-x"]
)
def test_a_clone_in_a_folder_of_any_name_is_guarded(project: Project, name: str) -> None:
    project.write()
    (project.path / name / ".git").mkdir(parents=True)
    found = project.attempts(
        f"name = {name!r}\n"
        "attempt('config', lambda: open(name + '/.git/config', 'w').close())\n"
        "attempt('move', lambda: os.rename(name, 'other'))\n"
        "attempt('beside', lambda: open(name + '/result', 'w').close())\n"
    )
    assert found == {"config": "EROFS", "move": "EBUSY", "beside": "DONE "}


def test_a_name_that_the_engine_cannot_take_is_refused(project: Project) -> None:
    project.write()
    os.makedirs(os.path.join(os.fsencode(project.path), b"d\xff/.git"))
    error = project.refusal()
    assert codes(error) == {"mount-guards"}
    assert "not UTF-8" in error.violations[0].reason


# --- rights given away ----------------------------------------------------------------------------


def test_files_that_everybody_can_write_to_are_told(project: Project) -> None:
    project.write()
    (project.path / "mine.py").write_text("x")
    result = project.run(
        "import os\nos.chmod('mine.py', 0o666)\nos.makedirs('sub')\nopen('sub/new.py', 'w').close()\n"
        "os.chmod('sub/new.py', 0o646)\nopen('plain.py', 'w').close()\n"
    )
    assert any(
        "files that everybody on this machine can write to: mine.py, sub/new.py" in note
        for note in result.notes
    ), result.notes


def test_an_ordinary_users_files_lose_their_bits_too(person: Person) -> None:
    """The one who is hurt by them: an ordinary account, beside others."""
    person.project.write()
    done = person.tool(
        "import os, shutil\n"
        "for name, mode in (('helper', 0o4755), ('hidden', 0o4711), ('group', 0o2755), ('shut', 0o6000)):\n"
        "    shutil.copy('/bin/cat', name); os.chmod(name, mode)\n"
        "os.makedirs('a/b'); shutil.copy('/bin/cat', 'a/b/deep'); os.chmod('a/b/deep', 0o4755)\n"
        "os.mkdir('open'); os.chmod('open', 0o777); os.symlink('/bin/su', 'link')\n"
    )
    assert done.returncode == 0, done.stderr
    for name in ("helper", "hidden", "group", "shut", "a/b/deep"):
        assert not (person.project.path / name).stat().st_mode & (stat.S_ISUID | stat.S_ISGID), name
    for word in ("helper", "hidden", "group", "a/b/deep", "everybody on this machine can write to: open"):
        assert word in done.stderr, done.stderr
    assert os.stat("/bin/su").st_mode & stat.S_ISUID
