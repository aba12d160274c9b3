"""Lines and cells → words, and values of the notebook in them."""

from __future__ import annotations

import decimal
import enum
import shlex
import subprocess
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skill_magic.command.parse import cell_arguments, fill_in, interpolate, split
from skill_magic.errors import CommandError


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   ", []),
        ("ffmpeg -- -i in.mp4 out.webm", ["ffmpeg", "--", "-i", "in.mp4", "out.webm"]),
        ("a\tb\nc\r\nd", ["a", "b", "c", "d"]),
        ("'two words' \"three more words\"", ["two words", "three more words"]),
        ("a'b c'd\"e f\"g", ["ab cde fg"]),
        ("'' \"\"", ["", ""]),
        (r"\'", ["'"]),
        (r"a\ b", ["a b"]),
        (r"'a\b'", [r"a\b"]),
        (r'"a\b\"c\\d\$e\`f"', [r"a\b" + '"c\\d$e`f']),
        ("a\\\nb", ["ab"]),
        ('"a\\\nb"', ["ab"]),
        ("'a\nb'", ["a\nb"]),
        ("; | > < * ? $HOME ~ & (", [";", "|", ">", "<", "*", "?", "$HOME", "~", "&", "("]),
        (") { } # !", [")", "{", "}", "#", "!"]),
        ("grün 日本語 🎬 \u00a0x", ["grün", "日本語", "🎬", "\u00a0x"]),
        ("-- -- ---", ["--", "--", "---"]),
    ],
)
def test_split(line: str, words: list[str]) -> None:
    assert split(line) == words


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=5))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert split(" ".join(shlex.quote(word) for word in words)) == words
    assert cell_arguments("\n".join(shlex.quote(word) for word in words)) == words


@settings(deadline=None)
@given(st.text(alphabet="ab '\"\\\t,é", max_size=14))
def test_split_is_the_shells(line: str) -> None:
    """The words that a POSIX shell hands to a program are ours; where it misses a quote, so do we."""
    if line.endswith("\\"):
        return  # the shell waits for another line
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, timeout=20)
    try:
        words = split(line)
    except CommandError:
        assert done.returncode != 0
        return
    assert done.returncode == 0
    # printf runs its format once where it is given no words.
    assert done.stdout.decode().split("\0")[:-1] == (words or [""])


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (
            'ffmpeg -- -i "in.mp4 out.webm',
            ['the quote " is not closed (column 14):', '  ffmpeg -- -i "in.mp4 out.webm', " " * 15 + "^"],
        ),
        ("it's", ["the quote ' is not closed (column 3):", "  it's", "    ^"]),
        ("a\\", ["a backslash stands at the very end (column 2):", "  a\\", "   ^"]),
    ],
)
def test_an_unclosed_quote_shows_its_place(line: str, lines: list[str]) -> None:
    with pytest.raises(CommandError) as caught:
        split(line)
    assert caught.value.message.split("\n") == lines
    assert caught.value.hint


def test_the_place_in_a_long_line_is_cut_out() -> None:
    with pytest.raises(CommandError) as caught:
        split("x " * 5000 + '"' + "y" * 5000)
    _, shown, caret = caught.value.message.split("\n")
    assert len(shown) < 80
    assert shown[len(caret) - 1] == '"'


def test_the_place_in_a_cell_is_a_line() -> None:
    with pytest.raises(CommandError) as caught:
        cell_arguments("-i in.mp4\n-vf 'scale=1:2\nout.webm\n")
    assert caught.value.message.split("\n") == [
        "the quote ' is not closed (line 2):",
        "  -vf 'scale=1:2",
        " " * 6 + "^",
    ]


def test_a_cell_reads_as_arguments() -> None:
    body = """
    -i "in put.mp4"        # the clip
    # -an
    -vf 'scale=640:-2,     drawtext=text=#1'
    -c:v libvpx-vp9 \\
    -b:v 1M   a#b
    out.webm
    """
    assert cell_arguments(body) == [
        "-i",
        "in put.mp4",
        "-vf",
        "scale=640:-2,     drawtext=text=#1",
        "-c:v",
        "libvpx-vp9",
        "-b:v",
        "1M",
        "a#b",
        "out.webm",
    ]
    assert cell_arguments("# nothing but a comment") == []
    assert cell_arguments("a\r\nb # c\r\nd") == ["a", "b", "d"]


