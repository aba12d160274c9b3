"""What the first bytes of a program say that it needs: an interpreter, a loader, a processor. Pure."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

__all__ = ["HEAD", "Program", "fits", "machine", "read"]

HEAD = 4096
"""Bytes of a file that are enough to tell."""

#: ``e_machine`` of elf(5) in the words of Go, which are Docker's, with the width and the order of the bytes.
_MACHINES = {
    (3, 1, 1): "386",
    (62, 2, 1): "amd64",
    (40, 1, 1): "arm",
    (183, 2, 1): "arm64",
    (243, 2, 1): "riscv64",
    (21, 2, 1): "ppc64le",
    (22, 2, 2): "s390x",
    (258, 2, 1): "loong64",
    (8, 2, 1): "mips64le",
}
_SYNONYMS = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
} | dict.fromkeys(("armhf", "armel", "armv6l", "armv7l", "armv8l"), "arm")
_ALSO = frozenset((("386", "amd64"), ("arm", "arm64")))
_PT_INTERP = 3


@dataclass(frozen=True)
class Program:
    """One program file.

    :param kind: ``script`` (begins with ``#!``), ``elf``, or ``other``.
    :param needs: the interpreter of a script, or the loader of an ELF file; empty where it needs none.
    :param carriage_return: the first line of a script ends in a carriage return, which is then a part of a name.
    :param architecture: of an ELF file, such as ``arm64``; empty where it is not known.
    """

    kind: str
    needs: str = ""
    carriage_return: bool = False
    architecture: str = ""


def read(head: bytes) -> Program:
    """What the first :data:`HEAD` bytes of a file say. Never raises."""
    if head.startswith(b"#!"):
        first = head[2:].split(b"\n", 1)[0]
        words = first.strip().split(None, 1)
        return Program("script", _text(words[0]) if words else "", first.endswith(b"\r"))
    if head.startswith(b"\x7fELF") and len(head) >= 64:
        order = "<" if head[5] == 1 else ">"
        number = struct.unpack_from(f"{order}H", head, 18)[0]
        return Program(
            "elf", _loader(head, order), architecture=_MACHINES.get((number, head[4], head[5]), "")
        )
    return Program("other")


def _loader(head: bytes, order: str) -> str:
    wide = head[4] == 2
    try:
        offset = struct.unpack_from(f"{order}Q" if wide else f"{order}I", head, 32 if wide else 28)[0]
        size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
        for index in range(min(count, 64)):
            at = offset + index * size
            if struct.unpack_from(f"{order}I", head, at)[0] != _PT_INTERP:
                continue
            place = struct.unpack_from(f"{order}Q" if wide else f"{order}I", head, at + (8 if wide else 4))[0]
            return _text(head[place : place + 256].split(b"\0", 1)[0])
    except struct.error:
        pass
    return ""


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace") if re.fullmatch(rb"[\x21-\x7e]{1,200}", name) else ""


def machine(name: str) -> str:
    """A processor's name in Docker's words: ``x86_64`` is ``amd64``."""
    low = name.lower()
    return _SYNONYMS.get(low, low)


def fits(program: str, processor: str) -> bool:
    """Whether a program for one architecture runs on the other; true where either is not known."""
    program, processor = machine(program), machine(processor)
    return not program or not processor or program == processor or (program, processor) in _ALSO
