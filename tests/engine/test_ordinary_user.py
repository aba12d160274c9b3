"""The live probes as somebody who is not root: an ordinary user in the engine's group, with another user beside.

Whole files of tests are run by that user, in a process of its own without any right of root's. A hole that root's
rights hide, or make, shows here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import people
from .people import OTHER_UID, UID

pytestmark = pytest.mark.engine

FILES = {
    "test_probes_confinement.py": 20,
    "test_probes_mounts.py": 20,
    "test_probes_secrets.py": 10,
    "test_probes_images.py": 15,
    "test_probes_rule.py": 10,
    "test_probes_later.py": 20,
    "test_probes_guards.py": 10,
    "test_probes_ways.py": 5,
    "test_probes_neighbours.py": 8,
    "test_reaper.py": 15,
    "test_lifecycle.py": 15,
    "test_run_stop.py": 5,
}
"""Files of live tests, and how many tests of each must have run: a file that deselects itself is a gap."""


@pytest.fixture
def home(users: None) -> Iterator[Path]:
    """The user's home, where no parent is closed to them."""
    path = Path(tempfile.mkdtemp(prefix="skill-test-home-", dir="/tmp"))
    os.chown(path, UID, UID)
    yield path
    shutil.rmtree(path)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", FILES)
def test_the_probes_hold_for_an_ordinary_user(home: Path, file: str) -> None:
    words = [
        "-m", "pytest", f"tests/engine/{file}", "-q", "-p", "no:cacheprovider", "--basetemp", str(home / "tests"),
        "-m", "not root", "--override-ini", "addopts=--strict-markers -ra",
    ]  # fmt: skip
    done = subprocess.run(
        [*people.become(UID, [people.engine_group()]), people.python(), *words],
        cwd=people.installation(),
        env=people.environment(home, {"SKILL_MAGIC_REQUIRE_ENGINE": "1", "TMPDIR": str(home)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=850,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= FILES[file], done.stdout[-500:]
    assert "skipped" not in done.stdout


CANARIES = {
    ".ssh/id_rsa": "CANARY-SSH-KEY",
    ".aws/credentials": "CANARY-AWS-KEY",
    "private.txt": "CANARY-LETTER",
}


@pytest.fixture
def other(users: None) -> Iterator[Path]:
    """The home of the user beside, with private files in it that nobody else may read."""
    path = Path(tempfile.mkdtemp(prefix="skill-test-other-", dir="/tmp"))
    for name, content in CANARIES.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(content)
        (path / name).chmod(0o600)
    for top, _, names in os.walk(path):
        for name in (".", *names):
            os.chown(os.path.join(top, name), OTHER_UID, OTHER_UID)
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def skill(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (home / "project").mkdir(exist_ok=True)
    os.chown(home / "project", UID, UID)
    return subprocess.run(
        [*people.become(UID, [people.engine_group()]), people.python(), "-m", "skill_magic", *words],
        cwd=home / "project",
        env=people.environment(home, variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


READ_ALL = """
import os
for top, folders, names in os.walk("/o"):
    for name in names:
        try:
            print(open(os.path.join(top, name)).read())
        except OSError as error:
            print(name, error.strerror)
"""


@pytest.mark.parametrize(
    "user",
    ["", 'user = "54323"', 'user = "54323:54323"', 'extra_args = ["--user=54323"]', 'user = "other"'],
    ids=str,
)
def test_the_files_of_the_user_beside_stay_theirs(home: Path, other: Path, user: str) -> None:
    """Neither with the mount alone, which may be granted, nor with an identity that nobody was asked for."""
    (home / "project").mkdir()
    manifest = f'[skills.x.docker]\nimage = "python:3.12-slim"\nvolumes = ["{other}:/o:ro"]\n{user}\n'
    (home / "project/skills.toml").write_text(manifest)
    done = skill(home, "x", "--", "python3", "-c", READ_ALL)
    assert done.returncode == 125
    assert "CANARY" not in done.stdout + done.stderr
    assert "mount-outside-ro" in skill(home, "check", "--json").stdout


def test_the_grants_and_settings_of_the_user_beside_do_not_count(home: Path, other: Path) -> None:
    """A trust.json or policy.toml that somebody else owns stops the run; it is never used."""
    (home / "project").mkdir()
    text = '[skills.x.docker]\nimage = "python:3.12-slim"\nnetwork = "bridge"\n'
    (home / "project/skills.toml").write_text(text)
    data = home / ".local/share/skill_magic"
    data.mkdir(parents=True)
    (data / "trust.json").write_text('{"version": 1, "projects": {}}')
    for path in (home / ".local", home / ".local/share", data):
        os.chown(path, UID, UID)
    os.chown(data / "trust.json", OTHER_UID, OTHER_UID)
    done = skill(home, "x", "--", "true")
    assert done.returncode == 125
    assert "trust-unsafe" in done.stderr


def test_standard_error_is_clean(home: Path) -> None:
    done = skill(home, "python-runner", "--", "-c", "print(42)")
    assert (done.stdout, done.stderr, done.returncode) == ("42\n", "", 0)
