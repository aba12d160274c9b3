"""Lines of keys and items, on documents written by hand, generated, and hostile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import pace

from skill_magic.manifest.toml_lines import DEEPEST, Path, Positions, scan

DOCUMENT = '''\
version = "1"
[skills.x]
description = """
a = 1
[skills.y]
"""  # comment = 2
[skills.x.docker]
image = "a" # [x
volumes = [
  "a:b",  # "c", 'd

  'c]:d', "e\\"]",
]
"quo\\u0041\\"" . 'b.c' = {a = 1, b = [1,
2], "c" = {}}
memory="""\\
  2g"""
text = \'\'\'it's ''two'' \'\'\'
odd = """"quoted""\\""""

[[skills.x.services]]
name = "a"
[skills.x.services.more]
deep = true
[[skills.x.services]]
name = 1979-05-27 07:32:00Z
[ skills . "z" ]  # spaces
a.b.c = +inf
a.b.d = 0xFF
'''


def test_lines_of_a_document_with_everything_in_it() -> None:
    tomli.loads(DOCUMENT)
    x: Path = ("skills", "x")
    expected = {
        ("version",): 1,
        ("skills",): 2,
        x: 2,
        (*x, "description"): 3,
        (*x, "docker"): 7,
        (*x, "docker", "image"): 8,
        (*x, "docker", "volumes"): 9,
        (*x, "docker", "volumes", 0): 10,
        (*x, "docker", "volumes", 1): 12,
        (*x, "docker", "volumes", 2): 12,
        (*x, "docker", 'quoA"'): 14,
        (*x, "docker", 'quoA"', "b.c"): 14,
        (*x, "docker", 'quoA"', "b.c", "a"): 14,
        (*x, "docker", 'quoA"', "b.c", "b"): 14,
        (*x, "docker", 'quoA"', "b.c", "b", 0): 14,
        (*x, "docker", 'quoA"', "b.c", "b", 1): 15,
        (*x, "docker", 'quoA"', "b.c", "c"): 15,
        (*x, "docker", "memory"): 16,
        (*x, "docker", "text"): 18,
        (*x, "docker", "odd"): 19,
        (*x, "services"): 21,
        (*x, "services", 0): 21,
        (*x, "services", 0, "name"): 22,
        (*x, "services", 0, "more"): 23,
        (*x, "services", 0, "more", "deep"): 24,
        (*x, "services", 1): 25,
        (*x, "services", 1, "name"): 26,
        ("skills", "z"): 27,
        ("skills", "z", "a"): 28,
        ("skills", "z", "a", "b"): 28,
        ("skills", "z", "a", "b", "c"): 28,
        ("skills", "z", "a", "b", "d"): 29,
    }
    assert scan(DOCUMENT) == Positions(expected)


# --- generated documents --------------------------------------------------------------------

_TEXT = st.text(alphabet="ab #=[]{},.'\"\\\n\té", max_size=8)
_KEY = st.text(alphabet="ab-_1.é \"'#", min_size=1, max_size=4)
_VALUE = st.recursive(
    st.one_of(_TEXT, st.integers(-9, 99), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEY, inner, max_size=3)),
    max_leaves=6,
)
_TABLES = st.dictionaries(_KEY, st.dictionaries(_KEY, _VALUE, max_size=4), max_size=3)


class Writer:
    """Writes a document with choices of form drawn by hypothesis, noting the line of all it writes."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Path, int] = {}

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def one_of(self, *choices: str) -> str:
        return str(self.draw(st.sampled_from(choices)))

    def document(self, tables: dict[str, dict[str, Any]]) -> str:
        for name, table in tables.items():
            self.text += self.one_of("", "\n", "# [x]\n", "  ")
            array = self.draw(st.booleans())
            start: Path = (name, 0) if array else (name,)
            self.lines[(name,)] = self.line
            self.lines[start] = self.line
            self.text += f"[[{self.key(name)}]]" if array else f"[ {self.key(name)} ]"
            self.text += self.one_of("\n", " # comment = 'x\n", "\n\n")
            for key, value in table.items():
                self.lines[(*start, key)] = self.line
                self.text += self.key(key) + self.one_of("=", " = ", "\t=")
                self.value(value, (*start, key))
                self.text += self.one_of("\n", '  # " [\n', "\n\n#\n")
        return self.text

    def key(self, key: str) -> str:
        if "'" not in key and self.draw(st.booleans()):
            return f"'{key}'"
        return f'"{self.escaped(key)}"'

    def escaped(self, text: str) -> str:
        return "".join(
            {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}.get(char, char) for char in text
        ).replace("é", self.one_of("é", "\\u00e9", "\\U000000E9"))

    def value(self, value: Any, path: Path) -> None:
        if isinstance(value, str):
            self.string(value)
        elif isinstance(value, list):
            self.text += "[" + self.one_of("", "\n", " # ]\n\t")
            for index, item in enumerate(value):
                self.lines[(*path, index)] = self.line
                self.value(item, (*path, index))
                comma = "," if index + 1 < len(value) else self.one_of("", ",")
                self.text += self.one_of("", " ", "\n") + comma + self.one_of("", "\n", " # '''\n")
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for index, (key, item) in enumerate(value.items()):
                self.text += ", " if index else " "
                self.lines[(*path, key)] = self.line
                self.text += self.key(key) + " = "
                self.value(item, (*path, key))
            self.text += "}"
        else:
            self.text += str(value).lower()

    def string(self, value: str) -> None:
        forms = ['"', '"""']
        if "'" not in value:
            forms += ["'''"] if "\n" in value else ["'", "'''"]
        form = self.draw(st.sampled_from(forms))
        if form == '"':
            self.text += f'"{self.escaped(value)}"'
        elif form == '"""':
            body = self.escaped(value).replace("\\n", "\n")
            self.text += (
                '"""'
                + self.one_of("\n", "\\\n  \n" if value[:1] not in (" ", "\n", "\t") else "\n")
                + body
                + '"""'
            )
        else:
            self.text += form + ("\n" if len(form) == 3 else "") + value + form


