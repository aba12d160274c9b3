"""The `skill` command on the real engine: bytes, exit codes, signals, pipes; and a caller who is not root."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pace import pace

from . import people
from .kernels import ours
from .people import UID

pytestmark = pytest.mark.engine

SKILL = [sys.executable, "-m", "skill_magic"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    until = time.monotonic() + 5
    while (left := ours(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


def skill(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    options = {"stdin": subprocess.DEVNULL, "timeout": 60} | options
    if "input" in options:
        del options["stdin"]
    done: Any = subprocess.run([*SKILL, *words], cwd=folder, capture_output=True, **options)
    result: subprocess.CompletedProcess[bytes] = done
    return result


def python(folder: Path, code: str, *args: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    ours = ["-i"] if "input" in options else []
    return skill(folder, *ours, "python-runner", "--", "-c", code, *args, **options)


class TestBytes:
    def test_stdout_is_the_tools_alone_and_so_is_its_exit_code(self, folder: Path) -> None:
        code = r"import os; os.write(1, bytes(range(256)) * 3); os.write(2, b'\xff\x1b[2J'); os._exit(7)"
        done = python(folder, code)
        assert done.stdout == bytes(range(256)) * 3
        assert done.returncode == 7
        assert done.stderr.startswith(b"\xff\x1b[2J")  # a pipe gets bytes; only a terminal is protected
        assert b"exit code 7" in done.stderr

    def test_stdin_arrives_byte_for_byte(self, folder: Path) -> None:
        data = os.urandom(3 << 20)
        done = python(
            folder, "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)", input=data
        )
        assert done.stdout == data
        assert done.returncode == 0

    def test_stdin_is_streamed(self, folder: Path) -> None:
        """A tool in the middle of a pipe answers each line before the next one comes."""
        code = "import sys; [print(line.strip().upper(), flush=True) for line in sys.stdin]"
        words = [*SKILL, "-i", "python-runner", "--", "-c", code]
        with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for word in (b"one", b"two"):
                process.stdin.write(word + b"\n")
                process.stdin.flush()
                assert process.stdout.readline() == word.upper() + b"\n"
            process.stdin.close()
            assert process.wait(20) == 0

    def test_a_tool_that_does_not_read_is_not_waited_for(self, folder: Path) -> None:
        reader, writer = os.pipe()
        try:
            done = skill(folder, "-i", "python-runner", "--", "-c", "print('done')", stdin=reader, timeout=20)
        finally:
            os.close(reader)
            os.close(writer)
        assert done.stdout == b"done\n"
        assert done.returncode == 0
        assert b"Fatal" not in done.stderr

    @pytest.mark.parametrize(
        "args",
        [
            ["a b", "", "'", '"', "\\", "$HOME", "`id`", "*", "{x}", "%s", "#"],
            ["line\nbreak", "tab\t", "\r", "\x1b[31m", "\x7f"],
            ["日本語", "e\u0301", "\U0001f426", "\u202ertl"],
            ["-x", "--", "--rm", "--privileged", "-v", "/:/host"],
            ["x" * 100_000, "y" * 100_000],
        ],
    )
    def test_arguments_arrive_byte_for_byte(self, folder: Path, args: list[str]) -> None:
        done = python(folder, "import sys, json; print(json.dumps(sys.argv[1:]))", *args)
        assert json.loads(done.stdout) == args

    def test_python_options_are_not_ours(self, folder: Path) -> None:
        """Right of the first -- everything is the tool's, another -- and our own options included."""
        done = python(folder, "import sys; print(sys.argv[1:])", "--timeout", "--", "--help")
        assert done.stdout == b"['--timeout', '--', '--help']\n"


UPPER = "import sys; print(sys.stdin.read().upper(), end='')"


