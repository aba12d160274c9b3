"""The same words given to the real ``docker`` command and to us make the same container.

What a word changes in the container that ``docker create`` makes must be so in ours; a word that the command
refuses is refused by us. Containers are created and removed, never started.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from skill_magic.command.parse import Request
from skill_magic.engine.arguments import create_body
from skill_magic.engine.verify import differences
from skill_magic.flags import rules as flag_rules
from skill_magic.flags.table import OPTIONS
from skill_magic.host import Host, discover
from skill_magic.manifest.layers import Docker, Skill
from skill_magic.plan.draft import Draft, draft
from skill_magic.spec import ImageFacts

pytestmark = pytest.mark.engine

IMAGE = "skill-magic-test/empty:differential"


@pytest.fixture(scope="module")
def image() -> Iterator[ImageFacts]:
    """An image with one file, which nothing ever runs."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("file"), io.BytesIO())
    done = subprocess.run(
        ["docker", "import", "-", IMAGE], input=made.getvalue(), capture_output=True, check=True
    )
    yield ImageFacts(done.stdout.decode().strip())
    subprocess.run(["docker", "rmi", IMAGE], capture_output=True, check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Host:
    directory = tmp_path_factory.mktemp("project")
    (directory / "data").mkdir()
    (directory / 'a,"b').mkdir()
    return discover(directory)


def words_refused(args: list[str], host: Host) -> str:
    """What the command says against the words, an empty string where it makes a container."""
    command = ["docker", "create", "--pull", "never", *args, IMAGE, "x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=host.directory, check=False)
    if done.returncode == 0:
        subprocess.run(["docker", "rm", "-v", done.stdout.strip()], capture_output=True, check=True)
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def command_makes(image: ImageFacts, project: Host) -> Callable[[list[str]], dict[str, Any]]:
    def make(args: list[str]) -> dict[str, Any]:
        done = subprocess.run(
            ["docker", "create", *args, IMAGE, "x"],
            capture_output=True,
            text=True,
            cwd=project.directory,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        container = done.stdout.strip()
        try:
            told = subprocess.run(["docker", "inspect", container], capture_output=True, check=True)
            return flat(json.loads(told.stdout)[0])
        finally:
            subprocess.run(["docker", "rm", "-v", container], capture_output=True, check=True)

    return make


@pytest.fixture(scope="module")
def empty(command_makes: Callable[[list[str]], dict[str, Any]]) -> dict[str, Any]:
    """The container that the command makes without any options; its host name is its id."""
    return {**command_makes([]), "Config.Hostname": None}


def plan_of(args: list[str], host: Host) -> Draft:
    skill = Skill("t", Docker(image=IMAGE, extra_args=tuple(args)), "user", host.directory / "skills.toml")
    return draft(skill, Request("t", ("x",)), host)


@pytest.fixture(scope="module")
def we_make(image: ImageFacts, project: Host) -> Callable[[list[str]], dict[str, Any]]:
    import docker

    api: Any = docker.APIClient(version="auto")

    def make(args: list[str]) -> dict[str, Any]:
        made = plan_of(args, project)
        assert made.faults == ()
        body = create_body(made.spec, image, name="", labels={})
        container = api.create_container_from_config(body, None, made.spec.platform)["Id"]
        try:
            told = api.inspect_container(container)
            assert differences(body, told) == []
            return flat(told)
        finally:
            api.remove_container(container, v=True)

    return make


#: Ours whatever the words say (streams, swap), or compared as `Mounts` (two ways to say the same).
OWN = re.compile(
    r"Config\.(Image|Tty|OpenStdin|StdinOnce|AttachStd(in|out|err))$|HostConfig\.(Binds|Mounts)$|Config\.Volumes"
)


def flat(inspect: Mapping[str, Any]) -> dict[str, Any]:
    """HostConfig and Config as one mapping, in a form that does not depend on who asked."""
    found = {
        f"{part}.{key}": value for part in ("HostConfig", "Config") for key, value in inspect[part].items()
    }
    found["Mounts"] = {
        point["Destination"]: (
            point["Type"],
            point.get("Source") if point["Type"] == "bind" else None,
            point["RW"],
        )
        for point in inspect["Mounts"]
    }
    environment = found.get("Config.Env") or []
    found["Config.Env"] = {item.partition("=")[0]: item for item in environment}
    if found.get("HostConfig.Ulimits"):
        found["HostConfig.Ulimits"] = {item["Name"]: item for item in found["HostConfig.Ulimits"]}
    return found


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What ``after`` has that ``before`` has not, members of lists and mappings one by one."""
    found: dict[str, Any] = {}
    for key in {*before, *after}:
        old, new = before.get(key) or None, after.get(key) or None
        if old == new:
            continue
        if isinstance(new, dict):
            found |= {f"{key}.{name}": value for name, value in new.items() if (old or {}).get(name) != value}
        elif isinstance(new, list):
            found[key] = [item for item in new if item not in (old or [])]
        else:
            found[key] = new
    return found


SAME: list[list[str]] = [
    ["--add-host", "db:10.0.0.5"],
    ["--blkio-weight", "0"],
    ["--cap-add", "CHOWN"],
    ["--cap-add", "cap_setuid", "--cap-add=KILL"],
    ["--cpu-period", "50000", "--cpu-quota", "25000"],
    ["-c", "512"],
    ["--cpu-shares=0x200"],
    ["--cpus", "0.5"],
    ["--cpus=.25"],
    ["--cpuset-cpus", "0"],
    ["--cpuset-mems", "0"],
    ["--dns", "1.1.1.1", "--dns-opt", "ndots:2", "--dns-search", "example.org"],
    ["--domainname", "example.org"],
    ["-e", "A=1", "-eB=b=c", "--env=C="],
    ["-e", "OPTS=--privileged"],
    ["-ite", "X=y z"],
    ["--expose", "80", "--expose", "8000-8002/udp"],
    ["-h", "box"],
    ["-h=box"],
    ["--ipc", "none"],
    ["-l", "a=b", "--label", "note=--net=host", "--label=bare"],
    ["-m", "512m"],
    ["-m=64M", "--memory-swap", "128m"],
    ["--memory", "1g", "--memory-reservation", "256m"],
    ["--memory=536870912"],
    ["--memory-swappiness", "60"],
    ["--mount", "type=bind,src=./data,dst=/d"],
    ["--mount", "TYPE=bind,Source=./data,DST=/d,readonly"],
    ["--mount", "type=bind,src=/nowhere,dst=/d,src=./data"],
    ["--mount", 'type=bind,"src=./a,""b",dst=/d'],
    ["--mount=dst=/v"],
    ["--network", "none"],
    ["--net=bridge"],
    ["--network", "name=BRIDGE"],
    ["--oom-score-adj", "500"],
    ["--oom-score-adj=0x10"],
    ["--pids-limit", "256"],
    ["--pids-limit=010"],
    ["--privileged=false", "-P=0", "--oom-kill-disable=F"],
    ["--read-only"],
    ["--read-only=T"],
    ["--security-opt", "label=type:container_t"],
    ["--shm-size", "128m"],
    ["--shm-size=128mb"],
    ["--memory=1GiB", "--memory-reservation", "256mb"],
    ["--stop-signal", "SIGINT"],
    ["--stop-timeout", "5"],
    ["--sysctl", "net.ipv4.tcp_syncookies=1"],
    ["--sysctl", "net.ipv4.ip_unprivileged_port_start=0"],
    ["--ulimit", "nofile=1024:4096"],
    ["--ulimit", "nproc=100", "--ulimit", "stack=-1"],
    ["-u", "1000:1000"],
    ["-u0"],
    ["--user=nobody"],
    ["-v", "./data:/d"],
    ["-v./data:/d:ro"],
    ["-itv=./data:/d"],
    ["-v", "/anonymous"],
    ["-w", "/w"],
    ["--workdir=/w/../x"],
    ["--no-healthcheck"],
    # what a person has to grant
    ["--cap-add", "NET_RAW"],
    ["--device", "/dev/null"],
    ["--device", "/dev/null:/dev/zilch:r"],
    ["--device-read-bps", "/dev/null:1m"],
    ["--device-read-bps", "/dev/null:1mb"],
    ["--device-write-iops", "/dev/null:100"],
    ["--group-add", "5", "--group-add", "audio"],
    ["--memory", "64m", "--memory-swap", "-1"],
    ["-p", "8080:80", "-p", "127.0.0.1:9000-9001:9000-9001/udp"],
    ["-p", "80"],
    ["-P"],
    ["--ulimit", "memlock=-1"],
    ["--sysctl", "kernel.msgmax=65536"],
]  # fmt: skip


@pytest.mark.parametrize("args", SAME, ids=" ".join)
def test_the_same_words_make_the_same_container(
    args: list[str],
    command_makes: Callable[[list[str]], dict[str, Any]],
    we_make: Callable[[list[str]], dict[str, Any]],
    empty: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A device is granted only by name, and a test machine has none of those; the mapping is what is compared.
    monkeypatch.setitem(flag_rules._MAY_BE_GRANTED, "device", lambda value: True)
    theirs = changed(empty, command_makes(args))
    ours = we_make(args)
    named = any(word.startswith(("-h", "--hostname")) for word in args)
    for key, value in theirs.items():
        if (
            OWN.search(key)
            or (key == "Config.Hostname" and not named)
            or (key == "HostConfig.MemorySwap" and "--memory-swap" not in args)
        ):
            continue
        mine = found(ours, key)
        if isinstance(value, list):
            assert [item for item in value if item not in (mine or [])] == [], key
        else:
            assert mine == value, key


def found(container: Mapping[str, Any], key: str) -> Any:
    if key in container:
        return container[key]
    part = key.rpartition(".")[0]
    while part:
        if isinstance(container.get(part), dict):
            return container[part].get(key[len(part) + 1 :])
        part = part.rpartition(".")[0]
    return None


REFUSED: list[list[str]] = [
    ["--priv"],
    ["--Privileged"],
    ["--privileged=yes"],
    ["--privileged="],
    ["--privileged=tRUE"],
    ["-z"],
    ["-i=", "-q"],
    ["--=x"],
    ["---rm"],
    ["--cap-add CHOWN"],
    [" --rm"],
    ["--", "other/image"],
    ["other/image"],
    ["-"],
    [""],
    ["--init", "true"],
    ["-privileged"],
    ["-p", "8000-8002:80-81"],
    ["-m", "lots"],
    ["-m", "1m"],
    ["--cpus", "nan"],
    ["--cpus", "0.0000000001"],
    ["--cpu-shares", "1x"],
    ["--cpu-quota", "1"],
    ["--cpu-period", "1"],
    ["--cpuset-cpus", "a"],
    ["--dns", "example.org"],
    ["--add-host", "db"],
    ["--add-host", "db:example.org"],
    ["--blkio-weight", "5"],
    ["--memory-swappiness", "101"],
    ["--memory-swap", "32m", "-m", "64m"],
    ["--oom-score-adj", "1001"],
    ["--pids-limit", "many"],
    ["--ulimit", "nofile"],
    ["--ulimit", "nofile=2:1"],
    ["--ulimit", "nofile=1:2:3"],
    ["--ulimit", "bogus=1"],
    ["--security-opt", "bogus=1"],
    ["--security-opt", "no-new-privileges=yes"],
    ["--sysctl", "net.ipv4.tcp_syncookies"],
    ["--sysctl", "kernel.core_pattern=x"],
    ["--tmpfs", "x"],
    ["--tmpfs", "/x:bogus"],
    ["--tmpfs", "/x:size=big"],
    ["-v", "./data:relative"],
    ["-v", "./data:/"],
    ["-v", "./data:/d:RO"],
    ["-v", "./data:/d:ro,rw"],
    ["-v", "./data:/d", "-v", "./data:/d/"],
    ["--mount", "type=bind,src=./nothing,dst=/d"],
    ["--mount", "type=bind,src=./data"],
    ["--mount", "type=bind, src=./data,dst=/d"],
    ["--mount", "bogus"],
    ["--mount", 'type=bind,src="./data,dst=/d'],
    ["-w", "relative"],
    ["--network", "name="],
    ["--network", "ip=10.0.0.1"],
    ["--network", "no-such-network"],
    ["--platform", "linux/amd64 --privileged"],
    ["--restart", "sometimes"],
    ["--log-driver", "no-such-driver"],
    ["--log-opt", "bogus=1"],
    ["--cgroupns", "bogus"],
    ["--ipc", "bogus"],
    ["--pid", "bogus"],
    ["--userns", "bogus"],
    ["--uts", "bogus"],
    ["--stop-signal", "BOGUS"],
    ["--shm-size=-1"],
    ["--pull", "sometimes"],
    ["--env-file", "/nonexistent"],
    ["--gpus", "bogus=1"],
    ["--label", "=x"],
    ["--attach", "all"],
    ["-e", "=x"],
    ["--health-interval", "soon"],
    ["--isolation", "hyperv"],
    ["--expose", "99999"],
    ["--device", "/dev/null:/dev/x:rwx"],
    ["--mac-address", "x"],
    ["--volumes-from", "no-such-container"],
    ["--link", "no-such-container"],
    ["--use-api-socket=maybe"],
]  # fmt: skip

#: The command and `docker create` let these through; the engine finds out at the start, or drops them.
LATER = {
    "--blkio-weight 5",
    "--ipc bogus",
    "--network name=",
    "--network no-such-network",
    "--tmpfs /x:bogus",
    "--tmpfs /x:size=big",
}


@pytest.mark.parametrize("args", REFUSED, ids=" ".join)
def test_what_the_command_refuses_we_refuse(args: list[str], image: ImageFacts, project: Host) -> None:
    from skill_magic.policy.decide import evaluate
    from skill_magic.policy.settings import Settings

    if " ".join(args) not in LATER:
        assert words_refused(args, project), "the command makes a container of this"
    skill = Skill(
        "t", Docker(image=IMAGE, extra_args=tuple(args)), "project", project.directory / "skills.toml"
    )
    found = evaluate(skill, Request("t"), project, settings=Settings(), grants=frozenset())
    assert found.verdict != "allow"


def test_a_value_in_the_last_place_would_be_the_image(project: Host) -> None:
    for option in ("--label", "-h", "-itv"):
        assert plan_of([option], project).faults


def test_every_option_of_the_installed_command_is_in_the_table() -> None:
    told = subprocess.run(["docker", "run", "--help"], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^ +(?:-(\w), )?--([a-z0-9-]+)(?: (\S+))?", told, re.MULTILINE)
    assert len(rows) > 90
    for short, name, kind in rows:
        assert name in OPTIONS, f"docker has a new option --{name}: it is refused; put it into flag_table.py"
        assert OPTIONS[name].short == short, name
        # The column after the name is the type; a boolean has none, and the description starts further right.
        assert OPTIONS[name].boolean == (not kind), name


def test_the_table_has_each_option_once() -> None:
    assert len(OPTIONS) == 107
    assert all(option.alias in ("", "network", "network-alias", "dns-option") for option in OPTIONS.values())
