"""Lines that a tool draws over and over with ``\\r``, as a terminal shows them in the end."""

from __future__ import annotations

import re
from typing import TypeVar

from .text import colour_after

T = TypeVar("T", str, bytes)


def last_drawings(text: T) -> T:
    """``text`` less the drawings of a line that were written over before anybody could see them.

    In each line, what ends in ``\\r`` goes where another drawing that ends in ``\\r`` follows it at once; the last one
    and what is being drawn over it stay. Linear in time, whatever the text is.
    """
    if isinstance(text, str):
        return _last_drawings(text, "\r", "\n")
    return _last_drawings(text, b"\r", b"\n")


def _last_drawings(text: T, carriage_return: T, line_end: T) -> T:
    if text.count(carriage_return) < 2:
        return text
    lines = text.split(line_end)
    for number, line in enumerate(lines):
        if line.count(carriage_return) > 1:
            parts: list[T] = line.split(carriage_return)
            ahead = [*parts[1:-1], text[:0], text[:0]]  # of each part, the drawing that ends after it
            kept = [part for part, following in zip(parts, ahead, strict=True) if not (part and following)]
            lines[number] = carriage_return.join(kept)
    return line_end.join(lines)


def collapse(text: str) -> str:
    """Already safe ``text`` as a terminal shows it: after ``\\r`` a line is written over from its start."""
    if "\r" not in text:
        return text
    return "\n".join(_overwritten(line) if "\r" in line else line for line in text.split("\n"))


def _overwritten(line: str) -> str:
    drawn = [part for part in line.rstrip("\r").split("\r") if part]
    if "\x1b" not in line:
        seen = ""
        for part in reversed(drawn):  # what an earlier drawing shows is what the later ones did not reach
            seen += part[len(seen) :]
        return seen
    cells: list[tuple[str, str]] = []
    colour = ""
    for part in drawn:
        column = 0
        for token in re.split("(\x1b\\[[0-9;:]*m)", part):
            if token.startswith("\x1b"):
                colour = colour_after(token, colour)
                continue
            cells[column : column + len(token)] = [(colour, character) for character in token]
            column += len(token)
    out: list[str] = []
    current = ""
    for wanted, character in [*cells, (colour, "")]:
        if wanted != current:
            out.append(wanted if wanted.startswith(current) else f"\x1b[0m{wanted}")
            current = wanted
        out.append(character)
    return "".join(out)
