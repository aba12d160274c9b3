"""Where every key and list item of a TOML document stands.

The TOML reader gives values without positions. This scanner gives positions without values: it knows TOML's
outer form (keys, headers, strings, brackets, comments) and nothing of what a value means. It is run before
the reader, and refuses nesting that no manifest needs, because compiled readers have crashed on it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

Path = tuple[str | int, ...]

DEEPEST = 32
"""Nested brackets, and parts of a dotted key, that are read."""

_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\n\r]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Long strings first, or """ would be read as an empty string and a quote. Up to two quotes may stand right
# before the closing three.
_STRING = re.compile(
    r'"""(?:[^\\"]|\\[\s\S]|"(?!""))*"""(?:"{0,2})'
    r"|'''(?:[^']|'(?!''))*'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\[^\n])*"'
    r"|'[^'\n]*'"
)
_BARE_VALUE = re.compile(r"[^\s,\]\}\[\{\"'#=][^,\]\}\n#]*")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_NAMED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


@dataclass(frozen=True)
class Positions:
    """What the scanner saw.

    :param lines: the 1-based line of every table, key and list item: ``("skills", "x", "docker", "volumes",
        0) -> 7``. A document that is no TOML gives what was found up to the fault.
    :param too_deep: the 1-based line where brackets or dotted keys are nested deeper than ``DEEPEST``, else
        ``None``.
    """

    lines: dict[Path, int]
    too_deep: int | None = None


def scan(text: str) -> Positions:
    """Look through a TOML document. Never raises; time is proportional to the text's length."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except _LostError:
        pass
    except _TooDeepError as error:
        return Positions(scanner.lines, error.line)
    return Positions(scanner.lines)


class _LostError(Exception):
    """The scanner no longer knows where it is: the document is no TOML, which the reader will say better."""


class _TooDeepError(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # how many tables an array of tables has so far
        self._breaks = [found.start() for found in re.finditer("\n", text)]

    def document(self) -> None:
        table: Path = ()
        while True:
            self._skip(_SPACE)
            if self.at >= len(self.text):
                return
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table, 0)

    def _header(self) -> Path:
        line, many = self._line(), self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        keys = self._dotted()
        self._expect("]]" if many else "]")
        path: Path = ()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            self.lines.setdefault(path, line)
            last = number == len(keys)
            if last and many:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:  # a header names the array, TOML means its newest table
                path = (*path, self._counts[path] - 1)
                self.lines.setdefault(path, line)
        return path

    def _pair(self, table: Path, depth: int) -> None:
        line = self._line()
        path = table
        for key in self._dotted():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._skip(_BLANK)
        self._value(path, depth)

    def _dotted(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(_BLANK)
            keys.append(self._key())
            if len(keys) > DEEPEST:
                raise _TooDeepError(self._line())
            self._skip(_BLANK)
            if not self._peek("."):
                return keys
            self.at += 1

    def _key(self) -> str:
        bare = _BARE_KEY.match(self.text, self.at)
        if bare:
            self.at = bare.end()
            return bare[0]
        quoted = _STRING.match(self.text, self.at)
        if not quoted or quoted[0].startswith(('"""', "'''")):
            raise _LostError
        self.at = quoted.end()
        inside = quoted[0][1:-1]
        return _ESCAPE.sub(_unescape, inside) if quoted[0][0] == '"' else inside

    def _value(self, path: Path, depth: int) -> None:
        if self._peek("["):
            self._list(path, self._deeper(depth))
        elif self._peek("{"):
            self._inline_table(path, self._deeper(depth))
        else:
            found = _STRING.match(self.text, self.at) or _BARE_VALUE.match(self.text, self.at)
            if not found:
                raise _LostError
            self.at = found.end()

    def _list(self, path: Path, depth: int) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(_SPACE)
            if self._peek("]"):
                self.at += 1
                return
            self.lines[(*path, index)] = self._line()
            self._value((*path, index), depth)
            index += 1
            self._skip(_SPACE)
            if not self._peek("]"):
                self._expect(",")

    def _inline_table(self, path: Path, depth: int) -> None:
        self.at += 1
        while True:
            self._skip(_SPACE)  # TOML 1.1 lets an inline table go over lines
            if self._peek("}"):
                self.at += 1
                return
            self._pair(path, depth)
            self._skip(_SPACE)
            if not self._peek("}"):
                self._expect(",")

    def _deeper(self, depth: int) -> int:
        if depth >= DEEPEST:
            raise _TooDeepError(self._line())
        return depth + 1

    def _line(self) -> int:
        return bisect_right(self._breaks, self.at - 1) + 1

    def _peek(self, char: str) -> bool:
        return self.text.startswith(char, self.at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _expect(self, chars: str) -> None:
        if not self._peek(chars):
            raise _LostError
        self.at += len(chars)


def _unescape(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is None:
        return _NAMED.get(found[4], found[4])
    try:
        return chr(int(code, 16))
    except (ValueError, OverflowError):
        raise _LostError from None