@settings(deadline=None)
@given(st.data(), _TABLES)
def test_generated_documents(data: st.DataObject, tables: dict[str, dict[str, Any]]) -> None:
    writer = Writer(data.draw)
    text = writer.document(tables)
    document = tomli.loads(text)  # the writer wrote TOML
    assert {
        name: table[0] if isinstance(table, list) else table for name, table in document.items()
    } == tables
    assert scan(text) == Positions(writer.lines)


# --- what is no TOML, or hostile ------------------------------------------------------------


@settings(deadline=None)
@given(st.text(alphabet="ab.=[]{},#\"'\\\n \t1", max_size=30))
def test_any_text_is_scanned_without_an_error(text: str) -> None:
    lines = scan(text).lines
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


def test_a_fault_leaves_what_came_before_it() -> None:
    assert scan('[skills.a]\nb = 1\n[skills.c\nd = "').lines == {
        ("skills",): 1,
        ("skills", "a"): 1,
        ("skills", "a", "b"): 2,
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = " + "[" * 100_000, 2),
        ("x = " + "[" * 501 + "]" * 501, 1),
        ("a = " + "{a = " * 100_000, 1),
        ("a." * 100_000 + "b = 1", 1),
        ("\n\n[" + "a." * 100_000 + "b]", 3),
        ("a = " + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), 1),
    ],
)
def test_deep_nesting_is_reported_and_not_followed(text: str, line: int) -> None:
    assert scan(text).too_deep == line


def test_nesting_up_to_the_bound_is_read() -> None:
    assert scan("a = " + "[" * DEEPEST + "]" * DEEPEST).too_deep is None


@pytest.mark.parametrize(
    "text",
    [
        'a = "' + "\\" * 1_000_000,
        '"""' * 300_000,
        "a = '''" + "''" * 500_000,
        'a = """' + '\\""' * 300_000,
        "#" * 1_000_000,
        "\n" * 1_000_000,
        "a = [" + '"x",\n' * 200_000,
        "a = 1\n" * 150_000,
        "[[a]]\n" * 150_000,
        "a = " + "[1]," * 200_000,
    ],
)
def test_a_megabyte_of_anything_takes_no_time(text: str) -> None:
    start = time.process_time()
    scan(text)
    assert time.process_time() - start < 10 * pace()
