"""The second gate: what the engine made against what it was asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from skill_magic.engine.arguments import create_body
from skill_magic.engine.verify import differences
from skill_magic.spec import EnvVar, Gpus, ImageFacts, Limits, Mount, RunSpec, Ulimit

SPEC = RunSpec(
    "t",
    "debian:12",
    args=("x",),
    user="1000:1000",
    working_dir="/workdir",
    environment=(EnvVar("TOKEN", "s3cret"),),
    mounts=(
        Mount("bind", "/workdir", "/home/u/p"),
        Mount("bind", "/ro", "/data", read_only=True),
        Mount("volume", "/v", "cache"),
        Mount("mask", "/workdir/.ssh", read_only=True),
        Mount("tmpfs", "/t", size=1024),
    ),
    limits=Limits(memory=1 << 30, nano_cpus=500_000_000, cpu_shares=512, ulimits=(Ulimit("core", 0, 0),)),
    cap_add=("CHOWN",),
)
BODY = create_body(SPEC, ImageFacts("sha256:a"), name="n", labels={"skill-magic.session": "s"})


def engine_of(body: dict[str, Any]) -> dict[str, Any]:
    """What Docker 20.10 tells of a container made from ``body``, in its own spelling of nothing."""
    body = copy.deepcopy(body)
    host = body.pop("HostConfig")
    told = {
        **host,
        "Binds": None,
        "CapAdd": host["CapAdd"] or None,
        "ConsoleSize": [0, 0],
        "ContainerIDFile": "",
        "DeviceCgroupRules": None,
        "GroupAdd": None,
        "Links": None,
        "VolumesFrom": None,
        "Cgroup": "",
        "Isolation": "",
        "Runtime": "runc",
        "BlkioDeviceReadBps": [],
        "KernelMemory": 0,
        "MemorySwappiness": None,
        "CpuCount": 0,
        "MaskedPaths": ["/proc/asound", "/proc/kcore", "/sys/firmware"],
        "ReadonlyPaths": ["/proc/bus", "/proc/sys"],
    }
    points = []
    for mount in host["Mounts"]:
        point = {
            "Type": mount["Type"],
            "Source": mount.get("Source", ""),
            "Destination": mount["Target"],
            "RW": not mount["ReadOnly"],
            "Propagation": "rprivate" if mount["Type"] == "bind" else "",
        }
        if mount["Type"] == "volume":
            point |= {"Name": "cache", "Driver": "local", "Source": "/var/lib/docker/volumes/cache/_data"}
        points.append(point)
    config = {key: value for key, value in body.items() if key != "NetworkingConfig"}
    config["Env"] = [*config["Env"], "PATH=/usr/bin"]
    config["Labels"] = {**config["Labels"], "maintainer": "somebody"}
    networks = {host["NetworkMode"]: {"Aliases": None}}
    return {"HostConfig": told, "Config": config, "Mounts": points, "NetworkSettings": {"Networks": networks}}


def test_what_was_asked_for_is_no_difference() -> None:
    assert differences(BODY, engine_of(BODY)) == []


Change = Callable[[dict[str, Any]], Any]


def host(key: str, value: Any) -> Change:
    return lambda told: told["HostConfig"].__setitem__(key, value)


def config(key: str, value: Any) -> Change:
    return lambda told: told["Config"].__setitem__(key, value)


CHANGES: list[tuple[str, Change]] = [
    ("HostConfig.Privileged", host("Privileged", True)),
    ("HostConfig.Binds", host("Binds", ["/:/host"])),
    ("HostConfig.NetworkMode", host("NetworkMode", "host")),
    ("HostConfig.NetworkMode", host("NetworkMode", "default")),
    ("HostConfig.CapAdd", host("CapAdd", ["CAP_CHOWN", "CAP_SYS_ADMIN"])),
    ("HostConfig.CapAdd", host("CapAdd", None)),
    ("HostConfig.CapDrop", host("CapDrop", None)),
    ("HostConfig.SecurityOpt", host("SecurityOpt", ["no-new-privileges", "seccomp=unconfined"])),
    ("HostConfig.SecurityOpt", host("SecurityOpt", ["no-new-privileges", "label=disable"])),
    ("HostConfig.SecurityOpt", host("SecurityOpt", None)),
    ("HostConfig.SecurityOpt", host("SecurityOpt", ["no-new-privileges=false"])),
    ("HostConfig.PidMode", host("PidMode", "host")),
    ("HostConfig.IpcMode", host("IpcMode", "shareable")),
    ("HostConfig.UTSMode", host("UTSMode", "host")),
    ("HostConfig.UsernsMode", host("UsernsMode", "host")),
    ("HostConfig.CgroupnsMode", host("CgroupnsMode", "host")),
    ("HostConfig.CgroupParent", host("CgroupParent", "/")),
    ("HostConfig.Devices", host("Devices", [{"PathOnHost": "/dev/kvm"}])),
    ("HostConfig.DeviceRequests", host("DeviceRequests", [{"Count": -1, "Capabilities": [["gpu"]]}])),
    ("HostConfig.DeviceCgroupRules", host("DeviceCgroupRules", ["b *:* rwm"])),
    ("HostConfig.PidsLimit", host("PidsLimit", None)),
    ("HostConfig.PidsLimit", host("PidsLimit", -1)),
    ("HostConfig.Memory", host("Memory", 0)),
    ("HostConfig.MemorySwap", host("MemorySwap", 1 << 31)),
    ("HostConfig.MemorySwap", host("MemorySwap", 0)),
    ("HostConfig.NanoCpus", host("NanoCpus", 0)),
    ("HostConfig.ReadonlyRootfs", host("ReadonlyRootfs", True)),
    ("HostConfig.VolumesFrom", host("VolumesFrom", ["portainer"])),
    ("HostConfig.GroupAdd", host("GroupAdd", ["docker"])),
    ("HostConfig.Sysctls", host("Sysctls", {"kernel.msgmax": "1"})),
    ("HostConfig.Links", host("Links", ["/db:/x/db"])),
    ("HostConfig.ExtraHosts", host("ExtraHosts", ["a:1.2.3.4"])),
    ("HostConfig.PortBindings", host("PortBindings", {"80/tcp": [{"HostIp": "", "HostPort": "80"}]})),
    ("HostConfig.PublishAllPorts", host("PublishAllPorts", True)),
    ("HostConfig.RestartPolicy", host("RestartPolicy", {"Name": "always", "MaximumRetryCount": 0})),
    ("HostConfig.AutoRemove", host("AutoRemove", True)),
    ("HostConfig.LogConfig", host("LogConfig", {"Type": "json-file", "Config": {}})),
    ("HostConfig.OomKillDisable", host("OomKillDisable", True)),
    ("HostConfig.OomScoreAdj", host("OomScoreAdj", -500)),
    ("HostConfig.Ulimits", host("Ulimits", [{"Name": "core", "Soft": -1, "Hard": -1}])),
    ("HostConfig.Ulimits", host("Ulimits", [])),
    ("HostConfig.Tmpfs", host("Tmpfs", {"/t": "rw,suid"})),
    ("HostConfig.ShmSize", host("ShmSize", 1 << 40)),
    ("HostConfig.Init", host("Init", None)),
    ("HostConfig.MaskedPaths", host("MaskedPaths", [])),
    ("HostConfig.MaskedPaths", host("MaskedPaths", None)),
    ("HostConfig.ReadonlyPaths", host("ReadonlyPaths", ["/proc/bus"])),
    ("HostConfig.CpuRealtimeRuntime", host("CpuRealtimeRuntime", 950000)),
    ("HostConfig.FieldOfTheFuture", host("FieldOfTheFuture", {"everything": "allowed"})),
    ("HostConfig.Mounts", lambda told: told["HostConfig"]["Mounts"].pop()),
    ("HostConfig.Mounts", lambda told: told["HostConfig"]["Mounts"][1].update(ReadOnly=False)),
    ("HostConfig.Mounts", lambda told: told["HostConfig"]["Mounts"][0].update(Source="/")),
    ("HostConfig.Mounts", lambda told: told["HostConfig"]["Mounts"].append(
        {"Type": "bind", "Source": "/", "Target": "/host"})),
    ("HostConfig.Mounts", lambda told: told["HostConfig"]["Mounts"][0]["BindOptions"].update(
        Propagation="rshared")),
    ("HostConfig.Mounts", lambda told: told["HostConfig"]["Mounts"][2]["VolumeOptions"].update(
        DriverConfig={"Options": {"device": "/", "o": "bind"}})),
    ("Mounts", lambda told: told["Mounts"][0].update(Source="/")),
    ("Mounts", lambda told: told["Mounts"][0].update(Source="/host_mnt/etc")),
    ("Mounts", lambda told: told["Mounts"][0].update(Propagation="rshared")),
    ("Mounts", lambda told: told["Mounts"][0].update(Type="volume", Driver="local")),
    ("Mounts", lambda told: told["Mounts"][0].update(RW=False)),
    ("Mounts", lambda told: told["Mounts"][1].update(RW=True)),
    ("Mounts", lambda told: told["Mounts"][2].update(Driver="sshfs")),
    ("Mounts", lambda told: told["Mounts"].append(
        {"Type": "bind", "Source": "/", "Destination": "/host", "RW": True})),
    ("Mounts", lambda told: told["Mounts"].append(
        {"Type": "volume", "Name": "secrets", "Driver": "local", "Destination": "/s", "RW": True})),
    ("Mounts", lambda told: told["Mounts"].append(
        {"Type": "volume", "Name": "a" * 64, "Driver": "sshfs", "Destination": "/s", "RW": True})),
    ("Config.User", config("User", "0")),
    ("Config.User", config("User", "")),
    ("Config.Cmd", config("Cmd", ["y"])),
    ("Config.WorkingDir", config("WorkingDir", "/proc/self/fd/8")),
    ("Config.Healthcheck", config("Healthcheck", None)),
    ("Config.Tty", config("Tty", True)),
    ("Config.OpenStdin", config("OpenStdin", True)),
    ("Config.Hostname", config("Hostname", "other")),
    ("Config.Env", config("Env", ["PATH=/usr/bin", "TOKEN=other"])),
    ("Config.Env", config("Env", None)),
    ("Config.Labels", config("Labels", {})),
    ("Config.Labels", config("Labels", None)),
    ("NetworkSettings.Networks", lambda told: told["NetworkSettings"]["Networks"].update(pg_net={})),
    ("NetworkSettings.Networks", lambda told: told["NetworkSettings"].update(Networks={"bridge": {}})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "change"), CHANGES, ids=[f"{i}-{field}" for i, (field, _) in enumerate(CHANGES)]
)
def test_anything_else_is_a_difference(field: str, change: Change) -> None:
    told = engine_of(BODY)
    change(told)
    assert [text.split(":")[0] for text in differences(BODY, told)] == [field]


@pytest.mark.parametrize("key", [key for key, value in BODY["HostConfig"].items() if value])
def test_a_field_that_is_missing_is_a_difference(key: str) -> None:
    told = engine_of(BODY)
    del told["HostConfig"][key]
    found = differences(BODY, told)
    if key in ("CpuShares", "RestartPolicy"):  # a kernel without shares; "no" is what nothing means
        assert found == []
    else:
        assert {text.split(":")[0] for text in found} == {f"HostConfig.{key}"}


def test_an_engine_that_tells_nothing() -> None:
    assert len(differences(BODY, {})) > 10


def test_secrets_are_not_told() -> None:
    told = engine_of(BODY)
    told["Config"]["Env"] = []
    assert "s3cret" not in "".join(differences(BODY, told))


TOLERATED: list[Change] = [
    host("CapAdd", ["CHOWN"]),
    host("CapDrop", ["all"]),
    host("SecurityOpt", ["no-new-privileges:true"]),
    host("SecurityOpt", ["no-new-privileges=true"]),
    host("MemorySwap", -1),
    host("MemorySwappiness", -1),
    host("CpuShares", 0),
    host("Runtime", "crun"),
    host("RestartPolicy", {"Name": "", "MaximumRetryCount": 0}),
    host("Ulimits", [{"Name": "RLIMIT_CORE", "Soft": 0, "Hard": 0}]),
    host("Binds", []),
    host("Annotations", {"io.podman.annotations.autoremove": "FALSE"}),
    lambda told: [told["HostConfig"].pop(key) for key in ("MaskedPaths", "ReadonlyPaths")],
    lambda told: told["Mounts"][0].update(Source="/host_mnt/home/u/p"),
    lambda told: told["HostConfig"]["Mounts"][0].update(Source="/host_mnt/home/u/p"),
    lambda told: told["HostConfig"]["Mounts"][0].pop("ReadOnly"),
    lambda told: told["Mounts"].append(
        {"Type": "volume", "Name": "a" * 64, "Driver": "local", "Destination": "/image", "RW": True}
    ),
    config("ExposedPorts", {"5432/tcp": {}}),
    config("Volumes", {"/image": {}}),
]


@pytest.mark.parametrize("change", TOLERATED)
def test_other_spellings_of_the_same(change: Change) -> None:
    told = engine_of(BODY)
    change(told)
    assert differences(BODY, told) == []


def test_gpus_that_were_asked_for() -> None:
    body = create_body(replace(SPEC, gpus=Gpus(-1)), ImageFacts("i"), name="n", labels={})
    told = engine_of(body)
    told["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] = None
    assert differences(body, told) == []
    told["HostConfig"]["DeviceRequests"] = None
    assert differences(body, told) != []
