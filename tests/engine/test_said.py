"""What a person is told on the real engine: faults that only the image shows, hints, what `clean` took away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of a person whose caches are their own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "home").mkdir()
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def skill(project: Path, *words: str, text: str = "") -> tuple[int, str, list[str]]:
    """(exit code, stdout, lines of stderr) of the command; skill ``x`` is Python and ``text``."""
    head = '[skills.x.docker]\nimage = "python:3.12-slim"\n'
    entrypoint = "" if "entrypoint" in text else 'entrypoint = "python3"\n'
    (project / "skills.toml").write_text(head + entrypoint + text)
    command = [sys.executable, "-m", "skill_magic", *words]
    done = subprocess.run(
        command,
        cwd=project,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize("user", ["nosuchuser", "nobody:nosuchgroup"])
def test_a_user_that_the_image_does_not_know(project: Path, user: str) -> None:
    code, _, said = skill(project, "x", "--", "-c", "1", text=f'user = "{user}"\n')
    assert code == 125
    assert said[0].startswith("PolicyError: x: ")
    assert said[1] == f"  {project}/skills.toml:4: user = {user!r} [user-unknown]"
    assert "Write uid:gid" in said[2]


def test_a_path_of_the_host(project: Path) -> None:
    code, _, said = skill(project, "x", "--", str(project / "in.py"))
    assert code == 2
    assert said[-1] == f"hint: the tool sees {project} as /workdir: write in.py"


def test_an_entrypoint_of_two_words(project: Path) -> None:
    code, _, said = skill(project, "x", "--", "1", text='entrypoint = "python3 -c"\n')
    assert code == 127
    assert 'write entrypoint = "python3"' in said[-1]


def test_a_failure_is_said_once(project: Path) -> None:
    code, _, said = skill(project, "x", "--", "-c", "import sys; sys.exit('no such thing')")
    assert (code, said) == (1, ["no such thing", "SkillFailed: x failed: exit code 1"])


def test_clean_says_how_much_output_it_removed(project: Path) -> None:
    assert skill(project, "x", "--", "-c", "print('x' * 3_000_000)")[0] == 0
    runs = project.parent / "home/.cache/skill_magic/runs"
    assert len(os.listdir(runs)) == 1
    assert skill(project, "clean")[1].strip().endswith("2.86 MiB of output of earlier runs")
    assert os.listdir(runs) == []
