"""The caller's groups that share the notebook's directory go along; those with power over the machine never do."""

from __future__ import annotations

import grp
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plan_world import decision, make_host, plan_of

from skill_magic import directory_groups as module
from skill_magic import host as hosts
from skill_magic.directory_groups import DirectoryGroup, directory_groups, first_of_persons, withheld
from skill_magic.engine.arguments import create_body
from skill_magic.host import EngineAddress, Host
from skill_magic.mounts.mounts import project_mount
from skill_magic.plan.dockerline import docker_run_words
from skill_magic.policy import rules as policy
from skill_magic.spec import ImageFacts, RunSpec
from skill_magic.verbs.explain import spec_data

TEAM, OTHER = 54400, 54401
ME, ELSE = 1000, 2000


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two teams are known on this machine, beside what its own database has."""
    real = grp.getgrgid
    known = {TEAM: "team", OTHER: "analysts"}

    def found(gid: int) -> Any:
        return SimpleNamespace(gr_name=known[gid]) if gid in known else real(gid)

    monkeypatch.setattr(grp, "getgrgid", found)
    monkeypatch.setattr(module, "LOGIN_DEFS", Path("/nonexistent"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A directory as ``stat`` and the access list tell of it."""

    def make(mode: int, *, owner: int = ELSE, group: int = TEAM, acl: bytes | None = None) -> Path:
        def look(path: Any) -> Any:
            assert path == tmp_path, "nothing but the directory is looked at"
            return SimpleNamespace(st_uid=owner, st_gid=group, st_mode=0o040000 | mode)

        def attribute(path: Any, name: str) -> bytes:
            assert (path, name) == (tmp_path, "system.posix_acl_access")
            if acl is None:
                raise OSError("none")
            return acl

        monkeypatch.setattr(os, "stat", look)
        monkeypatch.setattr(os, "getxattr", attribute, raising=False)
        return tmp_path

    return make


def access_list(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
OWNER, OWNING, OTHERS = (0x01, 7, NOBODY), (0x04, 0, NOBODY), (0x20, 0, NOBODY)


def found(directory: Path, *groups: int, uid: int = ME) -> list[int]:
    return [each.gid for each in directory_groups(directory, uid, groups)]


@pytest.mark.parametrize(
    ("mode", "owner", "expected"),
    [
        (0o2770, ELSE, True),
        (0o2770, ME, True),  # what colleagues leave there is the group's
        (0o2775, ME, True),
        (0o0770, ELSE, True),
        (0o0730, ELSE, True),
        (0o2750, ELSE, True),  # the reason why the caller may read
        (0o0710, ELSE, True),
        (0o2750, ME, False),
        (0o0755, ELSE, False),  # everybody may
        (0o0755, ME, False),
        (0o0700, ELSE, False),
        (0o0705, ELSE, False),
    ],
)
def test_the_group_of_the_directory_counts_where_it_gives_the_caller_something(
    folder: Callable[..., Path], mode: int, owner: int, expected: bool
) -> None:
    assert found(folder(mode, owner=owner), TEAM, OTHER) == ([TEAM] if expected else [])


def test_only_groups_that_the_process_has(folder: Callable[..., Path]) -> None:
    assert found(folder(0o2770), OTHER) == []
    assert found(folder(0o2770)) == []


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([OWNER, OWNING, (0x08, 7, OTHER), (0x10, 7, NOBODY), OTHERS], [OTHER]),
        ([OWNER, (0x04, 7, NOBODY), (0x08, 7, OTHER), (0x10, 7, NOBODY), OTHERS], [TEAM, OTHER]),
        ([OWNER, OWNING, (0x08, 5, OTHER), (0x10, 7, NOBODY), OTHERS], [OTHER]),
        # The mask takes it away; and the group's bits of the mode (0770) are that mask, not the owning group's rights.
        ([OWNER, OWNING, (0x08, 7, OTHER), (0x10, 0, NOBODY), OTHERS], []),
        ([OWNER, OWNING, (0x08, 0, OTHER), (0x10, 7, NOBODY), OTHERS], []),
        ([OWNER, OWNING, (0x08, 7, 4711), (0x10, 7, NOBODY), OTHERS], []),
        # A caller who is named needs no group to read.
        ([OWNER, (0x02, 7, ME), OWNING, (0x08, 5, OTHER), (0x10, 7, NOBODY), OTHERS], []),
        ([OWNER, (0x02, 7, ELSE), OWNING, (0x08, 5, OTHER), (0x10, 7, NOBODY), OTHERS], [OTHER]),
    ],
)
def test_groups_of_an_access_list(
    folder: Callable[..., Path], entries: list[tuple[int, int, int]], expected: list[int]
) -> None:
    assert found(folder(0o2770, acl=access_list(*entries)), TEAM, OTHER) == expected


