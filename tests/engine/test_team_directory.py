"""A directory that a team shares: a tool of each member works there, as the member would, and with no more groups."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from . import people
from .kernels import ours

pytestmark = [pytest.mark.engine, pytest.mark.root]

SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@dataclasses.dataclass(frozen=True)
class Team:
    """A group, two of its members, and the directory that they share."""

    gid: int
    me: int
    colleague: int
    homes: Path
    directory: Path

    def shared(self, mode: int, *, owner: int | None = None, group: int | None = None) -> None:
        os.chown(
            self.directory, self.colleague if owner is None else owner, self.gid if group is None else group
        )
        self.directory.chmod(mode)

    def skill(
        self, *words: str, groups: Sequence[int] | None = None, uid: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``skill`` as one of them, with the engine's group and those that are named (by default the team's)."""
        engine = os.stat(SOCKET).st_gid
        named = [engine, *([self.gid] if groups is None else groups)]
        who = self.me if uid is None else uid
        variables = {"DOCKER_HOST": f"unix://{SOCKET}"}
        return subprocess.run(
            [
                *people.become(who, named),
                people.python(),
                "-m",
                "skill_magic",
                *words,
            ],
            cwd="/",
            env=people.environment(self.homes / str(who), variables),
            preexec_fn=lambda: os.chdir(self.directory),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def tool(
        self, code: str, *, groups: Sequence[int] | None = None, uid: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.skill("python-runner", "--", "-c", code, groups=groups, uid=uid)


@pytest.fixture(scope="module")
def people_of_a_team() -> Iterator[tuple[int, list[int]]]:
    assert os.getuid() == 0, "this test becomes another user, which takes root"
    with people.group_of("me", "colleague") as made:
        yield made
        if people.installation.cache_info().currsize:
            shutil.rmtree(people.installation(), ignore_errors=True)
            people.installation.cache_clear()


@pytest.fixture
def team(people_of_a_team: tuple[int, list[int]]) -> Iterator[Team]:
    gid, (me, colleague) = people_of_a_team
    top = Path(tempfile.mkdtemp(prefix="skill-test-team-", dir="/tmp"))
    top.chmod(0o755)
    for uid in (me, colleague):
        (top / str(uid)).mkdir()
        os.chown(top / str(uid), uid, uid)
    directory = top / "directory"
    directory.mkdir()
    made = Team(gid, me, colleague, top, directory)
    made.shared(0o2770)
    theirs = directory / "theirs.txt"
    theirs.write_text("one\n")
    os.chown(theirs, colleague, gid)
    theirs.chmod(0o660)
    yield made
    assert ours(directory) == []
    shutil.rmtree(top)


WORK = """
import os
print(open('theirs.txt').read(), end='')
with open('theirs.txt', 'a') as file: file.write('two\\n')
open('mine.txt', 'w').close()
os.makedirs('a/b')
open('a/b/deep.txt', 'w').close()
os.chmod('a', 0o2775)
print(sorted(os.getgroups()) == sorted({os.getgid(), %d}), os.getuid())
"""


def test_a_tool_works_in_a_team_s_directory_and_what_it_makes_is_the_team_s(team: Team) -> None:
    done = team.tool(WORK % team.gid)
    assert (done.returncode, done.stdout) == (0, f"one\nTrue {team.me}\n"), done.stderr
    assert "set-" not in done.stderr
    assert (team.directory / "theirs.txt").read_text() == "one\ntwo\n"
    for name in ("mine.txt", "a", "a/b", "a/b/deep.txt"):
        found = (team.directory / name).stat()
        assert (found.st_uid, found.st_gid) == (team.me, team.gid), name
    modes = {name: stat.S_IMODE((team.directory / name).stat().st_mode) for name in (".", "a", "a/b")}
    assert modes == {".": 0o2770, "a": 0o2775, "a/b": 0o2755}, "folders keep and hand on the bit"
    # The colleague goes on with it.
    done = team.tool("open('a/next.txt', 'w').close(); open('theirs.txt').read()", uid=team.colleague)
    assert done.returncode == 0, done.stderr


def test_without_the_group_nothing_of_it_can_be_reached(team: Team) -> None:
    """The control: what counts is what the process has, not what the group database says of the person."""
    team.directory.chmod(0o2775)
    assert team.tool("print(open('theirs.txt').read())").returncode == 0
    done = team.tool("print(open('theirs.txt').read())", groups=[])
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    done = team.skill("explain", "python-runner", groups=[])
    assert "--group-add" not in done.stdout


def test_it_is_shown(team: Team) -> None:
    done = team.skill("explain", "python-runner", "--", "x.py")
    assert done.returncode == 0, done.stderr
    assert f" --group-add {team.gid} " in done.stdout
    assert f"({team.gid}): yours, and the notebook's directory is shared with it\n" in done.stdout
    done = team.skill("explain", "--json", "python-runner")
    assert json.loads(done.stdout)["spec"]["groups"] == [team.gid]


def test_bits_of_files_are_taken_and_those_of_folders_stay(team: Team) -> None:
    (team.directory / "old").mkdir()
    os.chown(team.directory / "old", team.me, team.gid)
    (team.directory / "old").chmod(0o2770)
    code = (
        "import os, shutil; shutil.copy('/bin/cat', 'cat'); os.chmod('cat', 0o2755);"
        "open('old/new', 'w').close(); os.chmod('old', 0o2775); os.mkdir('bare'); os.chmod('bare', 0o2770)"
    )
    done = team.tool(code)
    assert done.returncode == 0, done.stderr
    assert "set-group-id bits were taken from cat:" in done.stderr
    assert stat.S_IMODE((team.directory / "cat").stat().st_mode) == 0o755
    assert stat.S_IMODE((team.directory / "old").stat().st_mode) == 0o2775
    assert stat.S_IMODE((team.directory / "bare").stat().st_mode) == 0o2770


def test_a_directory_that_a_team_may_only_read(team: Team) -> None:
    team.shared(0o2750)
    done = team.tool("print(open('theirs.txt').read(), end=''); open('mine.txt', 'w')")
    assert (done.returncode, done.stdout) == (1, "one\n")
    assert "Permission denied" in done.stderr


def test_one_s_own_directory_with_a_team(team: Team) -> None:
    """The owner reads what colleagues leave there through the group alone."""
    team.shared(0o2770, owner=team.me)
    assert team.tool("print(open('theirs.txt').read(), end='')").stdout == "one\n"


def test_a_team_of_an_access_list(team: Team) -> None:
    team.shared(0o700, group=team.colleague)
    nobody = 0xFFFFFFFF
    entries = [(1, 7, nobody), (4, 0, nobody), (8, 7, team.gid), (16, 7, nobody), (32, 0, nobody)]
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)
    os.setxattr(team.directory, "system.posix_acl_access", data)
    done = team.tool("open('mine.txt', 'w').close(); print(open('theirs.txt').read(), end='')")
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr
    assert (team.directory / "mine.txt").stat().st_uid == team.me


@pytest.mark.parametrize("name", ["engine", "root", "shadow", "disk", "adm"])
def test_a_group_with_power_over_the_machine_is_never_given(team: Team, name: str) -> None:
    import grp

    gid = os.stat(SOCKET).st_gid if name == "engine" else grp.getgrnam(name).gr_gid
    team.shared(0o2770, group=gid)
    done = team.tool("import os; print(os.listdir('.'))", groups=[gid, team.gid])
    assert done.returncode != 0
    assert "Permission denied" in done.stderr
    done = team.skill("explain", "python-runner", groups=[gid, team.gid])
    assert "--group-add" not in done.stdout
    assert f"({gid}) of the notebook's directory is not given to the container" in done.stdout


def test_a_group_with_a_number_of_the_system_is_not_given(team: Team) -> None:
    with people.group_of(number=_free()) as (gid, _):
        team.shared(0o2770, group=gid)
        done = team.tool("import os; print(os.listdir('.'))", groups=[gid])
        assert done.returncode != 0
        assert "is not given to the container: it is one of the system's" in done.stderr


def _free() -> int:
    import grp

    taken = {each.gr_gid for each in grp.getgrall()}
    return next(gid for gid in range(990, 500, -1) if gid not in taken)


PROJECT = '[skills.mine.docker]\nimage = "python:3.12-slim"\nentrypoint = "python3"\n'


def test_a_project_s_skill_has_it_with_no_grant_and_another_group_only_with_one(team: Team) -> None:
    manifest = team.directory / "skills.toml"
    with contextlib.ExitStack() as stack:
        stack.callback(manifest.unlink)
        manifest.write_text(PROJECT + 'user = "${UID:-1000}:${GID:-1000}"\n')
        manifest.chmod(0o644)
        done = team.skill("mine", "--", "-c", "import os; print(open('theirs.txt').read(), os.getuid())")
        assert (done.returncode, done.stdout) == (0, f"one\n {team.me}\n"), done.stderr
        for more in (f'extra_args = ["--group-add", "{team.gid}"]\n', 'user = "${UID}:4711"\n'):
            manifest.write_text(PROJECT + more)
            done = team.skill("check", "--json")
            (found,) = json.loads(done.stdout)
            assert found["verdict"] == "trust", found
            assert team.skill("mine", "--", "-c", "1").returncode == 125
