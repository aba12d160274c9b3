"""``--stdout FILE``: what may be written, and what is there when the run has ended."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
from plan_world import make_host

from skill_magic.errors import SkillFailed
from skill_magic.events import Finished, Output, Started, State
from skill_magic.files import FileRefusedError
from skill_magic.host import Host
from skill_magic.mounts.mounts import project_mount
from skill_magic.result import Recorder, RunResult
from skill_magic.spec import RunSpec
from skill_magic.stdout_file import StdoutFile, opened
from skill_magic.views import card, words


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "p/sub").mkdir(parents=True)
    return make_host(tmp_path / "p", home=tmp_path / "home", cache_dir=tmp_path / "cache")


def a_spec(host: Host, **changes: Any) -> RunSpec:
    facts: dict[str, Any] = {"mounts": (project_mount(host),), "directory": host.directory}
    return RunSpec("tool", "debian:12", **(facts | changes))


def a_file(host: Host, name: str, **options: Any) -> StdoutFile:
    return opened(name, a_spec(host), host, **options)


def code_of(host: Host, name: str) -> str:
    before = sorted(host.directory.rglob("*"))
    with pytest.raises(FileRefusedError) as refused:
        a_file(host, name)
    assert sorted(host.directory.rglob("*")) == before
    assert refused.value.hint
    assert "\n" not in refused.value.message
    return refused.value.code


def recorded(
    host: Host,
    name: str,
    *chunks: bytes,
    state: State = "finished",
    code: int | None = 0,
    error: str = "",
    no_raise: bool = False,
) -> RunResult:
    file = a_file(host, name, whatever_exit_code=no_raise)
    recorder = Recorder(a_spec(host), host, stdout=file)
    recorder.event(Started("c", "n", "i", None, 0.0))
    for chunk in chunks:
        recorder.event(Output("stdout", chunk))
    recorder.event(Output("stderr", b"a warning\n"))
    recorder.event(Finished(state, code, 1.0, 0.0, error))
    result = recorder.result()
    recorder.close()
    return result


def names(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


BYTES = bytes(range(256)) * 500


@pytest.mark.parametrize(
    "name", ["out.bin", "./out.bin", "sub/out.bin", "sub//./out.bin", "a b\n.bin", "-x", "Makefile"]
)
def test_the_bytes_are_in_the_file_and_nowhere_else(host: Host, name: str) -> None:
    result = recorded(host, name, BYTES, BYTES)
    (file,) = names(host.directory)
    assert (host.directory / file).read_bytes() == BYTES * 2
    assert file == os.path.normpath(name)
    assert [(change.path, change.kind, change.size) for change in result.files] == [
        (file, "created", 256_000)
    ]
    assert result.stdout_bytes == b""
    assert result.stderr == "a warning\n"
    assert result.stdout_file == file
    assert result.output.logs == {}
    assert b"\xfe".decode("latin-1") not in card.text(result)


def test_an_absolute_path_into_the_directory(host: Host, tmp_path: Path) -> None:
    recorded(host, f"{host.directory}/sub/out.txt", b"1")
    (tmp_path / "link").symlink_to(host.directory)
    through = make_host(tmp_path / "link", home=tmp_path / "home")
    recorded(through, f"{host.directory}/out.txt", b"2")
    found = [name for name in names(host.directory) if not name.startswith("cache/")]
    assert found == ["out.txt", "sub/out.txt"]


def test_no_output_is_an_empty_file(host: Host) -> None:
    recorded(host, "out.txt")
    assert (host.directory / "out.txt").read_bytes() == b""


def test_rights_are_those_of_the_file_that_was_there_or_of_a_shell(host: Host) -> None:
    old = os.umask(0o027)
    try:
        recorded(host, "new.txt", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((host.directory / "new.txt").stat().st_mode) == 0o640
    for mode in (0o600, 0o755, 0o4755):
        (host.directory / "old.txt").write_bytes(b"")
        (host.directory / "old.txt").chmod(mode)
        assert recorded(host, "old.txt", b"x").files[0].kind == "changed"
        assert stat.S_IMODE((host.directory / "old.txt").stat().st_mode) == mode & 0o777


@pytest.mark.parametrize("before", [None, b"before"])
@pytest.mark.parametrize(
    ("state", "code", "error"),
    [
        ("failed", 1, ""),
        ("failed", 127, "no such program"),
        ("failed", 0, "the input broke off: x"),
        ("stopped", 130, ""),
        ("stopped", 0, ""),
        ("timeout", 0, ""),
        ("killed", 137, ""),
        ("out-of-memory", 137, ""),
        ("lost", None, ""),
    ],
)
def test_a_run_that_did_not_end_well_leaves_what_was_there(
    host: Host, before: bytes | None, state: State, code: int, error: str
) -> None:
    path = host.directory / "out.txt"
    if before is not None:
        path.write_bytes(before)
    result = recorded(host, "out.txt", b"half of ", state=state, code=code, error=error)
    assert names(host.directory) == ([] if before is None else ["out.txt"])
    assert before is None or path.read_bytes() == before
    assert result.files == ()
    assert result.stdout_file == ""
    said = "out.txt was not written: it" if before is None else "out.txt is as it was before: it"
    assert said in words.hint(result)
    failed = result.error()
    assert failed is not None
    assert said in failed.hint
    assert ("--no-raise" in failed.hint) == (state == "failed" and not error)
    assert "half of" in card.text(result)  # it is nowhere else


def test_without_errors_a_tools_own_exit_code_does_not_matter(host: Host) -> None:
    recorded(host, "d.patch", b"- a\n+ b\n", state="failed", code=1, no_raise=True)
    assert (host.directory / "d.patch").read_bytes() == b"- a\n+ b\n"
    for state, code, error in (("failed", 127, "no such program"), ("stopped", 130, ""), ("timeout", 1, "")):
        result = recorded(host, "d.patch", b"half", state=state, code=code, error=error, no_raise=True)  # type: ignore[arg-type]
        assert (host.directory / "d.patch").read_bytes() == b"- a\n+ b\n"
        assert [note for note in result.notes if note.startswith("d.patch is as it was before")]


@pytest.mark.parametrize(
    "name", ["../out.txt", "/etc/out.txt", "/workdir/out.txt", "sub/../../x", "sub/../x", "/dev/null", ".."]
)
def test_a_path_out_of_the_directory(host: Host, name: str) -> None:
    assert code_of(host, name) == "stdout-outside"


def test_links_are_not_followed(host: Host, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    p = host.directory
    (p / "out.txt").symlink_to(tmp_path / "secret")
    (p / "nothing.txt").symlink_to(tmp_path / "new")
    (p / "away").symlink_to(tmp_path)
    (p / "near").symlink_to("sub")
    for name in ("out.txt", "nothing.txt", "away/x", "near/x"):
        assert code_of(host, name) == "stdout-link"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "secret"]
    assert (tmp_path / "secret").read_text() == "mine"


def test_what_is_no_file_to_write(host: Host) -> None:
    os.mkfifo(host.directory / "pipe")
    assert code_of(host, "pipe") == "stdout-type"
    assert code_of(host, "sub") == "stdout-type"
    assert code_of(host, "sub/") == "stdout-type"
    assert code_of(host, "") == "stdout-type"
    assert code_of(host, ".") == "stdout-type"
    (host.directory / "file").write_bytes(b"")
    assert code_of(host, "file/x") == "stdout-type"
    assert code_of(host, "nowhere/x") == "stdout-missing"
    assert code_of(host, "x" * 300) == "stdout-unwritable"


def test_a_file_that_the_caller_may_not_write(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.directory / "old.txt").write_bytes(b"x")
    (host.directory / "old.txt").chmod(0o444)
    if os.getuid() == 0:  # who may write everything
        monkeypatch.setattr(os, "access", lambda name, mode, **how: name != "old.txt")
    assert code_of(host, "old.txt") == "stdout-unwritable"


@pytest.mark.parametrize(
    "name",
    [
        ".bashrc", ".BashRC", "sub/.envrc", "sub/.git/hooks/pre-commit", ".git/config", "x.pth", "skills.toml",
        "sub/.venv/bin/python", ".vscode/tasks.json", "repo.git/hooks/post-update", "env/bin/python", "n.ipynb",
        "scripts/hook.sh", ".ipynb_checkpoints/n.ipynb", "sub/__pycache__/a.pyc", ".g\u200dit", "node_modules/a.js",
    ],
)  # fmt: skip
def test_what_the_host_runs_later(host: Host, name: str) -> None:
    p = host.directory
    folders = """sub/.git/hooks .git/hooks repo.git/hooks repo.git/objects repo.git/refs env/bin scripts .vscode
        sub/.venv/bin sub/__pycache__ .ipynb_checkpoints node_modules"""
    for folder in folders.split():
        (p / folder).mkdir(parents=True)
    for file in ("repo.git/HEAD", "env/pyvenv.cfg", "scripts/hook.sh", "n.ipynb"):
        (p / file).write_text("")
    (p / ".git/hooks/pre-push").symlink_to("../../scripts/hook.sh")
    host = make_host(p, home=host.home, notebook=p / "n.ipynb")
    assert code_of(host, name) == "stdout-guarded"


@pytest.mark.parametrize(
    "name", ["hooks.txt", "git", "bashrc", "sub/x.pth.txt", "sub/config", "scripts.txt", ".hidden"]
)
def test_what_only_looks_like_it(host: Host, name: str) -> None:
    recorded(host, name, b"x")
    assert (host.directory / name).read_bytes() == b"x"


def test_a_file_of_the_tool_that_python_would_import_is_told(host: Host) -> None:
    result = recorded(host, "random.py", b"x")
    assert [note for note in result.notes if "random.py" in note]


def test_tricks_of_the_tool_during_the_run(host: Host, tmp_path: Path) -> None:
    p = host.directory

    def link_for_draft(draft: Path) -> None:
        draft.unlink()
        draft.symlink_to(tmp_path / "new")

    def other_draft(draft: Path) -> None:
        draft.unlink()
        draft.write_bytes(b"12")

    def cut(draft: Path) -> None:
        draft.write_bytes(b"")

    def folder_moved(draft: Path) -> None:
        (p / "sub").rename(p / "sub2")
        (p / "sub").symlink_to(tmp_path)

    def other_folder(draft: Path) -> None:
        (p / "sub").rename(p / "sub3")
        (p / "sub").mkdir()

    def folder_in_its_place(draft: Path) -> None:
        (p / "sub/out.txt").mkdir()

    tricks = (link_for_draft, other_draft, cut, folder_moved, other_folder, folder_in_its_place)
    for trick in tricks:
        if (p / "sub").is_symlink():
            (p / "sub").unlink()
        (p / "sub").mkdir(exist_ok=True)
        file = a_file(host, "sub/out.txt")
        file.write(b"12")
        (draft,) = [
            path for path in p.rglob("*") if path.name.endswith("skill-stdout") and path.parent.name == "sub"
        ]
        trick(draft)
        file.keep()
        assert file.error.startswith("standard output could not be written to sub/out.txt: "), trick
        assert not file.kept
        assert not (tmp_path / "new").exists()
        assert not (tmp_path / "out.txt").exists()
        for left in p.rglob("*.skill-stdout"):
            left.unlink()


def test_a_link_that_the_tool_puts_in_its_place_is_replaced(host: Host, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    file = a_file(host, "out.txt")
    file.write(b"12")
    (host.directory / "out.txt").symlink_to(tmp_path / "secret")
    file.keep()
    assert file.kept
    assert (host.directory / "out.txt").read_bytes() == b"12"
    assert not (host.directory / "out.txt").is_symlink()
    assert (tmp_path / "secret").read_text() == "mine"


@pytest.fixture
def small_files() -> Any:
    """No file of this process may grow beyond 100,000 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(("state", "code"), [("stopped", 130), ("finished", 0), ("failed", 1)])
