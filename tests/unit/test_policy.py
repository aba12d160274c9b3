"""The policy, one tweak at a time: a minimal spec is allowed, each change of it fires exactly one code."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import codes, make_host, make_spec

from skill_magic.host import Host
from skill_magic.mounts.mounts import parse_volume, project_mount
from skill_magic.policy import accounts as policy_accounts
from skill_magic.policy import rules as policy
from skill_magic.policy.paths import Judge
from skill_magic.policy.settings import Settings
from skill_magic.spec import EnvVar, Gpus, ImageFacts, Mount, RunSpec, Wish

IMAGE = ImageFacts(id="sha256:" + "0" * 64)
DIGEST = "debian@sha256:" + "a" * 64


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(
        tmp_path,
        environment={"MY_API_KEY": "s3cr3t-value", "DATA_DIR": "/data", "LANG": "C", "LC_ALL": "C"},
        groups=(1000, 2000),
    )
    (made.directory / "data").mkdir()
    (made.home / "Videos").mkdir()
    return made


def bind(host: Host, text: str) -> Mount:
    return parse_volume(text, field="volumes[0]", host=host, base_dir=host.directory)


def with_mount(host: Host, text: str, **changes: Any) -> RunSpec:
    return make_spec(host, mounts=(project_mount(host), bind(host, text)), **changes)


def test_the_minimal_spec_is_allowed(host: Host) -> None:
    assert policy.check(make_spec(host), host) == ()


TWEAKS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("registry", {"image": "evil.example.com/x"}, "image-registry", "registry:evil.example.com"),
    ("port", {"image": "ghcr.io:5000/x"}, "image-registry", "registry:ghcr.io:5000"),
    ("image id", {"image": "d32ac776f69a"}, "image-id", "image:d32ac776f69a"),
    ("image id, long", {"image": "sha256:" + "a" * 64}, "image-id", "image:sha256:" + "a" * 64),
    ("host network", {"network": "host"}, "network-namespace", None),
    ("host network, case", {"network": "HOST"}, "network-namespace", None),
    ("container's network", {"network": "container:db"}, "network-namespace", None),
    ("network by path", {"network": "ns:/proc/1/ns/net"}, "network-namespace", None),
    ("another network", {"network": "pg_net"}, "network-name", "network:pg_net"),
    ("bridge", {"network": "bridge"}, "network-bridge", "network:bridge"),
    ("a host variable", {"environment": (EnvVar("K", "v", ("MY_API_KEY",)),)}, "env-host", "env:MY_API_KEY"),
    ("of a plain name", {"environment": (EnvVar("K", "v", ("DATA_DIR",)),)}, "env-host", "env:DATA_DIR"),
    (
        "in a target",
        {"mounts": (Mount("volume", "/w", names=("X",)),), "working_dir": None},
        "env-host",
        "env:X",
    ),
    ("another uid", {"user": "33:1000", "user_field": "user"}, "user-other", "uid:33"),
    ("another uid, 033", {"user": "033:1000", "user_field": "user"}, "user-other", "uid:33"),
    ("another uid, +33", {"user": "+33:1000", "user_field": "user"}, "user-other", "uid:33"),
    ("another uid alone", {"user": "33", "user_field": "user"}, "user-other", "uid:33"),
    ("another gid", {"user": "1000:33", "user_field": "user"}, "group-other", "gid:33"),
    ("another gid, 033", {"user": "01000:033", "user_field": "user"}, "group-other", "gid:33"),
    ("another gid of a name", {"user": "nobody:33", "user_field": "user"}, "group-other", "gid:33"),
    ("another uid, a named group", {"user": "33:staff", "user_field": "user"}, "user-other", "uid:33"),
    ("a further group", {"group_add": ("1000",)}, "group-add", "group-add:1000"),
    ("uid 0", {"user": "0", "user_field": "user"}, "user-root", "uid0"),
    ("uid 00", {"user": "00", "user_field": "user"}, "user-root", "uid0"),
    ("root", {"user": "root", "user_field": "user"}, "user-root", "uid0"),
    ("no uid", {"user": ":1000", "user_field": "user"}, "user-root", "uid0"),
    ("gid 0", {"user": "1000:0", "user_field": "user"}, "user-root-group", "gid0"),
    ("group root", {"user": "1000:root", "user_field": "user"}, "user-root-group", "gid0"),
    ("the image's user", {"user": None, "user_field": "user"}, "user-image", "uid0"),
    ("workdir", {"working_dir": "/proc/1/cwd"}, "workdir-kernel", None),
    ("workdir, dots", {"working_dir": "/w/../proc/self"}, "workdir-kernel", None),
    ("workdir, slashes", {"working_dir": "//sys"}, "workdir-kernel", None),
    ("workdir missing", {"working_dir": "/workdir/nope"}, "workdir-missing", None),
    ("privileged", {"wishes": (Wish("privileged", "true", "extra_args[0]"),)}, "privileged", None),
    ("tmpfs at /", {"mounts": (Mount("tmpfs", "/"),), "working_dir": None}, "target-root", None),
    ("tmpfs at /proc", {"mounts": (Mount("tmpfs", "/proc/x"),), "working_dir": None}, "target-kernel", None),
]


@pytest.mark.parametrize(("name", "tweak", "code", "grant"), TWEAKS, ids=[each[0] for each in TWEAKS])
def test_one_tweak_one_code(
    host: Host, name: str, tweak: dict[str, Any], code: str, grant: str | None
) -> None:
    (found,) = policy.check(make_spec(host, **tweak), host)
    assert (found.code, found.grant) == (code, grant)
    assert found.reason.endswith(".")
    assert found.fix
    if grant is not None:
        assert "skill trust t" in found.fix
        assert policy.check(make_spec(host, **tweak), host, grants=frozenset({grant})) == ()


@pytest.mark.parametrize(("name", "tweak", "code", "grant"), TWEAKS, ids=[each[0] for each in TWEAKS])
@pytest.mark.parametrize("origin", ["user", "bundled"])
def test_trusted_manifests_are_only_held_to_what_nothing_lifts(
    host: Host, name: str, tweak: dict[str, Any], code: str, grant: str | None, origin: str
) -> None:
    found = policy.check(make_spec(host, origin=origin, **tweak), host)
    assert codes(found) == ([] if grant is not None else [code])


ALLOWED: list[dict[str, Any]] = [
    {"image": "ghcr.io/astral-sh/uv:0.5"},
    {"image": "docker.io/library/debian"},
    {"image": "index.docker.io/library/debian"},
    {"image": "GHCR.IO/x/y"},
    {"image": DIGEST},
    {"image": "deadbeef:1"},
    {"gpus": Gpus(count=-1)},
    {"user": "nobody", "user_field": "user"},
    {"user": "01000:+1000", "user_field": "user"},
    {"user": "1000:2000", "user_field": "user"},
    {"working_dir": "/process"},
    {"mounts": (Mount("tmpfs", "/dev/shm"),)},
    {"environment": (EnvVar("LD_PRELOAD", "/x.so"),)},
    {"environment": (EnvVar("K", "v", ("HOME", "LC_ALL")),)},
    {"environment": (EnvVar("NVIDIA_VISIBLE_DEVICES", "void"),)},
]


@pytest.mark.parametrize("tweak", ALLOWED, ids=str)
def test_allowed(host: Host, tweak: dict[str, Any]) -> None:
    assert policy.check(make_spec(host, **tweak), host) == ()


@pytest.mark.parametrize("network", ["none", "bridge"])
def test_each_host_variable_is_asked_for_once_whatever_the_network(host: Host, network: str) -> None:
    variables = (EnvVar("A", "x", ("MY_API_KEY", "HOME")), EnvVar("B", "y", ("DATA_DIR", "MY_API_KEY")))
    spec = make_spec(host, network=network, environment=variables)
    given = frozenset({"network:bridge"})
    found = policy.check(spec, host, grants=given)
    assert [(each.code, each.grant) for each in found] == [
        ("env-host", "env:MY_API_KEY"),
        ("env-host", "env:DATA_DIR"),
    ]
    half = policy.check(spec, host, grants=given | {"env:DATA_DIR"})
    assert [each.grant for each in half] == ["env:MY_API_KEY"]


def test_a_network_that_policy_toml_lists_needs_no_grant(host: Host) -> None:
    spec = make_spec(host, network="bridge")
    assert policy.check(spec, host, settings=Settings(networks=frozenset({"bridge"}))) == ()
    assert codes(policy.check(spec, host, settings=Settings(networks=frozenset({"pg_net"})))) == [
        "network-bridge"
    ]
    # The strict profile asks of everybody, and a list for projects does not loosen it.
    strict = Settings(profile="strict", networks=frozenset({"bridge"}))
    assert "network-bridge" in codes(policy.check(replace(spec, origin="user"), host, settings=strict))


def test_root_and_a_foreign_group_are_two_things(host: Host) -> None:
    spec = make_spec(host, user="0:33", user_field="user")
    assert [each.grant for each in policy.check(spec, host)] == ["uid0", "gid:33"]
    assert [each.grant for each in policy.check(spec, host, grants=frozenset({"uid0"}))] == ["gid:33"]
    spec = make_spec(host, user="33:34", user_field="user")
    assert [each.grant for each in policy.check(spec, host)] == ["uid:33", "gid:34"]


def test_the_group_that_steers_the_engine_is_not_lent_to_a_tool(tmp_path: Path) -> None:
    """Who may use the engine is in its group; a file of that group is worth the machine."""
    server = tmp_path / "engine.sock"
    server.touch()
    os.chown(server, -1, group := 4321 if os.getuid() == 0 else os.getgid())
    host = make_host(tmp_path, engine=f"unix://{server}", gid=99, groups=(99, group, 7))
    for gid, expected in ((99, []), (7, []), (group, [f"gid:{group}"])):
        spec = make_spec(host, user=f"1000:{gid}", user_field="user")
        found = policy.check(spec, host)
        assert [each.grant for each in found] == expected
    assert "engine" in found[0].reason
    # The first group of the caller is every run's, and so it is no gain.
    first = replace(host, gid=group)
    assert policy.check(make_spec(first, user=f"1000:{group}", user_field="user"), first) == ()


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "ld_preload"])
def test_loader_variables_with_a_gpu(host: Host, name: str) -> None:
    spec = make_spec(host, gpus=Gpus(count=1), environment=(EnvVar(name, "/x.so"),))
    (found,) = policy.check(spec, host)
    assert (found.code, found.grant) == ("gpu-loader", f"gpu-env:{name}")
    assert "/x.so" not in str(found)


@pytest.mark.parametrize(
    ("text", "code", "grant"),
    [
        ("${HOME}/Videos:/v", "mount-outside-rw", "mount:rw:{home}/Videos"),
        ("${HOME}/Videos:/v:ro", "mount-outside-ro", "mount:ro:{home}/Videos"),
        ("../Videos:/v:ro", "mount-outside-ro", "mount:ro:{home}/Videos"),
        ("./link:/v:ro", "mount-outside-ro", "mount:ro:{home}/Videos"),
        ("${HOME}/Videos/a.txt:/v:ro", "mount-outside-ro", "mount:ro:{home}/Videos/a.txt"),
        ("${PWD}/.git:/g", "mount-project-code", "mount:rw:{home}/proj/.git"),
        ("${PWD}/.git/hooks:/g", "mount-project-code", "mount:rw:{home}/proj/.git/hooks"),
        ("${HOME}:/h", "mount-home", None),
        ("${HOME}/.ssh:/h:ro", "mount-credential", None),
        ("${HOME}/.gitconfig:/h:ro", "mount-missing", None),
        ("${HOME}/.colima/x:/h", "mount-socket", None),
        ("/etc:/e:ro", "mount-system", None),
        ("/home:/e:ro", "mount-system", None),
        ("/proc/self/root:/e:ro", "mount-kernel", None),
        ("//./pipe/docker_engine:/e", "mount-pipe", None),
        ("/run/docker.sock:/e", "mount-socket", None),
        ("${PWD}/nope:/x", "mount-missing", None),
        ("${PWD}/data:/x:shared", "mount-propagation", None),
        ("${PWD}/data:/", "target-root", None),
        ("${PWD}/data:/sys/x", "target-kernel", None),
        ("${PWD}/data:/workdir/nope", "target-missing", None),
    ],
)
def test_mounts(host: Host, text: str, code: str, grant: str | None) -> None:
    (host.directory / ".git/hooks").mkdir(parents=True)
    (host.directory / "link").symlink_to(host.home / "Videos")
    (host.home / "Videos/a.txt").touch()
    spec = with_mount(host, text)
    assert codes(policy.check(spec, host)) == [code]
    (found,) = policy.check(spec, host)
    assert found.grant == (grant.format(home=host.home) if grant else None)
    assert found.field == "volumes[0]"
    assert found.file == spec.file


def test_code_of_the_home_directory(host: Host) -> None:
    (host.home / ".gitconfig").touch()
    assert codes(policy.check(with_mount(host, "${HOME}/.gitconfig:/h"), host)) == ["mount-code"]
    reading = with_mount(host, "${HOME}/.gitconfig:/h:ro")
    assert codes(policy.check(reading, host)) == ["mount-outside-ro"]
    assert policy.check(replace(reading, origin="user"), host) == ()


def test_a_label_outside_is_refused_beside_what_can_be_granted(host: Host) -> None:
    found = policy.check(with_mount(host, "${HOME}/Videos:/v:ro,Z"), host)
    assert [(each.code, each.liftable) for each in found] == [
        ("mount-relabel", False),
        ("mount-outside-ro", True),
    ]


@pytest.mark.parametrize("text", ["${PWD}/data:/v:ro", "${PWD}/data:/d", "${PWD}:/w:z", "vol:/v", "/cache"])
def test_mounts_that_need_nothing(host: Host, text: str) -> None:
    assert policy.check(with_mount(host, text), host) == ()


def test_who_may_write_to_a_path_may_read_it_and_no_other(host: Host) -> None:
    (host.home / "Videos/deeper").mkdir()
    spec = with_mount(host, "${HOME}/Videos:/v:ro")
    for grant, expected in (
        (f"mount:ro:{host.home}/Videos", []),
        (f"mount:rw:{host.home}/Videos", []),
        (f"mount:rw:{host.home}", ["mount-outside-ro"]),
        (f"mount:rw:{host.home}/Videos/deeper", ["mount-outside-ro"]),
        ("mount:rw:*", ["mount-outside-ro"]),
    ):
        assert codes(policy.check(spec, host, grants=frozenset({grant}))) == expected
    given = frozenset({f"mount:rw:{host.home}/Videos"})
    forbidden = Settings(forbid_grants=frozenset({"mount:rw:*"}))
    assert codes(policy.check(spec, host, grants=given, settings=forbidden)) == ["mount-outside-ro"]
    writing = with_mount(host, "${HOME}/Videos:/v")
    reading = frozenset({f"mount:ro:{host.home}/Videos"})
    assert codes(policy.check(writing, host, grants=reading)) == ["mount-outside-rw"]


def test_special_files(host: Host) -> None:
    os.mkfifo(host.directory / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(host.directory / "s"))
        for name in ("pipe", "s"):
            assert codes(policy.check(with_mount(host, f"./{name}:/x"), host)) == ["mount-special"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_with_a_socket(host: Host, inside: bool) -> None:
    folder = (host.directory if inside else host.home) / "s"
    folder.mkdir()
    (folder / "data").touch()
    (folder / "deeper").mkdir()
    (folder / "link").symlink_to("nowhere")
    before = policy.check(with_mount(host, f"{folder}:/x:ro"), host)
    assert codes(before) == ([] if inside else ["mount-outside-ro"])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "x"))
        found = policy.check(with_mount(host, f"{folder}:/x:ro"), host)
    assert codes(found) == ([] if inside else ["mount-socket"])
    assert not any(each.liftable for each in found)


def test_a_link_in_a_circle_is_missing(host: Host) -> None:
    (host.directory / "a").symlink_to("b")
    (host.directory / "b").symlink_to("a")
    assert codes(policy.check(with_mount(host, "./a:/x"), host)) == ["mount-missing"]


def test_swapped_between_plan_and_check(host: Host) -> None:
    spec = with_mount(host, "./data:/x")
    (host.directory / "data").rmdir()
    (host.directory / "data").symlink_to(host.home / "Videos")
    assert codes(policy.check(spec, host)) == ["mount-changed"]


def test_a_remote_engine(tmp_path: Path) -> None:
    host = make_host(tmp_path, engine="tcp://10.0.0.5:2375")
    (found,) = policy.check(make_spec(host), host)
    assert (found.code, found.grant) == ("mount-remote", "remote-mounts")


def test_the_socket_of_the_engine_in_use(tmp_path: Path) -> None:
    host = make_host(tmp_path, engine=f"unix://{tmp_path}/home/u/proj/run/e.sock")
    (host.directory / "run").mkdir()
    assert codes(policy.check(make_spec(host), host)) == ["mount-socket"]


@pytest.mark.parametrize("root", ["", "home", "home/u"])
def test_a_home_directory_or_its_parent_as_project(tmp_path: Path, root: str) -> None:
    host = make_host(tmp_path, directory=tmp_path / root)
    (found,) = policy.check(make_spec(host), host)
    assert found.code == "mount-home"
    assert found.file is None  # no manifest asked for it
    assert "folder of its own" in found.fix


def test_the_home_directory_as_project_by_setting(tmp_path: Path) -> None:
    host = make_host(tmp_path, directory=tmp_path / "home/u")
    settings = Settings(allow_home_project=True)
    assert policy.check(make_spec(host), host, settings=settings) == ()
    parent = make_host(tmp_path, directory=tmp_path / "home")
    assert codes(policy.check(make_spec(parent), parent, settings=settings)) == ["mount-home"]


def test_tmp_is_no_project(host: Host) -> None:
    here = replace(host, directory=Path("/tmp"))
    assert codes(policy.check(make_spec(here), here)) == ["mount-system"]


def test_a_project_inside_a_home_of_root(tmp_path: Path) -> None:
    # /root is a system tree for all but the person whose home it is.
    judge = Judge(make_host(tmp_path, home=Path("/root")))
    assert judge.hit("/root/proj", "/root/proj") is None
    assert judge.hit("/root", "/root") is not None
    assert judge.hit("/root/.ssh", "/root/.ssh") is not None
    assert Judge(make_host(tmp_path)).hit("/root/proj", "/root/proj") is not None


@pytest.mark.parametrize("root", [0, 1000])
def test_root_is_no_more_than_the_caller(tmp_path: Path, root: int) -> None:
    engine = "unix:///run/user/1000/docker.sock" if root else "unix:///var/run/docker.sock"
    host = make_host(tmp_path, uid=root, gid=root, engine=engine)
    assert policy.check(make_spec(host, user="0:0", user_field="user"), host) == ()


def test_all_at_once(host: Host) -> None:
    spec = with_mount(host, "/etc:/proc", network="host", image="evil.io/x", user="0", user_field="user")
    assert codes(policy.check(spec, host)) == [
        "image-registry",
        "mount-system",
        "target-kernel",
        "network-namespace",
        "user-root",
    ]


def test_secrets_are_not_shown(host: Host) -> None:
    found = policy.check(with_mount(host, "/etc/${MY_API_KEY}:/x"), host)
    assert codes(found) == ["mount-system", "env-host"]
    assert "s3cr3t-value" not in str(found)
    (host.home / "s3cr3t-value").mkdir()
    found = policy.check(with_mount(host, "${HOME}/${MY_API_KEY}:/x"), host)
    assert codes(found) == ["mount-outside-rw", "env-host"]
    assert "s3cr3t-value" not in repr(found)
    # A grant must name one thing; where the path cannot be said, it says what the manifest says.
    assert found[0].grant == "mount:rw:${HOME}/${MY_API_KEY}"


def test_forbidden_grants_have_no_effect(host: Host) -> None:
    settings = Settings(forbid_grants=frozenset({"registry:*"}))
    spec = make_spec(host, image="evil.io/x")
    (found,) = policy.check(spec, host, grants=frozenset({"registry:evil.io"}), settings=settings)
    assert not found.liftable
    assert policy.check(replace(spec, origin="user"), host, settings=settings) != ()


def test_settings_allow_registries_and_networks(host: Host) -> None:
    settings = Settings(registries=frozenset({"evil.io"}), networks=frozenset({"pg_net"}))
    spec = make_spec(host, image="evil.io/x", network="pg_net")
    assert policy.check(spec, host, settings=settings) == ()
    assert codes(policy.check(make_spec(host), host, settings=settings)) == ["image-registry"]


@pytest.mark.parametrize("origin", ["project", "user", "bundled"])
def test_the_strict_profile(host: Host, origin: str) -> None:
    spec = make_spec(host, image=DIGEST, origin=origin)
    strict = Settings(profile="strict")
    assert policy.check(spec, host, settings=strict) == ()
    for tweak, code, grant in (
        ({"network": "bridge"}, "network-bridge", "network:bridge"),
        ({"gpus": Gpus(count=1)}, "gpus", "gpus"),
        ({"image": "debian:12"}, "image-digest", None),
        ({"user": "nobody", "user_field": "user"}, "user-name", None),
    ):
        changed = replace(spec, **tweak)
        (found,) = policy.check(changed, host, settings=strict)
        assert (found.code, found.grant) == (code, grant)
        if grant is not None:
            assert policy.check(changed, host, settings=strict, grants=frozenset({grant})) == ()


@pytest.mark.parametrize(
    ("facts", "tweak", "expected"),
    [
        ({"working_dir": "/proc/self/fd/8"}, {}, ["image-workdir"]),
        ({"working_dir": "/x/../proc"}, {}, ["image-workdir"]),
        ({"working_dir": "proc/self/fd/8"}, {}, ["image-workdir"]),
        ({"working_dir": "../proc/self/fd/8"}, {}, ["image-workdir"]),
        ({"working_dir": "/app"}, {}, []),
        ({"working_dir": "app"}, {}, []),
        ({"volumes": ("/sys",)}, {}, ["image-volume"]),
        ({"volumes": ("/data", "/proc/x")}, {}, ["image-volume"]),
        ({"volumes": ("/",)}, {}, ["image-volume"]),
        ({"volumes": ("../dev",)}, {}, ["image-volume"]),
        ({"volumes": ("/data", "/system", "/var/lib/postgresql/data")}, {}, []),
        ({"volumes": tuple(f"/v{number}" for number in range(65))}, {}, ["image-volume"]),
        ({"volumes": ("/workdir/a/b/c",)}, {}, ["image-volume-missing"]),
        ({"volumes": ("workdir/./.git/hooks/",)}, {}, ["image-volume-missing"]),
        ({"volumes": ("/x/../workdir/new",)}, {}, ["image-volume-missing"]),
        ({"volumes": ("/workdir/link/new", "/workdir/link")}, {}, ["image-volume-missing"]),
        ({"volumes": ("/workdir/file",)}, {}, ["image-volume-missing"]),
        ({"volumes": ("/workdir/folder", "/workdir", "/workdirs/x")}, {}, []),
        ({"environment": ("LD_PRELOAD=/x.so",)}, {"gpus": Gpus(count=1)}, ["gpu-loader"]),
        ({"environment": ("LD_LIBRARY_PATH=/x",)}, {"gpus": Gpus(count=1)}, []),
        ({"environment": ("LD_PRELOAD=/x.so",)}, {}, []),
        ({"user": ""}, {"user": None, "user_field": "user"}, ["user-root"]),
        ({"user": "root"}, {"user": None, "user_field": "user"}, ["user-root"]),
        ({"user": "1000"}, {"user": None, "user_field": "user"}, []),
        ({"user": "1234"}, {"user": None, "user_field": "user"}, ["user-other"]),
        ({"user": "1000:33"}, {"user": None, "user_field": "user"}, ["group-other"]),
        ({"user": "33:0"}, {"user": None, "user_field": "user"}, ["user-other", "user-root-group"]),
        ({"user": "0" * 5000}, {"user": None, "user_field": "user"}, ["user-root"]),
        ({"user": "+0"}, {"user": None, "user_field": "user"}, ["user-root"]),
        ({"user": "0"}, {}, []),
        ({"labels": {"io.whalebrew.config.volumes": "['/:/x']"}}, {}, []),
    ],
)
def test_what_an_image_brings(
    host: Host, facts: dict[str, Any], tweak: dict[str, Any], expected: list[str]
) -> None:
    (host.directory / "folder").mkdir()
    (host.directory / "link").symlink_to("folder")
    (host.directory / "file").touch()
    found = policy.check_image(make_spec(host, **tweak), replace(IMAGE, **facts), host)
    assert codes(found) == expected


PASSWD = (
    "root:x:0:0::/:/bin/sh\nnobody:x:0:0::/:\napp:x:100:101::/:\nwheel:x:7:0::/:\nme:x:1000:2000::/:\n"
    "toor:x:0:105::/:\n"
)
GROUP = "root:x:0:\nstaff:x:50:\nadmin:x:0:\nmine:x:2000:\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("nobody", ["user-root"]),
        ("app", ["uid:100", "gid:101"]),
        ("app:staff", ["uid:100", "gid:50"]),
        ("app:admin", ["uid:100", "user-root-group"]),
        ("app:0", ["uid:100"]),
        ("app:33", ["uid:100"]),
        ("me", []),
        ("me:staff", ["gid:50"]),
        ("me:mine", []),
        ("1000:staff", ["gid:50"]),
        ("root", []),
        ("toor", ["gid:105"]),
        ("0", []),
        ("nobody:0", ["user-root"]),
        ("wheel", ["uid:7", "user-root-group"]),
        ("wheel:staff", ["uid:7", "gid:50"]),
        ("missing", ["user-unknown"]),
        ("app:missing", ["user-unknown"]),
    ],
)
def test_names_mean_what_the_image_says(host: Host, user: str, expected: list[str]) -> None:
    """Numbers were judged before; root by its own words as well. What can be allowed is asked for by number."""
    spec = make_spec(host, user=user, user_field="user")
    found = policy.check_accounts(spec, PASSWD, GROUP, host)
    assert [each.grant or each.code for each in found] == expected
    for each in found:
        assert "In this image" in each.reason or each.code == "user-unknown"
    given = frozenset(each.grant for each in found if each.grant is not None)
    left = policy.check_accounts(spec, PASSWD, GROUP, host, grants=given)
    assert [each.code for each in left] == [each for each in expected if ":" not in each]
    assert all(each.liftable is False for each in left)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", []),
        ("root", []),
        ("toor", ["gid:105"]),
        ("100", ["gid:101"]),
        ("8", ["gid0"]),
        ("app", ["uid:100", "gid:101"]),
        ("nobody", []),
        ("me", []),
    ],
)
def test_the_images_own_user_means_what_the_image_says(host: Host, user: str, expected: list[str]) -> None:
    """``uid0`` stands for root by any name here; a bare number was judged, its group was not."""
    spec = make_spec(host, user=None, user_field="user")
    found = policy.check_accounts(spec, PASSWD, GROUP, host, grants=frozenset({"uid0"}), image_user=user)
    assert [each.grant for each in found] == expected


@pytest.mark.parametrize(
    ("group", "expected"),
    [("mine", []), ("staff", ["group-add:50"]), ("admin", ["group-add:0"]), ("missing", [None]), ("50", [])],
)
def test_a_further_group_is_what_the_image_calls_so(
    host: Host, group: str, expected: list[str | None]
) -> None:
    """A grant for a name would be one for any number."""
    spec = make_spec(host, wishes=(Wish("group-add", group, "extra_args[0]"),))
    found = policy.check_accounts(spec, PASSWD, GROUP, host, grants=frozenset({f"group-add:{group}"}))
    assert [each.grant for each in found] == expected


@pytest.mark.parametrize(
    ("uid", "engine"), [(0, "unix:///var/run/docker.sock"), (1000, "unix:///run/user/1000/docker.sock")]
)
def test_who_is_root_there_anyway_is_asked_for_no_identity(tmp_path: Path, uid: int, engine: str) -> None:
    host = make_host(tmp_path, uid=uid, gid=uid, engine=engine)
    for user in ("33:33", "0:33", "1000", "nobody:105", "app"):
        spec = make_spec(host, user=user, user_field="user")
        assert policy.check(spec, host) == ()
        assert policy.check_accounts(spec, PASSWD, GROUP, host) == ()


@pytest.mark.parametrize(
    "line",
    [
        "nobody:x:evil:65534::/:",
        "nobody:x:65534:evil::/:",
        "nobody:x:::",
        "nobody",
        " nobody:x:0:0",
        "\x85nobody:x:0:0",
        "nobody:x:+0:0",
        "nobody:x:２:2",
        f"nobody:x:{'9' * 5000}:1",
        "nobody:x:4294967296:1",
        # Another line to us only: a decoy that the engine does not see.
        "a\x0bnobody:x:999:999\nnobody:x:0:0",
        "a\u2028nobody:x:999:999\nnobody:x:0:0",
        "\x1cnobody:x:999:999\nnobody:x:0:0",
    ],
)
def test_account_files_are_read_as_the_engine_reads_them(host: Host, line: str) -> None:
    spec = make_spec(host, user="nobody", user_field="user")
    passwd = f"root:x:0:0::/:\n{line}\nnobody:x:65534:65534::/:\n"
    found = [each for each in policy.check_accounts(spec, passwd, GROUP, host) if not each.liftable]
    assert [each.code in ("user-root", "user-root-group") for each in found] == [True]


@pytest.mark.parametrize(
    "line", ["staff:x:evil:", "staff", " staff:x:0:", "a\x0bstaff:x:5:\nstaff:x:0:", f"staff:x:{'9' * 5000}:"]
)
def test_group_files_are_read_as_the_engine_reads_them(host: Host, line: str) -> None:
    spec = make_spec(host, user="app:staff", user_field="user")
    found = policy.check_accounts(spec, PASSWD, f"{line}\n{GROUP}", host)
    assert codes(found) == ["user-other", "user-root-group"]


def test_ordinary_account_files(host: Host) -> None:
    passwd = "# users\n\n+::::::\nroot:x:0:0::/:\r\napp:x:0100:101::/:\r\n"
    assert policy_accounts.numeric("app", passwd, "") == "100:101"
    assert policy_accounts.numeric("app:staff", passwd, "#staff:x:0:\nstaff:x:50:app\n") == "100:50"
    assert policy_accounts.numeric("7:staff", passwd, GROUP) == "7:50"
    assert policy_accounts.numeric(":staff", passwd, GROUP) == "0:50"


def test_group_0_of_a_caller_who_has_it(tmp_path: Path) -> None:
    host = make_host(tmp_path, gid=0)
    spec = make_spec(host, user="1000:0", user_field="user")
    assert policy.check(spec, host) == ()
    found = policy.check_accounts(replace(spec, user="wheel"), PASSWD, GROUP, host)
    assert [each.grant for each in found] == ["uid:7"]


def test_existing_volumes(host: Host) -> None:
    spec = with_mount(host, "pgdata:/d")
    name = spec.mounts[1].source
    assert name is not None
    assert policy.check_volumes(spec, {}, host) == ()
    assert policy.check_volumes(spec, {name: {"Driver": "local", "Options": None}}, host) == ()
    for volume in ({"Driver": "local", "Options": {"device": "/"}}, {"Driver": "vieux/sshfs", "Options": {}}):
        assert codes(policy.check_volumes(spec, {name: volume}, host)) == ["volume-options"]


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        ({"/workdir": "/etc"}, ["target-link"]),
        ({"/workdir": "/"}, ["target-link"]),
        ({"/workdir": "/proc/self"}, ["target-link"]),
        ({"/data/x": "/workdir/x"}, ["target-link"]),
        ({"/data": "/workdir"}, ["target-link"]),
        ({"/data/x": "/"}, ["target-link"]),
        ({"/var/run/x": "/run/x"}, []),
        ({"/workdir": "/srv/work"}, []),
        ({}, []),
    ],
)
def test_where_a_path_leads_in_its_image(host: Host, real: dict[str, str], expected: list[str]) -> None:
    assert codes(policy.check_links(make_spec(host), real, host)) == expected


@pytest.mark.parametrize("target", ["/etc", "/etc/", "/x/../etc", "//etc"])
def test_a_folder_over_what_the_engine_writes(host: Host, target: str) -> None:
    mount = Mount("bind", target, str(host.directory), field="volumes[0]")
    assert codes(policy.check(make_spec(host, mounts=(mount,)), host)) == ["target-system"]
    inner = Mount("bind", "/etc/app", str(host.directory), field="volumes[0]")
    assert codes(policy.check(make_spec(host, mounts=(inner,)), host)) == []
