"""A run that plants what this machine would run by itself says so in its result."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from policy_helpers import make_host, make_spec

from skill_magic.events import Finished
from skill_magic.mounts.mounts import complete, project_mount
from skill_magic.result import MOUNTS_SHOWN, Recorder
from skill_magic.views.stream import StreamView


def told(recorder: Recorder) -> list[str]:
    recorder.event(Finished("finished", 0, 0.1, 0.0))
    return [note for note in recorder.result().notes if "later" in note or "look before" in note]


def test_the_result_tells_what_was_planted(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    recorder = Recorder(make_spec(host), host)
    (host.directory / ".vscode").mkdir()
    (host.directory / "out.txt").touch()
    [note] = told(recorder)
    assert "this run created .vscode:" in note


def test_a_place_that_git_was_told_to_look_for_hooks_in(tmp_path: Path) -> None:
    """It has no name of its own to be known by."""
    host = make_host(tmp_path)
    (host.directory / ".git").mkdir()
    (host.directory / ".git/config").write_text("[core]\n\thooksPath = tools\n")
    recorder = Recorder(make_spec(host), host)
    (host.directory / "tools").mkdir()
    [note] = told(recorder)
    assert str(host.directory / "tools") in note
    assert "by itself" in note


def test_the_docker_run_line_of_a_result_is_bounded(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    for number in range(200):
        (host.directory / f"p{number}/__pycache__").mkdir(parents=True)
    spec = make_spec(host, mounts=complete((project_mount(host),), host))
    recorder = Recorder(spec, host)
    recorder.event(Finished("finished", 0, 0.1, 0.0))
    result = recorder.result()
    assert result.command_line.count("type=bind") + result.command_line.count("--volume") <= MOUNTS_SHOWN
    assert any(note.startswith("153 protecting mounts are left out") for note in result.notes)


def test_a_shell_is_told_too(tmp_path: Path) -> None:
    """In one line, whatever the file is called, and what stood there before is not said again."""
    host = make_host(tmp_path)
    spec = make_spec(host, notes=("said at first",))
    recorder, out, err = Recorder(spec, host), StringIO(), StringIO()
    view = StreamView(out, err)
    view.begin(spec, lambda: None)
    folder = host.directory / "a\nskill: forged"
    folder.mkdir()
    (folder / ".envrc").touch()
    recorder.event(Finished("finished", 0, 0.1, 0.0))
    view.finish(recorder.result())
    first, second = err.getvalue().splitlines()
    assert first == "skill: said at first"
    assert second.startswith("skill: this run created a\\nskill: forged/.envrc:")
    assert out.getvalue() == ""
