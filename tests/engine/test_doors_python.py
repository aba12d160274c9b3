"""skill_magic.run and its kin: the door in Python."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pace import pace

import skill_magic

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("folder")]

READ = "import sys; sys.stdout.write(sys.stdin.read().upper())"


def test_standard_input_in_three_forms(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from a file")
    assert skill_magic.run("python-runner", ["-c", READ], stdin="ein Text, grün").stdout == "EIN TEXT, GRÜN"
    assert skill_magic.run("python-runner", ["-c", READ], stdin=b"bytes").stdout_bytes == b"BYTES"
    assert skill_magic.run("python-runner", ["-c", READ], stdin=io.BytesIO(b"io")).stdout == "IO"
    with open("file", "rb") as file:
        assert skill_magic.run("python-runner", ["-c", READ], stdin=file).stdout == "FROM A FILE"


def test_arguments_are_paths_and_texts_never_one_line(tmp_path: Path) -> None:
    code = "import sys; print(sys.argv[1:])"
    assert skill_magic.run("python-runner", ["-c", code, Path("a b")]).stdout == "['a b']\n"
    with pytest.raises(TypeError, match="sequence"):
        skill_magic.run("python-runner", "-c pass")


def test_another_directory(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "here.txt").touch()
    result = skill_magic.run("python-runner", ["-c", "import os; print(os.listdir())"], directory=other)
    assert result.stdout == "['here.txt']\n"


def test_check_false_returns_what_went_wrong() -> None:
    result = skill_magic.run("python-runner", ["-c", "raise SystemExit(9)"], check=False)
    assert (result.exit_code, result.ok, result.state) == (9, False, "failed")
    result = skill_magic.run("python-runner", ["-c", "import time; time.sleep(60)"], timeout=1, check=False)
    assert result.state == "timeout"
    with pytest.raises(skill_magic.SkillTimeout):
        skill_magic.run("python-runner", ["-c", "import time; time.sleep(60)"], timeout=1)


def test_limits_of_the_call() -> None:
    with pytest.raises(skill_magic.SkillKilled):
        skill_magic.run("python-runner", ["-c", "x = bytearray(100 << 20)"], memory="32m")
    with pytest.raises(skill_magic.SpecError):
        skill_magic.run("python-runner", ["-c", "pass"], memory="a lot")


def test_nothing_is_printed_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    skill_magic.run("python-runner", ["-c", "print('quiet')"])
    assert capfd.readouterr() == ("", "")
    skill_magic.run("python-runner", ["-c", "print('loud')"], show=True)
    assert capfd.readouterr().out == "loud\n"


def test_a_manifest_by_name(tmp_path: Path) -> None:
    text = '[skills.mine.docker]\nimage = "python:3.12-slim"\nentrypoint = "echo"\n'
    (tmp_path / "other.toml").write_text(text)
    assert skill_magic.run("mine", ["hello"], manifest="other.toml").stdout == "hello\n"


def test_a_handle() -> None:
    handle = skill_magic.start("python-runner", ["-c", "import time; print(1, flush=True); time.sleep(2)"])
    with pytest.raises(TimeoutError):
        handle.wait(0.2)
    until = time.monotonic() + 20
    while "1" not in handle.logs() and time.monotonic() < until:
        time.sleep(0.02)
    assert handle.state == "running"
    assert handle.result is None
    assert "running" in repr(handle)
    assert handle.wait(20).stdout == "1\n"
    assert handle.state == "finished"


def test_a_handle_whose_run_never_starts(tmp_path: Path) -> None:
    (tmp_path / "skills.toml").write_text('[skills.x.docker]\nimage = "no-such-image-at-all:latest"\n')
    handle = skill_magic.start("x")
    with pytest.raises(skill_magic.ImageError):
        handle.wait(60)
    assert handle.state == "error"
    (tmp_path / "skills.toml").write_text('[skills.x.docker]\nimage = "x"\nnetwork = "host"\n')
    with pytest.raises(skill_magic.PolicyError):
        skill_magic.start("x")


def test_a_run_in_another_thread_and_its_stop() -> None:
    """Signals are the main thread's; a run elsewhere neither needs nor touches them."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    results: list[str] = []
    thread = threading.Thread(
        target=lambda: results.append(skill_magic.run("python-runner", ["-c", "print(5)"]).stdout)
    )
    thread.start()
    thread.join(30)
    assert results == ["5\n"]
    skill_magic.run("python-runner", ["-c", "pass"])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_view_that_breaks_ends_the_run(tmp_path: Path) -> None:
    from skill_magic.events import Event, Output
    from skill_magic.views.base import QuietView

    class Broken(QuietView):
        def event(self, event: Event) -> None:
            if isinstance(event, Output):
                raise ZeroDivisionError

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        skill_magic.run(
            "python-runner", ["-c", "import time; print(1, flush=True); time.sleep(60)"], view=Broken()
        )
    assert time.monotonic() - start < 10 * pace()


def test_a_kept_run_is_picked_up_by_another_process(tmp_path: Path) -> None:
    code = "import time; print('first', flush=True); time.sleep(3); open('made', 'w').close(); print('last')"
    start = f"import skill_magic; print(skill_magic.start('python-runner', ['-c', {code!r}], keep=True).name)"
    script = f"{start}; import time; time.sleep(1.5)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    name = done.stdout.strip()
    handle = skill_magic.attach(name)
    try:
        assert handle.name == name
        assert handle.skill == "python-runner"
        result = handle.wait(30)
        assert (result.state, result.exit_code) == ("finished", 0)
        assert result.stdout == "first\nlast\n"
        assert result.duration > 2.5
    finally:
        subprocess.run([sys.executable, "-m", "skill_magic", "clean", name], check=True, capture_output=True)


def test_only_what_is_there_can_be_picked_up() -> None:
    with pytest.raises(skill_magic.EngineError, match="nosuchrun"):
        skill_magic.attach("nosuchrun")
