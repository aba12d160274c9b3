"""What the live probes share: a project with a hostile manifest, an ordinary user, images of one test."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import skill_magic
from skill_magic.host import discover
from skill_magic.mounts.text import volume_name
from skill_magic.result import RunResult

from . import people
from .kernels import ours
from .people import UID as UID  # re-exported: most probes name both

PYTHON = "python:3.12-slim"

TRIES = """
import errno, os

def attempt(name, work):
    try:
        found = work()
        print(name, "DONE", "" if found is None else found)
    except OSError as error:
        print(name, errno.errorcode.get(error.errno, error.errno or type(error).__name__))
"""
"""Python for inside a container: ``attempt("x", f)`` prints ``x DONE`` or ``x EPERM``."""


def manifest(*lines: str, image: str = PYTHON, entrypoint: str = "python3") -> str:
    """A manifest of the one skill ``x``."""
    return "\n".join(["[skills.x.docker]", f'image = "{image}"', f'entrypoint = "{entrypoint}"', *lines, ""])


@dataclasses.dataclass
class Project:
    """A notebook's directory with a manifest somebody else wrote."""

    path: Path

    def write(self, *lines: str, **changes: str) -> None:
        (self.path / "skills.toml").write_text(manifest(*lines, **changes), encoding="utf-8")

    def run(self, code: str, *args: str, **options: Any) -> RunResult:
        """Run Python in skill ``x``, whatever its end."""
        return skill_magic.run("x", ["-c", code, *args], directory=self.path, check=False, **options)

    def trust(self, *expected: str) -> None:
        """A person allows what skill ``x`` asks for, which is ``expected`` and no more; root is asked for no
        identity."""
        done = subprocess.run(
            [sys.executable, "-m", "skill_magic", "trust", "x", "--yes"],
            cwd=self.path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        identities = ("uid", "gid") if os.getuid() == 0 else ()
        assert granted(Path(os.environ["HOME"])) == {
            each for each in expected if not each.startswith(identities)
        }

    def attempts(self, code: str, **options: Any) -> dict[str, str]:
        """Run ``attempt(…)`` lines and return what became of each."""
        result = self.run(TRIES + code, **options)
        assert result.ok, result.stderr
        return dict(line.split(" ", 1) for line in result.stdout.splitlines())

    def refusal(self, code: str = "print('must not run')") -> skill_magic.PolicyError:
        """The policy's refusal; no container may have been made."""
        try:
            result = self.run(code)
        except skill_magic.PolicyError as error:
            assert ours(self.path) == []
            return error
        raise AssertionError(f"it ran: {result.stdout!r} {result.stderr!r}")


@contextlib.contextmanager
def project_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of a person with a fresh home; no container of it may be left."""
    path = tmp_path / "person" / "book"
    path.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    yield Project(path)
    assert ours(path) == []


def granted(home: Path) -> set[str]:
    """What somebody with that home has allowed, as the file says it."""
    file = home / ".local/share/skill_magic/trust.json"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return {json.loads(name) for name in re.findall(r'"grant": ("[^"]*")', text)}


def codes(error: Any) -> set[str]:
    return {each.code for each in error.violations}


def docker(*words: str, **options: Any) -> str:
    """The engine's own client, as a witness."""
    done = subprocess.run(["docker", *words], check=True, capture_output=True, text=True, **options)
    return str(done.stdout).strip()


# --- a caller who is not root ---------------------------------------------------------------------


@dataclasses.dataclass
class Person:
    """An ordinary user, allowed to use the engine, with a home and a project of their own."""

    home: Path

    @property
    def project(self) -> Project:
        return Project(self.home / "project")

    def run(
        self, program: Sequence[str], environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this person, with no terminal."""
        return subprocess.run(
            [*people.become(UID, [people.engine_group()]), *program],
            cwd=self.home / "project",
            env=people.environment(self.home, environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def skill(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The ``skill`` command as this person."""
        return self.run([people.python(), "-m", "skill_magic", *words], environment)

    def trust(self, *expected: str, **environment: str) -> None:
        """They allow what skill ``x`` asks for, which is ``expected`` and no more."""
        done = self.skill("trust", "x", "--yes", **environment)
        assert done.returncode == 0, done.stderr
        assert granted(self.home) == set(expected)

    def tool(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run Python in skill ``x``."""
        return self.skill("x", "--", "-c", code)

    @classmethod
    @contextlib.contextmanager
    def appears(cls) -> Iterator[Person]:
        """A home that no closed directory is above; no container of theirs may be left."""
        assert os.getuid() == 0, "this test becomes another user, which takes root"
        home = Path(tempfile.mkdtemp(prefix="skill-person-", dir="/tmp"))
        home.chmod(0o755)
        (home / "project").mkdir()
        person = cls(home)
        person.own()
        yield person
        assert ours(home / "project") == []
        shutil.rmtree(home)

    def own(self) -> None:
        """Everything in the home is this person's."""
        for top, _, names in os.walk(self.home):
            for name in (".", *names):
                os.chown(os.path.join(top, name), UID, UID, follow_symlinks=False)


# --- images ---------------------------------------------------------------------------------------


def commit(
    *changes: str, files: dict[str, bytes | str] | None = None, run: str = "true", base: str = PYTHON
) -> str:
    """Make an image of ``base``: Dockerfile instructions, and files (a ``str`` is where a symlink leads).

    :param run: shell words that are run in it first. Remove the image with :func:`drop`.
    """
    name = f"skill-probe-{uuid.uuid4().hex[:8]}:1"
    container = docker("create", "--network", "none", base, "sh", "-c", run)
    try:
        if run != "true":
            docker("start", "--attach", container)
        if files:
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as archive:
                for path, content in files.items():
                    member = tarfile.TarInfo(path.lstrip("/"))
                    member.mode = 0o755
                    if isinstance(content, str):
                        member.type, member.linkname = tarfile.SYMTYPE, content
                        archive.addfile(member)
                    else:
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))
            subprocess.run(
                ["docker", "cp", "-", f"{container}:/"],
                input=packed.getvalue(),
                check=True,
                capture_output=True,
            )
        docker("commit", *(word for change in changes for word in ("--change", change)), container, name)
    finally:
        docker("rm", "-f", "-v", container)
    return name


def drop(image: str) -> None:
    docker("rmi", "-f", image)


def volumes() -> set[str]:
    return set(docker("volume", "ls", "-q").split())


def left_volumes(before: set[str]) -> set[str]:
    """Volumes that are new and stay. Tests beside this one have some of their own for as long as they run."""
    left = volumes() - before
    until = time.monotonic() + 60
    while left and time.monotonic() < until:
        time.sleep(0.2)
        left &= volumes()
    return left


def named_volumes(directory: Path) -> set[str]:
    """The named volumes of the project in that directory."""
    prefix = volume_name("", dataclasses.replace(discover(directory), directory=directory.resolve()))
    return {name for name in volumes() if name.startswith(prefix)}


def inspect(container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found
