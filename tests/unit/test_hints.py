"""Hints of a failed run: what a person may have taken for granted that a container does not have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from plan_world import make_host

from skill_magic import road
from skill_magic.command.parse import Request
from skill_magic.errors import SkillFailed, SkillTimeout
from skill_magic.events import Finished, State
from skill_magic.result import RunResult
from skill_magic.spec import Mount, RunSpec
from skill_magic.views import hints, words


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("project", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "in.mp4").write_bytes(b"x")
    return tmp_path / "project"


def said(project: Path, *args: str, state: State = "failed", code: int = 1, **changes: Any) -> list[str]:
    facts: dict[str, Any] = {
        "mounts": (
            Mount("bind", "/workdir", str(project), ours=True),
            Mount("bind", "/workdir/skills.toml", str(project / "skills.toml"), read_only=True, ours=True),
        ),
        "working_dir": "/workdir",
        "directory": project,
    }
    shown = changes.pop("shown", args)
    spec = RunSpec("tool", "debian:12", args, **(facts | changes))
    return list(hints.of(spec, Finished(state, code, 1.0, 0.0), shown))


def test_a_file_of_the_host_outside_what_is_mounted(project: Path) -> None:
    outside = project.parent / "data/in.mp4"
    wanted = [f"the tool sees {project}, as /workdir, and not {outside}: put it there"]
    assert said(project, "-i", str(outside)) == wanted
    assert said(project, f"--input={outside}") == wanted
    assert said(project, "../data/in.mp4")[0].endswith("and not ../data/in.mp4: put it there")


@pytest.mark.parametrize("name", ["in.mp4", "new.mp4", "skills.toml"])
def test_a_file_of_the_project_by_its_name_on_the_host(project: Path, name: str) -> None:
    assert said(project, str(project / name)) == [f"the tool sees {project} as /workdir: write {name}"]


def test_a_file_of_another_mount(project: Path) -> None:
    data = project.parent / "data"
    mounts = (Mount("bind", "/workdir", str(project), ours=True), Mount("bind", "/data", str(data)))
    found = said(project, str(data / "in.mp4"), mounts=mounts)
    assert found == [f"the tool sees {data} as /data: write /data/in.mp4"]
    assert said(project, "/data/in.mp4", mounts=mounts) == []


@pytest.mark.parametrize(
    "word",
    ["/etc/passwd", "/workdir/in.mp4", "/nowhere/in.mp4", "/", "in.mp4", "..", "-", "a=b", "/x\0y", ""],
)
def test_what_is_no_path_of_the_host(project: Path, word: str) -> None:
    wanted = 1 if word == ".." else 0
    assert len(said(project, word)) == wanted


@pytest.mark.parametrize(
    "word", [">", ">>", "2>", "2>&1", "|", "&&", "||", "<", "#", "#convert", "2>/dev/null"]
)
def test_words_of_a_shell(project: Path, word: str) -> None:
    (hint,) = said(project, "a", word)
    assert hint.split("; ")[0] == f"there is no shell: {word} went to the tool as an argument"
    assert len(hint.split("; ")) <= 2


def test_the_way_to_a_file(project: Path) -> None:
    (hint,) = said(project, "a", ">", "out.txt")
    assert hint.endswith("; stdout='out.txt' writes a file")


@pytest.mark.parametrize("word", ["#ff0000", "#fff", "100x100>", "a|b", "->", "-"])
def test_words_of_a_tool(project: Path, word: str) -> None:
    assert said(project, word) == []


def test_an_entrypoint_of_several_words(project: Path) -> None:
    found = said(project, "1", code=127, entrypoint="python3 -c")
    assert found == [
        'the entrypoint is one word: write entrypoint = "python3", and the rest as items of `command`'
    ]
    assert said(project, "1", code=1, entrypoint="python3 -c") == []
    assert said(project, "1", code=127, entrypoint="python3") == []


def test_no_hint_where_the_tool_did_not_fail_or_the_word_is_a_secret(project: Path) -> None:
    for state in ("finished", "stopped", "timeout", "out-of-memory", "killed", "lost"):
        assert said(project, ">", state=state) == []
    inside = str(project / "in.mp4")
    assert said(project, inside, shown=("***",)) == []


@pytest.mark.parametrize(("name", "notes"), [("ffmpeg", 1), ("mine", 0)])
def test_a_skill_in_place_of_a_bundled_one_is_told(project: Path, name: str, notes: int) -> None:
    host = make_host(project.parent)
    (host.directory / "skills.toml").write_text(f'\n[skills.{name}.docker]\nimage = "python:3.12-slim"\n')
    spec = road.decide(Request(name, ()), host).spec
    assert spec is not None
    told = [note for note in spec.notes if "not the bundled one" in note]
    assert told == ["ffmpeg is the project's own, not the bundled one: skills.toml:3"][:notes]


def test_the_bundled_skill_has_no_such_note(project: Path) -> None:
    spec = road.decide(Request("ffmpeg", ()), make_host(project.parent)).spec
    assert spec is not None
    assert not [note for note in spec.notes if "not the bundled one" in note]


def test_the_figures_say_whose_time_it_is() -> None:
    short = RunResult("tool", (), "i", "finished", 0, 0.04, 0.0)
    assert words.figures(short)[0] == ("run time", "40 ms")
    assert words.figures(dataclasses.replace(short, duration=0.0))[0] == ("run time", "a few ms")
    assert "a few ms" in words.one_line(dataclasses.replace(short, duration=0.0))


def test_options_of_ours_that_went_to_the_tool() -> None:
    hint = "--timeout went to the tool"
    request = Request("tool", ("--timeout", "1"), hint=hint)
    failed = RunResult("tool", ("--timeout", "1"), "i", "failed", 127, 1.0, 0.0)
    with pytest.raises(SkillFailed) as caught:
        road.settle(failed, request)
    assert caught.value.hint.startswith(f"{hint}; exit code 127: a command was not found: ")
    with pytest.raises(SkillTimeout) as timed_out:
        road.settle(RunResult("tool", (), "i", "timeout", 124, 1.0, 0.0), request)
    assert hint not in timed_out.value.hint


def test_an_exit_code_of_the_tools_own_is_no_word_of_the_engine() -> None:
    """125 is what ``docker run`` ends with where the engine fails; here that is another error."""
    result = RunResult("tool", (), "debian:12", state="failed", exit_code=125, duration=1.0, started=0.0)
    assert words.state(result) == "failed: exit code 125"