@pytest.mark.parametrize(
    "data", [b"", b"\2\0\0", access_list(OWNER)[:-1], struct.pack("<I", 1) + access_list(OWNER)[4:]]
)
def test_an_access_list_that_is_not_understood_gives_no_group_more(
    folder: Callable[..., Path], data: bytes
) -> None:
    assert found(folder(0o2750, acl=data), TEAM, OTHER) == [TEAM]


def test_a_directory_that_is_gone_has_no_groups(tmp_path: Path) -> None:
    assert directory_groups(tmp_path / "gone", ME, [TEAM]) == ()


@pytest.mark.parametrize(
    ("gid", "name"),
    [
        (0, "root"),
        (0, "team"),
        (-1, "team"),
        *((gid, "team") for gid in (1, 6, 27, 99, 101, 999, 61184, 65533, 65534, 65535, 2**31)),
        *(
            (5000, name)
            for name in (
                "docker", "Docker", "dockerroot", "docker-users", "podman", "lxd", "incus-admin", "libvirt",
                "libvirt-qemu", "libvirtd", "kvm", "qemu", "sudo", "sudo-users", "wheel", "adm", "admin",
                "Domain Admins", "disk", "kmem", "shadow", "root", "toor",
                "systemd-journal", "systemd-network", "_ssh", "www-data", "nogroup", "video",
                "render", "input", "tty", "staff", "plugdev", "tape", "containerd", "dockerteam",
            )
        ),
        (5000, ""),
        (100, "team"),  # the number alone is not enough
    ],
)  # fmt: skip
def test_never_given(gid: int, name: str) -> None:
    assert withheld(gid, name, 1000)


@pytest.mark.parametrize(
    ("gid", "name"),
    [
        *((gid, "team") for gid in (1000, 5000, 60000, 61183, 65536, 1_234_567_890, 2**31 - 1)),
        *((5000, name) for name in ("domain users", "lab-42", "video-editors", "DOMAIN\\physik", "röntgen")),
        (100, "users"),
    ],
)  # fmt: skip
def test_given(gid: int, name: str) -> None:
    assert withheld(gid, name, 1000) == ""


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (None, 1000),
        ("GID_MIN\t\t\t 1000\n#SYS_GID_MAX 5000\n", 1000),
        ("GID_MIN 500\n", 500),
        ("GID_MIN 500\nSYS_GID_MAX 999\n", 1000),
        ("GID_MIN 5000\n", 5000),
        ("GID_MIN 0\n", 101),
        ("GID_MIN x\nGID_MIN -5\n", 1000),
        ("\xff\n", 1000),
    ],
)
def test_where_the_groups_of_persons_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, first: int
) -> None:
    if text is not None:
        (tmp_path / "login.defs").write_bytes(text.encode("latin-1"))
    monkeypatch.setattr(module, "LOGIN_DEFS", tmp_path / "login.defs")
    assert first_of_persons() == first


def test_a_host_knows_them_for_its_directory_and_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def looked(directory: Path, uid: int, groups: set[int]) -> tuple[DirectoryGroup, ...]:
        seen.append((directory, uid, groups))
        return (DirectoryGroup(len(seen), "team"),)

    monkeypatch.setattr(hosts, "directory_groups", looked)
    monkeypatch.setattr(os, "getgroups", lambda: [TEAM, os.getgid()])
    (tmp_path / "other").mkdir()
    host = hosts.discover(tmp_path)
    assert host.directory_groups == (DirectoryGroup(1, "team"),)
    other = host.at(tmp_path / "other")
    assert (other.directory, other.environment["PWD"]) == (tmp_path / "other", str(tmp_path / "other"))
    assert other.directory_groups == (DirectoryGroup(2, "team"),)
    less = {TEAM} - {os.getgid()}
    assert seen == [(tmp_path, os.getuid(), less), (tmp_path / "other", os.getuid(), less)]


# --- the plan -------------------------------------------------------------------------------------------

SHARED = (DirectoryGroup(TEAM, "team"),)


def host_of(directory: Path, **changes: Any) -> Host:
    facts = {"groups": (1000, TEAM), "directory_groups": SHARED}
    return make_host(directory, **{**facts, **changes})


