"""Bytes of a tool → text that is safe to show: in a terminal, in a notebook's stream, in HTML.

A terminal obeys what is written to it and a browser renders it, so output of a container is data that must
lose its powers first. Kept are ``\\n \\t \\r`` and colour (SGR, ``ESC [ … m``); every other control character
and sequence is removed, and characters that reorder, hide or break text are shown escaped (``\\u202e``).
Sources: ECMA-48; xterm's "Control Sequences"; Unicode UAX #9 for the bidirectional controls.
"""

from __future__ import annotations

import codecs
import re

from .foreign import line

LINE_LIMIT = 8 * 1024
"""Characters of one line that are shown; a longer line is cut and says so."""

STRING_LIMIT = 4 * 1024
"""Characters after which an unterminated control sequence is given up and text is shown again."""

# What is not plain text: C0 without \t \n \r, DEL, C1, then characters that reorder, hide or break text.
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_HIDDEN = "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_SPECIAL = re.compile(f"[{_CONTROL}{_HIDDEN}]")
# Plain text and the colours in it, as far as one step of the regex engine can see that they hide nothing. This pattern
# and the next are only ever matched at a position and cannot fail after their groups, so nothing backtracks. Possessive
# quantifiers would say the same, but the `re` of Python 3.11.2 loses its position in them. The engine remembers each
# round of a group: the bound of 1000 rounds keeps that small.
_PARAMETER = "(?!0*8[;m])[0-9]{0,4}"
_PLAIN = re.compile(
    f"(?:[^{_CONTROL}{_HIDDEN}]+|\x1b\\[{_PARAMETER}(?:;{_PARAMETER}){{0,11}}m|\x1b\\[[345]8;5;[0-9]{{1,3}}m){{0,1000}}"
)
_STARTS = "\x1b\x90\x98\x9b\x9d-\x9f"  # of sequences: ESC; of C1 DCS, SOS, CSI, OSC, PM, APC
_START = re.compile(f"[{_STARTS}]")
# Sequences that can be dropped in one step. Each alternative is what the states of a Sanitizer make of the same text:
# CSI sequences other than SGR, whole or broken off by another sequence; SGR 8; the escapes of two or three characters;
# an ESC before another one; strings that end soon.
_DROPPED = re.compile(
    "(?:(?:\x1b\\[|\x9b)[ -?]{0,62}(?:[@-ln-~]|(?=[\x1b\x9b]))|(?:\x1b\\[|\x9b)0{0,4}8m"
    "|\x1b[0-OQ-WYZ\\\\`-~]|\x1b[ -/]{1,62}(?:[0-~]|(?=\x1b))|\x1b(?=\x1b)"
    "|(?:\x1b[]P^_X]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x9c\n]{0,250}(?:[\x07\x18\x1a\x9c]|\x1b\\\\)){1,1000}"
)
_ESCAPES = re.compile("\x1b+")
_STRING_END = re.compile("[\x07\x18\x1a\x1b\x9c\n]")
_CSI_BODY = re.compile("[ -?]*")
_CSI_LIMIT = 64
_SGR = re.compile("[0-9;:]*")
_COLOUR = re.compile("\x1b\\[([0-9;:]*)m")

_STRINGS = frozenset("]P^_X")  # after ESC: OSC, DCS, PM, APC, SOS


