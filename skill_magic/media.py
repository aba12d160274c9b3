"""What a file is by its first bytes: pictures with their size in pixels, sound, video. Nothing is decoded."""

from __future__ import annotations

import codecs
import re
import struct
from dataclasses import dataclass
from typing import Literal

HEAD = 64 * 1024
"""Bytes from the start of a file that are enough to tell."""

# What no text has in it; a terminal's own controls (BEL, BS, ESC, …) are left out.
_CONTROLS = re.compile(rb"[\x01-\x06\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True)
class Media:
    """A file that a browser can show. ``width`` and ``height`` in pixels, 0 for sound and video."""

    kind: Literal["picture", "audio", "video"]
    mime: str
    width: int = 0
    height: int = 0


def recognise(head: bytes) -> Media | None:
    """What the file is that begins with ``head``; ``None`` for all that is not one of the kinds known here.

    SVG and HTML are documents with scripts and are none of them.
    """
    return _picture(head) or _sound_or_video(head)


def binary(head: bytes) -> bool:
    """Whether what begins with ``head`` is no text. A list of names that end in NUL bytes still is."""
    head = head[:HEAD]
    if b"\0" not in head:
        return False
    if _CONTROLS.search(head):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # its last character may be cut
    except UnicodeDecodeError:
        return True
    return False


def _picture(head: bytes) -> Media | None:
    size: tuple[int, int] | None = None
    mime = ""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR" and len(head) >= 24:
        mime, size = "image/png", struct.unpack(">II", head[16:24])
    elif head[:6] in (b"GIF87a", b"GIF89a") and len(head) >= 10:
        mime, size = "image/gif", struct.unpack("<HH", head[6:10])
    elif head.startswith(b"\xff\xd8\xff"):
        mime, size = "image/jpeg", _jpeg_size(head)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        mime, size = "image/webp", _webp_size(head)
    if size is None or 0 in size:
        return None
    return Media("picture", mime, *size)


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + int(struct.unpack(">H", head[at + 2 : at + 4])[0])
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _sound_or_video(head: bytes) -> Media | None:
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return Media("audio", "audio/mp4") if brand in (b"M4A ", b"M4B ") else Media("video", "video/mp4")
    if head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head[:64]:
        return Media("video", "video/webm")
    if head.startswith(b"OggS"):
        theora = b"theora" in head[:256]
        return Media("video", "video/ogg") if theora else Media("audio", "audio/ogg")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return Media("audio", "audio/wav")
    if head.startswith(b"fLaC"):
        return Media("audio", "audio/flac")
    if head.startswith(b"ID3") or (len(head) > 2 and head[0] == 0xFF and head[1] in (0xFB, 0xF3, 0xF2)):
        return Media("audio", "audio/mpeg")
    return None
