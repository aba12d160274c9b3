"""Completion after %skill: verbs, skills, options, files; quick, and without an engine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from skill_magic.command.grammar import VERBS
from skill_magic.completion import LIMIT, complete

USABLE = [name for name, verb in VERBS.items() if not verb.reserved]
NAMES = ["ffmpeg", "pg-dump", "postgres", "python-runner"]


def words(text: str, directory: Path = Path("/nowhere")) -> list[str] | None:
    found = complete(text, lambda: NAMES, lambda: directory)
    return None if found is None else found[0]


@pytest.mark.parametrize(
    "start", ["%skill ", "%%skill ", "r = %skill ", "  a, b = %skill ", "d['k'] = %skill "]
)
def test_skills_and_verbs_come_first(start: str) -> None:
    assert words(start) == [*NAMES, *USABLE]
    assert words(start + "p") == ["pg-dump", "postgres", "python-runner", "pull", "ps"]
    assert words(start + "pg-") == ["pg-dump"]


@pytest.mark.parametrize(
    "text", ["skill ", "%skills ", "print('%skill ')", "%%bash\nskill ", "# %skill ", "%skill"]
)
def test_other_lines_are_left_alone(text: str) -> None:
    assert words(text) is None


@pytest.mark.parametrize("verb", ["run", "info", "explain", "trust", "pull"])
def test_verbs_that_take_a_skill_are_followed_by_skills(verb: str) -> None:
    assert words(f"%skill {verb} ") == NAMES
    assert words(f"%skill {verb} ff") == ["ffmpeg"]


@pytest.mark.parametrize("verb", ["list", "doctor", "ps"])
def test_verbs_that_take_none_are_followed_by_nothing(verb: str) -> None:
    assert words(f"%skill {verb} ") == []


def test_options() -> None:
    assert words("%skill --no") == ["--no-raise"]
    assert words("%skill ffmpeg --time") == ["--timeout"]
    assert "--bg" not in (words("%skill list --") or [])
    assert "--json" in (words("%skill list --") or [])


def test_an_option_is_not_the_skill() -> None:
    assert words("%skill --timeout 5 ") == [*NAMES, *USABLE]
    assert words("%skill --timeout=5 ff") == ["ffmpeg"]
    assert words("%skill --bg ff") == ["ffmpeg"]


def test_a_path_where_a_path_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "other.toml").touch()
    assert words("%skill check ", tmp_path) == ["other.toml"]
    assert words("%skill --manifest oth", tmp_path) == ["other.toml"]
    assert words("%skill --timeout ", tmp_path) == []


def test_when_to_pull() -> None:
    assert words("%skill --pull ") == ["missing", "never", "always"]
    assert words("%skill --pull a") == ["always"]


def test_after_the_skill_the_dashes() -> None:
    assert words("%skill ffmpeg ") == ["--"]


def test_files_of_the_directory(tmp_path: Path) -> None:
    for name in ("in.mp4", "in put.mp4", "it's", "{x}", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.txt").touch()
    start = "%skill ffmpeg -- -i "
    assert words(start, tmp_path) == ["in.mp4", "in\\ put.mp4", "it\\'s", "sub/", "{{x}}"]
    assert words(start + "in", tmp_path) == ["in.mp4", "in\\ put.mp4"]
    assert words(start + "sub/", tmp_path) == ["sub/deep.txt"]
    assert words(start + ".h", tmp_path) == [".hidden"]
    assert words(start + "nothing/", tmp_path) == []


def test_what_is_completed_is_read_as_that_file(tmp_path: Path) -> None:
    from skill_magic.command.parse import interpolate, split

    names = ["in put.mp4", 'it\'s "so"', "{x}", "a\\b", "#1"]
    for name in names:
        (tmp_path / name).touch()
    found = words("%skill ffmpeg -- ", tmp_path)
    assert found is not None
    assert sorted(interpolate(split(" ".join(found)), {})) == sorted(names)


def test_a_huge_directory_is_cut(tmp_path: Path) -> None:
    for number in range(LIMIT + 50):
        (tmp_path / f"f{number}").touch()
    found = words("%skill ffmpeg -- f", tmp_path)
    assert found is not None
    assert len(found) == LIMIT


pytestmark = pytest.mark.filterwarnings("ignore:.*provisional:Warning")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("load_ext", "skill_magic")
    return shell


def test_in_a_real_shell(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    (tmp_path / "skills.toml").write_text('[skills.mine.docker]\nimage = "python:3.12-slim"\n')

    def completed(line: str) -> list[str]:
        with provisionalcompleter():
            return [each.text for each in shell.Completer.completions(line, len(line))]

    assert "mine" in completed("%skill ")
    assert completed("r = %skill min") == ["mine"]
    assert completed("%%skill doc") == ["doctor"]
    assert completed("%skill mine -- -i fi") == ["film.mp4"]
    costs = []
    for _ in range(10):
        start = time.perf_counter()
        completed("%skill mi")
        costs.append(time.perf_counter() - start)
    assert min(costs) < 0.020  # the least of ten: what else the machine does is not the completion's cost


def test_a_broken_manifest_completes_what_it_can(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "skills.toml").write_text("[[[")
    with provisionalcompleter():
        found = [each.text for each in shell.Completer.completions("%skill doc", 10)]
    assert found == ["doctor"]
