"""Files of runs that overlap, and what a notebook does with a file; on the real engine."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import skill_magic
from skill_magic.result import FileChange

from .kernels import Kernel, ours

pytestmark = pytest.mark.engine

WRITES = (
    "import sys, time; print('on', flush=True); time.sleep(float(sys.argv[2])); "
    "open(sys.argv[1], 'w').write('x'); time.sleep(float(sys.argv[3]))"
)
"""Writes its first argument after some seconds, and goes on for some."""


def writer(
    name: str, before: float = 0.0, after: float = 0.0, directory: Path | None = None
) -> skill_magic.Handle:
    args = ["-c", WRITES, name, str(before), str(after)]
    return skill_magic.start("python-runner", args, directory=directory)


def on(*handles: skill_magic.Handle) -> None:
    until = time.monotonic() + 60
    while not all("on" in handle.logs() for handle in handles):
        assert time.monotonic() < until
        time.sleep(0.02)


def paths(changes: tuple[FileChange, ...]) -> list[str]:
    return [change.path for change in changes]


def test_runs_at_once_never_claim_each_others_files(folder: Path) -> None:
    handles = [writer(f"s_{number}", 3.0, 1.0) for number in (10, 2, 1)]
    on(*handles)
    results = [handle.wait(60) for handle in handles]
    assert sorted(path.name for path in folder.iterdir()) == ["s_1", "s_10", "s_2"]
    for result in results:
        assert result.files == ()
        assert set(paths(result.unattributed_files)) <= {"s_1", "s_2", "s_10"}
        [note] = [note for note in result.notes if "cannot be told" in note]
        assert note in str(result._repr_mimebundle_()["text/plain"])
        assert "of another beside it" in str(result._repr_mimebundle_()["text/html"])
    last = max(results, key=lambda result: result.started + result.duration)
    assert paths(last.unattributed_files) == ["s_1", "s_2", "s_10"]
    alone = skill_magic.run("python-runner", ["-c", WRITES, "alone", "0", "0"])
    assert (paths(alone.files), alone.unattributed_files, alone.notes) == (["alone"], (), ())


def test_what_one_wrote_while_it_was_alone_is_its(folder: Path) -> None:
    code = "import time; print('on', flush=True); open('early', 'w'); time.sleep(6); open('late', 'w')"
    long = skill_magic.start("python-runner", ["-c", code])
    on(long)
    time.sleep(0.3)
    short = skill_magic.run("python-runner", ["-c", "open('short', 'w')"])
    assert (short.files, paths(short.unattributed_files)) == ((), ["short"])
    result = long.wait(60)
    assert paths(result.files) == ["early", "late"]
    assert paths(result.unattributed_files) == ["short"]


def test_folders_apart_are_told_apart(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
    handles = [writer("file", 2.0, 1.0, directory=folder / name) for name in ("a", "b")]
    on(*handles)
    for handle in handles:
        result = handle.wait(60)
        assert (paths(result.files), result.unattributed_files, result.notes) == (["file"], (), ())


def test_a_run_of_another_process_and_what_a_shell_says_of_it(folder: Path) -> None:
    """Both ends: what this process says, and what the other says on standard error."""
    handle = writer("mine", 5.0)
    on(handle)
    words = ["-c", "import time; open('theirs', 'w'); time.sleep(.5)"]
    done = subprocess.run(
        [sys.executable, "-m", "skill_magic", "python-runner", "--", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines() == [
        "skill: another run could write here at the same time, so whose these files are cannot be told: theirs"
    ]
    result = handle.wait(60)
    assert paths(result.files) == ["mine"]
    assert paths(result.unattributed_files) == ["theirs"]


def test_a_kept_run_whose_process_is_gone(folder: Path) -> None:
    """It is in the engine's list alone."""
    code = "import time; print('on', flush=True); time.sleep(60)"
    script = (
        f"import skill_magic; print(skill_magic.start('python-runner', ['-c', {code!r}], keep=True).name)"
    )
    script += "; import time; time.sleep(2)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    name = done.stdout.strip()
    try:
        result = skill_magic.run("python-runner", ["-c", "open('mine', 'w')"])
        assert (result.files, paths(result.unattributed_files)) == ((), ["mine"])
    finally:
        for verb in ("stop", "clean"):
            subprocess.run([sys.executable, "-m", "skill_magic", verb, name], check=True, capture_output=True)
    after = skill_magic.run("python-runner", ["-c", "open('after', 'w')"])
    assert paths(after.files) == ["after"]


def test_a_process_that_was_killed_is_no_neighbour_any_more(folder: Path) -> None:
    code = "import time; print('on', flush=True); time.sleep(60)"
    script = f"import skill_magic; skill_magic.run('python-runner', ['-c', {code!r}], show=True)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"on\n"
    process.kill()
    process.communicate()
    until = time.monotonic() + 20
    while ours(folder):
        assert time.monotonic() < until
        time.sleep(0.1)
    result = skill_magic.run("python-runner", ["-c", "open('mine', 'w')"])
    assert (paths(result.files), result.unattributed_files) == (["mine"], ())


def test_a_notebook_shows_a_file_and_hands_it_on(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    kernel = Kernel(folder)
    try:
        made = kernel.run("r = %skill -q imagemagick -- -size 8x6 xc:red a-10.png")
        assert made.ok, made.error
        shown = kernel.run("r.files[0]")
        assert '<img src="data:image/png;base64,' in shown.data("text/html")[0]
        size = (folder / "a-10.png").stat().st_size
        assert shown.data("text/plain") == [f"FileChange(path='a-10.png', kind='created', size={size})"]
        again = kernel.run("s = %skill -q imagemagick -- {r.files[0]} -resize 4x3 a-2.png")
        assert again.ok, again.error
        lines = (
            "import os, pathlib, skill_magic\n"
            "os.chdir('elsewhere')\n"
            "t = skill_magic.run('imagemagick', [r.files[0], s.files[0], '+append', 'b.png'], directory='..')\n"
            "print(open(s.files[0], 'rb').read(4), pathlib.Path(t.files[0]).exists(), t.files[0])"
        )
        assert kernel.run(lines).text() == "b'\\x89PNG' True b.png\n"
    finally:
        kernel.close()
