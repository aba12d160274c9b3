"""The `skill` command without an engine: words, exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skill_magic import cli
from skill_magic._version import __version__
from skill_magic.answer import safe
from skill_magic.command.grammar import VERBS
from skill_magic.verbs.doctor import runc_is_old, runc_version, sentences


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with no engine to be had: whatever asks one fails."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.delenv("SKILL_MAGIC_VIEW", raising=False)
    return tmp_path


@pytest.fixture
def project(nowhere: Path) -> Path:
    text = """
[skills.good.docker]
image = "python:3.12-slim"
[skills.bad.docker]
image = "python:3.12-slim"
netwrok = "bridge"
"""
    (nowhere / "skills.toml").write_text(text)
    return nowhere


def test_help_is_on_stdout_where_it_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["-h"], ["help"]):
        assert cli.main(words) == 0
        shown = capsys.readouterr()
        assert all((f"\n  {verb} " in shown.out) == (not facts.reserved) for verb, facts in VERBS.items())
        assert shown.err == ""
    assert cli.main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "NAME" in shown.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"skill {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code", "needle"),
    [
        (["--timeout", "never", "ffmpeg"], 2, "never"),
        (["ffmpeg", "--bg", "--", "x"], 2, "--bg"),
        (["map", "x", "y", "--", "z"], 2, "not in this version"),
        (["nothing-like-it"], 125, "nothing-like-it"),
        (["ffmpeg", "--", "-version"], 125, "/nowhere/docker.sock"),
        (["ps"], 125, "/nowhere/docker.sock"),
        (["info", "nothing-like-it"], 125, "nothing-like-it"),
    ],
)
def test_what_is_ours_is_on_stderr_and_has_our_codes(
    words: list[str], code: int, needle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert needle in shown.err


def test_check_json_is_the_promised_form(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--json"]) == 1
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert set(found) == {"good", "bad"}
    assert found["good"] == {"name": "good", "verdict": "allow", "violations": []}
    assert found["bad"]["verdict"] == "error"
    [fault] = found["bad"]["violations"]
    assert {"code", "field", "value", "reason", "fix", "liftable", "file", "line"} <= set(fault)
    assert (fault["file"], fault["line"]) == (str(project / "skills.toml"), 6)
    assert "network" in fault["fix"]


def test_check_is_0_where_all_is_allowed(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"]) == 0
    assert "all allowed" in capsys.readouterr().out


def test_check_of_a_path(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "skills.toml").write_text('[skills.fine.docker]\nimage = "python:3.12-slim"\n')
    for path in ("other", "other/skills.toml", str(other)):
        assert cli.main(["check", "--json", path]) == 0
        assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["fine"]
    assert cli.main(["check", "gone"]) == 2


def test_words_that_are_nearly_right(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, needle in (
        (["runn", "ffmpeg"], "did you mean the verb run?"),
        (["run", "ffmpeg -version"], "write ffmpeg -- -version"),
        (["check", "good"], "for the skill good there is `skill explain good`"),
        (["check", "bad"], "for the skill bad there is `skill explain bad`"),
        (["map"], "not in this version"),
    ):
        assert cli.main(words) in (2, 125)
        assert needle in capsys.readouterr().err


def test_revoking_nothing_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trust", "--revoke", "good"]) == 0
    assert capsys.readouterr().out == "good had no grants\n"


def test_explain_json_has_the_spec(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "good", "--json", "--", "a b"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["verdict"], found["violations"]) == ("good", "allow", [])
    assert found["spec"]["args"] == ["a b"]
    assert found["spec"]["network"] == "none"
    assert found["spec"]["mounts"][0]["source"] == str(project)
    assert found["command"].startswith("docker run ")


def test_explain_answers_for_a_faulty_skill_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "bad", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["spec"], found["violations"][0]["line"]) == ("error", None, 6)
    assert cli.main(["explain", "bad"]) == 1
    assert "skills.toml:6" in capsys.readouterr().out


def test_doctor_says_what_is_in_the_way(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 1
    found = {each["topic"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["engine"]["status"] == "bad"
    assert "/nowhere/docker.sock" in found["engine"]["text"]
    assert found["engine"]["fix"]


def test_doctor_judges_the_directory_as_a_run_would(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["doctor", "--json"])
    found = [each for each in json.loads(capsys.readouterr().out) if each["topic"] == "directory"]
    assert [each["status"] for each in found] == ["ok"]
    monkeypatch.setenv("HOME", str(nowhere))
    assert cli.main(["doctor", "--json"]) == 1
    [found] = [each for each in json.loads(capsys.readouterr().out) if each["topic"] == "directory"]
    assert found["status"] == "bad"
    assert "mount-home" in found["text"]


def test_sentences_do_not_run_into_each_other() -> None:
    assert sentences("the engine is away", "Start it.") == "the engine is away. Start it."
    assert sentences("It is away.", "start it") == "It is away. start it"
    assert sentences("fine", "") == "fine"


def test_a_directory_that_is_gone_is_one_line(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = nowhere / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in (["list"], ["ffmpeg", "--", "x"], ["doctor"]):
        assert cli.main(words) == 125
        shown = capsys.readouterr()
        assert "the working directory is gone" in shown.err
        assert len(shown.err.splitlines()) == 2
        assert shown.out == ""


def test_a_view_that_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SKILL_MAGIC_VIEW", "loud")
    assert cli.main(["list"]) == 2
    assert "loud" in capsys.readouterr().err


def test_hostile_names_do_not_reach_the_terminal(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["\x1b]0;owned\x07"]) == 125
    (nowhere / "skills.toml").write_text(
        '[skills.x]\ndescription = "\\u001b[2Jgone \\u202Ertl"\n'
        '[skills.x.docker]\nimage = "python:3.12-slim"\n'
    )
    for words in (["list"], ["info", "x"], ["explain", "x"], ["check"], ["list", "--json"]):
        cli.main(words)
    shown = capsys.readouterr()
    for char in "\x1b\x07\u202e":
        assert char not in shown.out + shown.err
    assert safe("\x1b") == "\\x1b"


def test_a_reader_that_leaves_is_no_traceback() -> None:
    line = f"{sys.executable} -m skill_magic info ffmpeg ; echo $? >&2"
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    done = subprocess.run(["sh", "-c", line], stdout=reader.stdin, stderr=subprocess.PIPE, text=True)
    assert done.stderr == "141\n"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "skill_magic", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"skill {__version__}\n"
    script = Path(sys.executable).with_name("skill")
    assert os.access(script, os.X_OK)
    assert subprocess.run([script, "--version"], capture_output=True, text=True).stdout == done.stdout


@pytest.mark.parametrize(
    ("text", "version", "old"),
    [
        ("1.1.5+ds1", (1, 1, 5), True),
        ("v1.2.8-0-geeb7e60", (1, 2, 8), False),
        ("1.2.7", (1, 2, 7), True),
        ("1.3.2", (1, 3, 2), True),
        ("1.3.3", (1, 3, 3), False),
        ("1.4.0", (1, 4, 0), False),
        ("2.0.0", (2, 0, 0), False),
    ],
)
def test_known_weak_runcs(text: str, version: tuple[int, int, int], old: bool) -> None:
    assert runc_version(text) == version
    assert runc_is_old(version) is old


def test_a_commit_is_no_version() -> None:
    assert runc_version("eeb7e6024f9ee43876301f5ac1b5d9f0a1ee1b4c") is None
