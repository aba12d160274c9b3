"""RunSpec → the body of ``POST /containers/create``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plan_world import GIB, plan_of

from skill_magic.engine.arguments import create_body
from skill_magic.flags.table import OPTIONS
from skill_magic.spec import EnvVar, Gpus, ImageFacts, Limits, Mount, RunSpec, Wish

IMAGE = ImageFacts("sha256:" + "a" * 64, entrypoint=("docker-entrypoint.sh",), command=("python3",))
PLAIN = RunSpec("t", "debian:12", limits=Limits(memory=GIB))


def body_of(spec: RunSpec = PLAIN, image: ImageFacts = IMAGE, **changes: Any) -> dict[str, Any]:
    made = create_body(replace(spec, **changes), image, name="n", labels={"skill-magic.session": "s"})
    assert json.loads(json.dumps(made)) == made
    return made


def host_config(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = body_of(**changes)["HostConfig"]
    return made


def test_the_whole_body_of_a_plain_run() -> None:
    assert body_of() == {
        "Image": IMAGE.id,
        "Hostname": "skill",
        "Domainname": "",
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": False,
        "StdinOnce": False,
        "Tty": False,
        "Env": [],
        "Labels": {"skill-magic.session": "s"},
        "Healthcheck": {"Test": ["NONE"]},
        "NetworkDisabled": False,
        "ExposedPorts": {},
        "HostConfig": {
            "AutoRemove": False,
            "Binds": [],
            "BlkioWeight": 0,
            "CapAdd": [],
            "CapDrop": ["ALL"],
            "CgroupParent": "",
            "CgroupnsMode": "private",
            "CpuPeriod": 0,
            "CpuQuota": 0,
            "CpuShares": 0,
            "CpusetCpus": "",
            "CpusetMems": "",
            "DeviceCgroupRules": [],
            "DeviceRequests": [],
            "Devices": [],
            "Dns": [],
            "DnsOptions": [],
            "DnsSearch": [],
            "ExtraHosts": [],
            "GroupAdd": [],
            "Init": True,
            "IpcMode": "private",
            "Links": [],
            "LogConfig": {"Type": "none", "Config": {}},
            "Memory": GIB,
            "MemoryReservation": 0,
            "MemorySwap": GIB,
            "Mounts": [],
            "NanoCpus": 0,
            "NetworkMode": "none",
            "OomKillDisable": False,
            "OomScoreAdj": 0,
            "PidMode": "",
            "PidsLimit": 1024,
            "PortBindings": {},
            "Privileged": False,
            "PublishAllPorts": False,
            "ReadonlyRootfs": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "SecurityOpt": ["no-new-privileges"],
            "ShmSize": 64 << 20,
            "StorageOpt": {},
            "Sysctls": {},
            "Tmpfs": {},
            "UTSMode": "",
            "Ulimits": [],
            "UsernsMode": "",
            "VolumeDriver": "",
            "VolumesFrom": [],
        },
    }


@pytest.mark.parametrize("network", ["host", "container:db", "container:", "ns:/proc/1/ns/net"])
def test_a_foreign_network_namespace_cannot_be_asked_for(network: str) -> None:
    with pytest.raises(ValueError, match="cannot be granted"):
        body_of(network=network)


REFUSABLE = [option for option in OPTIONS.values() if option.code and option.kind in ("never", "ours")]


@pytest.mark.parametrize("option", REFUSABLE, ids=lambda option: str(option.name))
def test_what_can_never_be_granted_cannot_be_asked_for(option: Any) -> None:
    with pytest.raises(ValueError, match="cannot be granted"):
        body_of(wishes=(Wish(option.name, "true", "extra_args[0]"),))


@pytest.mark.parametrize(
    "wish",
    [("cap-add", "SYS_ADMIN"), ("device", "/dev/sda"), ("ulimit", "rtprio=99"), ("pids-limit", "-1"),
     ("sysctl", "kernel.core_pattern=x"), ("memory", "0"), ("brand-new", "1")],
)  # fmt: skip
def test_a_dangerous_value_cannot_be_asked_for(wish: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be granted"):
        body_of(wishes=(Wish(*wish, "extra_args[0]"),))


@pytest.mark.parametrize(
    ("wish", "key", "value"),
    [
        (("cap-add", "NET_RAW"), "CapAdd", ["CAP_NET_RAW"]),
        (("group-add", "docker"), "GroupAdd", ["docker"]),
        (("add-host", "h:host-gateway"), "ExtraHosts", ["h:host-gateway"]),
        (("dns", "127.0.0.53"), "Dns", ["127.0.0.53"]),
        (("memory-swap", "-1"), "MemorySwap", -1),
        (("memory-swap", "8g"), "MemorySwap", 8 * GIB),
        (("cpu-quota", "-1"), "CpuQuota", -1),
        (("sysctl", "kernel.msgmax=1"), "Sysctls", {"kernel.msgmax": "1"}),
        (("ulimit", "memlock=-1"), "Ulimits", [{"Name": "memlock", "Soft": -1, "Hard": -1}]),
        (("ulimit", "memlock=0x10:32"), "Ulimits", [{"Name": "memlock", "Soft": 16, "Hard": 32}]),
        (("publish-all", "true"), "PublishAllPorts", True),
        (("publish", "80"), "PortBindings", {"80/tcp": [{"HostIp": "", "HostPort": ""}]}),
        (("publish", "[::1]:8080:80/udp"), "PortBindings",
         {"80/udp": [{"HostIp": "::1", "HostPort": "8080"}]}),
        (("publish", "127.0.0.1::80"), "PortBindings", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
        (("device-read-bps", "/dev/sda:1m"), "BlkioDeviceReadBps", [{"Path": "/dev/sda", "Rate": 1 << 20}]),
        (("device-write-iops", "/dev/sda:9"), "BlkioDeviceWriteIOps", [{"Path": "/dev/sda", "Rate": 9}]),
        (("blkio-weight-device", "/dev/sda:10"), "BlkioWeightDevice", [{"Path": "/dev/sda", "Weight": 10}]),
        (("device", "/dev/dri/renderD128"), "Devices", [
            {"PathOnHost": "/dev/dri/renderD128", "PathInContainer": "/dev/dri/renderD128",
             "CgroupPermissions": "rwm"}]),
        (("device", "/dev/nvidia0:/dev/x:r"), "Devices", [
            {"PathOnHost": "/dev/nvidia0", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]),
        (("device", "/dev/nvidia0:r"), "Devices", [
            {"PathOnHost": "/dev/nvidia0", "PathInContainer": "/dev/nvidia0", "CgroupPermissions": "r"}]),
        (("device", "nvidia.com/gpu=all"), "DeviceRequests", [
            {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=all"], "Capabilities": [],
             "Options": {}}]),
    ],
)  # fmt: skip
def test_what_was_granted_is_asked_for(wish: tuple[str, str], key: str, value: Any) -> None:
    assert host_config(wishes=(Wish(*wish, "extra_args[0]"),))[key] == value


def test_a_published_port_is_exposed() -> None:
    made = body_of(expose=("53/udp", "8000-8001"), wishes=(Wish("publish", "80-81:80-81", "extra_args[0]"),))
    assert set(made["ExposedPorts"]) == {"53/udp", "8000/tcp", "8001/tcp", "80/tcp", "81/tcp"}


def test_granted_addresses() -> None:
    wishes = tuple(
        Wish(option, value, "extra_args[0]")
        for option, value in [
            ("ip", "172.30.0.5"), ("ip6", "2001:db8::5"), ("link-local-ip", "169.254.1.1"),
            ("network-alias", "db"), ("network-alias", "cache"), ("mac-address", "92:d0:c6:0a:29:33"),
        ]
    )  # fmt: skip
    made = body_of(network="pg_net", wishes=wishes)
    assert made["MacAddress"] == "92:d0:c6:0a:29:33"
    assert made["NetworkingConfig"]["EndpointsConfig"] == {
        "pg_net": {
            "IPAMConfig": {
                "IPv4Address": "172.30.0.5",
                "IPv6Address": "2001:db8::5",
                "LinkLocalIPs": ["169.254.1.1"],
            },
            "Aliases": ["db", "cache"],
        }
    }


def test_mounts() -> None:
    bind = {"Type": "bind", "BindOptions": {"Propagation": "rprivate"}}
    made = host_config(
        mounts=(
            Mount("bind", "/w", "/data", propagation="private", relabel="Z"),
            Mount("volume", "/v", "cache", read_only=True, options=("nocopy",)),
            Mount("volume", "/a"),
            Mount("mask", "/w/.ssh", read_only=True),
            Mount("mask", "/w/.netrc", "/dev/null", read_only=True),
            Mount("tmpfs", "/t", size=1024, options=("exec", "mode=1777")),
            Mount("tmpfs", "/u", read_only=True),
        )
    )
    own = {"skill-magic.session": "s", "skill-magic.container": "n"}
    assert made["Mounts"] == [
        {**bind, "Source": "/data", "Target": "/w", "ReadOnly": False},
        {"Type": "volume", "Source": "cache", "Target": "/v", "ReadOnly": True,
         "VolumeOptions": {"NoCopy": True, "Labels": own}},
        {"Type": "volume", "Target": "/a", "ReadOnly": False,
         "VolumeOptions": {"NoCopy": False, "Labels": own}},
        {"Type": "tmpfs", "Target": "/w/.ssh", "ReadOnly": True,
         "TmpfsOptions": {"SizeBytes": 4096, "Mode": 0o555}},
        {**bind, "Source": "/dev/null", "Target": "/w/.netrc", "ReadOnly": True},
    ]  # fmt: skip
    assert made["Tmpfs"] == {
        "/t": "rw,nosuid,nodev,exec,mode=1777,size=1024",
        "/u": "ro,nosuid,nodev,noexec",
    }
    assert made["Binds"] == []


def test_a_bind_without_a_source_is_no_mount() -> None:
    with pytest.raises(ValueError, match="no source"):
        body_of(mounts=(Mount("bind", "/w"),))


@pytest.mark.parametrize(
    ("changes", "image", "init"),
    [
        ({}, ImageFacts("i"), True),
        ({}, ImageFacts("i", entrypoint=("/init",)), False),
        ({}, ImageFacts("i", entrypoint=("/usr/bin/tini", "--", "x")), False),
        ({}, ImageFacts("i", command=("dumb-init", "x")), False),
        ({"args": ("sh",)}, ImageFacts("i", command=("dumb-init", "x")), True),
        ({"args": ("s6-svscan",)}, ImageFacts("i"), False),
        ({"args": ("tini",)}, ImageFacts("i", entrypoint=("/app",)), True),
        ({"entrypoint": "sh"}, ImageFacts("i", entrypoint=("/init",)), True),
        ({"entrypoint": "/bin/catatonit"}, ImageFacts("i"), False),
        ({"init": True}, ImageFacts("i", entrypoint=("/init",)), True),
        ({"init": False}, ImageFacts("i"), False),
    ],
)
def test_an_init_unless_the_image_brings_one(changes: dict[str, Any], image: ImageFacts, init: bool) -> None:
    assert body_of(image=image, **changes)["HostConfig"]["Init"] is init


def test_gpus() -> None:
    request = {"Driver": "", "Capabilities": [["gpu"]], "Options": {}}
    assert host_config(gpus=Gpus(-1))["DeviceRequests"] == [{**request, "Count": -1, "DeviceIDs": []}]
    assert host_config(gpus=Gpus(2))["DeviceRequests"] == [{**request, "Count": 2, "DeviceIDs": []}]
    assert host_config(gpus=Gpus(device_ids=("0", "GPU-1")))["DeviceRequests"] == [
        {**request, "Count": 0, "DeviceIDs": ["0", "GPU-1"]}
    ]


def test_a_dropped_capability_is_not_added() -> None:
    made = host_config(cap_add=("CHOWN", "KILL"), cap_drop=("KILL", "ALL"))
    assert (made["CapAdd"], made["CapDrop"]) == (["CAP_CHOWN"], ["ALL"])


def test_words_are_never_split() -> None:
    made = body_of(entrypoint="sh -c x", args=("a b", "", "$(id)"), environment=(EnvVar("A", "b c"),))
    assert (made["Entrypoint"], made["Cmd"], made["Env"]) == (["sh -c x"], ["a b", "", "$(id)"], ["A=b c"])
    assert "Cmd" not in body_of()
    assert "Entrypoint" not in body_of()


def test_streams() -> None:
    made = body_of(stdin=True)
    assert [made[key] for key in ("AttachStdin", "OpenStdin", "StdinOnce", "Tty")] == [
        True,
        True,
        True,
        False,
    ]


def test_our_labels_win() -> None:
    made = body_of(labels={"skill-magic.session": "forged", "team": "ml"})
    assert made["Labels"] == {"skill-magic.session": "s", "team": "ml"}


def test_a_planned_spec(tmp_path: Path) -> None:
    spec = plan_of(
        tmp_path, "--cap-add=CHOWN", "--ulimit=nofile=9", "--cpu-shares=512", "--sysctl",
        "net.ipv4.tcp_rmem=1 2 3", "--memory-swappiness=0", "--stop-signal=INT", "--stop-timeout=0",
        "--security-opt=label=type:container_kvm_t",
        memory="1g", cpus="0.5", user="image", read_only=True,
    ).spec  # fmt: skip
    made = create_body(spec, IMAGE, name="n", labels={})
    host = made["HostConfig"]
    assert (made["WorkingDir"], made["StopSignal"], made["StopTimeout"]) == ("/workdir", "SIGINT", 0)
    assert "User" not in made
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, GIB, GIB)
    assert (host["CpuShares"], host["MemorySwappiness"], host["ReadonlyRootfs"]) == (512, 0, True)
    assert host["Ulimits"][0] == {"Name": "core", "Soft": 0, "Hard": 0}
    assert host["SecurityOpt"] == ["no-new-privileges", "label=type:container_kvm_t"]
    assert host["Sysctls"] == {"net.ipv4.tcp_rmem": "1 2 3"}
    assert set(host["Tmpfs"]) == {"/tmp", "/run"}