class Colour(str, enum.Enum):  # noqa: UP042  (the old way, whose str() is not its text)
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


class Naughty:
    @property
    def bang(self) -> str:
        raise RuntimeError("boom")

    def call(self) -> str:
        raise AssertionError("was called")


NAMES: dict[str, Any] = {
    "name": "in put.mp4",
    "path": Path("/data/in.mp4"),
    "pure": PurePosixPath("a/b"),
    "number": 3,
    "half": 0.5,
    "exact": decimal.Decimal("1.10"),
    "yes": True,
    "files": ["a b.mp4", Path("c.mp4"), 7],
    "none_of_them": [],
    "pair": ("x", "y"),
    "d": {"key": "value", "a b": "spaced", 0: "zero", "1": "one", "deep": {"list": ["first", "last"]}},
    "obj": SimpleNamespace(attr="attribute", _private="secret", inner=SimpleNamespace(items=["i0", "i1"])),
    "nothing": None,
    "colour": Colour.RED,
    "größe": "5",
    "naughty": Naughty(),
    "braces": "{name}",
    "Point": Point(1, 2),
    "__name__": "__main__",
}


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("{name}", ["in put.mp4"]),
        ("{path}", ["/data/in.mp4"]),
        ("{pure}", ["a/b"]),
        ("{number}", ["3"]),
        ("{half}", ["0.5"]),
        ("{exact}", ["1.10"]),
        ("{yes}", ["True"]),
        ("{colour}", ["red"]),
        ("{größe}", ["5"]),
        ("scale={number}:-2", ["scale=3:-2"]),
        ("{number}x{number}", ["3x3"]),
        ("{files}", ["a b.mp4", "c.mp4", "7"]),
        ("{none_of_them}", []),
        ("{pair}", ["x", "y"]),
        ("{Point}", ["1", "2"]),
        ("{Point.x}", ["1"]),
        ("{files[0]}", ["a b.mp4"]),
        ("{files[-1]}", ["7"]),
        ("{d[key]}", ["value"]),
        ("{d['key']}", ["value"]),
        ('{d["a b"]}', ["spaced"]),
        ("{d[a b]}", ["spaced"]),
        ("{d[0]}", ["zero"]),
        ("{d[1]}", ["one"]),
        ("{d[deep][list]}", ["first", "last"]),
        ("{d[deep][list][1]}", ["last"]),
        ("{obj.attr}", ["attribute"]),
        ("{obj.inner.items[1]}", ["i1"]),
        # A value is not read again.
        ("{braces}", ["{name}"]),
        ("-{braces}-", ["-{name}-"]),
        # Doubled braces are literal ones.
        ("{{name}}", ["{name}"]),
        ("{{{name}}}", ["{in put.mp4}"]),
        ("{{}}", ["{}"]),
        ("{{print $1}}", ["{print $1}"]),
        ("a{{b}}c{number}", ["a{b}c3"]),
        # What does not read as a Python name stays as it is.
        ("{print $1}", ["{print $1}"]),
        ("{}", ["{}"]),
        ("{ name }", ["{ name }"]),
        ("{0}", ["{0}"]),
        ("{name!r}", ["{name!r}"]),
        ("{number:03}", ["{number:03}"]),
        ("{number+1}", ["{number+1}"]),
        ("{naughty.call()}", ["{naughty.call()}"]),
        ("{if}", ["{if}"]),
        ("{None}", ["{None}"]),
        ("{", ["{"]),
        ("}}", ["}}"]),
        ("a}b{c", ["a}b{c"]),
        ('{"a": {"b": 1}}', ['{"a": {"b": 1}}']),
        ('{"a":{"b":{"c":[]}}}', ['{"a":{"b":{"c":[]}}}']),
        ('{"a": {number}}', ['{"a": 3}']),
        ("${HOME}x", None),  # reads as a name: HOME is none of the notebook's
        ("%d{1,2}", ["%d{1,2}"]),
        ("", [""]),
    ],
)
def test_interpolation(word: str, words: list[str] | None) -> None:
    if words is None:
        with pytest.raises(CommandError, match="no variable is called 'HOME'"):
            interpolate([word], NAMES)
    else:
        assert interpolate([word], NAMES) == words


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("{nam}", "{nam}: no variable is called 'nam'; did you mean {name}?"),
        ("a{qqq}b", "{qqq}: no variable is called 'qqq'"),
        ("{nothing}", "{nothing} is a NoneType, not a text"),
        ("{d}", "{d} is a dict, not a text"),
        ("{naughty.call}", "{naughty.call} is a method, not a text"),
        ("-i={files}", "{files} is a list inside a word"),
        ("{obj.nope}", "{obj.nope}: a SimpleNamespace has no nope (AttributeError)"),
        ("{naughty.bang}", "{naughty.bang}: a Naughty has no bang (RuntimeError)"),
        ("{obj._private}", "{obj._private}: _private is private"),
        ("{obj.__class__}", "{obj.__class__}: __class__ is private"),
        ("{obj.__class__.__mro__[1]}", "{obj.__class__.__mro__[1]}: __class__ is private"),
        ("{__name__}", "{__name__}: no variable is called '__name__'; did you mean {name}?"),
        ("{files[9]}", "{files[9]}: the list has no item 9 (IndexError)"),
        ("{d[nope]}", "{d[nope]}: the dict has no item nope (KeyError)"),
        ("{number[0]}", "{number[0]}: the int has no item 0 (TypeError)"),
        ("{d[deep][list][0].upper}", "{d[deep][list][0].upper} is a builtin_function_or_method, not a text"),
    ],
)
def test_what_cannot_be_filled_in_is_named(word: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        interpolate([word], NAMES)
    assert caught.value.message == message
    assert caught.value.hint


def test_a_script_has_no_words_so_containers_are_written_as_python_shows_them() -> None:
    names = {**NAMES, "shape": (3, 4), "none": None, "bad": [Unshown()]}
    text = fill_in("a = {files}\nb = {shape}; c = {d[deep]}; d = {none}; {name}; {{x}}", names)
    assert text == (
        f"a = {NAMES['files']}\nb = (3, 4); c = {NAMES['d']['deep']}; d = None; in put.mp4; {{x}}"
    )
    with pytest.raises(CommandError) as caught:
        fill_in("x = {naughty.call}", names)
    assert caught.value.message == "{naughty.call} is a method, not a text"
    assert caught.value.hint == "turn it into a text first, e.g. with str()"
    with pytest.raises(CommandError, match=r"^{bad}: the list cannot be shown \(RuntimeError\)$"):
        fill_in("{bad}", names)
    with pytest.raises(CommandError, match=r"^{shape} is a tuple inside a word$"):
        interpolate(["-i={shape}"], names)


class Unshown:
    def __repr__(self) -> str:
        raise RuntimeError


def test_words_stay_in_order_and_a_list_of_lists_is_refused() -> None:
    assert interpolate(["-i", "{files}", "{name}"], NAMES) == ["-i", "a b.mp4", "c.mp4", "7", "in put.mp4"]
    with pytest.raises(CommandError, match="is a list inside a word"):
        interpolate(["{x}"], {"x": [["a"]]})


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_value_stays_one_argument_whatever_it_holds(value: str) -> None:
    assert interpolate(["{v}"], {"v": value}) == [value]
    assert interpolate(["-{v}="], {"v": value}) == [f"-{value}="]


@settings(deadline=None)
@given(st.text(alphabet="{}", max_size=12))
def test_braces_alone_never_raise(word: str) -> None:
    (filled,) = interpolate([word], {})
    assert len(filled) <= len(word)
