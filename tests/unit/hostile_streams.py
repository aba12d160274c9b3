"""Streams that are made to cost time: each a pattern that is repeated to any length."""

from __future__ import annotations

import random

PATTERNS: dict[str, bytes] = {
    "plain text": b"x" * 79 + b"\n",
    "carriage return, then text": b"x",
    "carriage returns and text": b"\rabc",
    "carriage returns": b"\r",
    "line ends": b"\n",
    "NUL": b"\0",
    "backspaces": b"x\b",
    "combining marks": "e\u0301".encode(),
    "zero width joiners": "a\u200d".encode(),
    "hidden characters": "\u200b".encode(),
    "reordering": "\u202ea".encode(),
    "not UTF-8": b"\xff",
    "unended OSC": b"x",
    "OSC that never ends, many": b"\x1b]0;",
    "ESC": b"\x1b",
    "ESC [": b"\x1b[",
    "strings broken off by ESC ESC": b"\x1b]x\x1b\x1b",
    "ESC (": b"\x1b(",
    "ESC 7": b"\x1b7",
    "DCS": b"\x1bPx\x1b\\",
    "C1 CSI": "\x9b".encode(),
    "C1 DCS": "\x90x".encode(),
    "conceal": b"\x1b[8mx",
    "cursor": b"\x1b[2J",
    "colours": b"\x1b[31mx\x1b[0my",
    "palette": b"\x1b[38;5;8mx",
    "SGR of many parameters": b"\x1b[" + b";".join(b"%d" % n for n in range(1, 15)) + b"mx",
    "SGR without an end": b"1;",
}
STARTS = {
    "carriage return, then text": b"\r",
    "unended OSC": b"\x1b]0;",
    "SGR without an end": b"\x1b[",
}


def stream(name: str, size: int) -> bytes:
    """``size`` bytes of the stream of that name."""
    if name == "random bytes":
        return random.Random(7).randbytes(size)
    if name == "bitmap":
        pixels = bytes(value & 0xFF for row in range(256) for value in range(row, row + 256))
        return (b"BM" + bytes(52) + pixels * (size // len(pixels) + 1))[:size]
    pattern = PATTERNS[name]
    return (STARTS.get(name, b"") + pattern * (size // len(pattern) + 1))[:size]


NAMES = (*PATTERNS, "random bytes", "bitmap")
