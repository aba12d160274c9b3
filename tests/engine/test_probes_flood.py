"""Live probes: a gigabyte of output, interrupted in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pace import pace

from .kernels import Kernel, ours
from .probes import Project, project_in

pytestmark = pytest.mark.engine

FLOOD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
line = (b"x" * 99 + b"\\n") * 10000
for _ in range(1000):
    sys.stdout.buffer.write(line)
print("whole")
"""
"""1 GB, by a program that does not care for the interrupt itself."""

LIMIT = 2.0
"""Seconds from the interrupt to the end of the run and its container."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with project_in(tmp_path, monkeypatch) as found:
        found.write()
        yield found


@pytest.mark.parametrize("sink", ["pipe", "null", "unread"])
def test_an_interrupt_in_the_middle_of_a_flood(project: Project, sink: str) -> None:
    words = [sys.executable, "-m", "skill_magic", "x", "--", "-c", FLOOD]
    output = subprocess.DEVNULL if sink == "null" else subprocess.PIPE
    read = 0

    def drain() -> None:
        nonlocal read
        assert process.stdout is not None
        while piece := process.stdout.read1(1 << 20):  # type: ignore[attr-defined]
            read += len(piece)

    with subprocess.Popen(
        words, cwd=project.path, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL
    ) as process:
        reader = threading.Thread(target=drain, daemon=True)
        if sink == "pipe":
            reader.start()
        until = time.monotonic() + 20
        while not ours(project.path) or (sink == "pipe" and read < 5 << 20):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.7)
        assert process.poll() is None, "it was over before it could be interrupted"
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        while ours(project.path):
            assert time.monotonic() - asked < LIMIT * pace(), "the container is still there"
            time.sleep(0.02)
        if sink == "unread":
            reader.start()
        assert process.wait(LIMIT * pace()) == 130
        if sink != "unread":
            assert time.monotonic() - asked < (LIMIT + 0.2) * pace()
        if sink != "null":
            reader.join(5)
            assert read < 1_000_000_000


def test_an_interrupt_of_a_cell_in_the_middle_of_a_flood(project: Project) -> None:
    kernel = Kernel(project.path)
    try:
        assert kernel.run(f"FLOOD = {FLOOD!r}").ok
        message, cell = kernel.start("%skill x -- -c {FLOOD}")
        until = time.monotonic() + 20
        while not ours(project.path):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(1.0)
        assert ours(project.path), "it was over before it could be interrupted"
        asked = time.monotonic()
        kernel.manager.interrupt_kernel()
        while ours(project.path):
            assert time.monotonic() - asked < LIMIT * pace(), "the container is still there"
            time.sleep(0.02)
        kernel.finish(message, cell, timeout=5)
        assert time.monotonic() - asked < (LIMIT + 1) * pace()
        assert not cell.ok
        assert cell.reply["ename"] == "SkillInterrupted"
        assert cell.bytes < 5 << 20, "a notebook does not take a gigabyte"
        after = kernel.run("print(6 * 7)")
        assert after.text() == "42\n"
    finally:
        kernel.close()


def test_the_whole_flood_is_drained(project: Project) -> None:
    """Nobody interrupts: it comes to its end, and nothing of it is lost."""
    result = project.run(FLOOD.replace("range(1000)", "range(100)"))
    assert result.ok
    assert len(result.stdout_bytes) == 100_000_006
    assert result.stdout_bytes.endswith(b"whole\n")
    assert result.log is not None  # not in this process's memory
