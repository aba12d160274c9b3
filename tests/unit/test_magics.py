"""%skill without an engine: what is read, refused and shown, and that all of it can be taken back."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import skill_magic
from skill_magic import door
from skill_magic.command.grammar import OPTIONS, VERBS
from skill_magic.magics import SkillMagics


class Shell(InteractiveShell):
    """A shell that keeps no history and lets errors through."""

    def run(self, cell: str) -> Any:
        result = self.run_cell(cell)  # type: ignore[no-untyped-call]
        result.raise_error()
        return result.result


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")  # whatever is asked of an engine fails
    monkeypatch.delenv("SKILL_MAGIC_VIEW", raising=False)
    shell = Shell(config=Config({"HistoryManager": {"enabled": False}}))  # type: ignore[no-untyped-call]
    shell.run("%load_ext skill_magic")
    yield shell
    shell.run("%unload_ext skill_magic")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "skills.toml"
    path.write_text(
        """
[skills.good]
description = "does <b>good</b>"
[skills.good.docker]
image = "python:3.12-slim"
command = ["-V"]

[skills.bad.docker]
image = "python:3.12-slim"
network = "host"

[skills.wants.docker]
image = "python:3.12-slim"
volumes = ["/srv/data:/data"]
"""
    )
    return path


def test_the_help_and_the_docstring_name_every_verb_and_option(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run("%skill --help")
    shown = capsys.readouterr().out
    doc = SkillMagics.skill.__doc__
    assert doc
    for verb, facts in VERBS.items():
        said = rf"(?m)^  {verb}\b" if facts.reserved else rf"\b{verb}\b"
        assert bool(re.search(said, shown)) == (not facts.reserved), verb
        assert bool(re.search(rf"Verbs:[^.]*\b{verb}\b", doc)) == (not facts.reserved), verb
    for option in OPTIONS.values():
        assert (option.long in shown) == ("magic" in option.doors), option.long
        if option.fits("run", "magic"):
            assert not option.verbs or option.long in doc
    shell.run("%skill pull --help")
    assert "pull" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["map", "lock", "report"])
def test_reserved_verbs_say_that_they_are_not_here(shell: Shell, verb: str) -> None:
    with pytest.raises(skill_magic.CommandError, match="not in this version"):
        shell.run(f"%skill {verb}{' x y -- z' if verb == 'map' else ''}")


def test_list_shows_where_each_skill_comes_from(
    shell: Shell, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run("%skill list")
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "project" in lines["good"]
    assert "allowed" in lines["good"]
    assert "refused" in lines["bad"]
    assert "bundled" in lines["ffmpeg"]
    shell.run("%skill list --json")
    data = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert data["good"]["file"] == str(project)
    assert data["good"]["verdict"] == "allow"
    assert data["bad"]["verdict"] == "deny"


def test_info_says_what_is_default_and_where_the_rest_stands(
    shell: Shell, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run("%skill info good")
    shown = capsys.readouterr().out
    assert re.search(rf"command +-V +{re.escape(str(project))}:6", shown)
    assert re.search(r"network +none +default", shown)


def test_explain_shows_the_line_and_the_verdict(
    shell: Shell, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run("args = ['a b', '$HOME']\n%skill explain good -- {args}")
    shown = capsys.readouterr().out
    assert shown.startswith("docker run ")
    assert "'a b' '$HOME'" in shown
    assert "--network none" in shown
    assert "policy: allowed" in shown
    shell.run("%skill explain --json bad")
    data = json.loads(capsys.readouterr().out)
    assert data["verdict"] == "deny"
    assert {"code", "field", "value", "reason", "fix", "liftable", "file", "line"} <= set(
        data["violations"][0]
    )
    assert data["violations"][0]["line"] == 10
    assert data["spec"]["image"] == "python:3.12-slim"


def test_explain_redacts(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    (tmp_path / "skills.toml").write_text(
        '[skills.x.docker]\nimage = "python:3.12-slim"\nenvironment = ["T=${MY_TOKEN}", "U=http://me:hunter2hunter2@h"]\n'
    )
    for line in (
        "%skill explain x",
        "%skill explain --json x",
        "%skill info x",
        "%skill list",
        "%skill check --json",
    ):
        output = io.StringIO()
        monkeypatch.setattr(sys, "stdout", output)
        shell.run(line)
        assert output.getvalue()
        if not line.endswith("info x"):  # which shows what the manifest itself says
            assert "hunter2" not in output.getvalue()


def test_check_finds_all_faults(shell: Shell, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run("%skill check --json")
    data = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert {name: each["verdict"] for name, each in data.items() if name in ("good", "bad", "wants")} == {
        "good": "allow",
        "bad": "deny",
        "wants": data["wants"]["verdict"],
    }
    assert data["wants"]["verdict"] != "allow"


def test_trust_asks_nobody_where_nobody_is(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "x")
    (tmp_path / "skills.toml").write_text(
        '[skills.x.docker]\nimage = "python:3.12-slim"\nnetwork = "bridge"\nenvironment = ["T=${MY_TOKEN}"]\n'
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    for line, why in (
        ("%skill trust x", "nobody can be asked"),
        ("%skill trust --yes x", "the notebook's word"),
    ):
        with pytest.raises(skill_magic.PolicyError, match=why) as caught:
            shell.run(line)
        assert f"`cd {tmp_path} && skill trust x`" in caught.value.hint
    with pytest.raises(skill_magic.PolicyError) as caught:
        shell.run("%skill x")
    assert caught.value.hint.endswith(": `%skill trust x`")
    assert all("`%skill trust x`" in each.fix for each in caught.value.violations)


@pytest.mark.parametrize(
    ("line", "error", "needle"),
    [
        ("%skill nothing", skill_magic.SkillNotFound, "nothing"),
        ("%skill good -- 'open", skill_magic.CommandError, "not closed"),
        ("%skill good -- {missing}", skill_magic.CommandError, "missing"),
        ("%skill bad", skill_magic.PolicyError, "bad"),
        ("%skill good", skill_magic.EngineUnavailable, "/nowhere/docker.sock"),
        ("%%skill good\n \n", skill_magic.CommandError, "no body"),
        ("%%skill list\nx\n", skill_magic.CommandError, "no cell"),
        ("%skill check nowhere", skill_magic.CommandError, "nowhere"),
        ("%skill stop", skill_magic.CommandError, "stop needs the name of a run"),
    ],
)
def test_errors_are_of_the_tree_and_short(
    shell: Shell, project: Path, line: str, error: type[skill_magic.SkillError], needle: str
) -> None:
    with pytest.raises(error, match=re.escape(needle)) as caught:
        shell.run(line)
    assert len(caught.value._render_traceback_()) <= 6
    assert caught.value.__suppress_context__


def test_a_broken_manifest_names_the_place_and_bundled_skills_are_listed_where_there_is_none(
    shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run("%skill list")
    assert "ffmpeg" in capsys.readouterr().out
    (tmp_path / "skills.toml").write_text('[skills.x.docker]\nimage = "python:3.12-slim\n')
    with pytest.raises(skill_magic.ManifestError) as caught:
        shell.run("%skill x")
    assert "skills.toml:2" in "\n".join(caught.value.lines())


def test_doctor_never_raises(shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "skills.toml").write_text("[[[")
    shell.run("%skill doctor")
    shown = capsys.readouterr().out
    assert "/nowhere/docker.sock" in shown
    assert "problem" in shown
    assert "skills.toml" in shown


def test_config(shell: Shell, project: Path) -> None:
    shell.run("%config SkillMagics.view = 'text'")
    shell.run("%config SkillMagics.timeout = 2.5")
    shell.run("%config SkillMagics.short_errors = False")
    with pytest.raises(skill_magic.SkillNotFound) as caught:
        shell.run("%skill nothing")
    assert any("Traceback" in line for line in caught.value._render_traceback_())
    instances = [each for each in shell.configurables if type(each).__name__ == "SkillMagics"]
    assert [getattr(each, "view", None) for each in instances] == ["text"]


def test_a_bad_view_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILL_MAGIC_VIEW", "loud")
    with pytest.raises(skill_magic.CommandError, match="loud"):
        door.chosen_view("auto")
    monkeypatch.setenv("SKILL_MAGIC_VIEW", "quiet")
    assert door.chosen_view("panel") == "quiet"


def test_the_notebook_is_found_where_it_is_a_file_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = tmp_path / "a.ipynb"
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert door.notebook_of({}) is None
    monkeypatch.setenv("JPY_SESSION_NAME", str(book))
    assert door.notebook_of({}) is None
    book.touch()
    assert door.notebook_of({}) == book
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    assert door.notebook_of({}) is None
    assert door.notebook_of({"__vsc_ipynb_file__": str(book)}) == book
    assert door.notebook_of({"__vsc_ipynb_file__": 5}) is None


def test_unload_takes_everything_back(shell: Shell) -> None:
    assert shell.Completer is not None
    before = len(shell.Completer.custom_matchers)
    shell.run("%reload_ext skill_magic")
    assert len(shell.Completer.custom_matchers) == before
    shell.run("%unload_ext skill_magic")
    assert "skill" not in shell.magics_manager.magics["line"]
    assert "skill" not in shell.magics_manager.magics["cell"]
    assert len(shell.Completer.custom_matchers) == before - 1
    assert shell.display_formatter is not None
    formatter = shell.display_formatter.ipython_display_formatter
    assert ("skill_magic.result", "RunResult") not in formatter.deferred_printers
    assert not [each for each in shell.configurables if type(each).__name__ == "SkillMagics"]
    shell.run("%load_ext skill_magic")


def test_an_error_says_that_cd_does_not_move_what_skills_see(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SkillMagics, "in_kernel", True)
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    with pytest.raises(skill_magic.SkillNotFound) as caught:
        shell.run("%skill nothing")
    assert "%cd" not in caught.value.hint
    (tmp_path / "sub").mkdir()
    shell.run("%cd -q sub")
    with pytest.raises(skill_magic.SkillNotFound) as caught:
        shell.run("%skill nothing")
    assert (
        f"notebook's directory, {tmp_path}; %cd to {tmp_path / 'sub'} does not move it" in caught.value.hint
    )
    shown: list[str] = []
    monkeypatch.setattr(SkillMagics, "show", lambda self, answer, json: shown.append(answer.text()))
    shell.run("%skill doctor")
    assert f"the kernel is in {tmp_path / 'sub'}" in shown[0]
