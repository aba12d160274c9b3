"""Live probes: output that is made to cost time neither holds a run past its --timeout nor keeps a Stop waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from pace import pace

from .kernels import Kernel, ours
from .probes import Project, project_in

pytestmark = pytest.mark.engine

FLOODS = {
    "one carriage return, then text": "write(b'\\r'); piece = b'x' * 65536",
    "carriage returns and text": "piece = b'\\rabc' * 16384",
    "random bytes": "import os; piece = os.urandom(65536)",
    "an OSC without an end": "write(b'\\x1b]0;'); piece = b'x' * 65536",
    "ESC [": "piece = b'\\x1b[' * 32768",
}
"""What is written for ever, by a program that does not care for an interrupt."""


def script(flood: str, size: str = "while True") -> str:
    return (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "write = sys.stdout.buffer.write\n"
        f"{FLOODS[flood]}\n"
        f"{size}: write(piece)\n"
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with project_in(tmp_path, monkeypatch) as found:
        found.write()
        yield found


@pytest.mark.parametrize("flood", FLOODS)
def test_a_timeout_holds(project: Project, flood: str) -> None:
    words = [sys.executable, "-m", "skill_magic", "--timeout", "3", "x", "--", "-c", script(flood)]
    began = time.monotonic()
    done = subprocess.run(
        words, cwd=project.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60
    )
    assert done.returncode == 124
    # 3 s and the two of a tool that ignores its first signal; the rest is the start of a process and a container.
    assert time.monotonic() - began < 3 * pace() + 2 + 4


@pytest.mark.parametrize("flood", FLOODS)
def test_a_kernel_answers_an_interrupt(project: Project, flood: str) -> None:
    kernel = Kernel(project.path)
    try:
        assert kernel.run(f"CODE = {script(flood)!r}").ok
        message, cell = kernel.start("%skill x -- -c {CODE}")
        until = time.monotonic() + 20
        while not ours(project.path):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(1.0)
        asked = time.monotonic()
        kernel.manager.interrupt_kernel()
        while ours(project.path):
            assert time.monotonic() - asked < 5 * pace(), "the container is still there"
            time.sleep(0.02)
        kernel.finish(message, cell, timeout=10)
        assert cell.reply["ename"] == "SkillInterrupted"
        assert cell.bytes < 5 << 20
    finally:
        kernel.close()


@pytest.mark.parametrize("flood", FLOODS)
def test_four_mebibytes_cost_little_more_than_text(project: Project, flood: str) -> None:
    """CPU seconds of the whole command, beside those of the same amount of plain text."""

    def cost(code: str) -> float:
        words = [sys.executable, "-m", "skill_magic", "-q", "x", "--", "-c", code]
        with subprocess.Popen(
            words, cwd=project.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = status
        assert status == 0
        return float(used.ru_utime + used.ru_stime)

    text = script(flood).replace(FLOODS[flood], "piece = (b'x' * 79 + b'\\n') * 819")
    loop = "for _ in range(64)"
    assert cost(script(flood, loop)) < cost(text.replace("while True", loop)) + 1.0


@pytest.mark.parametrize(
    "pieces",
    [
        [rb"\x1b[", b"2J"],
        [rb"\x1b", b"[6n"],
        [rb"\x1b[1;1", b"HFAKE PROMPT$ "],
        [rb"\x1b]0;", b"title", rb"\x07"],
        [rb"\xc2", rb"\x9b", b"2J"],
        [rb"\x1b[8mhidden"],
        [rb"\x1bP", b"q", rb"\x1b\\"],
    ],
    ids=str,
)
def test_no_sequence_reaches_a_terminal_however_it_is_cut(project: Project, pieces: list[bytes]) -> None:
    writes = "; ".join(
        f"os.write(1, b'{piece.decode()}'); time.sleep(0.4)" for piece in [b"start", *pieces, b"end"]
    )
    words = ["-m", "skill_magic", "x", "--", "-c", f"import os, time; {writes}"]
    child = pexpect.spawn(sys.executable, words, cwd=project.path, encoding="latin-1", timeout=60)
    child.expect(pexpect.EOF)
    shown = child.before or ""
    output = shown[shown.index("start") : shown.rindex("end")]
    assert not set(output) & set(
        map(chr, (*range(9), 11, 12, *range(14, 27), *range(28, 32), *range(127, 160)))
    )
    for sequence in ("\x1b[2J", "\x1b[6n", "\x1b[1;1H", "\x1b]", "\x1bP", "\x1b[8m"):
        assert sequence not in output
