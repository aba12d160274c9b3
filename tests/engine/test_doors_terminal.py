"""The `skill` command and IPython at a real terminal, and what a person is asked there and nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from pace import pace

from .kernels import Kernel, ours

pytestmark = pytest.mark.engine

SKILL = [sys.executable, "-m", "skill_magic"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of one's own, so that grants given here end here; the project is not below it."""
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "project"
    path.mkdir()
    monkeypatch.setenv("MY_API_TOKEN", "hunter2hunter2")
    write(path)
    yield path
    assert ours(path) == []


def write(project: Path, extra: str = "") -> None:
    (project / "skills.toml").write_text(
        '[skills.x.docker]\nimage = "python:3.12-slim"\nentrypoint = "python3"\nnetwork = "bridge"\n'
        'environment = ["T=${MY_API_TOKEN}"]\n' + extra
    )


def terminal(words: list[str], folder: Path) -> Any:
    return pexpect.spawn(
        words[0], words[1:], cwd=str(folder), encoding="utf-8", timeout=30, dimensions=(40, 200)
    )


def rest(child: Any) -> str:
    child.expect(pexpect.EOF)
    child.close()
    return ESCAPES.sub("", child.before)


def skill(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [*SKILL, *words]
    return subprocess.run(
        line, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


class TestTrust:
    def test_a_person_is_asked_item_by_item_and_the_skill_then_runs(self, project: Path) -> None:
        done = skill(project, "x", "--", "-c", "print('must not run')")
        assert (done.returncode, done.stdout) == (125, "")
        assert "skill trust x" in done.stderr
        child = terminal([*SKILL, "trust", "x"], project)
        child.expect(r"\[y/N\] ")
        asked = child.before
        assert "MY_API_TOKEN" in asked
        assert "hunter2" not in asked
        child.sendline("y")
        assert "granted" in rest(child)
        assert child.exitstatus == 0
        done = skill(project, "x", "--", "-c", "import os; print(os.environ['T'])")
        assert (done.returncode, done.stdout) == (0, "hunter2hunter2\n"), done.stderr

    @pytest.mark.parametrize("answer", ["n", "", "Y E S", "\x04"])
    def test_anything_but_yes_grants_nothing(self, project: Path, answer: str) -> None:
        child = terminal([*SKILL, "trust", "x"], project)
        child.expect(r"\[y/N\] ")
        child.sendline(answer)
        rest(child)
        assert child.exitstatus == 1
        assert skill(project, "x", "--", "-c", "pass").returncode == 125

    def test_a_change_asks_again_and_shows_what_changed(self, project: Path) -> None:
        assert skill(project, "trust", "--yes", "x").returncode == 0
        assert skill(project, "x", "--", "-c", "pass").returncode == 0
        write(project, 'memory = "64m"\n')
        assert skill(project, "x", "--", "-c", "pass").returncode == 0  # a limit is no part of it
        write(project, 'working_dir = "/tmp"\n')
        assert skill(project, "x", "--", "-c", "pass").returncode == 125
        child = terminal([*SKILL, "trust", "x"], project)
        child.expect(r"\[y/N\] ")
        assert 'working_dir: nothing → "/tmp"' in child.before
        child.sendline("n")
        rest(child)

    def test_another_project_has_none_of_it_and_it_can_be_taken_back(
        self, project: Path, tmp_path: Path
    ) -> None:
        assert skill(project, "trust", "--yes", "x").returncode == 0
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "skills.toml").write_text((project / "skills.toml").read_text())
        assert skill(copy, "x", "--", "-c", "pass").returncode == 125
        assert skill(project, "trust", "--revoke", "x").returncode == 0
        assert skill(project, "x", "--", "-c", "pass").returncode == 125

    def test_a_pipe_is_nobody(self, project: Path) -> None:
        line = [*SKILL, "trust", "x"]
        done = subprocess.run(line, cwd=project, input="y\ny\n", capture_output=True, text=True, timeout=60)
        assert done.returncode == 125
        assert f"cd {project} && skill trust x" in done.stderr
        assert skill(project, "x", "--", "-c", "pass").returncode == 125

    def test_what_no_grant_can_give_is_not_asked_for(self, project: Path) -> None:
        write(project, 'extra_args = ["--privileged"]\n')
        done = skill(project, "trust", "--yes", "x")
        assert done.returncode == 125
        assert "privileged" in done.stderr

    def test_a_notebook_asks_its_person(self, project: Path) -> None:
        kernel = Kernel(project)
        try:
            cell = kernel.run(
                "%skill trust x"
            )  # a client without an input line, as nbclient and papermill are
            assert cell.reply["ename"] == "PolicyError"
            assert f"cd {project} && skill trust x" in cell.error
            cell = kernel.run("%skill trust --yes x", answers=("y",))
            assert cell.reply["ename"] == "PolicyError"
            cell = kernel.run("%skill trust x", answers=("y",))
            assert cell.ok, cell.error
            assert "MY_API_TOKEN" in cell.text()
            cell = kernel.run("%skill x -- -c 'print(5)'")
            assert cell.ok, cell.error
        finally:
            kernel.close()


class TestShell:
    def test_a_terminal_is_protected_and_summed_up(self, project: Path) -> None:
        code = r"import time; print('\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J|', flush=True); time.sleep(1)"
        child = terminal([*SKILL, "python-runner", "--", "-c", code], project)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
        assert "\x1b[31mred" in child.before
        assert "\x1b]0;" not in child.before
        assert "\x1b[2J" not in child.before
        assert "python-runner finished in" in ESCAPES.sub("", child.before)

    def test_what_is_typed_goes_to_a_tool_without_arguments(self, project: Path) -> None:
        child = terminal([*SKILL, "python-runner"], project)
        child.expect("what you type goes to python-runner")
        child.sendline("print(6 *")
        child.sendline("7)")
        child.sendeof()
        assert "42" in rest(child)
        assert child.exitstatus == 0

    def test_a_question_of_a_tool_with_arguments_is_answered_by_an_option(self, project: Path) -> None:
        code = "import sys; sys.exit('Overwrite? [y/N] ' + (sys.stdin.readline() or 'no answer'))"
        child = terminal([*SKILL, "python-runner", "--", "-c", code], project)
        shown = rest(child)
        assert "no answer" in shown
        assert "skill -i python-runner" in shown
        assert shown.count("Overwrite?") == 1  # the tool's own, and not once more in the error

    def test_a_tool_that_got_nothing_and_wrote_nothing_is_no_riddle(self, project: Path) -> None:
        child = terminal([*SKILL, "python-runner", "--", "-c", "import sys; sys.stdin.read()"], project)
        assert "the terminal is not passed on" in rest(child)
        assert child.exitstatus == 0

    def test_a_tool_with_arguments_gets_the_terminal_where_it_is_asked_for(self, project: Path) -> None:
        code = "import sys; print('got ' + sys.stdin.readline().strip().upper())"
        child = terminal([*SKILL, "-i", "python-runner", "--", "-c", code], project)
        child.expect("what you type goes to python-runner")
        child.sendline("word")
        assert "got WORD" in rest(child)
        assert child.exitstatus == 0

    def test_a_tool_of_a_background_job_does_not_read_the_terminal(self, project: Path) -> None:
        line = " ".join([*SKILL, "python-runner", "&", "wait; echo over $?"])
        child = terminal(["sh", "-mc", line], project)
        assert "over 0" in rest(child)

    def test_control_c(self, project: Path) -> None:
        code = "import time; print('ready', flush=True); time.sleep(60)"
        child = terminal([*SKILL, "python-runner", "--", "-c", code], project)
        child.expect("ready")
        start = time.monotonic()
        child.sendintr()
        assert "stopped" in rest(child)
        assert child.exitstatus == 130
        assert time.monotonic() - start < 3 * pace()
        assert ours(project) == []


class TestIPython:
    @pytest.fixture
    def ipython(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        monkeypatch.setenv("IPYTHONDIR", str(project.parent / "ipython"))
        words = ["-m", "IPython", "--simple-prompt", "--no-banner", "--quick", "--colors=NoColor"]
        child = terminal([sys.executable, *words], project)
        self.do(child, "%load_ext skill_magic")
        yield child
        if not child.closed:
            child.sendline("exit")
            child.close()

    @staticmethod
    def do(child: Any, line: str) -> None:
        child.expect(r"In \[\d+\]: ")
        child.sendline(line)

    def shown(self, child: Any, line: str) -> str:
        """What ``line`` shows, up to the next prompt."""
        self.do(child, line)
        child.expect("\r\n")
        child.expect(r"(?=In \[\d+\]: )")
        return ESCAPES.sub("", child.before).replace("\r", "")

    def test_output_comes_once(self, ipython: Any) -> None:
        shown = self.shown(ipython, "%skill python-runner -- -c 'print(6 * 7)'")
        assert shown.count("42") == 1
        assert "Out[2]: <RunResult python-runner finished" in shown
        assert "43" in self.shown(ipython, "r = %skill python-runner -- -c 'print(43)'")
        assert "'43\\n'" in self.shown(ipython, "r.stdout")

    def test_the_working_directory_is_followed_where_there_is_no_notebook(
        self, ipython: Any, project: Path
    ) -> None:
        (project / "sub").mkdir()
        (project / "sub" / "here.txt").touch()
        self.shown(ipython, "%cd -q sub")
        assert "here.txt" in self.shown(
            ipython, "%skill python-runner -- -c 'import os; print(os.listdir())'"
        )

    def test_errors_are_short(self, ipython: Any) -> None:
        shown = self.shown(ipython, "%skill python-runner -- -c 'raise SystemExit(3)'")
        assert "SkillFailed: python-runner failed: exit code 3" in shown
        assert "Traceback" not in shown

    def test_control_c(self, ipython: Any, project: Path) -> None:
        code = 'import time; print(chr(114) + "eady", flush=True); time.sleep(60)'
        self.do(ipython, f"%skill python-runner -- -c '{code}'")
        ipython.expect("\nready")
        start = time.monotonic()
        ipython.sendintr()
        ipython.expect("SkillInterrupted")
        assert time.monotonic() - start < 3 * pace()
        assert ours(project) == []
        assert "42" in self.shown(ipython, "6 * 7")

    def test_a_background_run_that_ends_with_it_is_told(self, ipython: Any) -> None:
        self.shown(ipython, "h = %skill --bg python-runner -- -c 'import time; time.sleep(60)'")
        name = self.shown(ipython, "h.name").split("'")[1]
        self.do(ipython, "exit")
        assert f"skill: stopping {name}, which ran in the background" in rest(ipython)

    def test_tables(self, ipython: Any) -> None:
        assert "ffmpeg" in self.shown(ipython, "%skill list")
        assert "engine" in self.shown(ipython, "%skill doctor")
