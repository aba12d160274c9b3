"""Files made or changed by a run, and opening them without following anybody's links."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from skill_magic import files
from skill_magic.files import FileChange, FileRefusedError, Watch, open_result, read_result
from skill_magic.host import Host
from skill_magic.spec import Mount, RunSpec


def a_host(directory: Path, notebook: Path | None = None) -> Host:
    return Host(
        directory=directory,
        home=directory.parent,
        environment={},
        uid=1000,
        gid=1000,
        user="u",
        cpus=2,
        memory=1 << 33,
        engine=None,
        config_dir=directory,
        data_dir=directory,
        cache_dir=directory.parent / "cache",
        notebook=notebook,
    )


def a_spec(directory: Path, *mounts: Mount) -> RunSpec:
    project = Mount("bind", "/workdir", str(directory), ours=True)
    return RunSpec("t", "debian:12", directory=directory, mounts=mounts or (project,))


def code_of(directory: Path, relative: str, limit: int | None = None) -> str:
    with pytest.raises(FileRefusedError) as caught:
        open_result(directory, relative, limit=limit)
    return caught.value.code


def test_a_regular_file_opens(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "naïve ☃.txt").write_bytes(b"content")
    assert read_result(tmp_path, "a/b/naïve ☃.txt", 100) == b"content"


@pytest.mark.parametrize(
    "relative", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a/.", "..", "a\0b"]
)
def test_paths_that_lead_elsewhere(tmp_path: Path, relative: str) -> None:
    (tmp_path / "a").mkdir()
    assert code_of(tmp_path, relative) == "result-file-outside"


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    (tmp_path / "link").symlink_to("secret")
    (tmp_path / "dirlink").symlink_to("d")
    (tmp_path / "broken").symlink_to("nothing")
    assert [code_of(tmp_path, name) for name in ("link", "dirlink/f", "broken")] == ["result-file-link"] * 3


def test_a_directory_swapped_for_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("secret")
    project = tmp_path / "project"
    project.mkdir()
    (project / "d").symlink_to(outside)
    assert code_of(project, "d/f") == "result-file-link"


def test_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket must be short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        assert [code_of(tmp_path, name) for name in ("pipe", "dir", "socket")] == ["result-file-type"] * 3
    (tmp_path / "file").write_text("x")
    assert code_of(tmp_path, "file/below") == "result-file-type"


def test_missing_and_too_large(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    assert code_of(tmp_path, "nothing") == "result-file-missing"
    assert code_of(tmp_path, "f", limit=4) == "result-file-size"
    assert read_result(tmp_path, "f", 5) == b"12345"


LINK = (
    "this run made links that lead out of the directory: link → /etc/passwd; what reads or writes them here "
    "reads or writes there"
)


def test_files_made_and_changed_are_found(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("1")
    (tmp_path / "same").write_text("1")
    (tmp_path / "gone").write_text("1")
    (tmp_path / "d").mkdir()
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    (tmp_path / "old").write_text("22")
    (tmp_path / "gone").unlink()
    (tmp_path / "d" / "new").write_bytes(b"333")
    (tmp_path / "e" / "f").mkdir(parents=True)
    (tmp_path / "e" / "f" / "deep").write_text("4444")
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    assert watch.changes() == (
        (
            FileChange("d/new", "created", 3, tmp_path),
            FileChange("e/f/deep", "created", 4, tmp_path),
            FileChange("old", "changed", 2, tmp_path),
        ),
        (LINK,),
    )


def test_a_change_that_hides_its_time_is_found(tmp_path: Path) -> None:
    target = tmp_path / "f"
    target.write_text("a")
    os.utime(target, ns=(10**18, 10**18))
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    target.write_text("b")
    os.utime(target, ns=(10**18, 10**18))
    assert [change.kind for change in watch.changes()[0]] != []


def test_only_what_the_tool_can_write_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "one.txt").write_text("")
    mounts = (
        Mount("bind", "/workdir", str(tmp_path), read_only=True),
        Mount("bind", "/data", str(tmp_path / "data")),
        Mount("bind", "/one.txt", str(tmp_path / "one.txt")),
        Mount("bind", "/else", str(tmp_path.parent / "elsewhere")),
        Mount("volume", "/v", "name"),
    )
    watch = Watch(a_spec(tmp_path, *mounts), a_host(tmp_path))
    (tmp_path / "by a person").write_text("x")
    (tmp_path / "data" / "by the tool").write_text("x")
    (tmp_path / "one.txt").write_text("more")
    assert [change.path for change in watch.changes()[0]] == ["data/by the tool", "one.txt"]


def test_a_mount_of_a_parent_counts(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    watch = Watch(a_spec(project, Mount("bind", "/all", str(tmp_path))), a_host(project))
    (project / "f").write_text("x")
    assert [change.path for change in watch.changes()[0]] == ["f"]


def test_the_open_notebook_is_not_a_result(tmp_path: Path) -> None:
    notebook = tmp_path / "work.ipynb"
    notebook.write_text("{}")
    watch = Watch(a_spec(tmp_path), a_host(tmp_path, notebook))
    notebook.write_text("saved by JupyterLab meanwhile")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "work-checkpoint.ipynb").write_text("x")
    assert watch.changes() == ((), ())


@pytest.mark.parametrize(
    "name", [".envrc", "conftest.py", "sub/conftest.py", ".vscode", ".git", "random.py", "sub/random.py"]
)
def test_planted_files_are_warned_of(tmp_path: Path, name: str) -> None:
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    if name in (".git", ".vscode"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("x")
    [note] = watch.changes()[1]
    assert f"this run created {name}:" in note


@pytest.mark.parametrize("name", ["random.txt", "sub/random_walk.py", "analysis.py", "plot.png"])
def test_ordinary_files_are_not(tmp_path: Path, name: str) -> None:
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    assert watch.changes()[1] == ()


def test_a_planted_link_is_warned_of_too(tmp_path: Path) -> None:
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    (tmp_path / ".envrc").symlink_to("x")
    assert len(watch.changes()[1]) == 1


def test_a_large_directory_is_cut_short_and_nothing_is_invented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ENTRIES", 50)
    monkeypatch.setattr(files, "SECONDS", 30.0)
    (tmp_path / "big").mkdir()
    for number in range(100):
        (tmp_path / "big" / str(number)).write_text("")
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    (tmp_path / "new").write_text("x")
    found, notes = watch.changes()
    assert [change.path for change in found] == ["new"]
    assert "not all changed files are listed" in notes[0]


def test_a_slow_directory_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SECONDS", -1.0)
    (tmp_path / "f").write_text("")
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    assert watch.changes()[0] == ()


def test_a_directory_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    watch = Watch(a_spec(tmp_path / "missing"), a_host(tmp_path))
    assert watch.changes() == ((), ())
