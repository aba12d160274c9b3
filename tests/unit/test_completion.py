"""Completion after %skill: verbs, skills, options, files; quick, and without an engine."""

from __future__ import annotations

import ast
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from skill_magic import completion
from skill_magic.command.grammar import VERBS
from skill_magic.command.parse import interpolate, split
from skill_magic.completion import LIMIT, complete, quote
from skill_magic.foreign import hides

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
    assert words("%skill --stdout oth", tmp_path) == ["other.toml"]
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


def test_skills_of_other_runtimes_are_not_offered(shell: InteractiveShell, tmp_path: Path) -> None:
    text = '[skills.zz-native]\nruntime = "native"\n[skills.zz-wasm]\nsource = "./x"\n'
    (tmp_path / "skills.toml").write_text(text + '[skills.zz-docker.docker]\nimage = "python:3.12-slim"\n')
    for line in ("%skill zz", "%%skill zz", "%skill info zz", "%skill pull zz"):
        with provisionalcompleter():
            found = [each.text for each in shell.Completer.completions(line, len(line))]
        assert found == ["zz-docker"], line


HOSTILE = [
    "a\x1b[2Jb", "a\nb", "a\rb", "a\tb", "a\x7fb", "a\x9b2Jb", "a\u202eb", "a\u2066b", "a\u2028b", "a\u2029b", "a\x85b",
    "a\u200bb", "a\ufeffb", "a\u3164b", "a\U000e0041b", "a\xadb", os.fsdecode(b"a\xffb"), "a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE[:-1])
def test_a_name_that_is_not_seen_as_it_is_is_not_offered(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).touch()
    (tmp_path / f"d{name}").mkdir()
    (tmp_path / f"d{name}" / "inside").touch()
    for typed in ("", name[:1], "sub/", f"d{name}/", f"d{name}"):
        assert words(f"%skill ffmpeg -- {typed}", tmp_path) in ([], ["sub/"])
        assert words(f"%skill check {typed}", tmp_path) in ([], ["sub/"])
        assert words(f"%skill -m {typed}", tmp_path) in ([], ["sub/"])


@pytest.mark.parametrize("name", HOSTILE)
def test_nor_is_a_skill_or_a_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = complete("%skill run ", lambda: ["good", name], lambda: Path("/nowhere"))
    assert found == (["good"], "")
    monkeypatch.setattr(completion, "_runs", lambda verb: ["skill-a", name])
    assert words("%skill stop ") == ["skill-a"]


@pytest.mark.parametrize(
    "line", ["%skill x -- {}", "%skill x -- -i {}", "%skill x --raw -- {}", "%skill -m {}"]
)
@given(name=st.text(min_size=1, max_size=8), cut=st.integers(0, 8))
@example(name="a}}b", cut=1)
@example(name="{x}}{", cut=2)
@example(name="--raw", cut=0)
@example(name='it\'s "so" ', cut=4)
@example(name="a\\", cut=1)
@example(name="what?", cut=1)
@example(name="..a", cut=1)
def test_whatever_is_offered_is_read_as_that_file(line: str, name: str, cut: int) -> None:
    if name in (".", "..") or "/" in name or "\0" in name or len(name.encode("utf-8", "replace")) > 255:
        return
    raw = "--raw" in line
    with tempfile.TemporaryDirectory() as folder:
        try:
            (Path(folder) / name).touch()
        except UnicodeEncodeError:
            return
        typed = quote(name[:cut], raw=raw)  # typed so far, as a person would have had to
        found = complete(line.format(typed), lambda: NAMES, lambda: Path(folder))
    assert found is not None
    offered, fragment = found
    assert fragment == typed
    for word in offered:
        assert not hides(word)
        [read] = split(word) if raw else interpolate(split(word), {})
        assert read.removeprefix("./") == name
        assert not read.startswith("-")
        assert not word.endswith("?") or word.endswith("\\?")  # IPython's own question


@pytest.mark.parametrize(
    "typed", ["in\\ p", "'in p", '"in p', "'in p'", "in' 'p", '"in"\\ ', "in\\ put.mp4", "./in\\ "]
)
def test_what_is_quoted_goes_on(tmp_path: Path, typed: str) -> None:
    (tmp_path / "in put.mp4").touch()
    (tmp_path / "p").touch()
    found = complete(f"%skill ffmpeg -- -i {typed}", lambda: NAMES, lambda: tmp_path)
    assert found == ([f"{'./' if typed[0] == '.' else ''}in\\ put.mp4"], typed)


def test_a_name_that_would_join_what_stands_before_it_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "\u0301a").touch()
    (tmp_path / "e\u0301a").touch()
    assert words("%skill ffmpeg -- ", tmp_path) == ["e\u0301a"]


def test_a_file_like_an_option_is_offered_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "-rf").touch()
    assert words("%skill ffmpeg -- ", tmp_path) == ["./-rf"]
    assert words("%skill ffmpeg -- -r", tmp_path) == ["./-rf"]


@pytest.mark.filterwarnings("ignore:.*pending deprecation:PendingDeprecationWarning")
def test_no_other_matcher_offers_them_either(shell: InteractiveShell, tmp_path: Path) -> None:
    for name in HOSTILE[:-1]:
        (tmp_path / f"zq{name}").touch()
    (tmp_path / "skills.toml").write_text('[skills.mine.docker]\nimage = "python:3.12-slim"\n')

    def completed(line: str) -> list[str]:
        with provisionalcompleter():
            return [each.text for each in shell.Completer.completions(line, len(line))]

    for line in (
        "%skill mine -- zq",
        "%skill mine -- zqa",
        "%skill list zq",
        "r = %skill mine -- zq",
        "%skill check zq",
    ):
        assert not [text for text in completed(line) if hides(text) or text.startswith("zq")], line
    assert completed("%skill mine -- skil") == ["skills.toml"]
    assert shell.complete("", "%skill mine -- zq", 17)[1] == []


def test_a_line_as_completed_reaches_the_magic_as_that_file(shell: InteractiveShell, tmp_path: Path) -> None:
    """Through IPython's own reading of the line, which knows nothing of our quoting."""
    names = [
        "in put.mp4",
        'it\'s "so"',
        "{x}",
        "a\\b",
        "#1",
        "what?",
        "what??",
        "a;",
        "a}}b",
        "(b",
        "$HOME",
        "!ls",
        "%x",
    ]
    for name in names:
        (tmp_path / name).touch()
    for name in names:
        for start in ("%skill x -- ", "r = %skill x -- "):
            line = start + quote(name)
            cell = shell.transform_cell(line)
            assert "'skill'" in cell, cell
            calls = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
            [said] = [ast.literal_eval(call.args[1]) for call in calls if len(call.args) == 2]
            assert interpolate(split(said), {})[-1] == name
            assert quote(name) in (words(start + quote(name[:1]), tmp_path) or [])
