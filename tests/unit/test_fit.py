"""Text of strangers in a number of columns: it keeps to its line and its place, and costs what is shown of it."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skill_magic import answer, foreign
from skill_magic.fit import columns, cut, cut_middle, names, printable, value, wrapped

HOSTILE = (
    "\x1b[2J\x1b]0;x\x07",
    "a\nb\r\tc\x85d\u2028e",
    "\u202egnp\u2066x\u200f",
    "שלום 1/2 مرحبا 3/4",
    "日本語のフォルダ" * 40,
    "e" + "\u0301" * 5000,
    "\u0301" * 50,
    "\u3164\u115f\u2800\ufe0f\u034f\U000e0041",
    "\ud800\udcff",
    "👩‍👩‍👧‍👦" * 30,
    "x" * 10_000,
    "  - root in the container' [y/N] y",
    "\\'" * 500,
    "각".encode().decode() + "\u1100\u1161\u11a8" * 300,
)
texts = st.one_of(st.text(max_size=300), st.sampled_from(HOSTILE))


def seen(text: str) -> bool:
    """Whether every character of ``text`` is one that a person sees where it stands."""
    return not [
        char
        for char in text
        if unicodedata.category(char)[0] == "C"
        or (unicodedata.category(char)[0] == "Z" and char != " ")
        or unicodedata.bidirectional(char) in ("R", "AL", "AN")
        or char in "\u3164\u115f\u1160\u2800\ufe0f\u034f\uffa0"
    ]


@given(texts, st.integers(4, 120))
@example(HOSTILE[5], 20)
@example("'" * 100, 10)
def test_a_text_keeps_to_its_columns_and_its_line(text: str, limit: int) -> None:
    for made in (cut(text, limit), cut_middle(text, limit), value(text, limit), names([text, text], limit)):
        assert columns(made) <= limit
        assert answer.width(made) <= limit
        assert seen(made)
        assert "\n" not in made


@given(texts, st.integers(6, 120))
def test_what_is_shown_anywhere_else_as_an_escape_is_one_here(text: str, limit: int) -> None:
    for made in (printable(text), cut(text, limit), value(text, limit)):
        assert foreign.line(made) == made


@given(texts)
def test_a_mark_never_stands_more_than_twice_on_a_letter(text: str) -> None:
    run = 0
    for char in printable(text):
        run = run + 1 if unicodedata.category(char)[0] == "M" else 0
        assert run <= 2


@given(texts, st.integers(6, 120))
def test_a_value_is_a_plain_word_or_ends_at_its_only_quote(text: str, limit: int) -> None:
    made = value(text, limit)
    if made.startswith("'"):
        assert made.endswith("'")
        assert made.count("'") == 2
    else:
        assert " " not in made
        assert "[" not in made


def test_what_fits_stays_as_it_is() -> None:
    assert cut("größe 日本", 12) == "größe 日本"
    assert value("/data/in.mp4", 20) == "/data/in.mp4"
    assert value("/data/my folder", 30) == "'/data/my folder'"
    assert cut_middle("/a/long/way/to/the/very/file", 20) == "/a/long/way/t…y/file"
    assert printable("ab\x1b\u202e\U000e0001") == "ab\\x1b\\u202e\\U000e0001"


@pytest.mark.parametrize(
    ("words", "limit", "shown"),
    [
        (["a", "b", "c"], 20, "a, b, c"),
        (["a", "b", "c"], 14, "a, b, c"),
        (["alpha", "beta", "gamma"], 16, "alpha and 2 more"),
        (["x" * 90] * 3, 12, "3 of them"),
        (["a b", "c"], 20, "'a b', c"),
        ([], 20, ""),
    ],
)
def test_names_are_whole_or_counted(words: list[str], limit: int, shown: str) -> None:
    assert names(words, limit) == shown


@given(st.text("ab, ", max_size=600), st.integers(40, 100))
def test_wrapped_lines_keep_to_their_columns(text: str, limit: int) -> None:
    assert all(columns(each) <= limit for each in wrapped(text, limit))


@pytest.mark.parametrize("text", HOSTILE)
def test_the_cost_is_that_of_what_is_shown(text: str) -> None:
    def cost(of: str) -> float:
        def once() -> float:
            start = time.process_time()
            for _ in range(50):
                cut(of, 80)
                cut_middle(of, 80)
                value(of, 80)
            return time.process_time() - start

        return min(once() for _ in range(5))

    short = text * (2000 // len(text) + 1)
    assert cost(short * 500) < 8 * cost(short) + 0.05
