"""What a run leaves behind apart from its results is told, and set-id bits are taken away."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import make_host, make_spec

from skill_magic import aftermath, files, look, mode_bits
from skill_magic.aftermath import Aftermath
from skill_magic.files import SKIPPED, Watch
from skill_magic.host import Host
from skill_magic.mounts import mounts
from skill_magic.policy.protected_later import why
from skill_magic.spec import Mount


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


def put(host: Host, name: str, text: str = "x", mode: int = 0o644) -> Path:
    path = host.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def begin(host: Host, *more: Mount) -> Aftermath:
    given = mounts.complete((mounts.project_mount(host), *more), host)
    return Aftermath(make_spec(host, mounts=given), host, SKIPPED)


def told(after: Aftermath) -> str:
    return "\n".join(after.notes())


def bits(path: Path) -> int:
    return path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)


# --- set-id bits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755, 0o4111, 0o6000, 0o7777])
@pytest.mark.parametrize(
    "name", ["helper", "a/b/helper", ".venv/bin/x", "node_modules/x", "__pycache__/x", ".git/x"]
)
def test_bits_are_taken_wherever_the_file_is(host: Host, name: str, mode: int) -> None:
    after = begin(host)
    path = put(host, name, mode=mode)
    text = told(after)
    assert bits(path) == 0
    assert stat.S_IMODE(path.stat().st_mode) == mode & ~0o6000
    assert f"bits were taken from {name}:" in text


def test_bits_of_a_file_that_was_there_before(host: Host) -> None:
    """What the person has set stays, unless the run changed the file."""
    mine, changed, gained = (
        put(host, "mine", mode=0o4755),
        put(host, "changed", mode=0o4755),
        put(host, "gained"),
    )
    begin_at = begin(host)
    begin_at._since = max(path.stat().st_ctime_ns for path in (mine, changed, gained)) + 1
    while changed.stat().st_ctime_ns < begin_at._since:
        changed.write_text("y")  # as root this leaves the bit
        changed.chmod(0o4755)
    gained.chmod(0o6755)
    text = told(begin_at)
    assert (bits(mine), bits(changed), bits(gained)) == (stat.S_ISUID, 0, 0)
    assert "changed, gained:" in text


def test_bits_in_every_folder_that_may_be_written_to(host: Host, tmp_path: Path) -> None:
    outside, seen = tmp_path / "outside", tmp_path / "seen"
    outside.mkdir()
    seen.mkdir()
    after = begin(
        host,
        Mount("bind", "/o", str(outside)),
        Mount("bind", "/s", str(seen), read_only=True),
        Mount("volume", "/v", "n"),
    )
    for folder in (outside, seen):
        (folder / "helper").touch()
        (folder / "helper").chmod(0o4755)
    assert str(outside / "helper") in told(after)
    assert (bits(outside / "helper"), bits(seen / "helper")) == (0, stat.S_ISUID)


def test_a_file_that_is_mounted_alone(host: Host) -> None:
    path = put(host, "one")
    spec = make_spec(host, mounts=(Mount("bind", "/one", str(path)),))
    after = Aftermath(spec, host, SKIPPED)
    path.chmod(0o4755)
    assert "one" in told(after)
    assert bits(path) == 0


def test_links_pipes_and_folders_are_left_alone(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    after = begin(host)
    outside.chmod(0o4755)
    (host.directory / "link").symlink_to(outside)
    (host.directory / "way").symlink_to(tmp_path)
    os.mkfifo(host.directory / "pipe")
    (host.directory / "pipe").chmod(0o4777)
    (host.directory / "folder").mkdir()
    (host.directory / "folder").chmod(0o2755)
    text = told(after)
    assert text.startswith("this run made links that lead out of the directory: link → ")
    assert "bits" not in text
    assert bits(outside) == stat.S_ISUID
    assert bits(host.directory / "folder") == stat.S_ISGID


@pytest.mark.parametrize("replace", [lambda path: path.symlink_to("/etc/hosts"), os.mkfifo, Path.mkdir])
def test_what_takes_the_files_place_is_not_touched(host: Host, replace: Callable[[Path], Any]) -> None:
    path = host.directory / "helper"
    replace(path)
    before = os.lstat(path).st_mode
    found = mode_bits.drop([str(host.directory)], [str(path)])
    assert (found.done, found.left) == ((), (str(path),))
    assert os.lstat(path).st_mode == before


def test_no_link_on_the_way_is_followed(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "outside/d"
    outside.mkdir(parents=True)
    (outside / "helper").touch()
    (outside / "helper").chmod(0o4755)
    (host.directory / "d").symlink_to(outside)
    found = mode_bits.drop([str(host.directory)], [str(host.directory / "d/helper")])
    assert found.left == (str(host.directory / "d/helper"),)
    assert bits(outside / "helper") == stat.S_ISUID


def test_a_file_of_somebody_else_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    after = begin(host)
    path = put(host, "helper", mode=0o4755)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1 or 1)
    assert "could not be taken from helper:" in told(after)
    assert bits(path) == stat.S_ISUID


def test_many_are_counted(host: Host) -> None:
    after = begin(host)
    paths = [put(host, f"d/h{number}", mode=0o4755) for number in range(30)]
    assert "and 25 more" in told(after)
    assert not any(bits(path) for path in paths)


def test_capabilities_of_a_file_are_removed(host: Host) -> None:
    after = begin(host)
    path = put(host, "helper", mode=0o755)
    try:
        os.setxattr(path, "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    except OSError:
        pytest.skip("only root can give a file capabilities, and not everywhere")
    assert "taken from helper:" in told(after)
    assert not look.has_capabilities(str(path))


# --- folders that everybody may write to, or nobody may look into ----------------------------------


def test_a_folder_that_became_writable_for_others(host: Host) -> None:
    for name in ("was", "sticky", "becomes"):
        (host.directory / name).mkdir()
    (host.directory / "was").chmod(0o777)
    after = begin(host)
    (host.directory / "sticky").chmod(0o1777)
    (host.directory / "becomes").chmod(0o777)
    (host.directory / ".venv").mkdir()
    (host.directory / ".venv/new").mkdir()
    (host.directory / ".venv/new").chmod(0o773)
    text = told(after)
    assert "everybody on this machine can write to: .venv/new, becomes" in text


def test_the_notebooks_directory_itself(host: Host) -> None:
    after = begin(host)
    host.directory.chmod(0o777)
    assert "can write to: the notebook's directory" in told(after)


def test_a_sticky_bit_that_was_taken(host: Host) -> None:
    (host.directory / "shared").mkdir()
    (host.directory / "shared").chmod(0o1777)
    after = begin(host)
    (host.directory / "shared").chmod(0o777)
    assert "can write to: shared" in told(after)


@pytest.mark.parametrize("place", ["closed", "closed/in/closed"])
def test_a_folder_that_hides_its_files_is_shut_and_looked_into(
    host: Host, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Who may pass through a folder reaches a file whose name they know, though its owner cannot list it."""
    after = begin(host)
    helper = put(host, f"{place}/helper", mode=0o4755)
    put(host, f"{place}/conftest.py")
    for folder in (helper.parent, host.directory / "closed"):
        folder.chmod(0o011)
    real = os.scandir

    def refusing(path: Any) -> Any:  # what the kernel does for an ordinary user, and not for root
        if not os.stat(path).st_mode & stat.S_IRUSR:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    text = told(after)
    assert "could not be looked into: closed" in text
    assert f"bits were taken from {place}/helper" in text
    assert f"created {place}/conftest.py" in text
    assert stat.S_IMODE(helper.stat().st_mode) == 0o755
    assert {stat.S_IMODE((host.directory / each).stat().st_mode) for each in ("closed", place)} == {0o700}


