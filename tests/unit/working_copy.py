"""A copy of this working tree as a repository of its own, for tests of the scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GIT = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false")


def tracked() -> list[str]:
    """The files that git tracks here and that are there, as they stand in the working tree."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of its files to compare with")
    listed = subprocess.run(
        [*GIT, "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        env=clean(),
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def clean() -> dict[str, str]:
    """Our environment without what a git that runs us (in a hook) has set for its own repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def git(folder: Path, *words: str) -> str:
    """What git prints in a folder."""
    return run(*GIT, *words, cwd=folder, env=clean()).stdout


def run(*words: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that has to succeed."""
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def make(folder: Path, names: Iterable[str]) -> Path:
    """A repository in ``folder`` with these files of ours in one commit."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All of it")
    return folder


def program(folder: Path, name: str, text: str) -> None:
    """A program of the copy's .venv, in shell."""
    path = folder / ".venv" / "bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def environment(folder: Path) -> None:
    """A .venv in the copy that scripts/setup takes for complete: the Python that runs this test."""
    program(folder, "python", f'exec "{sys.executable}" "$@"')
    with (folder / "pyproject.toml").open("rb") as file:
        stamp = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True).stdout
    (folder / ".venv" / ".installed-dev").write_text(stamp)
