"""What becomes of each option and value of `extra_args`: the verdict, its code, the field it ends in."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_world import GIB, decision, make_host, plan_of

from skill_magic.flags.parse import judge
from skill_magic.flags.readers import READERS
from skill_magic.flags.table import OPTIONS
from skill_magic.spec import Mount, Ulimit, Wish

ALLOWED: list[tuple[list[str], str, Any]] = [
    (["--blkio-weight", "500"], "limits.blkio_weight", 500),
    (["--blkio-weight", "0"], "limits.blkio_weight", None),
    (["--cap-add", "cap_chown"], "cap_add", ("CHOWN",)),
    (["--cap-add", "CHOWN", "--cap-add", "chown"], "cap_add", ("CHOWN",)),
    (["--cap-drop", "all"], "cap_drop", ("ALL",)),
    (["--cgroupns", "private"], "wishes", ()),
    (["--cpu-period", "50000"], "limits.cpu_period", 50000),
    (["--cpu-quota", "25000"], "limits.cpu_quota", 25000),
    (["-c", "512"], "limits.cpu_shares", 512),
    (["--cpu-shares=0x200"], "limits.cpu_shares", 512),
    (["--cpus", ".5"], "limits.nano_cpus", 500_000_000),
    (["--cpuset-cpus", "0,2-3"], "limits.cpuset_cpus", "0,2-3"),
    (["--cpuset-mems", "0"], "limits.cpuset_mems", "0"),
    (["--detach-keys", "ctrl-x"], "wishes", ()),
    (["--disable-content-trust"], "wishes", ()),
    (["--dns", "1.1.1.1"], "dns", ("1.1.1.1",)),
    (["--dns-opt", "ndots:2", "--dns-option", "timeout:1"], "dns_options", ("ndots:2", "timeout:1")),
    (["--dns-search", "example.org"], "dns_search", ("example.org",)),
    (["--domainname", "example.org"], "domainname", "example.org"),
    (["--add-host", "db:10.0.0.5"], "extra_hosts", ("db:10.0.0.5",)),
    (["--add-host", "db=[2001:db8::1]"], "extra_hosts", ("db:2001:db8::1",)),
    (["--expose", "80", "--expose", "8000-8010/udp"], "expose", ("80", "8000-8010/udp")),
    (["-h=box"], "hostname", "box"),
    (["--init"], "init", True),
    (["--init=false"], "init", False),
    (["--ipc", "none"], "ipc", "none"),
    (["-l", "note=--net=host"], "labels", {"note": "--net=host"}),
    (["--label", "team"], "labels", {"team": ""}),
    (["--log-driver", "json-file", "--log-opt", "max-size=1m"], "wishes", ()),
    (["-m", "512M"], "limits.memory", 512 << 20),
    (["--memory-reservation", "256m"], "limits.memory_reservation", 256 << 20),
    (["--memory-swap", "2g", "-m", "1g"], "limits.memory_swap", 2 * GIB),
    (["--memory-swappiness", "60"], "limits.memory_swappiness", 60),
    (["--memory-swappiness", "-1"], "limits.memory_swappiness", None),
    (["--net", "none"], "network", "none"),
    (["--network=bridge"], "network", "bridge"),
    (["--network", "name=BRIDGE"], "network", "bridge"),
    (["--no-healthcheck", "-q", "-it", "--rm", "--sig-proxy=false", "-a", "STDOUT"], "wishes", ()),
    (["--oom-score-adj", "500"], "limits.oom_score_adj", 500),
    (["--pids-limit", "4096"], "limits.pids", 4096),
    (["--platform", "linux/arm64/v8"], "platform", "linux/arm64/v8"),
    (["--pull", "never"], "pull", "never"),
    (["--read-only"], "read_only", True),
    (["--restart=no"], "wishes", ()),
    (["--security-opt", "no-new-privileges"], "wishes", ()),
    (["--security-opt=no-new-privileges:true"], "wishes", ()),
    (["--security-opt", "label=type:container_init_t"], "selinux_type", "container_init_t"),
    (["--shm-size", "1g"], "limits.shm_size", GIB),
    (["--shm-size=1gb"], "limits.shm_size", GIB),
    (["--memory-reservation", "256mb"], "limits.memory_reservation", 256 << 20),
    (["--memory-reservation", "256MiB"], "limits.memory_reservation", 256 << 20),
    (["-m", "1gb"], "limits.memory", GIB),
    (["--memory=1GiB"], "limits.memory", GIB),
    (["--label", "swagger.title=x"], "labels", {"swagger.title": "x"}),
    (["--label", "traefikish=no"], "labels", {"traefikish": "no"}),
    (["--stop-signal", "2"], "stop_signal", "SIGINT"),
    (["--stop-signal", "sigterm"], "stop_signal", "SIGTERM"),
    (["--stop-timeout", "5"], "stop_timeout", 5),
    (["--storage-opt", "size=10g"], "storage_opt", {"size": "10g"}),
    (["--sysctl", "net.ipv4.tcp_syncookies=1"], "sysctls", {"net.ipv4.tcp_syncookies": "1"}),
    (["--ulimit", "nofile=1024:4096"], "limits.ulimits", (Ulimit("core", 0, 0),
                                                          Ulimit("nofile", 1024, 4096, "extra_args[0]"))),
    (["--ulimit", "core=0"], "limits.ulimits", (Ulimit("core", 0, 0, "extra_args[0]"),)),
    (["--user", "1000:1000"], "user", "1000:1000"),
    (["--volume-driver", "local"], "wishes", ()),
    (["-w", "/work//x/"], "working_dir", "/work/x"),
    (["--privileged=false", "-d=0", "-P=f", "--oom-kill-disable=F", "--use-api-socket=False"], "wishes", ()),
]  # fmt: skip


@pytest.mark.parametrize(("args", "path", "value"), ALLOWED, ids=lambda value: str(value)[:60])
def test_allowed(tmp_path: Path, args: list[str], path: str, value: Any) -> None:
    found = decision(tmp_path, *args, grants=BRIDGE)
    assert found.violations == ()
    made: Any = found.spec
    for name in path.split("."):
        made = getattr(made, name)
    assert made == value


BRIDGE = frozenset({"network:bridge"})


@pytest.mark.parametrize(
    "args", [["--network=bridge"], ["--net", "bridge"], ["--network", "name=BRIDGE"]], ids=str
)
def test_a_network_needs_a_grant_however_it_is_written(tmp_path: Path, args: list[str]) -> None:
    (found,) = decision(tmp_path, *args).violations
    assert (found.code, found.grant, found.field) == ("network-bridge", "network:bridge", "extra_args[0]")


REFUSED = [
    ("capability", ["--cap-add", "ALL"]),
    ("capability", ["--cap-add", "all"]),
    ("capability", ["--cap-add", "SYS_ADMIN"]),
    ("capability", ["--cap-add", "cap_sys_ptrace"]),
    ("capability", ["--cap-add", " Sys_Module "]),
    ("capability", ["--cap-add=MKNOD"]),
    ("capability", ["--cap-add", "CAP_BPF"]),
    ("host-namespace", ["--cgroupns=host"]),
    ("host-namespace", ["--ipc=host"]),
    ("host-namespace", ["--ipc=shareable"]),
    ("host-namespace", ["--ipc", "container:x"]),
    ("host-namespace", ["--pid=host"]),
    ("host-namespace", ["--pid", "container:db"]),
    ("host-namespace", ["--pid=private"]),
    ("host-namespace", ["--userns=host"]),
    ("host-namespace", ["--userns=keep-id"]),
    ("host-namespace", ["--uts=host"]),
    ("unlimited", ["-m=0"]),
    ("unlimited", ["--memory", "0g"]),
    ("unlimited", ["--memory", "00"]),
    ("unlimited", ["--cpus", "0"]),
    ("unlimited", ["--cpus=0.00"]),
    ("unlimited", ["--cpus=0/1"]),
    ("log-driver", ["--log-driver", "syslog"]),
    ("log-driver", ["--log-driver=fluentd"]),
    ("log-driver", ["--log-driver", "None"]),
    ("log-driver", ["--log-opt", "syslog-address=udp://10.0.0.1"]),
    ("label", ["--label", "traefik.http.routers.x.rule=Host(`x`)"]),
    ("label", ["--label", "Traefik.enable=true"]),
    ("label", ["-lcom.docker.compose.project=x"]),
    ("label", ["--label", "traefik"]),
    ("label", ["--label", "swag=enable"]),
    ("label", ["--label", "SWAG_port=80"]),
    ("label", ["--label", "caddy_0.reverse_proxy=x"]),
    ("label", ["--label", "nomad-x=1"]),
    ("label", ["--label", "dokku/x=1"]),
    ("label", ["--label", "skill-magic.session=1"]),
    ("label", ["--label", " org.testcontainers.sessionId=1"]),
    ("label", ["--label=com.centurylinklabs.watchtower.enable=true"]),
    ("network-option", ["--network", "name=bridge,driver-opt=a=b"]),
    ("oom-score", ["--oom-score-adj=-1"]),
    ("pids-limit", ["--pids-limit=-1"]),
    ("pids-limit", ["--pids-limit", "0"]),
    ("pids-limit", ["--pids-limit", "0x0"]),
    ("pids-limit", ["--pids-limit", "-0"]),
    ("pids-limit", ["--pids-limit", "4097"]),
    ("security-opt", ["--security-opt", "seccomp=unconfined"]),
    ("security-opt", ["--security-opt=seccomp:unconfined"]),
    ("security-opt", ["--security-opt", "seccomp=profile.json"]),
    ("security-opt", ["--security-opt", "apparmor=unconfined"]),
    ("security-opt", ["--security-opt", "label=disable"]),
    ("security-opt", ["--security-opt", "label:type:spc_t"]),
    ("security-opt", ["--security-opt", "disable"]),
    ("security-opt", ["--security-opt", "systempaths=unconfined"]),
    ("security-opt", ["--security-opt", "writable-cgroups=true"]),
    ("security-opt", ["--security-opt", "no-new-privileges=0"]),
    ("security-opt", ["--security-opt", "no-new-privileges:false"]),
    ("security-opt", ["--security-opt", "no-new-privileges", "--security-opt", "no-new-privileges=f"]),
    ("security-opt", ["--security-opt", "No-New-Privileges"]),
    ("limit-too-high", ["--shm-size", "500g"]),
    ("limit-too-high", ["--shm-size", "1g", "-m", "512m"]),
    ("stop-timeout", ["--stop-timeout=-1"]),
    ("stop-timeout", ["--stop-timeout", "61"]),
    ("storage-option", ["--storage-opt", "dm.basesize=1g"]),
    ("sysctl", ["--sysctl", "kernel.core_pattern=|/x"]),
    ("sysctl", ["--sysctl", "net.ipv4.ip_forward=1"]),
    ("sysctl", ["--sysctl", "kernel/msgmax=1"]),
    ("tmpfs-option", ["--tmpfs", "/x:suid,dev,exec"]),
    ("tmpfs-option", ["--tmpfs", "/x:nosuid,suid"]),
    ("tmpfs-option", ["--tmpfs", "/x:dev"]),
    ("tmpfs-option", ["--tmpfs", "/x:mpol=bind"]),
    ("tmpfs-option", ["--tmpfs", "/x:size=0"]),
    ("tmpfs-option", ["--tmpfs", "/x:size=50%"]),
    ("tmpfs-option", ["--tmpfs", "/x:mode=4755"]),
    ("tmpfs-option", ["--tmpfs", "/x:size=500g"]),
    ("tmpfs-option", ["--mount", "type=tmpfs,dst=/x,tmpfs-size=500g"]),
    ("ulimit", ["--ulimit", "core=-1"]),
    ("ulimit", ["--ulimit", "core=0:1"]),
    ("ulimit", ["--ulimit", "rtprio=99"]),
    ("ulimit", ["--ulimit", "nice=40"]),
    ("ulimit", ["--ulimit", "nofile=-1"]),
    ("ulimit", ["--ulimit", "nofile=1024:2000000"]),
    ("detach", ["-d"]),
    ("detach", ["-itd"]),
    ("gpu-option", ["--gpus", "all,options=x"]),
    ("gpu-option", ["--gpus", "driver=nvidia"]),
    ("container-name", ["--name", "postgres"]),
    ("device", ["--device", "/dev/mem"]),
    ("device", ["--device", "/dev/sda:/dev/sda:r"]),
    ("device", ["--device", "/dev/net"]),
    ("device", ["--device", "/dev/dri"]),
    ("device", ["--device", "/dev/dri/../mem"]),
    ("device", ["--device", "/dev//dri/renderD128"]),
    ("device", ["--device", "/dev/nvidia0x"]),
    ("annotation", ["--annotation", "run.oci.handler=krun"]),
    ("cgroup-parent", ["--cgroup-parent=/"]),
    ("host-file", ["--cidfile", "/home/u/.bashrc"]),
    ("host-file", ["--env-file", "/etc/shadow"]),
    ("host-file", ["--label-file", "x"]),
    ("real-time", ["--cpu-rt-runtime", "950000"]),
    ("real-time", ["--cpu-rt-period", "1000000"]),
    ("device-rule", ["--device-cgroup-rule", "b *:* rwm"]),
    ("link", ["--link", "db:db"]),
    ("oom-kill-disable", ["--oom-kill-disable"]),
    ("privileged", ["--privileged"]),
    ("privileged", ["--privileged=T"]),
    ("privileged", ["--privileged=false", "--privileged"]),
    ("privileged", ["--privileged", "--privileged=false"]),
    ("restart", ["--restart=always"]),
    ("restart", ["--restart", "on-failure:1"]),
    ("runtime", ["--runtime", "runc"]),
    ("engine-socket", ["--use-api-socket"]),
    ("volume-driver", ["--volume-driver", "vieux/sshfs"]),
    ("volumes-from", ["--volumes-from", "portainer"]),
    ("network-namespace", ["--network", "host"]),
    ("network-namespace", ["--net=container:db"]),
    ("network-namespace", ["--network", "NAME=HOST"]),
    ("network-namespace", ["--network", "name=none,name=host"]),
]


def words(value: str | list[str]) -> str:
    """The name of a case."""
    return value if isinstance(value, str) else " ".join(value)[:60]


@pytest.mark.parametrize(("code", "args"), REFUSED, ids=words)
def test_refused_for_good(tmp_path: Path, code: str, args: list[str]) -> None:
    found = decision(tmp_path, *args)
    assert found.verdict == "deny"
    assert code in [each.code for each in found.violations if not each.liftable and each.kind == "refused"]


@pytest.mark.parametrize(("code", "args"), REFUSED, ids=words)
def test_a_refusal_is_not_hidden_by_faults_beside_it(tmp_path: Path, code: str, args: list[str]) -> None:
    for words in (["--bogus", *args], ["--cpus=nan", *args], [*args, "--bogus"], [*args, "image"]):
        assert decision(tmp_path, *words, memory="1x").verdict == "deny"


GRANTED = [
    ("host-alias", ["--add-host", "h:host-gateway"], "add-host:h:host-gateway"),
    ("host-alias", ["--add-host", "metadata:169.254.169.254"], "add-host:metadata:169.254.169.254"),
    ("host-alias", ["--add-host", "h:::ffff:127.0.0.1"], "add-host:h:::ffff:127.0.0.1"),
    ("host-alias", ["--add-host", "h=[::1]"], "add-host:h:::1"),
    ("host-alias", ["--add-host", "h:172.17.0.1"], "add-host:h:172.17.0.1"),
    ("host-alias", ["--dns", "127.0.0.53"], "dns:127.0.0.53"),
    ("capability", ["--cap-add", "cap_net_raw"], "cap-add:NET_RAW"),
    ("capability", ["--cap-add", "SYS_NICE"], "cap-add:SYS_NICE"),
    ("unlimited", ["--cpu-quota=-1"], "cpu-quota:-1"),
    ("unlimited-swap", ["--memory-swap=-1"], "memory-swap:-1"),
    ("unlimited-swap", ["--memory-swap=0"], "memory-swap:0"),
    ("unlimited-swap", ["--memory-swap=9g", "-m", "4g"], "memory-swap:9g"),
    ("sysctl", ["--sysctl", "kernel.msgmax=65536"], "sysctl:kernel.msgmax=65536"),
    ("sysctl", ["--sysctl", "fs.mqueue.msg_max=10"], "sysctl:fs.mqueue.msg_max=10"),
    ("ulimit", ["--ulimit", "memlock=-1"], "ulimit:memlock=-1"),
    ("device", ["--device", "/dev/dri/renderD128"], "device:/dev/dri/renderD128"),
    ("device", ["--device=nvidia.com/gpu=all"], "device:nvidia.com/gpu=all"),
    ("block-device-limit", ["--device-read-bps", "/dev/sda:1m"], "device-read-bps:/dev/sda:1m"),
    ("block-device-limit", ["--device-read-bps", "/dev/sda:1mb"], "device-read-bps:/dev/sda:1mb"),
    ("block-device-limit", ["--blkio-weight-device", "/dev/sda:100"], "blkio-weight-device:/dev/sda:100"),
    ("group", ["--group-add", "docker"], "group-add:docker"),
    ("network-identity", ["--network", "bridge", "--ip", "172.30.0.5"], "ip:172.30.0.5"),
    ("network-identity", ["--network", "name=bridge,alias=db"], "network-alias:db"),
    ("network-identity", ["--net-alias", "db"], "network-alias:db"),
    ("network-identity", ["--mac-address", "92:d0:c6:0a:29:33"], "mac-address:92:d0:c6:0a:29:33"),
    ("publish", ["-p", "8080:80"], "publish:8080:80"),
    ("publish", ["-p", "127.0.0.1:8080-8081:80-81/udp"], "publish:127.0.0.1:8080-8081:80-81/udp"),
    ("publish", ["-P"], "publish-all"),
]


@pytest.mark.parametrize(("code", "args", "grant"), GRANTED, ids=lambda value: str(value)[:60])
def test_needs_a_grant(tmp_path: Path, code: str, args: list[str], grant: str) -> None:
    found = decision(tmp_path, *args, grants=BRIDGE)
    assert found.verdict == "trust"
    assert [(each.code, each.grant) for each in found.violations] == [(code, grant)]
    assert "skill trust t" in found.violations[0].fix


INVALID = [
    ("option-value", ["--cap-add", "FOO"]),
    ("option-value", ["--cap-add", ""]),
    ("option-value", ["--cap-drop", "FOO"]),
    ("option-value", ["--cgroupns", "Host"]),
    ("option-value", ["--cpu-period", "1"]),
    ("option-value", ["--cpu-quota", "1"]),
    ("option-value", ["--cpu-shares", "1"]),
    ("option-value", ["--cpu-shares", "5_0"]),
    ("option-value", ["--cpuset-cpus", "a"]),
    ("option-value", ["--cpuset-cpus", "8-9"]),
    ("option-value", ["--cpuset-mems", "0;1"]),
    ("option-value", ["--dns", "example.org"]),
    ("option-value", ["--add-host", "db"]),
    ("option-value", ["--add-host", "db:example.org"]),
    ("option-value", ["--add-host", "a b:10.0.0.1"]),
    ("option-value", ["--dns-option", "a b"]),
    ("option-value", ["--dns-search", "a/b"]),
    ("option-value", ["--hostname", "a_b"]),
    ("option-value", ["--hostname", "x" * 64]),
    ("option-value", ["--expose", "99999"]),
    ("option-value", ["--expose", "x"]),
    ("option-value", ["--ipc", "bogus"]),
    ("option-value", ["--label", "=x"]),
    ("option-value", ["--label", "a b=x"]),
    ("option-value", ["--label", "a=x\ny"]),
    ("option-value", ["--log-opt", "max-size"]),
    ("memory-invalid", ["-m", "-1"]),
    ("memory-invalid", ["-m", "1.5g"]),
    ("memory-invalid", ["-m", "1m"]),
    ("option-value", ["--memory-reservation", "2g", "-m", "1g"]),
    ("option-value", ["--memory-swap", "512m", "-m", "1g"]),
    ("option-value", ["--memory-swap", "x"]),
    ("option-value", ["--memory-swappiness", "101"]),
    ("option-value", ["--oom-score-adj", "1001"]),
    ("option-value", ["--pids-limit", "many"]),
    ("option-value", ["--publish", "abc"]),
    ("option-value", ["-privileged"]),
    ("option-value", ["-p", "8000-8002:80"]),
    ("option-value", ["--pull", "sometimes"]),
    ("option-value", ["--security-opt", ""]),
    ("option-value", ["--security-opt", "no-new-privileges=yes"]),
    ("option-value", ["--shm-size", "0"]),
    ("option-value", ["--stop-signal", "STOP"]),
    ("option-value", ["--storage-opt", "size"]),
    ("option-value", ["--sysctl", "net.ipv4.tcp_syncookies"]),
    ("option-value", ["--tmpfs", "x"]),
    ("option-value", ["--tmpfs", "/x:"]),
    ("option-value", ["--tmpfs", "/x:size=big"]),
    ("option-value", ["--tmpfs", "/x:size=64mb"]),
    ("option-value", ["--shm-size", "1ib"]),
    ("option-value", ["--shm-size", "1bb"]),
    ("option-value", ["--shm-size", "1gb\n"]),
    ("memory-invalid", ["-m", "2gbb"]),
    ("platform-invalid", ["--platform", "linux/bogus"]),
    ("platform-invalid", ["--platform", "linux/amd64/v9"]),
    ("option-too-long", ["--cpus", "0" * 25_000 + "x"]),
    ("option-too-long", ["--device", "/x:" + "a" * 25_000]),
    ("option-repeated", ["--tmpfs", "/x:ro,rw"]),
    ("option-value", ["--ulimit", "nofile"]),
    ("option-value", ["--ulimit", "bogus=1"]),
    ("option-value", ["--ulimit", "nofile=2:1"]),
    ("option-value", ["--ulimit", "nofile=1:2:3"]),
    ("option-value", ["--ulimit", "nofile=soft"]),
    ("option-value", ["--device", "dev/null"]),
    ("option-value", ["--device", "/dev/dri/renderD128:/dev/x:rr"]),
    ("option-value", ["--device-read-bps", "/dev/sda"]),
    ("option-value", ["--blkio-weight-device", "/dev/sda:1"]),
    ("option-value", ["--group-add", ""]),
    ("option-value", ["--ip", "::1"]),
    ("option-value", ["--mac-address", "x"]),
    ("option-value", ["--network-alias", "a b"]),
    ("option-value", ["--attach", "all"]),
    ("option-value", ["--disable-content-trust=false"]),
    ("option-value", ["--entrypoint", "sh"]),
    ("option-value", ["--gpus", "all"]),
    ("option-value", ["--rm=false"]),
    ("option-value", ["--health-interval", "soon"]),
    ("option-value", ["--hostname="]),
    ("option-value", ["--pid="]),
    ("option-value", ["--network", "ip=10.0.0.1"]),
    ("option-value", ["--network", "name=bridge,bogus=1"]),
    ("network-invalid", ["--network", "Host"]),
    ("network-invalid", ["--network", "none "]),
    ("user-invalid", ["--user", "0x0"]),
    ("user-invalid", ["-u", "1:2:3"]),
    ("platform-invalid", ["--platform", "windows/amd64"]),
    ("working-dir-invalid", ["-w", "work"]),
    ("cpus-invalid", ["--cpus", "nan"]),
    ("cpus-invalid", ["--cpus", "-1"]),
    ("environment-invalid", ["-e", "KEY"]),
    ("environment-invalid", ["-e", "A B=1"]),
    ("environment-invalid", ["-e", "A.B=1"]),
    ("environment-invalid", ["-e", ""]),
    ("control-character", ["-e", "A=1\nB=2\0"]),
    ("variable", ["-e", "A=${NOPE}"]),
    ("environment-duplicate", ["-e", "A=1", "-e", "A=1"]),
    ("option-unsupported", ["--isolation=hyperv"]),
    ("option-unsupported", ["--kernel-memory=4m"]),
    ("option-unsupported", ["--cpu-count=2"]),
    ("option-unsupported", ["--help"]),
    ("option-repeated", ["-m", "64m", "-m", "32m"]),
    ("option-repeated", ["--user", "0", "--user", "1000"]),
    ("option-repeated", ["--net", "none", "--network", "bridge"]),
    ("option-repeated", ["--init", "--init=false"]),
    ("option-repeated", ["--label", "a=1", "--label", "a=2"]),
    ("option-repeated", ["--sysctl", "net.ipv4.tcp_syncookies=1", "--sysctl", "net.ipv4.tcp_syncookies=0"]),
    ("option-repeated", ["--ulimit", "nofile=1", "--ulimit", "nofile=2"]),
    ("option-conflict", ["--cpus", "1", "--cpu-quota", "50000"]),
    ("mount-duplicate", ["--tmpfs", "/x", "--tmpfs", "/y/../x/"]),
]


@pytest.mark.parametrize(("code", "args"), INVALID, ids=words)
def test_invalid(tmp_path: Path, code: str, args: list[str]) -> None:
    found = decision(tmp_path, *args)
    assert found.verdict == "error"
    assert code in [each.code for each in found.violations]


def test_every_refusal_and_fault_is_told_once(tmp_path: Path) -> None:
    for args in [args for _, args in REFUSED] + [args for _, args in INVALID]:
        told = [(each.code, each.field) for each in decision(tmp_path, *args).violations]
        assert len(told) == len(set(told)), args


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if not option.alias])
def test_every_row_of_the_table_has_an_effect(name: str) -> None:
    option = OPTIONS[name]
    if option.kind in ("never", "grant") and name not in READERS:
        assert judge(Wish(name, "x", "extra_args[0]")).code == option.code
    elif option.kind != "error":
        assert name in READERS or option.code
    assert bool(option.code) == bool(option.reason) or name.startswith("health-")


@pytest.mark.parametrize("option", [option for option in OPTIONS.values() if option.kind == "never"])
def test_never_is_never_granted(option: Any) -> None:
    for value in ("true", "x", "/dev/dri/renderD128", ""):
        assert judge(Wish(option.name, value, "extra_args[0]")).grant is None


def test_a_wish_nobody_thought_of_is_refused() -> None:
    for name in ("brand-new", "hostname", "volume", "help"):
        found = judge(Wish(name, "x", "extra_args[0]"))
        assert (found.code, found.grant, found.kind) == ("option-refused", None, "refused")


def test_the_order_of_options_does_not_matter(tmp_path: Path) -> None:
    groups = [["--network", "none"], ["--network", "host"], ["-w", "/x"], ["-w", "/proc/1"]]
    for order in permutations(groups):
        assert decision(tmp_path, *[word for group in order for word in group]).verdict == "deny"


UNITS = (
    [args for args, _, _ in ALLOWED] + [args for _, args in REFUSED + INVALID] + [a for _, a, _ in GRANTED]
)
COMPLETE = [args for args in UNITS if not {"--", "-", ""} & set(args)]


def orders_agree(directory: Path, chosen: list[list[str]], shuffled: list[list[str]]) -> None:
    orders = [[word for args in order for word in args] for order in (chosen, shuffled)]
    assert len({decision(directory, *args).verdict for args in orders}) == 1


COMPANY = st.lists(st.sampled_from(COMPLETE), max_size=5)
PAIRS = COMPANY.flatmap(lambda chosen: st.tuples(st.just(chosen), st.permutations(chosen)))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(PAIRS)
def test_no_order_of_options_changes_the_verdict(tmp_path_factory: pytest.TempPathFactory, pair: Any) -> None:
    orders_agree(tmp_path_factory.getbasetemp(), *pair)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, deadline=None)
@given(PAIRS)
def test_no_order_in_ten_thousand(tmp_path_factory: pytest.TempPathFactory, pair: Any) -> None:
    orders_agree(tmp_path_factory.getbasetemp(), *pair)


OF_ITSELF = [args for _, args in REFUSED if not any("500g" in word or word == "512m" for word in args)]


def stays_refused(directory: Path, refused: list[str], company: list[list[str]]) -> None:
    after = [word for words in company for word in words]
    assert decision(directory, *refused, *after).verdict == "deny"
    assert decision(directory, *after, *refused).verdict == "deny"


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.sampled_from(OF_ITSELF), COMPANY)
def test_no_company_makes_a_refusal_harmless(
    tmp_path_factory: pytest.TempPathFactory, refused: list[str], company: list[list[str]]
) -> None:
    stays_refused(tmp_path_factory.getbasetemp(), refused, company)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, deadline=None)
@given(st.sampled_from(OF_ITSELF), COMPANY)
def test_no_company_in_ten_thousand(
    tmp_path_factory: pytest.TempPathFactory, refused: list[str], company: list[list[str]]
) -> None:
    stays_refused(tmp_path_factory.getbasetemp(), refused, company)


def test_mounts_of_extra_args(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    spec = plan_of(
        tmp_path, "-v", "./data:/data:ro", "--tmpfs=/scratch/:size=64m,mode=1777,exec", "--mount",
        "type=tmpfs,dst=/other,tmpfs-size=1m",
    ).spec  # fmt: skip
    bind, tmpfs, other = spec.mounts[1:]
    assert (bind.source, bind.target, bind.read_only) == (str(tmp_path / "data"), "/data", True)
    assert tmpfs == Mount(
        "tmpfs", "/scratch", size=64 << 20, options=("mode=1777", "exec"), field="extra_args[2]"
    )
    assert (other.kind, other.target, other.size, other.field) == (
        "tmpfs",
        "/other",
        1 << 20,
        "extra_args[3]",
    )


def test_environment_of_extra_args(tmp_path: Path) -> None:
    spec = plan_of(tmp_path, "-e", "A=${TOKEN}", "--env=OPTS=--privileged", environment=["B=1"]).spec
    found = {each.name: (each.value, each.names, each.field) for each in spec.environment if not each.ours}
    assert found == {
        "B": ("1", (), "environment[0]"),
        "A": ("s3cret", ("TOKEN",), "extra_args[0]"),
        "OPTS": ("--privileged", (), "extra_args[2]"),
    }


def test_a_value_lowered_to_the_machine_is_noted(tmp_path: Path) -> None:
    spec = plan_of(tmp_path, "--cpuset-cpus", "6-9", "--cpu-quota", "9000000").spec
    assert (spec.limits.cpuset_cpus, spec.limits.cpu_quota) == ("6-7", 800_000)
    assert len([note for note in spec.notes if "--cpu" in note]) == 2


def test_the_machine_decides_what_is_too_much(tmp_path: Path) -> None:
    small = make_host(tmp_path, memory=GIB)
    assert decision(tmp_path, "--shm-size", "1g", host=small).verdict == "deny"
    assert decision(tmp_path, "--shm-size", "1g").verdict == "allow"


def test_of_repeated_limits_the_order_decides_nothing(tmp_path: Path) -> None:
    groups = [["-m", "512m"], ["-m", "4g"], ["--shm-size", "1g"], ["--shm-size", "1m"]]
    for order in permutations(groups):
        assert decision(tmp_path, *[word for group in order for word in group]).verdict == "deny"