class TestCallersInput:
    """A tool never eats the script or the list that its caller works through."""

    @pytest.mark.parametrize(
        "script",
        [
            "printf '1\\n2\\n3\\n' | while read n; do {skill}; done",
            "printf '1\\n2\\n3\\n' >list; while read n; do {skill}; done <list",
            "while read n; do {skill}; done <<END\n1\n2\n3\nEND",
        ],
        ids=["pipe", "file", "here-document"],
    )
    def test_a_loop_over_lines(self, folder: Path, script: str) -> None:
        words = shlex.join([*SKILL, "python-runner", "--", "-c", "import sys; print('step')"])
        done = subprocess.run(
            ["bash", "-c", script.format(skill=words)], cwd=folder, capture_output=True, timeout=60
        )
        assert done.stdout == b"step\n" * 3
        assert done.stderr.count(b"standard input was left unread") == 2  # the last one finds nothing

    def test_a_script_on_standard_input(self, folder: Path) -> None:
        words = shlex.join([*SKILL, "--no-stdin", "python-runner", "--", "-c", "print('step')"])
        done = subprocess.run(
            ["bash", "-s"], input=f"{words}\n{words}\necho end\n".encode(), cwd=folder, capture_output=True
        )
        assert done.stdout == b"step\nstep\nend\n"
        assert done.stderr == b"" or b"unread" not in done.stderr

    def test_without_arguments_it_is_the_tools(self, folder: Path) -> None:
        done = skill(folder, "python-runner", input=b"print('from stdin')")
        assert done.stdout == b"from stdin\n"
        assert b"unread" not in done.stderr

    def test_a_dash_asks_for_it(self, folder: Path) -> None:
        assert skill(folder, "python-runner", "--", "-", input=b"print(7)").stdout == b"7\n"

    def test_both_ways(self, folder: Path) -> None:
        given = skill(folder, "-i", "python-runner", "--", "-c", UPPER, input=b"abc")
        assert given.stdout == b"ABC"
        kept = skill(folder, "--no-stdin", "python-runner", input=b"print(7)")
        assert (kept.stdout, kept.returncode) == (b"", 0)
        assert b"unread" not in kept.stderr
        both = skill(folder, "-i", "--no-stdin", "python-runner", input=b"")
        assert both.returncode == 2
        assert b"contradict" in both.stderr

    def test_what_was_not_given_is_told_once(self, folder: Path) -> None:
        done = skill(folder, "python-runner", "--", "-c", UPPER, input=b"abc")
        assert done.stdout == b""
        line = (
            b"skill: standard input was left unread; -i gives it to python-runner, --no-stdin is silent on it"
        )
        assert done.stderr.count(line) == 1
        quiet = skill(folder, "-q", "python-runner", "--", "-c", UPPER, input=b"abc")
        assert quiet.stderr == b""

    def test_what_was_taken_in_vain_is_told(self, folder: Path) -> None:
        done = skill(folder, "-i", "python-runner", "--", "-c", "print('done')", input=b"x" * (30 << 20))
        assert done.stdout == b"done\n"
        assert b"python-runner ended before its input did" in done.stderr


class TestExitCodes:
    def test_usage_is_2(self, folder: Path) -> None:
        done = skill(folder, "--nonsense", "ffmpeg")
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"--nonsense" in done.stderr
        assert skill(folder).returncode == 2

    def test_our_options_without_dashes(self, folder: Path) -> None:
        """Nothing but options with values: they are ours. Among a tool's words they are its own, and told
        where it fails."""
        done = skill(folder, "python-runner", "--timeout", "1", input=b"import time; time.sleep(60)")
        assert done.returncode == 124
        done = skill(folder, "python-runner", "--timeout", "1", "-c", "pass")
        assert done.returncode == 2
        assert b"--timeout went to the tool; for skill write it first: `skill --timeout" in done.stderr

    def test_an_unknown_skill_is_125(self, folder: Path) -> None:
        done = skill(folder, "ffmpg")
        assert (done.returncode, done.stdout) == (125, b"")
        assert b"ffmpeg" in done.stderr

    def test_a_refusal_is_125(self, folder: Path) -> None:
        (folder / "skills.toml").write_text(
            '[skills.x.docker]\nimage = "python:3.12-slim"\nnetwork = "host"\n'
        )
        done = skill(folder, "x")
        assert (done.returncode, done.stdout) == (125, b"")
        assert b"skills.toml:3" in done.stderr

    def test_no_engine_is_125(self, folder: Path) -> None:
        environment = os.environ | {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
        done = skill(folder, "python-runner", env=environment)
        assert done.returncode == 125
        assert b"/nowhere/docker.sock" in done.stderr

    def test_a_program_that_is_not_in_the_image_is_127(self, folder: Path) -> None:
        (folder / "skills.toml").write_text(
            '[skills.x.docker]\nimage = "python:3.12-slim"\nentrypoint = "no-such-program"\n'
        )
        assert skill(folder, "x").returncode == 127

    def test_timeout_is_124(self, folder: Path) -> None:
        start = time.monotonic()
        done = skill(folder, "--timeout", "1", "python-runner", "--", "-c", "import time; time.sleep(60)")
        assert done.returncode == 124
        assert time.monotonic() - start < 8 * pace()

    def test_no_raise_says_nothing_and_keeps_the_code(self, folder: Path) -> None:
        done = skill(folder, "--no-raise", "python-runner", "--", "-c", "raise SystemExit(5)")
        assert (done.returncode, done.stdout, done.stderr) == (5, b"", b"")
        done = skill(
            folder, "--no-raise", "--timeout", "1", "python-runner", "--", "-c", "import time; time.sleep(9)"
        )
        assert done.returncode == 124

    def test_quiet_is_the_tools_output_alone(self, folder: Path) -> None:
        (folder / "skills.toml").write_text(
            '[skills.x.docker]\nimage = "python:3.12-slim"\nentrypoint = "python3"\ncpus = "4000"\n'
        )
        done = skill(folder, "-q", "x", "--", "-c", "print('out'); raise SystemExit(3)")
        assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"")

    def test_out_of_memory_is_137(self, folder: Path) -> None:
        done = skill(folder, "--memory", "32m", "python-runner", "--", "-c", "x = bytearray(100 << 20)")
        assert done.returncode == 137
        assert b"out of memory at 32 MiB" in done.stderr


