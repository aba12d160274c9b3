"""The grammar of mounts: what a text means, and what has no meaning."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from policy_helpers import make_host, make_spec

from skill_magic.errors import PolicyError
from skill_magic.host import Host
from skill_magic.mounts import mounts
from skill_magic.mounts import option as mount_option
from skill_magic.spec import Mount


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path, environment={"DATA": "/data:/x", "EMPTY": "", "SECRET_KEY": "hunter2"})
    (made.directory / "data").mkdir()
    return made


def volume(host: Host, text: str) -> Mount:
    return mounts.parse_volume(text, field="volumes[0]", host=host, base_dir=host.directory)


def option(host: Host, text: str) -> Mount:
    return mounts.parse_mount_option(text, field="extra_args[0]", host=host, base_dir=host.directory)


def refusal(host: Host, text: str, *, csv: bool = False) -> tuple[str, str, str]:
    with pytest.raises(mounts.Invalid) as caught:
        (option if csv else volume)(host, text)
    found = caught.value.violation
    return found.kind, found.code, found.reason


@pytest.mark.parametrize(
    ("text", "target", "read_only"),
    [
        ("${PWD}/data:/data", "/data", False),
        ("${PWD}/data:/data:ro", "/data", True),
        ("${PWD}/data:/data:rw", "/data", False),
        ("./data:/data/", "/data", False),
        ("./data:/x/../data:ro,z", "/data", True),
        (".:/w", "/w", False),
        ("./data:/with space", "/with space", False),
        ("./data:/data:ro,rprivate,cached", "/data", True),
    ],
)
def test_bind(host: Host, text: str, target: str, read_only: bool) -> None:
    mount = volume(host, text)
    assert (mount.kind, mount.target, mount.read_only) == ("bind", target, read_only)
    assert mount.source == str(host.directory if text.startswith(".:") else host.directory / "data")
    found = os.stat(mount.source)
    assert mount.identity == (found.st_dev, found.st_ino)


def test_source_is_resolved_and_the_text_is_kept(host: Host) -> None:
    (host.directory / "link").symlink_to("data")
    mount = volume(host, "./link/../link:/d")
    assert mount.source == str(host.directory / "data")
    assert mount.declared == str(host.directory / "link/../link")


def test_relative_source_starts_at_the_manifest(host: Host) -> None:
    mount = mounts.parse_volume("./x:/x", field="volumes[0]", host=host, base_dir=host.home)
    assert mount.source == str(host.home / "x")


def test_value_with_a_colon_is_data(host: Host) -> None:
    mount = volume(host, "${DATA}:/target:ro")
    assert (mount.declared, mount.target, mount.read_only) == ("/data:/x", "/target", True)
    assert mount.names == ("DATA",)


def test_named_volumes_belong_to_one_project(host: Host, tmp_path: Path) -> None:
    other = make_host(tmp_path / "other")
    one, two = volume(host, "pgdata:/d"), volume(other, "pgdata:/d")
    assert one.kind == two.kind == "volume"
    assert one.source is not None
    assert one.source.endswith("-pgdata")
    assert one.source != two.source


def test_anonymous_volume(host: Host) -> None:
    mount = volume(host, "/cache/")
    assert (mount.kind, mount.source, mount.target) == ("volume", None, "/cache")


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "::", ":/x", "./data:", "./data:/x:", "./data:/x:ro:z", "./data:/x:bogus", "./data:/x:RO",
        "./data:/x:ro,rw", "./data:/x:z,Z", "./data:/x:shared,rslave", "./data:x", "./data:./x", "data/x:/y",
        "a/../../etc:/x", "~/x:/y", "~root:/x", "x:/y", "-v:/x", ".x:/y", "C:/:/x", r"C:\Users:/x",
        "./da\0ta:/x", "./da\nta:/x", "./data:/x\x1b[0m", "${NOPE}:/x", "${EMPTY}:/x", "$HOME:/x", "$(id):/x",
        "`id`:/x", "${PWD:/x", "./data:/x:nocopy", "vol:/x:z", "vol:/x:shared", "\ud800:/x", "./a\u2028:/x",
    ],
)  # fmt: skip
def test_no_meaning(host: Host, text: str) -> None:
    kind, _, reason = refusal(host, text)
    assert kind == "invalid"
    assert reason.endswith(".")


@pytest.mark.parametrize("text", ["${SECRET_KEY} x:/y", "b/${SECRET_KEY}:/y", "./data:${SECRET_KEY}"])
def test_messages_show_what_was_written(host: Host, text: str) -> None:
    with pytest.raises(mounts.Invalid) as caught:
        volume(host, text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=bind,src=./data,dst=/x", ("bind", "/x", False)),
        ("TYPE=BIND,SRC=./data,DST=/x", ("bind", "/x", False)),
        ("type=bind,source=./data,target=/x,readonly", ("bind", "/x", True)),
        ("type=bind,source=./data,destination=/x,ro=true", ("bind", "/x", True)),
        ("type=bind,src=./data,dst=/x,ro,readonly=0", ("bind", "/x", False)),
        ('"type=bind","src=./data",dst=/x', ("bind", "/x", False)),
        ("type=bind,src=/nope,src=./data,dst=/x", ("bind", "/x", False)),
        ("src=vol,dst=/x", ("volume", "/x", False)),
        ("dst=/x", ("volume", "/x", False)),
        ("type=volume,src=vol,dst=/x,volume-nocopy", ("volume", "/x", False)),
        ("type=volume,src=vol,dst=/x,volume-driver=local", ("volume", "/x", False)),
        ("type=tmpfs,dst=/x,tmpfs-size=64m,tmpfs-mode=1777", ("tmpfs", "/x", False)),
        ("type=bind,src=./data,dst=/x,bind-propagation=rprivate", ("bind", "/x", False)),
        ("type=bind,src=./data,dst=/x,consistency=cached", ("bind", "/x", False)),
    ],
)
def test_mount_option(host: Host, text: str, expected: tuple[str, str, bool]) -> None:
    mount = option(host, text)
    assert (mount.kind, mount.target, mount.read_only) == expected


def test_mount_option_of_a_tmpfs(host: Host) -> None:
    mount = option(host, "type=tmpfs,dst=/x,tmpfs-size=64m,tmpfs-mode=1777")
    assert (mount.size, mount.options) == (64 << 20, ("mode=1777",))


def test_the_last_of_two_sources_counts(host: Host) -> None:
    assert option(host, "type=bind,src=/etc,dst=/x,src=./data").source == str(host.directory / "data")
    assert option(host, "type=bind,src=./data,dst=/x,SOURCE=/etc").source == "/etc"


@pytest.mark.parametrize(
    "text",
    [
        "", "type=bind", "type=bind,src=./data", "type=bind,dst=/x", "type=bind,src=data,dst=/x",
        "type=foo,dst=/x",
        "type=bind, src=./data,dst=/x", "type=bind,src =./data,dst=/x", "type=bind,src=./data,dst=x",
        "type=bind,src=./data,dst=/x,foo=bar", "type=bind,src=./data,dst=/x,ro=maybe", "type=bind,src,dst=/x",
        'type=bind,src="./data",dst=/x', '"type=bind,src=./data,dst=/x', '"type=bind"x,dst=/x',
        "type=tmpfs,src=x,dst=/x",
        "type=tmpfs,dst=/x,tmpfs-size=0", "type=tmpfs,dst=/x,tmpfs-mode=4777",
        "type=tmpfs,dst=/x,volume-nocopy",
        "type=volume,src=vol,dst=/x,bind-propagation=rprivate", "type=volume,src=vol,dst=/x,volume-subpath=y",
        "type=volume,src=vol,dst=/x,volume-label=a=b", "type=bind,src=./data,dst=/x,bind-nonrecursive",
        "type=bind,src=./data,dst=/x,bind-recursive=readonly",
        "type=bind,src=./data,dst=/x,bind-create-src=true",
        "type=bind,src=./data,dst=/x,consistency=foo", "type=bind,src=./data,dst=/x,bind-propagation=foo",
    ],
)  # fmt: skip
def test_mount_option_without_meaning(host: Host, text: str) -> None:
    assert refusal(host, text, csv=True)[0] == "invalid"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("type=npipe,src=x,dst=/x", "mount-pipe"),
        ("type=NPIPE,src=x,dst=/x", "mount-pipe"),
        ("type=image,src=evil,dst=/x", "mount-type"),
        ("type=cluster,src=x,dst=/x", "mount-type"),
        ("type=volume,src=v,dst=/x,volume-driver=vieux/sshfs", "mount-volume-driver"),
        ("type=volume,dst=/x,volume-opt=type=none,volume-opt=device=/", "mount-volume-option"),
        ("type=volume,dst=/x,VOLUME-OPT=device=/", "mount-volume-option"),
    ],
)
def test_mount_option_that_nothing_allows(host: Host, text: str, code: str) -> None:
    assert refusal(host, text, csv=True)[:2] == ("refused", code)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a,b", ["a", "b"]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a""b"', ['a"b']),
        ("a,", ["a", ""]),
        ('""', [""]),
    ],
)
def test_csv_fields(text: str, fields: list[str]) -> None:
    assert mount_option.fields(text) == fields


def test_project_mount(host: Host) -> None:
    mount = mounts.project_mount(host)
    assert (mount.source, mount.target, mount.read_only, mount.ours) == (
        str(host.directory),
        "/workdir",
        False,
        True,
    )


def test_recheck_passes_while_nothing_changes(host: Host) -> None:
    mounts.recheck(make_spec(host, mounts=(mounts.project_mount(host), volume(host, "./data:/d"))))


def test_recheck_finds_a_folder_swapped_for_a_link(host: Host) -> None:
    spec = make_spec(host, mounts=(volume(host, "./data:/d"),))
    (host.directory / "data").rmdir()
    (host.directory / "data").symlink_to("/etc")
    with pytest.raises(PolicyError) as caught:
        mounts.recheck(spec)
    assert [each.code for each in caught.value.violations] == ["mount-changed"]


def test_recheck_finds_a_folder_swapped_for_another(host: Host) -> None:
    spec = make_spec(host, mounts=(volume(host, "./data:/d"),))
    (host.directory / "data").rename(host.directory / "moved")
    (host.directory / "data").mkdir()
    with pytest.raises(PolicyError):
        mounts.recheck(spec)


def test_recheck_finds_a_parent_swapped_for_a_link(host: Host) -> None:
    (host.directory / "a/b").mkdir(parents=True)
    spec = make_spec(host, mounts=(volume(host, "./a/b:/d"),))
    (host.directory / "a").rename(host.directory / "c")
    (host.directory / "a").symlink_to("c")  # the same folder by another way is a change too
    with pytest.raises(PolicyError):
        mounts.recheck(spec)
