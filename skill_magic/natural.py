"""The order in which people expect names with numbers: ``x-2`` before ``x-10``."""

from __future__ import annotations

import re

_NUMBER = re.compile("([0-9]+)")


def order(path: str) -> tuple[list[list[str | tuple[int, str]]], str]:
    """A key to sort paths by: part by part, each run of digits as the number that it is."""
    return [_pieces(part) for part in path.split("/")], path


def _pieces(part: str) -> list[str | tuple[int, str]]:
    # Texts and numbers take turns. A number is compared by its length and digits: as an int it could be too long.
    return [
        (len(piece.lstrip("0")), piece.lstrip("0")) if at % 2 else piece
        for at, piece in enumerate(_NUMBER.split(part))
    ]
