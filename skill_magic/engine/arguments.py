"""RunSpec → the JSON body of the Engine API's ``POST /containers/create``. Pure: no client, no engine.

Every field that decides what a container may do is in the body, also where it has the engine's default value,
so that neither a client's defaults nor a daemon's configuration can fill it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..flags.network import port_range
from ..flags.parse import judge
from ..plan.hardening import MASK_SIZE, tmpfs_options, wants_init
from ..spec import ImageFacts, Limits, Mount, RunSpec
from .granted import grant

#: Bytes of /dev/shm, Docker's own default.
SHM_SIZE = 64 << 20


def create_body(spec: RunSpec, image: ImageFacts, *, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """What the engine is told of one run.

    :param image: the local image; the container is made from its id: a tag could move in between.
    :param name: the container's name (no part of the body); its volumes carry it as a label.
    :param labels: our own labels; they win over the spec's.
    :raises ValueError: for a wish that no grant can lift: the policy has let something through.
    """
    for wish in spec.wishes:
        if judge(wish, spec).grant is None:
            raise ValueError(f"{wish.field}: --{wish.option} cannot be granted")
    if spec.network == "host" or ":" in spec.network:
        raise ValueError(f"the network {spec.network!r} cannot be granted")
    body: dict[str, Any] = {
        "Image": image.id,
        "Hostname": spec.hostname,
        "Domainname": spec.domainname or "",
        "AttachStdin": spec.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin,
        "Tty": False,
        "Env": [f"{variable.name}={variable.value}" for variable in spec.environment],
        "Labels": {**spec.labels, **labels},
        "Healthcheck": {"Test": ["NONE"]},
        "NetworkDisabled": False,
        "ExposedPorts": _ports(spec.expose),
        "HostConfig": _host_config(spec, image, {**labels, "skill-magic.container": name}),
    }
    optional: dict[str, Any] = {
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Entrypoint": None if spec.entrypoint is None else [spec.entrypoint],
        "Cmd": list(spec.args) or None,
        "StopSignal": spec.stop_signal,
        "StopTimeout": spec.stop_timeout,
    }
    body.update({key: value for key, value in optional.items() if value is not None})
    for wish in spec.wishes:
        grant(body, wish, spec.network)
    return body


def _host_config(spec: RunSpec, image: ImageFacts, labels: Mapping[str, str]) -> dict[str, Any]:
    security = ["no-new-privileges"]
    if spec.selinux_type is not None:
        security.append(f"label=type:{spec.selinux_type}")
    return {
        **_limits(spec.limits),
        "AutoRemove": False,
        "Binds": [],
        "CapAdd": [f"CAP_{name}" for name in spec.cap_add if name not in spec.cap_drop],
        "CapDrop": ["ALL"],
        "CgroupParent": "",
        "CgroupnsMode": "private",
        "DeviceCgroupRules": [],
        "DeviceRequests": _gpus(spec),
        "Devices": [],
        "Dns": list(spec.dns),
        "DnsOptions": list(spec.dns_options),
        "DnsSearch": list(spec.dns_search),
        "ExtraHosts": list(spec.extra_hosts),
        "GroupAdd": [*map(str, spec.groups), *spec.group_add],
        "Init": wants_init(spec, image),
        "IpcMode": spec.ipc,
        "Links": [],
        "LogConfig": {"Type": "none", "Config": {}},
        "Mounts": [_mount(mount, labels) for mount in spec.mounts if mount.kind != "tmpfs"],
        "NetworkMode": spec.network,
        "PidMode": "",
        "PortBindings": {},
        "Privileged": False,
        "PublishAllPorts": False,
        "ReadonlyRootfs": spec.read_only,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "SecurityOpt": security,
        "StorageOpt": dict(spec.storage_opt),
        "Sysctls": dict(spec.sysctls),
        # `Mounts` knows no options of a tmpfs before API 1.46, and without `exec` no program runs from one.
        "Tmpfs": {mount.target: tmpfs_options(mount) for mount in spec.mounts if mount.kind == "tmpfs"},
        "UTSMode": "",
        "UsernsMode": "",
        "VolumeDriver": "",
        "VolumesFrom": [],
    }


def _limits(limits: Limits) -> dict[str, Any]:
    memory = limits.memory or 0
    found: dict[str, Any] = {
        "Memory": memory,
        # The engine's default is twice the memory, swap included.
        "MemorySwap": limits.memory_swap if limits.memory_swap is not None else memory,
        "MemoryReservation": limits.memory_reservation or 0,
        "NanoCpus": limits.nano_cpus or 0,
        "CpuShares": limits.cpu_shares or 0,
        "CpuPeriod": limits.cpu_period or 0,
        "CpuQuota": limits.cpu_quota or 0,
        "CpusetCpus": limits.cpuset_cpus or "",
        "CpusetMems": limits.cpuset_mems or "",
        "BlkioWeight": limits.blkio_weight or 0,
        "OomKillDisable": False,
        "OomScoreAdj": limits.oom_score_adj or 0,
        "PidsLimit": limits.pids,
        "ShmSize": limits.shm_size or SHM_SIZE,
        "Ulimits": [
            {"Name": ulimit.name, "Soft": ulimit.soft, "Hard": ulimit.hard} for ulimit in limits.ulimits
        ],
    }
    if limits.memory_swappiness is not None:
        found["MemorySwappiness"] = limits.memory_swappiness
    return found


def _gpus(spec: RunSpec) -> list[dict[str, Any]]:
    gpus = spec.gpus
    if gpus is None:
        return []
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]], "Options": {}}
    if gpus.device_ids:
        return [{**request, "Count": 0, "DeviceIDs": list(gpus.device_ids)}]
    return [{**request, "Count": -1 if gpus.count is None else gpus.count, "DeviceIDs": []}]


def _ports(expose: tuple[str, ...]) -> dict[str, dict[str, str]]:
    ports: dict[str, dict[str, str]] = {}
    for text in expose:
        numbers, _, protocol = text.partition("/")
        for number in port_range(numbers):
            ports[f"{number}/{protocol or 'tcp'}"] = {}
    return ports


def _mount(mount: Mount, labels: Mapping[str, str]) -> dict[str, Any]:
    if mount.kind == "mask":
        if mount.source is not None:
            return _bind(mount.source, mount.target, read_only=True)
        return {
            "Type": "tmpfs",
            "Target": mount.target,
            "ReadOnly": True,
            "TmpfsOptions": {"SizeBytes": MASK_SIZE, "Mode": 0o555},
        }
    if mount.kind == "bind":
        if mount.source is None:
            raise ValueError(f"the mount at {mount.target} has no source")
        return _bind(mount.source, mount.target, read_only=mount.read_only)
    made: dict[str, Any] = {
        "Type": "volume",
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "VolumeOptions": {"NoCopy": "nocopy" in mount.options, "Labels": dict(labels)},
    }
    return made if mount.source is None else {**made, "Source": mount.source}


def _bind(source: str, target: str, *, read_only: bool) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }
