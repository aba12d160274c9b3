"""The sanitiser: what a tool writes may colour the text and draw a progress line, and nothing else."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import pace

from skill_magic.carriage_returns import collapse, last_drawings
from skill_magic.text import (
    LINE_LIMIT,
    STRING_LIMIT,
    LineLimit,
    Sanitizer,
    colour_after,
    plain,
    sanitize,
)

ESC = "\x1b"
# What may come out: printable text, the three blanks, and SGR sequences.
SAFE = re.compile(r"(?:[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b\[[0-9;:]*m)*")

CASES = [
    ("colour", "\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
    ("colour with colons", "\x1b[38:2::1:2:3mx", "\x1b[38:2::1:2:3mx"),
    ("reset without a number", "\x1b[mx", "\x1b[mx"),
    ("text of the world", "caf\u00e9 \U0001f600 漢字", "caf\u00e9 \U0001f600 漢字"),
    ("joined emoji", "\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
    ("markup is text", "<b>x</b> & <script>alert(1)</script>", "<b>x</b> & <script>alert(1)</script>"),
    ("markdown is text", "![x](http://evil/?q=1)", "![x](http://evil/?q=1)"),
    ("blanks", "a\tb\r\nc\rd\n", "a\tb\r\nc\rd\n"),
    ("conceal", "\x1b[8mhidden", "hidden"),
    ("conceal among others", "\x1b[1;8;4mx", "\x1b[1;4mx"),
    ("conceal with zeros", "\x1b[008mx", "x"),
    ("conceal with a colon", "\x1b[8:1mx", "x"),
    ("the 8 of a palette colour", "\x1b[38;5;8mx", "\x1b[38;5;8mx"),
    ("the 8 of a true colour", "\x1b[48;2;8;8;8;8mx", "\x1b[48;2;8;8;8mx"),
    ("window title", "a\x1b]0;title\x07b", "ab"),
    ("hyperlink", "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\", "here"),
    ("clipboard, C1", "a\u009d52;c;AA\u009cb", "ab"),
    ("device status report", "a\x1b[6nb", "ab"),
    ("clear and home", "\x1b[2J\x1b[Hx", "x"),
    ("private mode", "\x1b[?1049hx\x1b[?25l", "x"),
    ("C1 CSI", "a\u009b2Jb", "ab"),
    ("C1 colour", "\u009b31mx", "\x1b[31mx"),
    ("device control string", "a\x1bP1$tx\x1b\\b", "ab"),
    ("application command", "a\x1b_x\x1b\\b\x1b^y\x1b\\c\x1bXz\x1b\\d", "abcd"),
    ("charset", "a\x1b(0b", "ab"),
    ("reset terminal", "a\x1bcb", "ab"),
    ("escape before a letter of another script", "a\x1b漢", "a漢"),
    ("two escapes", "a\x1b\x1b[2Jb", "ab"),
    ("string broken off by a sequence", "a\x1b]0;x\x1b[31mb", "a\x1b[31mb"),
    ("sequence broken off by a line end", "a\x1b[3\nb", "a\nb"),
    ("an SGR with a private mark", "a\x1b[>4;2mb", "ab"),
    ("bidi override", "\u202efdp.exe", "\\u202efdp.exe"),
    ("bidi isolates", "\u2066x\u2069", "\\u2066x\\u2069"),
    ("invisible blanks", "a\u200bb\u2060c\ufeffd", "a\\u200bb\\u2060c\\ufeffd"),
    ("line separator", "a\u2028b", "a\\u2028b"),
    ("tag characters", "\U000e0041", "\\U000e0041"),
    ("other controls", "a\x00\x08\x07\x0b\x0c\x7f\u0085b", "ab"),
]


@pytest.mark.parametrize(
    ("given_text", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_each_sequence_at_every_cut(given_text: str, wanted: str) -> None:
    data = given_text.encode()
    assert sanitize(data) == wanted
    for cut in range(len(data) + 1):
        sanitizer = Sanitizer()
        assert sanitizer.feed(data[:cut]) + sanitizer.feed(data[cut:]) + sanitizer.close() == wanted


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert sanitize(b"a\xffb\xc3") == "a\ufffdb\ufffd"
    sanitizer = Sanitizer()
    assert [sanitizer.feed(b"\xf0\x9f"), sanitizer.feed(b"\x98"), sanitizer.feed(b"\x80")] == [
        "",
        "",
        "\U0001f600",
    ]


pieces = st.sampled_from(
    [
        b"\x1b",
        b"[",
        b"]",
        b"P",
        b"m",
        b"8",
        b";",
        b"38;5;8m",
        b"\x1b[31m",
        b"\x1b[8m",
        b"\x1b\\",
        b"\x07",
        b"\n",
        b"\r",
        b"a",
        b"\xc2\x9b",
        b"\xc2\x9d",
        b"\xc2\x9c",
        b"\xe2\x80\xae",
        b"\xff",
        b"\x18",
        b"?25l",
        b"(0",
        b" " * 70,
        b"1;" * 40,
    ]
)


@settings(deadline=None)
@given(st.lists(st.one_of(pieces, st.binary(max_size=6)), max_size=30), st.data())
def test_the_cuts_never_change_the_text(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    wanted = sanitize(whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    sanitizer = Sanitizer()
    bounds = [0, *cuts, len(whole)]
    got = "".join(sanitizer.feed(whole[a:b]) for a, b in itertools.pairwise(bounds)) + sanitizer.close()
    assert got == wanted
    assert SAFE.fullmatch(wanted), repr(wanted)
    assert sanitize(wanted) == wanted  # what is safe stays as it is


@pytest.mark.parametrize("start", [b"\x1b]0;", b"\x1bP", b"\xc2\x9d", b"\x1b[1", b"\x1b("])
def test_an_unterminated_sequence_hides_little(start: bytes) -> None:
    filler = b"1" if start.endswith(b"1") else b" " if start.endswith(b"(") else b"x"
    shown = sanitize(start + filler * 100_000)
    assert len(shown) >= 100_000 - STRING_LIMIT - 2
    assert SAFE.fullmatch(shown)
    assert sanitize(start + b"\nseen").endswith("\nseen")


def test_one_sanitizer_serves_one_stream_after_another() -> None:
    sanitizer = Sanitizer()
    assert sanitizer.feed(b"\x1b]0;never ended") + sanitizer.close() == ""
    assert sanitizer.feed(b"next") == "next"


def test_it_keeps_up_with_a_flood() -> None:
    chunk = (b"a line of ordinary text that a tool writes 0123456789\n" * 1300)[:65_536]
    sanitizer = Sanitizer()
    before = time.perf_counter()
    for _ in range(400):  # 26 MB
        sanitizer.feed(chunk)
    assert time.perf_counter() - before < 1.5 * pace()  # measured 250 MB/s; a busy machine gets a wide margin


@pytest.mark.parametrize("unit", [b"\x1b", b"\x1b[2K", b"\x1b]", b"\x00", b"\xe2\x80\xae", b"\x1b[31m"])
def test_hostile_floods_take_linear_time(unit: bytes) -> None:
    data = unit * (1_000_000 // len(unit))
    before = time.perf_counter()
    sanitize(data)
    assert time.perf_counter() - before < 5 * pace()


def test_plain_has_no_colour_left() -> None:
    assert plain("\x1b[31mred\x1b[0m\x1b]0;t\x07") == "red"
    assert plain(b"\xff") == "\ufffd"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("abc\rx", "xbc"),
        ("10%\r20%\r100%\rdone\n", "done\n"),
        ("long line\rab\n", "abng line\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("\ra\r\r\n", "a\n"),
        ("x\ny", "x\ny"),
        ("\x1b[31mabc\rx\x1b[0m", "\x1b[31mxbc\x1b[0m"),
        ("\x1b[31mab\x1b[0m\r\x1b[32mc", "\x1b[32mc\x1b[0m\x1b[31mb\x1b[0m\x1b[32m"),
    ],
)
def test_collapse_shows_what_a_terminal_shows(text: str, wanted: str) -> None:
    assert collapse(text) == wanted


def test_collapse_is_linear() -> None:
    before = time.perf_counter()
    assert collapse("progress 12345\r" * 100_000 + "\n") == "progress 12345\n"
    assert time.perf_counter() - before < 2 * pace()


def test_colour_after() -> None:
    assert colour_after("\x1b[1mx\x1b[31my") == "\x1b[1m\x1b[31m"
    assert colour_after("\x1b[1mx\x1b[0my") == ""
    assert colour_after("\x1b[0;32mx", "\x1b[1m") == "\x1b[0;32m"
    assert len(colour_after("\x1b[1m\x1b[4m" * 1000)) <= 256


def test_long_lines_are_cut_and_say_so() -> None:
    limit = LineLimit()
    shown = "".join(limit.feed("x" * 1000) for _ in range(1000)) + limit.feed("\nend\n")
    assert shown.count("x") == LINE_LIMIT
    assert shown.endswith(f"… [{1_000_000 - LINE_LIMIT} more characters in this line]\nend\n")


def test_a_progress_line_is_many_short_lines() -> None:
    limit = LineLimit(10)
    assert limit.feed("12345678\r" * 3) == "12345678\r" * 3


def test_a_cut_never_leaves_half_a_colour() -> None:
    for width in range(1, 12):
        limit = LineLimit(width)
        assert SAFE.fullmatch(limit.feed("abc\x1b[31mdef\x1b[0m" * 3) + limit.close())


@settings(deadline=None)
@given(st.text(alphabet="ab\r\n", max_size=60), st.integers(0, 60))
def test_cutting_lines_does_not_depend_on_the_pieces(text: str, cut: int) -> None:
    whole, pieces_of = LineLimit(5), LineLimit(5)
    wanted = whole.feed(text) + whole.close()
    assert pieces_of.feed(text[:cut]) + pieces_of.feed(text[cut:]) + pieces_of.close() == wanted


# What the same function was before: right, and quadratic in the length of a line.
OVERDRAWN = re.compile(r"[^\r\n]+\r(?=[^\r\n]+\r)")


@given(st.text("\r\nab", max_size=40))
def test_drawings_that_nobody_saw_go(text: str) -> None:
    assert last_drawings(text) == OVERDRAWN.sub("", text)
    assert last_drawings(text.encode()) == OVERDRAWN.sub("", text).encode()


@given(st.text("\r\nab", max_size=40))
def test_the_last_drawings_are_the_same_again(text: str) -> None:
    assert last_drawings(last_drawings(text)) == last_drawings(text)
