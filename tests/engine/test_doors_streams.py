"""The ``skill`` command where its own streams are closed, full, or read by nobody."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .kernels import ours

pytestmark = pytest.mark.engine


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which ``SKILL`` is the command; standard input is empty."""
    command = shlex.join([sys.executable, "-m", "skill_magic"])
    return subprocess.run(
        ["bash", "-c", line.replace("SKILL", command)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


RUN = "SKILL python-runner -- -c"
WRITES, FAILS = "'print(1)'", "'print(1); exit(3)'"
FULL = "skill: standard output cannot be written: No space left on device\n"
CLOSED = "skill: standard output cannot be written: it is closed\n"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (f"{RUN} {WRITES} >/dev/full", 74, FULL),
        (f"{RUN} {WRITES} >&-", 74, CLOSED),
        (f"{RUN} 'pass' >&-", 0, ""),
        (f"{RUN} 'pass' >/dev/full", 0, ""),
        (f"{RUN} {WRITES} 2>&-", 0, ""),
        (f"{RUN} {FAILS} 2>&-", 3, ""),
        (f"{RUN} {FAILS} 2>/dev/full", 3, ""),
        (f"{RUN} {FAILS} >/dev/full 2>&1", 3, ""),
        (f"{RUN} {WRITES} >&- 2>&-", 74, ""),
        (f"{RUN} {WRITES} <&-", 0, ""),
        ("SKILL list >/dev/full", 74, FULL),
        ("SKILL list >&-", 74, CLOSED),
        ("SKILL nothing 2>/dev/full", 125, ""),
        ("SKILL --nonsense x 2>&-", 2, ""),
        ("SKILL --help >/dev/full", 74, FULL),
    ],
)
def test_one_line_and_an_exit_code(tmp_path: Path, line: str, code: int, said: str) -> None:
    done = shell(tmp_path, line)
    assert (done.returncode, done.stderr) == (code, said)
    assert ours(tmp_path) == []


def test_a_tool_that_fails_keeps_its_code_and_its_error(tmp_path: Path) -> None:
    done = shell(tmp_path, f"{RUN} {FAILS} >/dev/full")
    assert done.returncode == 3
    assert "python-runner failed: exit code 3" in done.stderr
    assert done.stderr.count(FULL) == 1


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    done = shell(tmp_path, f"{RUN} 'for n in range(100000): print(n)' | head -1; echo ${{PIPESTATUS[0]}}")
    assert done.stdout == "0\n141\n"
    errors = f"{RUN} 'import sys; [print(n, file=sys.stderr) for n in range(100000)]' 2>&1 | head -1"
    done = shell(tmp_path, f"{errors}; echo ${{PIPESTATUS[0]}}")
    assert done.stdout == "0\n141\n"
    assert "Traceback" not in done.stderr
    assert ours(tmp_path) == []


@pytest.mark.parametrize("code", [143, 137, 130, 1, 255])
def test_the_exit_code_is_the_tools(tmp_path: Path, code: int) -> None:
    assert shell(tmp_path, f"{RUN} 'import os; os._exit({code})'").returncode == code


def test_the_descriptors_of_closed_streams_lead_nowhere(tmp_path: Path) -> None:
    """A connection to the engine must not get the number of a stream that the caller closed."""
    done = shell(tmp_path, f"{RUN} {WRITES} <&- >&- 2>&-; echo $?")
    assert done.stdout == "74\n"
