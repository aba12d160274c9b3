"""What verbs say: the same for a terminal, a notebook and a machine, and nothing in it is obeyed."""

from __future__ import annotations

import json

import pytest

from skill_magic.answer import Answer, Table, Text, Verbatim, safe, width

HOSTILE = "\x1b]0;owned\x07<script>alert(1)</script>\u202egnp\x9b2J\r"


@pytest.mark.parametrize("block", [Text(HOSTILE), Verbatim(HOSTILE), Table(("a",), [(HOSTILE,)])])
def test_text_keeps_no_control_character_and_html_no_markup(block: Text | Verbatim | Table) -> None:
    answer = Answer([block], data={"value": HOSTILE})
    for char in "\x1b\x07\x9b\r\u202e":
        assert char not in answer.text()
        assert char not in answer.html()
        assert char not in answer.json()
    assert "<script>" not in answer.html()
    assert "&lt;script&gt;" in answer.html()
    assert json.loads(answer.json()) == {"value": HOSTILE}


def test_lines_and_tabs_stay_in_text_but_not_in_a_cell() -> None:
    assert safe("a\tb\nc") == "a\tb\nc"
    assert Table(("x",), [("a\nb\tc",)]).as_text() == "X\na\\nb\\tc"


def test_columns_line_up_for_wide_characters() -> None:
    lines = Table(("name", "n"), [("日本", 1), ("abc", 22), ("e\u0301", 3)]).as_text().splitlines()
    assert lines == ["NAME  N", "日本  1", "abc   22", "e\u0301     3"]
    assert width("日本") == 4
    assert width("e\u0301") == 1


def test_a_head_of_empty_names_is_not_shown() -> None:
    table = Table(("", ""), [("a", "b")])
    assert table.as_text() == "a  b"
    assert "<th" not in table.as_html()


def test_an_empty_table_is_empty() -> None:
    assert Answer([Table(("", ""), []), Text("none")]).text() == "none"


def test_the_bundle_has_text_and_html() -> None:
    assert set(Answer([Text("x")])._repr_mimebundle_()) == {"text/plain", "text/html"}
