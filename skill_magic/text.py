"""Bytes of a tool → text that is safe to show: in a terminal, in a notebook's stream, in HTML.

A terminal obeys what is written to it and a browser renders it, so output of a container is data that must lose its
powers first. Kept are ``\\n \\t \\r`` and colour (SGR, ``ESC [ … m``); every other control sequence is removed, and
characters that reorder or hide text are shown escaped (``\\u202e``). Sequences follow ECMA-48 and xterm's
"Control Sequences"; the bidirectional controls are those of Unicode UAX #9.
"""

from __future__ import annotations

import codecs
import re

LINE_LIMIT = 8 * 1024
"""Characters of one line that are shown; a longer line is cut and says so."""

STRING_LIMIT = 4 * 1024
"""Characters after which an unterminated control sequence is given up and text is shown again."""

# Everything that is not plain text: C0 without \t \n \r, DEL, C1, then characters that reorder, hide or break lines.
_ESCAPED = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f"
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_SPECIAL = re.compile(f"[{_CONTROL}{_ESCAPED}]")
_DROPPED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x8f\x91-\x97\x99\x9a\x9c]+")
_STRING_END = re.compile("[\x07\x18\x1a\x1b\x9c\n]")
_CSI_BODY = re.compile("[ -?]*")
_SGR = re.compile("[0-9;:]*")
_COLOUR = re.compile("\x1b\\[([0-9;:]*)m")

_STRINGS = frozenset("]P^_X")  # after ESC: OSC, DCS, PM, APC, SOS
_C1_STRINGS = frozenset("\x90\x98\x9d\x9e\x9f")


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
        found = _SPECIAL.search(text, at)
        if found is None:
            out.append(text[at:])
            return len(text)
        out.append(text[at : found.start()])
        character = found.group()
        if character == "\x1b":
            colour = _COLOUR.match(text, found.start(), found.start() + 64)
            if colour is not None:  # the one sequence that is common, in one step
                out.append(_without_conceal(colour.group(1)))
                return colour.end()
            self._enter("escape")
        elif character == "\x9b":
            self._enter("csi")
        elif character in _C1_STRINGS:
            self._enter("string")
        else:
            dropped = _DROPPED.match(text, found.start())
            if dropped is not None:
                return dropped.end()
            out.append(escaped(character))
        return found.end()

    def _in_escape(self, text: str, at: int, out: list[str]) -> int:
        character = text[at]
        if character == "[":
            self._enter("csi")
        elif character in _STRINGS:
            self._enter("string")
        elif " " <= character <= "/":
            self._enter("charset")
        elif character != "\x1b":
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
        self._held = (self._held + text[at:stop])[:64]
        self._swallowed += stop - at
        if self._swallowed >= STRING_LIMIT:
            self._enter("text")
            return stop
        if stop == len(text):
            return stop
        final, held, short = text[stop], self._held, self._swallowed < 64
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
        if width > 1 or not name.isdigit() or int(name) != 8:
            kept += given[at : at + width]
        at += width
    return f"\x1b[{';'.join(kept)}m" if kept else ""


def escaped(character: str) -> str:
    """The visible spelling of an invisible character: ``\\u202e``."""
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def sanitize(data: bytes | str) -> str:
    """Safe text of a whole value; see :class:`Sanitizer`."""
    sanitizer = Sanitizer()
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    return sanitizer.feed(raw) + sanitizer.close()


def plain(data: bytes | str) -> str:
    """Safe text without colour, for messages and text files."""
    return _COLOUR.sub("", sanitize(data))


def without_colour(text: str) -> str:
    """Already safe ``text`` less its colour sequences."""
    return _COLOUR.sub("", text)
