"""Sentences are broken at words, and what a person copies is not broken."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skill_magic.answer import Answer, Findings, Table, Text, Verbatim
from skill_magic.errors import CommandError, PolicyError, SkillFailed, SpecError
from skill_magic.findings import Violation
from skill_magic.fit import columns
from skill_magic.wrap import WIDTH, wrap

COMMAND = "`cd '/srv/a folder/of some depth/and more of it' && skill trust --all`"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", None, ["one two three"]),
        ("one two three", 13, ["one two three"]),
        ("one two three", 12, ["one two", "  three"]),
        ("one two three", 3, ["one", "  two", "  three"]),
        ("see /srv/a/very/long/path now", 10, ["see", "  /srv/a/very/long/path", "  now"]),
        ("run `skill trust a` now", 16, ["run", "  `skill trust a`", "  now"]),
        ("the value 'a b c' is wrong", 14, ["the value", "  'a b c' is", "  wrong"]),
        ("the skill's name and the tools' words", 20, ["the skill's name and", "  the tools' words"]),
        ("    four in the front", 12, ["    four in", "  the front"]),
        ("日本 日本 日本", 9, ["日本 日本", "  日本"]),
    ],
)
def test_lines_are_broken_at_words(text: str, width: int | None, lines: list[str]) -> None:
    assert wrap(text, width, "  ") == lines


@given(st.text(alphabet="ab `'\"=(", max_size=80), st.integers(8, 40))
def test_nothing_is_lost_and_only_one_word_is_longer(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    for each in lines:
        assert columns(each) <= width or len(wrap(each, width)) == 1


def test_an_error_keeps_to_its_columns_and_a_command_in_it_can_be_copied() -> None:
    hint = f"look at what they ask for in a terminal, where somebody can answer: {COMMAND}; it asks once"
    error = CommandError("word " * 30 + "end", hint, more=["  " + "x " * 60, "short"])
    lines = error._render_traceback_()
    assert sum(COMMAND in each for each in lines) == 1
    assert all(columns(each) <= WIDTH for each in lines if COMMAND not in each)
    assert [each[:6] for each in lines] == [
        "Comman", "  word", "  x x ", "    x ", "short", "hint: ", "      ", "      ",
    ]  # fmt: skip
    assert error.lines() == [
        f"CommandError: {'word ' * 30}end", "  " + "x " * 60, "short", f"hint: {hint}",
    ]  # fmt: skip


def test_a_finding_keeps_its_place_and_its_value_whole() -> None:
    file = Path("/srv/a folder/with a long name/that goes on and on/skills.toml")
    value = "/srv/data of ours:/data of theirs"
    found = Violation(
        "mount-missing", "volumes[0]", value, "It does not exist. " * 5, "Make it.", file=file, line=7
    )
    for error in (SpecError("m", [found]), PolicyError("m", [found], "h")):
        lines = error.lines(WIDTH)
        assert f"  {file}:7:" in lines
        assert f"      volumes[0] = '{value}' [mount-missing]" in lines
        assert all(columns(each) <= WIDTH for each in lines)
        assert [each for each in lines if each.startswith("    It")]
    answer = Answer(
        [
            Findings([found]),
            Text("word " * 40),
            Verbatim("docker " * 40),
            Table(("a", "b"), [("x", "y " * 60)]),
        ]
    )
    assert f"      volumes[0] = '{value}' [mount-missing]" in answer.text(WIDTH).split("\n")
    assert [each for each in answer.text(WIDTH).split("\n") if columns(each) > WIDTH] == [("docker " * 40)]
    assert answer.text(WIDTH).split("\n")[-1].startswith("   y")
    assert len(answer.text().split("\n")) == 2 + 1 + 1 + 2


def test_the_width_is_that_of_the_place_and_travels() -> None:
    error = CommandError("word " * 40)
    error.columns = 40
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert max(map(columns, each._render_traceback_())) <= 40


def test_the_lines_of_a_tool_keep_their_place_where_they_fit() -> None:
    more = ["a.c:3:5: error: expected ';' before '}' token", "    3 |   return 0", "      |           ^"]
    error = SkillFailed("gcc failed: exit code 1", result=None, more=more)  # type: ignore[arg-type]
    assert error.lines(WIDTH)[1:] == more
