"""What the start of a program says that it needs."""

from __future__ import annotations

import pytest

from skill_magic import programs


def elf(machine: int, loader: bytes = b"", width: int = 2) -> bytes:
    head = bytearray(64 + 56)
    head[:6] = b"\x7fELF" + bytes((width, 1))
    head[18:20] = machine.to_bytes(2, "little")
    head[32:40] = (64).to_bytes(8, "little")
    head[54:58] = (56).to_bytes(2, "little") + (1).to_bytes(2, "little")
    if loader:
        head[64:68] = (3).to_bytes(4, "little")
        head[72:80] = (120).to_bytes(8, "little")
    return bytes(head) + loader + b"\0"


@pytest.mark.parametrize(
    ("head", "program"),
    [
        (b"#!/bin/sh\necho", programs.Program("script", "/bin/sh")),
        (b"#! /usr/bin/env python3\r\n", programs.Program("script", "/usr/bin/env", True)),
        (b"#!", programs.Program("script")),
        (b"#!" + b"x" * 5000, programs.Program("script")),
        (elf(62, b"/lib64/ld.so"), programs.Program("elf", "/lib64/ld.so", architecture="amd64")),
        (elf(183), programs.Program("elf", architecture="arm64")),
        (elf(9999), programs.Program("elf")),
        (b"\x7fELF", programs.Program("other")),
        (b"", programs.Program("other")),
        (elf(62)[:64], programs.Program("elf", architecture="amd64")),
    ],
)
def test_what_the_start_of_a_file_says(head: bytes, program: programs.Program) -> None:
    assert programs.read(head) == program


@pytest.mark.parametrize(
    ("program", "processor", "fits"),
    [("amd64", "x86_64", True), ("arm64", "x86_64", False), ("386", "amd64", True), ("amd64", "386", False),
     ("arm", "aarch64", True), ("", "amd64", True), ("arm64", "", True)],
)  # fmt: skip
def test_which_programs_run_on_which_processor(program: str, processor: str, fits: bool) -> None:
    assert programs.fits(program, processor) is fits
