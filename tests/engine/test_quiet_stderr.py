"""Standard error has the tool's words and ours, and nothing that an interpreter says of things left open.

Each way that a run can go, in a process of its own, on this Python and the others that this machine has; with and
without the developer's mode, which tells of every connection and file that nobody closed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
MODES = {"plain": [], "dev": ["-X", "dev", "-W", "error::ResourceWarning"]}


def pythons() -> dict[str, str]:
    """Interpreters by version: this one, and one of each other version that is supported and to be had."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for version in ("3.11", "3.12", "3.13", "3.14"):
        versions = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}")
        path = shutil.which(f"python{version}") or ""
        for one in (path, *map(str, versions)):
            if (
                one
                and version not in found
                and subprocess.run([one, "-V"], capture_output=True).returncode == 0
            ):
                found[version] = one
    return found


PYTHONS = pythons()


@pytest.fixture(params=[(version, mode) for version in PYTHONS for mode in MODES], ids="-".join)
def command(request: pytest.FixtureRequest) -> list[str]:
    version, mode = request.param
    return [PYTHONS[version], *MODES[mode], "-m", "skill_magic"]


def environment() -> dict[str, str]:
    packages = str(Path(docker.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{packages}", "PYTHONWARNINGS": ""}


def stderr(command: list[str], folder: Path, *words: str, code: int, stdin: bytes | None = None) -> str:
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    line = [*command, *words]
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        line, cwd=folder, capture_output=True, env=environment(), timeout=90, check=False, **given
    )
    said = done.stderr.decode()
    assert done.returncode == code, said
    return said


def python(script: str) -> tuple[str, ...]:
    return "run", "python-runner", "--", "-c", script


def test_a_run_that_ends_well_says_nothing(command: list[str], tmp_path: Path) -> None:
    assert stderr(command, tmp_path, *python("print(1)"), code=0) == ""


def test_with_standard_input(command: list[str], tmp_path: Path) -> None:
    assert (
        stderr(command, tmp_path, "-i", *python("print(len(input()))"), code=0, stdin=b"x" * 200_000 + b"\n")
        == ""
    )
    assert (
        stderr(
            command, tmp_path, "--no-stdin", *python("print(1)"), code=0, stdin=b"nobody reads\n" * 100_000
        )
        == ""
    )


def test_a_tool_that_fails(command: list[str], tmp_path: Path) -> None:
    said = stderr(command, tmp_path, *python("import sys; sys.exit('no key')"), code=1)
    assert said.splitlines() == ["no key", "SkillFailed: python-runner failed: exit code 1"]


def test_a_run_out_of_time(command: list[str], tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(2, lambda *_: exit(0)); time.sleep(60)"
    said = stderr(command, tmp_path, "run", "--timeout", "1", *python(script)[1:], code=124)
    assert said.splitlines() == [
        "SkillTimeout: python-runner timed out after 1 s",
        "hint: give it longer with --timeout",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped(command: list[str], tmp_path: Path, number: int) -> None:
    script = "import signal, time; signal.signal(2, lambda *_: exit(0)); print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [*command, *python(script)],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said.decode() == "SkillInterrupted: python-runner stopped by you\n"


def test_a_program_that_is_not_there(command: list[str], tmp_path: Path) -> None:
    manifest = '[skills.gone.docker]\nimage = "python:3.12-slim"\nentrypoint = "no-such-program"\n'
    (tmp_path / "skills.toml").write_text(manifest)
    said = stderr(command, tmp_path, "run", "gone", code=127)
    assert "SkillFailed: gone failed: exit code 127\n" in said
    assert_ours(said)


def test_an_image_that_cannot_be_had(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "skills.toml").write_text('[skills.far.docker]\nimage = "python:no-such-tag"\n')
    said = stderr(command, tmp_path, "run", "far", code=125)
    assert "ImageError: " in said
    assert_ours(said)


def test_out_of_memory(command: list[str], tmp_path: Path) -> None:
    script = "b = bytearray(400 << 20)"
    said = stderr(command, tmp_path, "run", "--memory", "32m", *python(script)[1:], code=137)
    assert said.startswith("SkillKilled: python-runner killed: out of memory")
    assert_ours(said)


@pytest.mark.parametrize("words", [("ps",), ("list",), ("doctor",), ("check",)], ids="-".join)
def test_the_other_verbs(command: list[str], tmp_path: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [*command, *words], cwd=tmp_path, capture_output=True, env=environment(), timeout=90, check=False
    )
    assert_ours(done.stderr.decode())


def assert_ours(said: str) -> None:
    for strange in ("Exception ignored", "Traceback", "Warning", "unclosed", "closed file"):
        assert not re.search(strange, said), said
