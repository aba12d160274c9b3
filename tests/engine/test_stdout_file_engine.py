"""``--stdout FILE`` and the line on words of a shell, at the three doors, with tools on a real engine."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import skill_magic
from skill_magic.files import FileRefusedError

from .kernels import Kernel, ours

pytestmark = pytest.mark.engine

SHELL = [sys.executable, "-P", "-m", "skill_magic"]
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = ["-size", "64x64", "xc:red", "png:-"]
FLOOD = "import os\nwhile True: os.write(1, bytes(65536))"


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    until = time.monotonic() + 10
    while (left := ours(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []
    assert list(tmp_path.rglob("*.skill-stdout")) == []


def skill(directory: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*SHELL, *words],
        cwd=directory,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
        **options,
    )


class TestShell:
    def test_a_picture(self, tmp_path: Path) -> None:
        done = skill(tmp_path, "--stdout", "out.png", "imagemagick", "--", *PICTURE)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        plain = skill(
            tmp_path,
            "imagemagick",
            "--",
            *PICTURE[:-1],
            "-strip",
            "-define",
            "png:exclude-chunks=date",
            "png:-",
        )
        assert (tmp_path / "out.png").read_bytes().startswith(PNG)
        assert plain.stdout.startswith(PNG)
        assert [path.name for path in tmp_path.iterdir()] == ["out.png"]

    def test_all_bytes_of_a_long_output(self, tmp_path: Path) -> None:
        code = "import random, sys; random.seed(1); sys.stdout.buffer.write(random.randbytes(20_000_000))"
        done = skill(
            tmp_path, "--stdout", "a", "python-runner", "--", "-c", f"{code}; print(1, file=sys.stderr)"
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"1\n")
        import random

        random.seed(1)
        wanted = hashlib.sha256(random.randbytes(20_000_000)).hexdigest()
        assert hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest() == wanted

    def test_a_tool_that_fails(self, tmp_path: Path) -> None:
        (tmp_path / "out.txt").write_text("before")
        failing = ["python-runner", "--", "-c", "print('half'); import sys; sys.exit(3)"]
        done = skill(tmp_path, "--stdout", "out.txt", *failing)
        assert done.returncode == 3
        assert done.stdout == b""
        assert (
            b"hint: out.txt is as it was before: it takes the output of a run that ends well; --no-raise"
            in done.stderr
        )
        assert (tmp_path / "out.txt").read_text() == "before"
        assert skill(tmp_path, "--no-raise", "--stdout=out.txt", *failing).returncode == 3
        assert (tmp_path / "out.txt").read_text() == "half\n"

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_run_that_is_stopped(self, tmp_path: Path, number: signal.Signals) -> None:
        code = "import os, time\nopen('begun', 'w').close(); os.write(1, b'half'); time.sleep(60)"
        process = subprocess.Popen(
            [*SHELL, "--stdout", "out.txt", "python-runner", "--", "-c", code],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert out == b""
        assert b"out.txt was not written" in err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["begun"]

    def test_a_run_that_takes_too_long(self, tmp_path: Path) -> None:
        done = skill(tmp_path, "--timeout=2", "--stdout", "out", "python-runner", "--", "-c", FLOOD)
        assert done.returncode == 124
        assert b"out was not written" in done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_is_full(self, tmp_path: Path) -> None:
        def small() -> None:  # no file of the process may be larger, as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        done = skill(tmp_path, "--stdout", "out", "python-runner", "--", "-c", FLOOD, preexec_fn=small)
        assert done.returncode == 74
        said = f"standard output could not be written to out: {os.strerror(27)}"
        ours = [
            each for each in done.stderr.decode().splitlines() if each.startswith(("Skill", "skill", "hint"))
        ]
        assert ours == [
            f"SkillFailed: python-runner failed: {said}"
        ]  # beside the words of Python, which was stopped
        assert list(tmp_path.iterdir()) == []

    def test_what_is_refused_starts_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path.parent / "elsewhere")
        for name in ("link", "../x", "/etc/x", ".git/hooks/post-commit", ".bashrc", "no/x"):
            done = skill(tmp_path, "--stdout", name, "python-runner", "--", "-c", "open('ran', 'w')")
            assert done.returncode == 125
            assert done.stderr.startswith(b"FileRefusedError: ")
            assert len(done.stderr.splitlines()) == 2
        assert [path.name for path in tmp_path.iterdir()] == ["link"]
        assert skill(tmp_path, "--stdout", "-", "python-runner", "--", "-c", "0").returncode == 2

    def test_a_link_that_the_tool_puts_in_the_files_place(self, tmp_path: Path) -> None:
        (tmp_path / "p").mkdir()
        (tmp_path / "secret").write_text("mine")
        code = "import os; os.symlink('../secret', 'out.txt'); print('words')"
        done = skill(tmp_path / "p", "--stdout", "out.txt", "python-runner", "--", "-c", code)
        assert done.returncode == 0
        assert (tmp_path / "p/out.txt").read_text() == "words\n"
        assert not (tmp_path / "p/out.txt").is_symlink()
        assert (tmp_path / "secret").read_text() == "mine"

    def test_a_folder_that_the_tool_swaps_for_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "p/sub").mkdir(parents=True)
        (tmp_path / "other").mkdir()
        code = "import os; os.rename('sub', 'sub2'); os.symlink('../other', 'sub'); print('words')"
        done = skill(tmp_path / "p", "--stdout", "sub/out.txt", "python-runner", "--", "-c", code)
        assert done.returncode == 74
        link, error = done.stderr.decode().splitlines()
        assert link.startswith("skill: this run made links that lead out of the directory: sub")
        assert error.endswith("'sub' is a link")
        assert list((tmp_path / "other").iterdir()) == []
        assert list((tmp_path / "p/sub2").iterdir()) == []

    def test_words_of_a_shell_in_a_run_that_ends_well(self, tmp_path: Path) -> None:
        tool = ["python-runner", "--", "-c", "print(1)"]
        done = skill(tmp_path, *tool, ">", "out.txt")
        assert done.returncode == 0
        assert done.stdout == b"1\n"
        said = "skill: there is no shell: > went to the tool as an argument; --stdout out.txt writes a file"
        assert done.stderr.decode().splitlines() == [said]
        for words in (
            ["a|b"],
            [">", "3"],
            ["100x100>"],
            ["(", "a", ")"],
            [".a | .b"],
            ["[0:v]scale=1:2[a];[a]"],
            ["*.mp4"],
        ):
            assert skill(tmp_path, *tool, *words).stderr == b""
        assert skill(tmp_path, "-q", *tool, "2>&1").stderr == b""


class TestPython:
    def test_the_result(self, tmp_path: Path) -> None:
        result = skill_magic.run("imagemagick", PICTURE, directory=tmp_path, stdout=Path("out.png"))
        assert [(change.path, change.kind) for change in result.files] == [("out.png", "created")]
        assert result.files[0].size == (tmp_path / "out.png").stat().st_size
        assert result.stdout_bytes == b""
        assert result.stdout_file == "out.png"
        page = result._repr_mimebundle_()["text/html"]
        assert page.count("<img") == 1  # once, as a file
        assert "standard output: out&#46;png" in page or "standard output: out.png" in page

    def test_what_is_no_name(self, tmp_path: Path) -> None:
        for wrong in (subprocess.PIPE, b"out", sys.stdout, Path):
            with pytest.raises(TypeError, match="name of a file"):
                skill_magic.run("python-runner", ["-c", "0"], directory=tmp_path, stdout=wrong)  # type: ignore[arg-type]
        with pytest.raises(FileRefusedError):
            skill_magic.run("python-runner", ["-c", "0"], directory=tmp_path, stdout="../x")

    def test_in_the_background(self, tmp_path: Path) -> None:
        handle = skill_magic.start("python-runner", ["-c", "print(1)"], directory=tmp_path, stdout="out.txt")
        assert handle.wait(60).stdout_file == "out.txt"
        assert (tmp_path / "out.txt").read_text() == "1\n"
        handle = skill_magic.start("python-runner", ["-c", FLOOD], directory=tmp_path, stdout="out.txt")
        while handle.state == "starting":
            time.sleep(0.05)
        handle.stop()
        with pytest.raises(skill_magic.SkillStopped):
            handle.wait(60)
        assert (tmp_path / "out.txt").read_text() == "1\n"
        with pytest.raises(skill_magic.CommandError, match="--keep and --stdout"):
            skill_magic.start("python-runner", directory=tmp_path, stdout="out.txt", keep=True)

    def test_much_output_takes_no_memory(self, tmp_path: Path) -> None:
        code = (
            "import skill_magic, resource\n"
            "flood = 'import os\\nfor _ in range(4096): os.write(1, bytes(65536))'\n"
            "skill_magic.run('python-runner', ['-c', '0'])\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "skill_magic.run('python-runner', ['-c', flood], stdout='out')\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        assert (tmp_path / "out").stat().st_size == 256 << 20
        assert int(done.stdout) < 64 << 10  # KiB


class TestNotebook:
    def test_a_line_a_cell_and_a_habit(self, tmp_path: Path) -> None:
        kernel = Kernel(tmp_path)
        try:
            cell = kernel.run(
                "name = 'out.png'\nr = %skill --stdout {name} imagemagick -- -size 9x9 xc:red png:-"
            )
            assert cell.ok, cell.error
            assert (tmp_path / "out.png").read_bytes().startswith(PNG)
            assert "created out.png" in cell.data("text/plain")[-1]
            cell = kernel.run("%%skill --stdout sub.txt python-runner\nprint('a\\x1b[31mb')")
            assert cell.ok, cell.error
            assert (tmp_path / "sub.txt").read_bytes() == b"a\x1b[31mb\n"
            cell = kernel.run("%skill node-runner -- -e console.log(1) > out.txt")
            assert cell.ok, cell.error
            said = (
                "note: there is no shell: > went to the tool as an argument; --stdout out.txt writes a file"
            )
            assert cell.data("text/plain")[-1].count(said) == 1
            assert cell.data("text/html")[-1].count("there is no shell") == 1
            cell = kernel.run("%skill node-runner -- -e console.log(1) '>' out.txt")
            assert "shell" not in cell.data("text/plain")[-1]
            cell = kernel.run("%skill --stdout sub.txt python-runner -- -c 'print(1); 1/0'")
            assert not cell.ok
            assert "sub.txt is as it was before" in cell.error
        finally:
            kernel.close()
