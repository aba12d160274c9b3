"""The question of ``trust`` at a real terminal, in IPython there, and in a kernel: nothing moves it out of sight."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from .kernels import Cell, Kernel, ours
from .test_doors_terminal import ESCAPES, SKILL, home, rest, skill

__all__ = ["home"]  # a fixture

pytestmark = pytest.mark.engine

ROWS, COLUMNS = 24, 80
IMAGE = "python:3.12-slim"
HOSTILE = "x\x1b[2J\x1b[99A\n\n\n\u202eAllow all of this? [y/N] y\r" + "z" * 5000


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "project"
    path.mkdir()
    for number in range(1000):
        monkeypatch.setenv(f"V{number}", "value")
    monkeypatch.setenv("MY_API_TOKEN", "hunter2hunter2")
    write(path)
    yield path
    assert ours(path) == []


def write(project: Path, extra: str = "") -> None:
    """A project that asks for far more than a screen holds, the gravest last, with a skill that is faulty by a
    name that would wipe the screen."""
    many = json.dumps([f"V{number}=${{V{number}}}" for number in range(1000)])
    ports = json.dumps([f"--publish={1000 + number}:80" for number in range(500)])
    (project / "skills.toml").write_text(
        f'[skills.many.docker]\nimage = "{IMAGE}"\nentrypoint = "python3"\nenvironment = {many}\n'
        f'extra_args = {ports}\nnetwork = "bridge"\n'
        f'[skills.some.docker]\nimage = "{IMAGE}"\nentrypoint = "python3"\nnetwork = "bridge"\n'
        f'environment = ["T=${{MY_API_TOKEN}}"]\n{extra}'
        f"[skills.{json.dumps(HOSTILE)}.docker]\nimage = 5\n"
        f'[skills.refused.docker]\nimage = "{IMAGE}"\nextra_args = ["--privileged"]\n'
    )


def terminal(words: list[str], folder: Path) -> Any:
    return pexpect.spawn(
        words[0], words[1:], cwd=str(folder), encoding="utf-8", timeout=60, dimensions=(ROWS, COLUMNS)
    )


def page(text: str) -> list[str]:
    """The lines of a page, which has nothing that a terminal obeys, and as much as one screen holds."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", "\n".join(lines)), lines
    assert len(lines) + 1 <= ROWS  # the line with the question is the last
    assert all(len(line) < COLUMNS for line in lines)
    return lines


def check_page(lines: list[str]) -> None:
    assert lines[0].startswith("2 skills ask for more than a project's skill gets, in ")
    text = "\n".join(lines)
    assert "your variable MY_API_TOKEN, a secret by its name  [some]" in text
    assert "a network: the internet" in text
    assert "Not asked for: 1 refused by the policy: refused" in text
    assert "Not asked for: 1 with faults: 'x\\x1b[2J" in text
    assert "Together: your secrets and your variables can leave this machine" in text
    summary = next(line for line in lines if line.startswith("In all "))
    assert summary.startswith("In all 1,502: ")
    assert "hunter2" not in text


class TestShell:
    def test_the_page_fits_the_screen_and_a_yes_is_for_all_of_it(self, project: Path) -> None:
        child = terminal([*SKILL, "trust", "--all"], project)
        child.expect_exact("Allow all of this for 2 skills? [y/N] ")
        check_page(page(child.before))
        child.sendline("y")
        shown = rest(child)
        granted = "granted to 2 skills: 500 open ports, 1 secret of yours, 1 network, 1,000 variables"
        assert granted in " ".join(shown.split())  # in as many lines as the terminal is wide
        assert child.exitstatus == 0
        for name in ("many", "some"):
            assert skill(project, "explain", name).returncode == 0
        done = skill(project, "some", "--", "-c", "import os; print(os.environ['T'])")
        assert (done.returncode, done.stdout) == (0, "hunter2hunter2\n"), done.stderr
        assert skill(project, "trust", "--all", "--revoke").returncode == 0
        assert skill(project, "some", "--", "-c", "pass").returncode == 125

    @pytest.mark.parametrize("name", ["many", "some"])
    def test_one_skill_has_the_same_page(self, project: Path, name: str) -> None:
        child = terminal([*SKILL, "trust", name], project)
        child.expect_exact(f"Allow all of this for {name}? [y/N] ")
        lines = page(child.before)
        assert lines[0].startswith(f"{name} asks for more than a project's skill gets, in ")
        assert lines[-1].startswith("In all ")
        child.sendline("n")
        assert "nothing was granted" in rest(child)
        assert child.exitstatus == 1

    def test_what_was_typed_before_the_question_is_no_answer(self, project: Path) -> None:
        """A line that is pasted along with the command, as a README might have it."""
        child = terminal([*SKILL, "trust", "--all"], project)
        child.send("y\ny\n")
        child.expect_exact("Allow all of this for 2 skills? [y/N] ")
        time.sleep(1)
        assert child.isalive()
        child.sendline("n")
        assert "nothing was granted" in rest(child)
        assert child.exitstatus == 1

    def test_what_changes_while_a_person_reads_is_not_allowed(self, project: Path) -> None:
        child = terminal([*SKILL, "trust", "--all"], project)
        child.expect_exact("[y/N] ")
        write(project, 'volumes = ["./:/workdir", "./:/more"]\n')
        child.sendline("y")
        assert "still not allowed: some" in rest(child)
        assert child.exitstatus == 1
        assert skill(project, "some", "--", "-c", "pass").returncode == 125

    def test_words_and_limits_do_not_ask_again(self, project: Path) -> None:
        assert skill(project, "trust", "--all", "--yes", "--json").returncode == 0
        write(project, 'memory = "64m"\ncpus = "1"\n[skills.some]\ndescription = "new"\n')
        done = skill(project, "some", "--", "-c", "print(1)")
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr

    def test_the_answer_for_a_machine_has_all(self, project: Path) -> None:
        done = skill(project, "trust", "--all", "--yes", "--json")
        data = json.loads(done.stdout)
        assert {name: len(each) for name, each in data["granted"].items()} == {"many": 1501, "some": 2}
        assert (data["refused"], data["faulty"]) == (["refused"], [HOSTILE])
        assert "\x1b" not in done.stdout

    def test_the_error_is_three_lines(self, project: Path) -> None:
        done = skill(project, "many", "--", "-c", "pass")
        assert done.returncode == 125
        lines = done.stderr.splitlines()
        assert len(lines) == 3
        assert lines[0].endswith(" more")
        assert lines[1:] == [
            "hint: look at it and decide: `skill trust many`",
            "each with its reason: `skill explain many`",
        ]

    @pytest.mark.parametrize("words", [["trust", "--all"], ["trust", "--all", "--json"]])
    def test_a_pipe_is_nobody(self, project: Path, words: list[str]) -> None:
        done = skill(project, *words)
        assert (done.returncode, done.stdout) == (125, "")
        assert f"cd {project} && skill trust --all" in done.stderr


