"""Text that somebody else wrote (names, keys, values, file names, an engine's words), as it may be shown.

A terminal obeys control characters, a page obeys markup, and both let characters that nobody sees turn or hide
the text around them. Everything that this package shows of a manifest, a file name, an image or an engine goes
through here, whichever front end it is for. Nothing is dropped: what cannot be shown stands there as an escape
(``\\x1b``, ``\\u202e``), so that two names that differ never look the same.

Output of a tool, which keeps its colours, is the matter of :mod:`skill_magic.text`.
Sources: Unicode's DerivedCoreProperties (Default_Ignorable_Code_Point), UAX #9 (bidirectional controls).
"""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterable

# The control characters (C0, DEL, C1), lone surrogates (bytes of a file name that are no UTF-8), and all that is
# not seen: soft hyphen, joiners, fillers, variation selectors, the bidirectional and the deprecated controls, tags;
# the line and paragraph separators among them.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_MANY_LINES = re.compile(f"[{_UNSEEN}]")
_ONE_LINE = re.compile(f"[\t\n{_UNSEEN}]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# What begins something in Markdown: nbconvert and pandoc read a notebook's HTML as a part of it. As a character
# reference it is never markup there, and a browser shows the same.
_MARKDOWN = re.compile(r"[\\`*\[\]!~$\n]")

UNTYPESET = 'class="mathjax_ignore tex2jax_ignore"'
"""Attribute of the outermost element of all HTML that we display: MathJax 3 and 2 leave what is in it alone."""


def line(text: object) -> str:
    """``text`` in one line: what ends a line, what a terminal obeys and what is not seen as escapes."""
    return _ONE_LINE.sub(_escape, str(text))


def lines(text: object) -> str:
    """The same for a text of our own that goes over lines: its line ends and tabs stay."""
    return _MANY_LINES.sub(_escape, str(text))


def hides(text: str) -> bool:
    """Whether :func:`line` would change ``text``."""
    return _ONE_LINE.search(text) is not None


def markup(text: str) -> str:
    """``text`` for HTML, in an element or an attribute: neither HTML nor Markdown finds anything in it, and a
    blank line in it does not end a block of HTML in Markdown."""
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", html.escape(text, quote=True))


def shell(words: Iterable[str]) -> str:
    """``words`` as a line for a shell, always one line; a word that :func:`line` would change is written as
    ``$'…'``, which bash, zsh and ksh read."""
    return " ".join(_ansi_c(word) if hides(word) else shlex.quote(word) for word in words)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _ansi_c(word: str) -> str:
    def byte_by_byte(found: re.Match[str]) -> str:
        if found[0] in _NAMED:
            return _NAMED[found[0]]
        # Octal: after \xNN some shells would read on.
        return "".join(f"\\{byte:03o}" for byte in found[0].encode("utf-8", "surrogateescape"))

    quoted = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_ONE_LINE.sub(byte_by_byte, quoted)}'"