def test_a_folder_that_cannot_be_opened_is_shut(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    after = begin(host)
    put(host, "closed/helper", mode=0o4755)
    (host.directory / "closed").chmod(0o011)
    real = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("/closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert "cannot be looked into: closed;" in told(after)
    assert stat.S_IMODE((host.directory / "closed").stat().st_mode) & 0o077 == 0


def test_a_tree_deeper_than_any_path_can_name(host: Host) -> None:
    after = begin(host)
    at = os.open(host.directory, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=at)
        inner = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = inner
    file = os.open("helper", os.O_CREAT | os.O_WRONLY, 0o755, dir_fd=at)
    os.fchmod(file, 0o4755)
    os.close(file)
    assert "cannot be looked into: ddd" in told(after)
    # Of the folders on the way one lets nobody else in.
    at_top = os.open(host.directory, os.O_RDONLY | os.O_DIRECTORY)
    modes = []
    for _ in range(30):
        inner = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at_top)
        os.close(at_top)
        at_top = inner
        modes.append(stat.S_IMODE(os.fstat(inner).st_mode) & 0o077)
    os.close(at_top)
    assert 0 in modes
    os.close(at)


# --- names that are run later ---------------------------------------------------------------------

LATER = [
    "random.py",
    "json/__init__.py",
    "random.pyc",
    "_random.cpython-311-x86_64-linux-gnu.so",
    "sub/random.py",
    "numpy.py",
    "pandas/__init__.py",
    "sitecustomize.py",
    "usercustomize.py",
    "conftest.py",
    "sub/conftest.py",
    "setup.py",
    "evil.pth",
    ".pdbrc",
    "jupyter_server_config.py",
    "jupyter_notebook_config.json",
    "ipython_config.py",
    ".Rprofile",
    ".Renviron",
    "startup.jl",
    ".octaverc",
    "startup.m",
    ".condarc",
    ".envrc",
    ".env",
    ".mise.toml",
    ".tool-versions",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "justfile",
    "Taskfile.yml",
    "noxfile.py",
    "tox.ini",
    "dodo.py",
    "Snakefile",
    ".npmrc",
    ".yarnrc.yml",
    ".pnpmfile.cjs",
    "package.json",
    ".gitattributes",
    ".gitmodules",
    ".vscode/tasks.json",
    ".idea/x",
    ".mcp.json",
    ".claude/x",
    ".cursor/x",
    ".devcontainer/x",
    ".github/workflows/x.yml",
    ".husky/x",
    ".pre-commit-config.yaml",
    ".dir-locals.el",
    ".exrc",
    ".gdbinit",
    ".lldbinit",
    ".git/config",
    "vendor/.git/config",
    "sub/.hg/hgrc",
    ".venv/bin/python",
    "deep/er/.envrc",
    ".bashrc",
    "skills.toml",
]


@pytest.mark.parametrize("name", LATER)
def test_a_new_one_is_told(host: Host, name: str) -> None:
    put(host, "sub/data.csv")
    after = begin(host)
    put(host, "result.csv")
    put(host, name)
    text = told(after)
    top = next((part for part in (".vscode", ".idea", ".claude", ".cursor", ".devcontainer", ".github", ".husky",
                                  ".git", ".hg", ".venv") if part in name.split("/")), "")  # fmt: skip
    shown = name[: name.index(top) + len(top)] if top else name
    assert f"this run created {shown}:" in text
    assert [line for line in text.splitlines() if "not listed" not in line] == text.splitlines()[:1]


@pytest.mark.parametrize("name", [name for name in LATER if why(*name.split("/")[:-3:-1]) is not None])
def test_one_that_was_there_and_is_changed_is_told(host: Host, name: str) -> None:
    """What is guarded as a whole folder is left out: it is new as a whole, or cannot be changed."""
    path = put(host, name, "before")
    after = Aftermath(make_spec(host), host, SKIPPED)  # without guards, as where one has fallen off
    facts = path.stat()
    path.write_text("behind")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert f"this run changed {name}:" in told(after)


def test_a_planted_bare_repository(host: Host) -> None:
    put(host, "data/HEAD")
    after = begin(host)
    put(host, "data/config", "[core]\n\tfsmonitor = evil\n")
    (host.directory / "data/objects").mkdir()
    (host.directory / "data/refs").mkdir()
    assert "this run created data/HEAD: version control runs" in told(after)


@pytest.mark.parametrize("name", [".git", ".vscode", "sub/.venv"])
def test_a_folder_in_the_place_of_a_link(host: Host, name: str) -> None:
    """A link cannot be mounted over itself. The folder may get the number that the link's inode had."""
    link = host.directory / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("nowhere")
    after = begin(host)
    link.unlink()
    link.mkdir()
    assert f"this run created {name}:" in told(after)


def test_each_reason_has_one_note_and_five_names(host: Host) -> None:
    after = begin(host)
    for number in range(20):
        put(host, f"d{number}/conftest.py")
        put(host, f"d{number}/random.py")
    notes = list(after.notes())
    assert len(notes) == 2
    assert all("and 15 more" in note for note in notes)


@pytest.mark.parametrize(
    "name", ["analysis.py", "random.txt", "data/HEAD", "json/data.json", "git", "notes.env"]
)
def test_ordinary_files_are_not_told(host: Host, name: str) -> None:
    after = begin(host)
    put(host, name)
    assert told(after) == ""


def test_a_flood_of_files_hides_nothing(host: Host) -> None:
    """Neither where the list of results ends, nor where this look itself does."""
    watch = Watch(make_spec(host), host)
    for number in range(files.ENTRIES + 100):
        (host.directory / f"{number:05}").touch()
    for name in ("random.py", "sitecustomize.py", ".Rprofile", "helper"):
        put(host, name, mode=0o4755)
    notes = " ".join(watch.changes()[1])
    assert all(name in notes for name in ("random.py", "sitecustomize.py", ".Rprofile"))
    assert "not all changed files are listed" in notes
    assert bits(host.directory / "helper") == 0


def test_past_its_own_bound_the_names_are_tried_one_by_one(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(host, "sub/data.csv")
    after = begin(host)
    monkeypatch.setattr(look, "ENTRIES", 50)
    for number in range(100):
        put(host, f"{number:03}")
    for name in ("random.py", "sub/.envrc", ".Rprofile", "Makefile"):
        put(host, name)
    text = told(after)
    assert all(name in text for name in ("random.py", "sub/.envrc", ".Rprofile", "Makefile"))
    assert "too large to be looked at whole" in text


def test_what_an_unfinished_look_did_not_see_is_not_invented(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(host, "old/conftest.py")
    with monkeypatch.context() as patch:
        patch.setattr(look, "ENTRIES", 0)
        after = begin(host)
    monkeypatch.setattr(after, "_since", os.stat(host.directory / "old/conftest.py").st_ctime_ns + 1)
    assert "conftest" not in told(after)


# --- folders that are not listed -------------------------------------------------------------------


def test_what_changed_in_folders_that_are_not_listed_is_counted(host: Host) -> None:
    put(host, "pkg/helper.py")
    after = begin(host)
    for name in (
        "pkg/__pycache__/helper.cpython-311.pyc",
        "pkg/__pycache__/a/b",
        ".cache/x",
        ".pytest_cache/y",
    ):
        put(host, name)
    assert (
        "4 files made or changed in folders that are not listed: 1 in .cache, 1 in .pytest_cache, 2 in __pycache__"
        in told(after)
    )


def test_one_file_is_one_file(host: Host) -> None:
    after = begin(host)
    put(host, ".cache/x")
    assert "1 file made or changed" in told(after)


def test_the_looks_use_the_same_list(host: Host) -> None:
    assert {"__pycache__", ".venv", "node_modules"} <= SKIPPED
    assert aftermath.SHOWN == 5
