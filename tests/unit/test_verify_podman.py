"""Podman's account of a container: the same in other words is no difference, anything else is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from skill_magic.engine.arguments import create_body
from skill_magic.engine.verify import differences
from skill_magic.spec import ImageFacts, Limits, Mount, RunSpec, Ulimit

SPEC = RunSpec(
    "t", "debian:12", args=("x",), user="1000:1000", working_dir="/workdir", network="bridge",
    read_only=True, stop_signal="SIGINT", cap_add=("CHOWN",),
    mounts=(
        Mount("bind", "/workdir", "/home/u/p"),
        Mount("volume", "/named", "cache"),
        Mount("volume", "/anonymous"),
        Mount("mask", "/workdir/.ssh", read_only=True),
        Mount("mask", "/workdir/.netrc", "/dev/null", read_only=True),
        Mount("tmpfs", "/tmp", size=1024, options=("exec", "mode=1777")),
    ),
    limits=Limits(memory=1 << 30, nano_cpus=500_000_000, ulimits=(Ulimit("core", 0, 0),)),
)  # fmt: skip
BODY = create_body(SPEC, ImageFacts("sha256:a"), name="n", labels={})
ANONYMOUS = "c" * 64

#: The shape of what Podman 4.3 tells of this container.
TOLD: dict[str, Any] = {
    "HostConfig": {
        **dict.fromkeys(("DeviceCgroupRules", "DeviceRequests", "Links", "Mounts")),
        **dict.fromkeys(("MaskedPaths", "ReadonlyPaths")),
        "Binds": [
            "/home/u/p:/workdir:rprivate,bind,rw",
            "/dev/null:/workdir/.netrc:rprivate,bind,ro",
            "cache:/named:rw,rprivate,nosuid,nodev,rbind",
            f"{ANONYMOUS}:/anonymous:rw,rprivate,nosuid,nodev,rbind",
        ],
        "CapAdd": [],
        "CapDrop": [
            "AUDIT_WRITE", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
            "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
        ],
        "CgroupnsMode": "",
        "CpuPeriod": 100000,
        "CpuQuota": 50000,
        "Init": True,
        "IpcMode": "shareable",
        "LogConfig": {"Type": "none", "Config": None},
        "Memory": 1 << 30,
        "MemorySwap": 1 << 30,
        "MemorySwappiness": -1,
        "NanoCpus": 500_000_000,
        "NetworkMode": "bridge",
        "PidMode": "private",
        "PidsLimit": 1024,
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
        "Runtime": "oci",
        "SecurityOpt": ["no-new-privileges"],
        "ShmSize": 64 << 20,
        "Tmpfs": {
            "/tmp": "rw,nosuid,nodev,exec,mode=1777,size=1024,rprivate,tmpcopyup",
            "/var/tmp": "rw,rprivate,nosuid,nodev,tmpcopyup",
            "/workdir/.ssh": "ro,size=4096,rprivate,nosuid,nodev,tmpcopyup",
        },
        "UTSMode": "private",
        "Ulimits": [
            {"Name": "RLIMIT_CORE", "Soft": 0, "Hard": 0},
            {"Name": "RLIMIT_NOFILE", "Soft": 1048576, "Hard": 1048576},
            {"Name": "RLIMIT_NPROC", "Soft": 1048576, "Hard": 1048576},
        ],
    },
    "Config": {
        "Hostname": "skill",
        "User": "1000:1000",
        "Cmd": ["x"],
        "Env": ["container=podman"],
        "Healthcheck": {"Test": ["NONE"], "Interval": 30000000000, "Timeout": 30000000000, "Retries": 3},
        "Labels": {},
        "StopSignal": "2",
        "WorkingDir": "/workdir",
    },
    "Mounts": [
        {"Type": "bind", "Source": "/home/u/p", "Destination": "/workdir", "RW": True,
         "Propagation": "rprivate"},
        {"Type": "bind", "Source": "/dev/null", "Destination": "/workdir/.netrc", "RW": False,
         "Propagation": "rprivate"},
        {"Type": "volume", "Name": "cache", "Destination": "/named", "Driver": "local", "RW": True},
        {"Type": "volume", "Name": ANONYMOUS, "Destination": "/anonymous", "Driver": "local", "RW": True},
    ],
    "NetworkSettings": {"Networks": {"podman": {}}},
}  # fmt: skip


def test_the_same_in_other_words() -> None:
    assert differences(BODY, TOLD, podman=True) == []


def test_docker_is_not_given_the_benefit() -> None:
    assert len(differences(BODY, TOLD)) > 5


Change = Callable[[dict[str, Any]], Any]


def host(key: str, value: Any) -> Change:
    return lambda told: told["HostConfig"].__setitem__(key, value)


CHANGES: list[tuple[str, Change]] = [
    ("HostConfig.CapDrop", host("CapDrop", ["NET_RAW"])),
    ("HostConfig.CapDrop", host("CapDrop", [])),
    ("HostConfig.CapAdd", host("CapAdd", ["SYS_ADMIN"])),
    ("HostConfig.Privileged", host("Privileged", True)),
    ("HostConfig.IpcMode", host("IpcMode", "host")),
    ("HostConfig.PidMode", host("PidMode", "host")),
    ("HostConfig.UTSMode", host("UTSMode", "host")),
    ("HostConfig.UsernsMode", host("UsernsMode", "host")),
    ("HostConfig.CgroupnsMode", host("CgroupnsMode", "host")),
    ("HostConfig.NetworkMode", host("NetworkMode", "host")),
    ("HostConfig.CpuQuota", host("CpuQuota", 200000)),
    ("HostConfig.CpuQuota", host("CpuQuota", -1)),
    ("HostConfig.Ulimits", host("Ulimits", [{"Name": "RLIMIT_CORE", "Soft": -1, "Hard": -1}])),
    ("HostConfig.Ulimits", host("Ulimits", [{"Name": "RLIMIT_CORE", "Soft": 0, "Hard": 0},
                                            {"Name": "RLIMIT_MEMLOCK", "Soft": -1, "Hard": -1}])),
    ("HostConfig.Tmpfs", host("Tmpfs", {"/tmp": "rw,suid,dev,exec"})),
    ("HostConfig.Tmpfs", host("Tmpfs", {**TOLD["HostConfig"]["Tmpfs"], "/etc": "rw,nosuid,nodev"})),
    ("HostConfig.MaskedPaths", host("MaskedPaths", [])),
    ("HostConfig.PidsLimit", host("PidsLimit", 0)),
    ("HostConfig.Binds", lambda told: told["HostConfig"]["Binds"].append("/:/host:rw")),
    ("HostConfig.Mounts", lambda told: told["Mounts"].pop(0)),
    ("HostConfig.Mounts", lambda told: told["Mounts"][0].update(Source="/")),
    ("HostConfig.Mounts", lambda told: told["Mounts"][1].update(RW=True)),
    ("HostConfig.Mounts", lambda told: told["Mounts"][2].update(Name="other")),
    ("Mounts", lambda told: told["Mounts"].append(
        {"Type": "bind", "Source": "/", "Destination": "/host", "RW": True})),
    ("Config.User", lambda told: told["Config"].update(User="0")),
    ("Config.Healthcheck", lambda told: told["Config"].update(Healthcheck={"Test": ["CMD", "x"]})),
    ("Config.StopSignal", lambda told: told["Config"].update(StopSignal="9")),
    ("NetworkSettings.Networks", lambda told: told["NetworkSettings"].update(Networks={"pg_net": {}})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "change"), CHANGES, ids=[f"{i}-{field}" for i, (field, _) in enumerate(CHANGES)]
)
def test_anything_else_is_a_difference(field: str, change: Change) -> None:
    told = copy.deepcopy(TOLD)
    change(told)
    assert field in [text.split(":")[0] for text in differences(BODY, told, podman=True)]


def test_an_engine_that_tells_nothing() -> None:
    assert len(differences(BODY, {}, podman=True)) > 10
