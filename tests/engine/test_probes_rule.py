"""The one rule, live: what a stranger's manifest asks for beyond the notebook's directory is asked for, however it is
wrapped; and what the engine says of it tells no value."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import skill_magic

from .probes import PYTHON, UID, Person, Project, codes, commit, docker, drop, granted, named_volumes

pytestmark = pytest.mark.engine

CANARY = "c4n4ry-5EcReT"
OTHER = 54999
"""Somebody else on this machine."""


@pytest.fixture
def image() -> Iterator[Callable[..., str]]:
    """Makes images that are gone after the test."""
    with contextlib.ExitStack() as stack:

        def make(*changes: str, files: dict[str, bytes | str]) -> str:
            name = commit(*changes, files=files)
            stack.callback(drop, name)
            return name

        yield make


def two_skills(person: Person, first: list[str], second: list[str]) -> None:
    """The manifest of a stranger who reads with one skill and sends with another."""
    text = ""
    for name, lines in (("read", first), ("send", second)):
        text += "\n".join(
            [f"[skills.{name}.docker]", f'image = "{PYTHON}"', 'entrypoint = "python3"', *lines, ""]
        )
    (person.home / "project/skills.toml").write_text(text)
    person.own()


READS = (
    ['environment = ["X=${AWS_SECRET_ACCESS_KEY}"]'],
    ['volumes = ["${HOME}/Documents:/d:ro"]'],
    ['extra_args = ["--mount", "type=bind,src=${HOME}/Documents,dst=/d,ro"]'],
    ['extra_args = ["-e", "X=${AWS_SECRET_ACCESS_KEY}"]'],
    ['volumes = ["/w/${AWS_SECRET_ACCESS_KEY}"]'],
)

TAKE = """
import os, glob
found = os.environ.get("X", "") + open("/proc/self/mountinfo").read()
found += "".join(open(name).read() for name in glob.glob("/d/*"))
open("{place}", "w").write(found)
"""


@pytest.mark.parametrize("lines", READS, ids=lambda lines: lines[0][:50])
@pytest.mark.parametrize("way", ["directory", "volume"])
def test_nothing_is_laundered_through_the_directory_or_a_volume(
    person: Person, lines: list[str], way: str
) -> None:
    """Two lines, the first with no network: it is asked for what it reads all the same, and the second for the
    network."""
    (person.home / "Documents").mkdir()
    (person.home / "Documents/letter").write_text(CANARY)
    place, extra = "/workdir/.c", ""
    if way == "volume":
        place, extra = "/stash/c", "stash:/stash"
    both = [list(lines), ['network = "bridge"']]
    if extra:
        for each in both:
            named = next((index for index, line in enumerate(each) if line.startswith("volumes")), None)
            if named is None:
                each.append(f'volumes = ["{extra}"]')
            else:
                each[named] = each[named].replace("]", f', "{extra}"]')
    two_skills(person, *both)
    secret = {"AWS_SECRET_ACCESS_KEY": CANARY}
    first = person.skill("read", "--", "-c", TAKE.format(place=place), **secret)
    assert (first.returncode, first.stdout) == (125, "")
    assert ("env-host" in first.stderr) is ("AWS" in lines[0])
    assert ("mount-outside-ro" in first.stderr) is ("Documents" in lines[0])
    assert CANARY not in first.stderr
    second = person.skill("send", "--", "-c", f"print(open({place!r}).read())", **secret)
    assert (second.returncode, second.stdout) == (125, "")
    assert "network-bridge" in second.stderr
    # Whoever allows the network alone has not allowed what is read.
    assert person.skill("trust", "send", "--yes", **secret).returncode == 0
    again = person.skill("read", "--", "-c", TAKE.format(place=place), **secret)
    assert again.returncode == 125
    sent = person.skill("send", "--", "-c", f"print(open({place!r}).read())", **secret)
    assert CANARY not in sent.stdout
    assert "No such file" in sent.stderr
    assert not (person.home / "project/.c").exists()
    if way == "volume":
        made = named_volumes(person.home / "project")
        assert len(made) == 1
        docker("volume", "rm", *made)


# --- somebody else's identity ---------------------------------------------------------------------------


@pytest.fixture
def shared(person: Person) -> Iterator[Person]:
    """A folder that two people share, with a file in it that one of them keeps to themselves."""
    private = person.home / "project/private"
    private.write_text(CANARY)
    person.own()
    (person.home / "project").chmod(0o777)
    os.chown(private, OTHER, OTHER)
    private.chmod(0o600)
    cannot = person.run(["cat", str(private)])
    yield person
    assert cannot.returncode == 0 or "denied" in cannot.stderr


ACCOUNTS = f"root:x:0:0::/:/bin/sh\nthem:x:{OTHER}:{UID}::/:\nme:x:{UID}:{UID}::/:\n"


@pytest.mark.parametrize(
    "line",
    [
        f'user = "{OTHER}:{OTHER}"',
        f'user = "{OTHER}"',
        f'user = "0{OTHER}:{UID}"',
        f'extra_args = ["--user", "{OTHER}"]',
        f'extra_args = ["-u={OTHER}:{UID}"]',
        'user = "them"',
        'user = "them:mine"',
    ],
)
def test_another_uid_does_not_read_what_is_theirs(
    shared: Person, image: Callable[..., str], line: str
) -> None:
    group = f"root:x:0:\nmine:x:{UID}:\n"
    name = image(files={"/etc/passwd": ACCOUNTS.encode(), "/etc/group": group.encode()})
    shared.project.write(line, image=name)
    (shared.home / "project/skills.toml").chmod(0o644)
    os.chown(shared.home / "project/skills.toml", UID, UID)
    read = "print(open('private').read())"
    done = shared.tool(read)
    assert (done.returncode, done.stdout) == (125, ""), done.stderr
    assert "user-other" in done.stderr
    assert f"user {OTHER}" in done.stderr
    # The control: with the grant it is the very reading that was refused. It is asked for by number, also for a
    # name, as the image is here.
    done = shared.skill("trust", "x", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"uid:{OTHER}" in granted(shared.home)
    assert shared.tool(read).stdout == f"{CANARY}\n"


def test_a_grant_for_a_name_is_none_for_another_number(shared: Person, image: Callable[..., str]) -> None:
    """The image is replaced under its tag: the name stands for somebody else, and a person is asked again."""
    harmless = ACCOUNTS.replace(f"them:x:{OTHER}:", "them:x:54998:")
    name = image(files={"/etc/passwd": harmless.encode()})
    evil = image(files={"/etc/passwd": ACCOUNTS.encode()})
    shared.project.write('user = "them"', image=name)
    os.chown(shared.home / "project/skills.toml", UID, UID)
    shared.trust("uid:54998")
    assert shared.tool("import os; print(os.getuid())").stdout == "54998\n"
    docker("tag", evil, name)
    done = shared.tool("print(open('private').read())")
    assert (done.returncode, done.stdout) == (125, "")
    assert f"uid:{OTHER}" in shared.skill("explain", "x", "--json").stdout or f"{OTHER}" in done.stderr


def steering() -> int:
    return os.stat("/var/run/docker.sock").st_gid


@pytest.mark.parametrize(
    "line",
    [
        'user = "{uid}:{gid}"',
        'user = "{uid}:0{gid}"',
        'extra_args = ["--user={uid}:{gid}"]',
        'user = "{uid}:dk"',
        'user = "me:dk"',
        'user = "dkuser"',
        'extra_args = ["--group-add", "{gid}"]',
        'extra_args = ["--group-add", "dk"]',
        'extra_args = ["--group-add=users"]',
    ],
)
def test_the_group_that_steers_the_engine_is_asked_for(
    person: Person, image: Callable[..., str], line: str
) -> None:
    """The caller is in it, as everyone is who uses the engine; no tool gets it for that."""
    gid = steering()
    assert gid != 0, "the engine's socket has no group of its own here"
    accounts = f"{ACCOUNTS}dkuser:x:{UID}:{gid}::/:\n".encode()
    group = f"root:x:0:\ndk:x:{gid}:\nusers:x:{gid}:\nmine:x:{UID}:\n".encode()
    name = image(files={"/etc/passwd": accounts, "/etc/group": group})
    person.project.write(line.format(uid=UID, gid=gid), image=name)
    person.own()
    plant = (
        f"import os; open('p', 'w').close(); os.chown('p', -1, {gid}); os.chmod('p', 0o2755); print('made')"
    )
    done = person.tool(plant)
    assert (done.returncode, done.stdout) == (125, ""), done.stderr
    assert not (person.home / "project/p").exists()
    assert "group-other" in done.stderr or "[group]" in done.stderr
    done = person.skill("trust", "x", "--yes")
    assert done.returncode == 0, done.stderr
    assert granted(person.home) & {f"gid:{gid}", f"group-add:{gid}"}
    done = person.tool("import os; print(os.getgid(), os.getgroups())")
    assert str(gid) in done.stdout, done.stderr


def test_a_name_for_a_further_group_is_no_blank_cheque(person: Person, image: Callable[..., str]) -> None:
    """The grant names a number; an image that calls another one so is refused."""
    one = image(files={"/etc/passwd": ACCOUNTS.encode(), "/etc/group": b"video:x:44:\n"})
    two = image(files={"/etc/passwd": ACCOUNTS.encode(), "/etc/group": f"video:x:{steering()}:\n".encode()})
    person.project.write('extra_args = ["--group-add", "video"]', image=one)
    person.own()
    person.trust("group-add:video", "group-add:44")
    assert "44" in person.tool("import os; print(os.getgroups())").stdout
    docker("tag", two, one)
    done = person.tool("print('must not run')")
    assert (done.returncode, done.stdout) == (125, "")
    assert f"the group video is {steering()}" in done.stderr


def test_the_images_own_user_is_asked_for_by_number_as_well(
    person: Person, image: Callable[..., str]
) -> None:
    accounts = f"root:x:0:0::/:\napp:x:{OTHER}:{steering()}::/:\n".encode()
    name = image(
        "USER app", files={"/etc/passwd": accounts, "/etc/group": f"extra:x:{steering()}:app\n".encode()}
    )
    person.project.write('user = "image"', image=name)
    person.own()
    assert "user-image" in person.tool("print('must not run')").stderr
    person.trust("uid0", f"uid:{OTHER}", f"gid:{steering()}")
    done = person.tool("import os; print(os.getuid(), os.getgid())")
    assert done.stdout == f"{OTHER} {steering()}\n", done.stderr


def test_root_that_is_granted_gets_no_other_group_of_the_image(
    person: Person, image: Callable[..., str]
) -> None:
    """An image can give root any group, and further ones: a number alone is root's group here."""
    accounts = f"root:x:0:{steering()}::/:/bin/sh\n".encode()
    name = image(files={"/etc/passwd": accounts, "/etc/group": f"extra:x:{steering()}:root\n".encode()})
    assert str(steering()) in docker("run", "--rm", "--user=0", "--entrypoint=id", name)
    person.project.write('user = "0"', image=name)
    person.own()
    person.trust("uid0")
    assert person.tool("import os; print(os.getgid(), os.getgroups())").stdout == "0 [0]\n"
    person.project.write('user = "root"', image=name)
    person.own()
    person.trust("uid0", f"gid:{steering()}")