class Sanitizer:
    """Makes one stream of bytes safe, piece by piece; the text is the same wherever the pieces were cut.

    Bytes that are not UTF-8 become U+FFFD. State is bounded: an unterminated sequence swallows at most
    :data:`STRING_LIMIT` characters, or up to the end of its line.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._state = "text"  # text, escape, charset, csi, string
        self._held = ""  # parameters of a CSI sequence
        self._swallowed = 0

    def feed(self, data: bytes) -> str:
        """The safe text for ``data``; an unfinished character or sequence waits for the next piece."""
        return self._clean(self._decoder.decode(data))

    def close(self) -> str:
        """The end of the stream: the text for an unfinished character, none for an unfinished sequence."""
        rest = self._clean(self._decoder.decode(b"", True))
        self._state, self._held, self._swallowed = "text", "", 0
        self._decoder.reset()
        return rest

    def _clean(self, text: str) -> str:
        if self._state == "text" and _SPECIAL.search(text) is None:
            return text
        out: list[str] = []
        at, end = 0, len(text)
        while at < end:
            at = getattr(self, f"_in_{self._state}")(text, at, out)
        return "".join(out)

    def _enter(self, state: str) -> None:
        self._state, self._held, self._swallowed = state, "", 0

    def _in_text(self, text: str, at: int, out: list[str]) -> int:
        plain = _PLAIN.match(text, at)
        stop = plain.end() if plain is not None else at
        out.append(text[at:stop])
        if stop == len(text):
            return stop
        character = text[stop]
        if _START.match(character) is None:  # up to the next sequence one character says nothing of another
            start = _START.search(text, stop)
            end = start.start() if start is not None else len(text)
            out.append(text[stop:end].translate(_SHOWN))
            return end
        if dropped := _DROPPED.match(text, stop):
            return dropped.end()
        self._enter("escape" if character == "\x1b" else "csi" if character == "\x9b" else "string")
        return stop + 1

    def _in_escape(self, text: str, at: int, out: list[str]) -> int:
        character = text[at]
        if character == "\x1b" and (many := _ESCAPES.match(text, at)) is not None:
            return many.end()  # of many only the last one begins something
        if character == "[":
            self._enter("csi")
        elif character in _STRINGS:
            self._enter("string")
        elif " " <= character <= "/":
            self._enter("charset")
        else:
            self._enter("text")
            if not "0" <= character <= "~":
                return at  # not part of a sequence: text, or another control
        return at + 1

    def _in_charset(self, text: str, at: int, out: list[str]) -> int:
        character = text[at]
        self._swallowed += 1
        if " " <= character <= "/" and self._swallowed < STRING_LIMIT:
            return at + 1
        self._enter("text")
        return at + 1 if "0" <= character <= "~" else at

    def _in_csi(self, text: str, at: int, out: list[str]) -> int:
        room = STRING_LIMIT - self._swallowed
        body = _CSI_BODY.match(text, at, at + room)
        stop = body.end() if body is not None else at
        self._held = (self._held + text[at:stop])[:_CSI_LIMIT]
        self._swallowed += stop - at
        if self._swallowed >= STRING_LIMIT:
            self._enter("text")
            return stop
        if stop == len(text):
            return stop
        final, held, short = text[stop], self._held, self._swallowed < _CSI_LIMIT
        self._enter("text")
        if not "@" <= final <= "~":
            return stop  # broken off by something else, which is looked at as text
        if final == "m" and short and _SGR.fullmatch(held):
            out.append(_without_conceal(held))
        return stop + 1

    def _in_string(self, text: str, at: int, out: list[str]) -> int:
        room = STRING_LIMIT - self._swallowed
        found = _STRING_END.search(text, at, at + room)
        stop = found.start() if found is not None else min(len(text), at + room)
        self._swallowed += stop - at
        if found is None:
            if self._swallowed >= STRING_LIMIT:
                self._enter("text")
            return stop
        if found.group() == "\x1b":  # ESC \ ends it; any other sequence breaks it off
            self._enter("escape")
            return stop + 1
        self._enter("text")
        return stop if found.group() == "\n" else stop + 1


def _without_conceal(parameters: str) -> str:
    """The SGR sequence without parameter 8, which would hide text; the 8 of a colour (``38;5;8``) stays."""
    if "8" not in parameters:
        return f"\x1b[{parameters}m"
    given = parameters.split(";")
    kept: list[str] = []
    at = 0
    while at < len(given):
        name = given[at]
        width = 1
        if name in {"38", "48", "58"} and at + 1 < len(given):
            width = {"5": 3, "2": 5}.get(given[at + 1], 2)
        if width > 1 or name.partition(":")[0].lstrip("0") != "8":
            kept += given[at : at + width]
        at += width
    return f"\x1b[{';'.join(kept)}m" if kept else ""


def escaped(character: str) -> str:
    """The visible spelling of an invisible character: ``\\u202e``."""
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


_SHOWN = {
    ord(character): None if re.match(f"[{_CONTROL}]", character) else escaped(character)
    for character in map(chr, (*range(0x3000), 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)))
    if _SPECIAL.match(character)
}
"""For ``str.translate``: controls that start no sequence go, characters that hide something are spelled out."""


def sanitize(data: bytes | str) -> str:
    """Safe text of a whole value; see :class:`Sanitizer`."""
    sanitizer = Sanitizer()
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    return sanitizer.feed(raw) + sanitizer.close()


def plain(data: bytes | str) -> str:
    """Safe text without colour, for messages and text files."""
    return _COLOUR.sub("", sanitize(data))


def label(data: bytes | str) -> str:
    """Safe text in one line without colour, for names: see :func:`skill_magic.foreign.line`."""
    return line(data.decode("utf-8", "replace") if isinstance(data, bytes) else data)


def without_colour(text: str) -> str:
    """Already safe ``text`` less its colour sequences."""
    return _COLOUR.sub("", text)


def colour_after(text: str, before: str = "") -> str:
    """The SGR sequences in force after already safe ``text``, given those in force before it; bounded."""
    for found in _COLOUR.finditer(text):
        if found[1].strip("0;") == "" or found[1].startswith("0;"):
            before = ""
        if found[1].strip("0;"):
            before += found[0]
    if len(before) > 256:  # a tool that never resets: its last settings are what one sees
        before = before[before.index("\x1b", len(before) - 256) :]
    return before


class LineLimit:
    """Cuts the lines of one stream of already safe text to :data:`LINE_LIMIT` characters, piece by piece."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._width = 0
        self._cut = 0

    def feed(self, text: str) -> str:
        """``text`` less what is too much; where a line was cut, its end says how much is missing."""
        if self._width + len(text) <= self._limit and not self._cut:
            end = max(text.rfind("\n"), text.rfind("\r"))
            self._width = len(text) - end - 1 + (self._width if end < 0 else 0)
            return text
        out: list[str] = []
        for part in re.split("([\n\r])", text):
            if part in ("\n", "\r"):
                out.append(self._mark() + part)
                self._width = 0
            elif part:
                room = max(self._limit - self._width, 0)
                out.append(_whole(part[:room]) if not self._cut else "")
                self._cut += max(len(part) - room, 0)
                self._width += min(len(part), room)
        return "".join(out)

    def close(self) -> str:
        """The mark for a last line that was cut."""
        return self._mark()

    def _mark(self) -> str:
        mark = f"\x1b[0m… [{self._cut} more characters in this line]" if self._cut else ""
        self._cut = 0
        return mark


def _whole(text: str) -> str:
    """``text`` less a colour sequence that was cut in two at its end."""
    at = text.rfind("\x1b", -_CSI_LIMIT)
    return text[:at] if at >= 0 and "m" not in text[at:] else text
