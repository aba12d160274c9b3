"""Two ordinary users of this machine, made for a session of tests: one in the engine's group, and another beside.

They have no rights of root's, so everything that they run lies where everybody may read: an interpreter, this package
and what it needs. Used through :class:`~.probes.Person` (the ``skill`` command as that user) and by
``test_ordinary_user.py``, which runs whole files of tests as that user.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import grp
import importlib.metadata
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

UID, OTHER_UID = 54322, 54323
NAME, OTHER_NAME = "skill-test", "skill-test-other"


LOCK = Path("/run/skill-test.lock")
"""Held, shared, by every session that uses the users; the last one removes them."""


@contextlib.contextmanager
def users() -> Iterator[None]:
    """The users exist meanwhile, also for sessions that run side by side; what killed sessions left goes first."""
    with LOCK.open("a") as held:
        with _alone():
            fcntl.flock(held, fcntl.LOCK_SH)
            _sweep()
            _make()
        try:
            yield
        finally:
            if installation.cache_info().currsize:
                shutil.rmtree(installation(), ignore_errors=True)
                installation.cache_clear()
            with _alone():
                fcntl.flock(held, fcntl.LOCK_UN)
                with contextlib.suppress(BlockingIOError):  # somebody else still uses them
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One session at a time makes or removes users."""
    with LOCK.with_suffix(".change").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make() -> None:
    """Make the users that are not there, or not as they should be."""
    engine = grp.getgrgid(engine_group())
    for name, uid, groups in ((NAME, UID, [engine.gr_name]), (OTHER_NAME, OTHER_UID, [])):
        with contextlib.suppress(KeyError):
            if pwd.getpwnam(name).pw_uid == uid and (name in engine.gr_mem) is bool(groups):
                continue
            subprocess.run(["userdel", "--force", name], check=True, capture_output=True)
        words = [
            "useradd",
            "--uid",
            str(uid),
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
        ]
        subprocess.run([*words, "--groups", ",".join(groups), name], check=True, capture_output=True)


def _remove() -> None:
    for name in (NAME, OTHER_NAME):
        subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


def _sweep() -> None:
    """Remove what was installed for sessions that were killed."""
    for left in Path("/tmp").glob("skill-test-installation-*-*"):
        if not Path("/proc", left.name.split("-")[3]).exists() and left.lstat().st_uid == 0:
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def group_of(*members: str, number: int | None = None) -> Iterator[tuple[int, list[int]]]:
    """A group of persons, made for a test, and its members: its number, and theirs.

    All have names of this test's own, so that others may run beside it.
    """
    name = f"skill-test-{uuid.uuid4().hex[:8]}"
    made = [["groupdel", name]]
    try:
        with _alone():
            free = _free_numbers()
            chosen = str(next(free) if number is None else number)
            subprocess.run(["groupadd", "--gid", chosen, name], check=True, capture_output=True)
            for member in members:
                words = ["useradd", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
                words += ["--uid", str(next(free)), "--groups", name, f"{name}-{member}"]
                subprocess.run(words, check=True, capture_output=True)
                made.insert(0, ["userdel", "--force", f"{name}-{member}"])
        yield grp.getgrnam(name).gr_gid, [pwd.getpwnam(f"{name}-{each}").pw_uid for each in members]
    finally:
        with _alone():
            for words in made:
                subprocess.run(words, check=False, capture_output=True)


def _free_numbers() -> Iterator[int]:
    """Numbers that no user and no group has."""
    taken = {each.pw_uid for each in pwd.getpwall()} | {each.gr_gid for each in grp.getgrall()}
    return (number for number in range(56_000, 60_000) if number not in taken)


def become(uid: int = UID, groups: Sequence[int] = ()) -> list[str]:
    """The words before a program that run it as that user, with no right of root's left."""
    named = ",".join(map(str, groups)) if groups else ""
    kept = [f"--groups={named}"] if named else ["--clear-groups"]
    rights = [f"--{kind}=-all" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", *kept, *rights]


def engine_group() -> int:
    """The group of the engine's socket."""
    return os.stat("/var/run/docker.sock").st_gid


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a program of theirs."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    own = {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(installation() / "packages")}
    mark = {name: value for name, value in os.environ.items() if name == "SKILL_MAGIC_TEST_RUN"}
    return own | {"PYTHONDONTWRITEBYTECODE": "1"} | mark | dict(more or {})


@functools.cache
def installation() -> Path:
    """A directory that everybody may read: ``python``, ``packages`` and ``tests``."""
    folder = Path(tempfile.mkdtemp(prefix=f"skill-test-installation-{os.getpid()}-", dir="/tmp"))
    folder.chmod(0o755)
    packages = folder / "packages"
    packages.mkdir()
    shutil.copytree(
        ROOT / "skill_magic", packages / "skill_magic", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in _needed("skill-magic", {"unit"}):
        _copy(importlib.metadata.distribution(name), packages)
    (folder / "python").symlink_to(_interpreter(folder))
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return folder


def python() -> str:
    """An interpreter of this version that everybody may run."""
    return str(installation() / "python")


def _needed(name: str, extras: set[str], found: dict[str, None] | None = None) -> list[str]:
    """The distributions that one needs, less itself."""
    from packaging.requirements import Requirement

    found = {} if found is None else found
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if requirement.marker is not None and not any(requirement.marker.evaluate(each) for each in wanted):
            continue
        inner = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if inner == "skill-magic":
            _needed(name, set(requirement.extras), found)
        elif inner not in found:
            found[inner] = None
            _needed(inner, set(requirement.extras), found)
    return list(found)


def _copy(distribution: importlib.metadata.Distribution, packages: Path) -> None:
    for file in distribution.files or ():
        source: Any = distribution.locate_file(file)
        if ".." not in file.parts and Path(source).is_file():
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def _interpreter(folder: Path) -> str:
    """This interpreter where everybody may run it, else the system's of the same version, else a copy."""
    version = "{}.{}".format(*sys.version_info)
    # setpriv itself may reach a program that the user may not; what counts is what that program can see.
    check = "import os, ssl, sys; os.stat(sys.executable); print(*sys.version_info[:2], sep='.')"
    for program in (os.path.realpath(sys.executable), f"/usr/bin/python{version}"):
        words = [*become(OTHER_UID), program, "-I", "-c", check]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode == 0 and done.stdout.strip() == version:
            return program
    copy = folder / "interpreter"
    shutil.copytree(
        sys.base_prefix, copy, symlinks=True, ignore=shutil.ignore_patterns("site-packages", "test")
    )
    return str(copy / "bin" / f"python{version}")