# --- the engine's own words -----------------------------------------------------------------------------

FAILS = [
    'volumes = ["./d:/etc/passwd/${API_TOKEN:-x}"]',
    'volumes = ["./file:/etc/${API_TOKEN}", "./d:/etc/${API_TOKEN}/x"]',
    'volumes = ["vol${API_TOKEN}:/etc/hostname/x"]',
    'volumes = ["/etc/passwd/${API_TOKEN}"]',
    'extra_args = ["--mount", "type=bind,src=./d,dst=/etc/passwd/${API_TOKEN}"]',
    'extra_args = ["--mount", "type=tmpfs,dst=/etc/passwd/${API_TOKEN}"]',
    'extra_args = ["--mount", "type=volume,dst=/etc/passwd/a${API_TOKEN}b"]',
    'extra_args = ["-v", "./d:/etc/passwd/${UNSET:-${API_TOKEN}}/x"]',
    'volumes = ["./d:/etc/passwd/${ORDINARY}"]',
]


@pytest.mark.parametrize("line", FAILS)
def test_what_the_engine_says_of_a_failure_tells_no_value(
    project: Project, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("API_TOKEN", CANARY)
    monkeypatch.setenv("ORDINARY", CANARY)
    (project.path / "d").mkdir()
    (project.path / "file").touch()
    project.write(line)
    project.trust("env:ORDINARY" if "ORDINARY" in line else "env:API_TOKEN")
    with pytest.raises(skill_magic.SkillError) as caught:
        project.run("print('must not run')")
    error = caught.value
    assert "***" in "\n".join(error.lines()), error.lines()  # the value was there
    chain: list[str] = []
    at: BaseException | None = error
    while at is not None:
        chain += [repr(at), str(at), repr(vars(at))]
        at = at.__cause__ or at.__context__
    done = shell(project.path)
    assert done.returncode == 125
    for text in [*error.lines(), *chain, done.stdout, done.stderr]:
        assert CANARY not in text
    assert not any(CANARY in path.name for path in project.path.parent.rglob("*"))
    for name in named_volumes(project.path):
        docker("volume", "rm", name)


def shell(directory: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "skill_magic", "x", "--", "-c", "print('must not run')"]
    return subprocess.run(
        words, cwd=directory, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )


def test_a_program_that_cannot_be_started_tells_no_value(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's words are then in a result: its error, its card, its notes."""
    monkeypatch.setenv("API_TOKEN", CANARY)
    (project.path / "d").mkdir()
    project.write('volumes = ["./:/w/${API_TOKEN}"]', entrypoint="./nope")
    project.trust("env:API_TOKEN")
    result = project.run("")
    assert result.exit_code in (126, 127)
    error = result.error()
    assert error is not None
    forms = [repr(result), result.error_text, result.command_line, *error.lines(), *result.notes]
    forms += [json.dumps(result._repr_mimebundle_()), json.dumps(result.as_dict())]
    assert not any(CANARY in form for form in forms), forms


def test_a_grant_is_for_the_one_thing_it_names(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", CANARY)
    project.write('environment = ["A=${API_TOKEN}", "B=${OTHER_TOKEN:-}"]')
    project.trust("env:API_TOKEN")
    assert project.run("import os; print(len(os.environ['A']))").stdout == f"{len(CANARY)}\n"
    monkeypatch.setenv("OTHER_TOKEN", CANARY)
    assert codes(project.refusal()) == {"env-host"}