def test_a_run_as_the_caller_has_the_group_with_no_grant(tmp_path: Path) -> None:
    host = host_of(tmp_path)
    for user in (None, "1000", "1000:1000", "${UID}:${GID}"):
        decided = decision(tmp_path, host=host, **({} if user is None else {"user": user}))  # type: ignore[arg-type]
        assert decided.verdict == "allow", decided.violations
        assert decided.spec is not None
        assert decided.spec.groups == (TEAM,)
        words = docker_run_words(decided.spec)
        assert words[words.index("--group-add") + 1] == str(TEAM)
        assert spec_data(decided.spec)["groups"] == [TEAM]
        body = create_body(decided.spec, ImageFacts(id="sha256:0"), name="n", labels={})
        assert body["HostConfig"]["GroupAdd"] == [str(TEAM)]


@pytest.mark.parametrize("user", ["1001", "0:0", "nobody", "image", "1001:1000"])
def test_a_run_as_somebody_else_has_none(tmp_path: Path, user: str) -> None:
    made = plan_of(tmp_path, host=host_of(tmp_path), user=user)
    assert made.spec.groups == ()


def test_a_group_that_is_the_run_s_first_is_not_added_again(tmp_path: Path) -> None:
    host = host_of(tmp_path)
    decided = decision(tmp_path, host=host, user=f"1000:{TEAM}")
    assert decided.verdict == "allow", "it is one of the caller's own"
    assert decided.spec is not None
    assert decided.spec.groups == ()


def test_another_group_of_a_manifest_is_asked_for_as_before(tmp_path: Path) -> None:
    host = host_of(tmp_path)
    assert [each.grant for each in decision(tmp_path, host=host, user="1000:4711").violations] == ["gid:4711"]
    for group in (4711, TEAM):
        found = decision(tmp_path, f"--group-add={group}", host=host).violations
        assert [each.grant for each in found] == [f"group-add:{group}"]


@pytest.mark.parametrize(
    "engine",
    [
        EngineAddress("unix:///run/user/1000/docker.sock", "rootless socket"),
        EngineAddress("tcp://192.0.2.1:2376", "DOCKER_HOST"),
        EngineAddress("ssh://u@192.0.2.1", "DOCKER_HOST"),
    ],
)
def test_no_group_where_its_number_is_another_s(tmp_path: Path, engine: EngineAddress) -> None:
    assert plan_of(tmp_path, host=host_of(tmp_path, engine=engine)).spec.groups == ()


def test_no_group_where_the_directory_is_not_mounted(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here/part").mkdir()
    host = host_of(tmp_path / "here")
    assert plan_of(tmp_path, host=host, volumes=[f"{other}:/workdir"]).spec.groups == ()
    for source in (tmp_path / "here/part", tmp_path):
        assert plan_of(tmp_path, host=host, volumes=[f"{source}:/workdir"]).spec.groups == (TEAM,), source
    assert plan_of(tmp_path, host=host, volumes=["${PWD}:/data:ro"]).spec.groups == (TEAM,)


def test_what_is_withheld_is_said(tmp_path: Path) -> None:
    group = DirectoryGroup(27, "sudo", "has power over this machine")
    spec = plan_of(tmp_path, host=host_of(tmp_path, directory_groups=(group, *SHARED))).spec
    assert spec.groups == (TEAM,)
    (note,) = [each for each in spec.notes if "group" in each]
    begin = "the group sudo (27) of the notebook's directory is not given to the container"
    assert note == f"{begin}: it has power over this machine"


def test_the_group_of_the_engine_is_withheld_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "engine.sock"
    socket.touch()
    steering = socket.stat().st_gid
    host = host_of(
        tmp_path,
        engine=EngineAddress(f"unix://{socket}", "DOCKER_HOST"),
        directory_groups=(DirectoryGroup(steering, "colleagues"), *SHARED),
    )
    spec = plan_of(tmp_path, host=host).spec
    assert spec.groups == (TEAM,)
    assert any("may use the engine" in note for note in spec.notes)


# --- the policy looks again -----------------------------------------------------------------------------


@pytest.mark.parametrize("gid", [0, -1, 105, OTHER])
@pytest.mark.parametrize("origin", ["project", "user", "bundled"])
def test_a_plan_with_another_group_is_refused_whoever_wrote_it(tmp_path: Path, gid: int, origin: Any) -> None:
    shared = (*SHARED, DirectoryGroup(105, "docker", "has power over this machine"))
    host = host_of(tmp_path, directory_groups=shared)
    spec = RunSpec(
        skill="t",
        image="debian:12",
        mounts=(project_mount(host),),
        user="1000:1000",
        directory=tmp_path,
        origin=origin,
        groups=(TEAM,),
    )
    assert policy.check(spec, host) == ()
    (found,) = policy.check(replace(spec, groups=(TEAM, gid)), host, grants=frozenset({f"group-add:{gid}"}))
    assert (found.code, found.grant, found.value) == ("group-add", None, str(gid))
