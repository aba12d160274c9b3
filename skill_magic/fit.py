"""Text that somebody else wrote, cut to a number of columns so that it keeps to its line and its place.

For a question that a person answers, nothing in a name or a value may end a line, hide, turn or move other
text. Control characters and all that is not seen stand as escapes, as they do everywhere; so do letters that
are written from right to left (a terminal shows them, and the digits beside them, elsewhere than where they
stand) and every combining mark after the second on one letter. The cost of a text is that of what is shown of
it, however long it is.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence

MORE = "…"

# Letters and marks by their category that show nothing at all: fillers, variation selectors, the blank braille
# cell.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=~${}*#-]+")
_MARKS = 2
_LONGEST_WORD = 4096  # a path


def columns(text: str) -> int:
    """The most columns that a terminal may take for ``text``, as :func:`printable` returns it."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if " " <= character <= "~":
        return 1
    # An ambiguous character is wide in a terminal that is set to an East Asian language.
    return 2 if unicodedata.east_asian_width(character) in "WFA" and character != MORE else 1


def printable(text: str) -> str:
    """``text`` in one line, with an escape for each character that is not seen where it stands."""
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        out.append(character if marks <= _MARKS and _seen(character) else _escape(character))
    return "".join(out)


def _seen(character: str) -> bool:
    if " " <= character <= "~":
        return True
    category = unicodedata.category(character)
    if category[0] in "CZ" or _BLANK.match(character):
        return False
    return unicodedata.bidirectional(character) not in _RIGHT_TO_LEFT


def _escape(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cut(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` columns, without its end where it is longer."""
    whole = printable(text[: 2 * limit + 1])
    if len(text) <= 2 * limit + 1 and columns(whole) <= limit:
        return whole
    return _head(whole, limit - 1) + MORE if limit > 0 else ""


def cut_middle(text: str, limit: int) -> str:
    """The same without its middle: both ends of a path tell something."""
    if len(text) <= 2 * limit + 1:
        whole = printable(text)
        if columns(whole) <= limit:
            return whole
    if limit < 8:
        return cut(text, limit)
    tail = (limit - 1) // 3
    last = _head(printable(text[-2 * tail :])[::-1], tail)[::-1]
    return _head(printable(text[: 2 * limit]), limit - 1 - columns(last)) + MORE + last


def _head(text: str, limit: int) -> str:
    used = 0
    for at, character in enumerate(text):
        used += _columns(character)
        if used > limit:
            return text[:at]
    return text


def value(text: str, limit: int) -> str:
    """A value as a part of a line: in quotes unless it is one plain word, so that it ends where it ends."""
    if len(text) <= _LONGEST_WORD and _PLAIN.fullmatch(text):
        return cut_middle(text, limit)
    most = 2 * limit + 1
    short = text if len(text) <= 2 * most else text[:most] + text[-most:]
    # No quote stands in it, so that none can seem to end it where the cut takes away what escapes it.
    return "'" + cut_middle(short.replace("\\", "\\\\").replace("'", "\\x27"), limit - 2) + "'"


def names(words: Sequence[str], limit: int, longest: int = 40) -> str:
    """``a, b and 3 more`` in at most ``limit`` columns: whole names as far as they fit, and the number of the
    others."""
    if len(words) <= limit // 3 + 1:
        whole = ", ".join(value(word, longest) for word in words)
        if columns(whole) <= limit:
            return whole
    shown: list[str] = []
    used = 0
    for at, word in enumerate(words):
        text = value(word, longest)
        left = len(words) - at - 1
        rest = len(f" and {left} more") if left else 0
        take = columns(text) + (2 if shown else 0)
        if used + take + rest > limit:
            break
        shown.append(text)
        used += take
    left = len(words) - len(shown)
    if not shown:
        return cut(f"{left} of them", limit) if words else ""
    return ", ".join(shown) + (f" and {left} more" if left else "")


def wrapped(text: str, limit: int) -> list[str]:
    """``text``, our own words, in lines of at most ``limit`` columns, the later ones indented."""
    return textwrap.wrap(text, limit, subsequent_indent="  ", break_on_hyphens=False)