def test_a_disk_that_is_full_fails_the_run(host: Host, state: State, code: int) -> None:
    (host.directory / "out.txt").write_bytes(b"before")
    result = recorded(host, "out.txt", BYTES, BYTES, state=state, code=code)
    assert (host.directory / "out.txt").read_bytes() == b"before"
    assert names(host.directory) == ["out.txt"]
    said = f"failed: standard output could not be written to out.txt: {os.strerror(errno.EFBIG)}"
    assert (result.state, words.state(result)) == ("failed", said)
    error = result.error()
    assert isinstance(error, SkillFailed)
    assert error.lines() == [f"SkillFailed: tool {said}"]
    assert result.unwritten


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_known_at_once_and_holds_nothing(host: Host) -> None:
    recorder = Recorder(a_spec(host), host, stdout=a_file(host, "out.txt"))
    recorder.event(Output("stdout", b"x" * 90_000))
    assert not recorder.unwritten
    recorder.event(Output("stdout", b"x" * 90_000))
    assert recorder.unwritten
    assert names(host.directory) == []


def test_much_output_is_not_held_in_memory(host: Host) -> None:
    import tracemalloc

    recorder = Recorder(a_spec(host), host, stdout=a_file(host, "out.bin"))
    chunk = os.urandom(1 << 16)
    tracemalloc.start()
    for _ in range(1600):  # 100 MiB
        recorder.event(Output("stdout", chunk))
    recorder.event(Finished("finished", 0, 1.0, 0.0))
    result = recorder.result()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (host.directory / "out.bin").stat().st_size == 1600 << 16
    assert peak < 8 << 20  # of 100 MiB; the modules that the end of a run needs are half of it
    assert result.output.logs == {}
    assert not (host.cache_dir / "runs").exists()


def test_a_run_without_a_result_leaves_nothing(host: Host) -> None:
    recorder = Recorder(a_spec(host), host, stdout=a_file(host, "out.txt"))
    recorder.event(Output("stdout", b"x"))
    assert len(names(host.directory)) == 1
    recorder.close()
    recorder.close()
    assert names(host.directory) == []
