"""Sentences → lines, broken at words only.

What a person copies stays whole, on a line of its own where it is long: a word (a path, a URL), what stands in
backticks (a command) and what stands in quotes (a value).
"""

from __future__ import annotations

import re

from .fit import columns

WIDTH = 88
"""Columns of a line of text at most, where the place has as many."""

# A quote opens only where a word begins: the apostrophe of "the skill's" is none.
_WHOLE = re.compile(r"`[^`]*`|(?:(?<=[\s(=\[])|^)(?:'[^']*'|\"[^\"]*\")")
_BLANK = "\0"  # no line has one: see :mod:`skill_magic.foreign`


def wrap(text: str, width: int | None, indent: str = "") -> list[str]:
    """``text`` in lines of at most ``width`` columns; ``None``: in one.

    :param indent: stands before every line but the first.
    """
    if width is None or columns(text) <= width:
        return [text]
    start = text[: len(text) - len(text.lstrip(" "))]
    atoms = _WHOLE.sub(lambda found: found[0].replace(" ", _BLANK), text[len(start) :]).split(" ")
    return fill([atom.replace(_BLANK, " ") for atom in atoms], width, start, indent)


def fill(atoms: list[str], width: int, start: str, indent: str) -> list[str]:
    """``atoms`` in lines of at most ``width`` columns, none of them broken.

    :param start: stands before the first line, :param indent: before the others.
    """
    lines: list[str] = []
    line, used = start + atoms[0], columns(start + atoms[0])
    for atom in atoms[1:]:
        size = columns(atom)
        if used + 1 + size > width:
            lines.append(line.rstrip())
            line, used = indent + atom, columns(indent) + size
        else:
            line, used = f"{line} {atom}", used + 1 + size
    return [*lines, line]