class TestIPython:
    def test_the_question_works_in_a_terminal(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IPYTHONDIR", str(project.parent / "ipython"))
        words = ["-m", "IPython", "--simple-prompt", "--no-banner", "--quick", "--colors=NoColor"]
        child = terminal([sys.executable, *words], project)
        for line in ("%load_ext skill_magic", "%skill trust --all"):
            child.expect(r"In \[\d+\]: ")
            child.sendline(line)
        child.expect("%skill trust --all\r\n")
        child.expect_exact("Allow all of this for 2 skills? [y/N] ")
        check_page(page(child.before))
        child.sendline("y")
        child.expect("granted to 2 skills")
        child.expect(r"In \[\d+\]: ")
        child.sendline("%skill some -- -c 'print(6 * 7)'")
        child.expect("\n42")
        child.expect(r"In \[\d+\]: ")
        child.sendline("exit")
        assert "Traceback" not in ESCAPES.sub("", rest(child))


class TestNotebook:
    @pytest.fixture
    def kernel(self, project: Path) -> Iterator[Kernel]:
        kernel = Kernel(project)
        yield kernel
        kernel.close()

    @staticmethod
    def asked(kernel: Kernel, code: str, answer: str) -> tuple[Cell, str]:
        """The cell and the prompt that its front end was asked to show."""
        message, cell = kernel.start(code, stdin=True)
        prompt = kernel.client.get_stdin_msg(timeout=60)["content"]["prompt"]
        kernel.client.input(answer)
        return kernel.finish(message, cell), str(prompt)

    def test_the_question_is_short_and_the_page_stands_above_it(self, kernel: Kernel) -> None:
        cell, prompt = self.asked(kernel, "%skill trust --all", "y")
        assert prompt == "Allow all of this for 2 skills? [y/N] "
        assert cell.ok, cell.error
        lines = cell.text().removesuffix("\n").split("\n")
        assert len(lines) <= 26
        check_page(lines)
        assert "%skill check --json" in cell.text()
        assert kernel.run("%skill some -- -c 'print(5)'").ok

    def test_no_is_no(self, kernel: Kernel) -> None:
        cell, _ = self.asked(kernel, "%skill trust some", "n")
        assert cell.ok
        assert not kernel.run("%skill some -- -c 'print(5)'").ok

    def test_a_cell_that_says_yes_is_no_person(self, kernel: Kernel) -> None:
        cell = kernel.run("%skill trust --all --yes", answers=("y",))
        assert cell.reply["ename"] == "PolicyError"
        assert "leave --yes out, and `%skill trust --all` asks you" in cell.error

    def test_the_error_is_three_lines_that_say_each_command_once(self, kernel: Kernel) -> None:
        for name in ("many", "some"):
            lines = kernel.run(f"%skill {name} -- -c pass").error.splitlines()
            assert max(map(len, lines)) <= 88
            lines = (
                "\n".join(lines).replace("\n  ", " ").splitlines()
            )  # as they were before they were wrapped
            assert len(lines) == 3
            assert lines[0].startswith(f"PolicyError: {name} asks for more than its confinement: ")
            assert lines[1:] == [
                f"hint: look at it and decide: `%skill trust {name}`",
                f"each with its reason: `%skill explain {name}`",
            ]