WAIT = "import sys, time; print('ready', flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_run_and_its_container(folder: Path, number: int, code: int) -> None:
    words = [*SKILL, "python-runner", "--", "-c", WAIT]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(ours(folder)) == 1
        start = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == code
        assert time.monotonic() - start < 3 * pace()
    assert ours(folder) == []


def test_an_interrupt_works_while_nobody_reads(folder: Path) -> None:
    """The command is blocked in a write to a full pipe; the run ends all the same."""
    code = "import sys; print('ready', flush=True)\nwhile True: sys.stdout.write('x' * 65536)"
    words = [*SKILL, "python-runner", "--", "-c", code]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        until = time.monotonic() + 4
        while ours(folder) and time.monotonic() < until:
            time.sleep(0.05)
        assert ours(folder) == []
        process.stdout.read()
        assert process.wait(10) == 130


def test_a_reader_that_leaves_ends_the_run(folder: Path) -> None:
    code = "import sys, time\nwhile True: print('x' * 1000, flush=True)"
    words = [*SKILL, "python-runner", "--", "-c", code]
    with subprocess.Popen(
        words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(5000)
        process.stdout.close()
        assert process.wait(10) == 141
        assert b"Traceback" not in process.stderr.read()


def test_output_is_live(folder: Path) -> None:
    code = "import time; print('first', flush=True); time.sleep(3); print('last')"
    words = [*SKILL, "python-runner", "--", "-c", code]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"first\n"
        start = time.monotonic()
        assert process.stdout.readline() == b"last\n"
        assert time.monotonic() - start > 1.5


def test_a_flood_goes_through_whole(folder: Path) -> None:
    code = "import sys; [sys.stdout.write('x' * 99 + chr(10)) for _ in range(10**6)]"
    with subprocess.Popen(
        [*SKILL, "python-runner", "--", "-c", code],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        count = 0
        while piece := process.stdout.read(1 << 20):
            count += len(piece)
        assert process.wait(60) == 0
    assert count == 100_000_000


# --- an ordinary user ----------------------------------------------------------------------------


@pytest.fixture
def home(users: None) -> Iterator[Path]:
    """A home directory of the user, where no parent is closed to them."""
    path = Path(tempfile.mkdtemp(prefix="skill-user-", dir="/tmp"))
    path.chmod(0o755)
    (path / "project").mkdir()
    for each in (path, path / "project"):
        os.chown(each, UID, UID)
    yield path
    shutil.rmtree(path)


def as_user(home: Path, *words: str, group: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*people.become(UID, [group]), people.python(), "-m", "skill_magic", *words],
        cwd=home / "project",
        env=people.environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture
def docker_group() -> int:
    """The group that may talk to the engine."""
    found = os.stat("/var/run/docker.sock")
    return found.st_gid


def test_files_belong_to_the_ordinary_user_who_ran_the_skill(home: Path, docker_group: int) -> None:
    code = """
import os, pathlib
os.makedirs("deep/er")
open("deep/er/file.txt", "w").write("mine")
(pathlib.Path.home() / "cache").write_text("home is writable")
print(os.getuid(), os.getgid())
"""
    done = as_user(home, "python-runner", "--", "-c", code, group=docker_group)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == f"{UID} {UID}\n"
    for path in ("deep", "deep/er", "deep/er/file.txt"):
        made = os.stat(home / "project" / path)
        assert (made.st_uid, made.st_gid) == (UID, UID)
    assert ours(home / "project") == []


def test_an_ordinary_user_is_somebody_in_the_container(home: Path, docker_group: int) -> None:
    done = as_user(
        home, "python-runner", "--", "-c", "import getpass; print(getpass.getuser())", group=docker_group
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.strip()


def test_ffmpeg_and_psql_run_for_an_ordinary_user(home: Path, docker_group: int) -> None:
    words = ["ffmpeg", "--", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=1", "-frames:v", "1", "out.png"]
    done = as_user(home, *words, group=docker_group)
    assert done.returncode == 0, done.stderr.decode()
    assert os.stat(home / "project" / "out.png").st_uid == UID
    done = as_user(home, "postgres", "--", "-h", "127.0.0.1", "-c", "SELECT 1", group=docker_group)
    assert b"local user with ID" not in done.stderr  # libpq asks who it is before it connects
    assert b"refused" in done.stderr


def test_a_user_without_permission_is_told_what_to_do(home: Path) -> None:
    done = as_user(home, "python-runner", group=UID)
    assert done.returncode == 125
    assert b"permission" in done.stderr
    assert b"docker" in done.stderr
