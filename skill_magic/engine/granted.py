"""Options without a field of the spec, granted by a person → the body of ``POST /containers/create``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..flags.network import published
from ..plan.quantities import integer, size
from ..spec import Wish


def grant(body: dict[str, Any], wish: Wish, network: str) -> None:
    """Put a granted wish into the body.

    :raises ValueError: where there is no way to, so that nothing is silently left out.
    """
    host = body["HostConfig"]
    handler = _HANDLERS.get(wish.option)
    if handler is not None:
        handler(host, wish.value)
    elif wish.option == "publish":
        _publish(body, wish.value)
    elif wish.option == "publish-all":
        host["PublishAllPorts"] = True
    elif wish.option == "mac-address":
        body["MacAddress"] = wish.value
    elif wish.option in ("ip", "ip6", "link-local-ip", "network-alias"):
        _endpoint(body, wish, network)
    elif wish.option != "env":  # a granted variable is among the others already
        raise ValueError(f"--{wish.option} has no place in a request")


def _device(host: dict[str, Any], value: str) -> None:
    if not value.startswith("/"):
        host["DeviceRequests"].append(
            {"Driver": "cdi", "Count": 0, "DeviceIDs": [value], "Capabilities": [], "Options": {}}
        )
        return
    parts = value.split(":")
    path, target, rights = parts[0], parts[0], "rwm"
    for part in parts[1:]:
        if re.fullmatch("[rwm]{1,3}", part):
            rights = part
        else:
            target = part
    host["Devices"].append({"PathOnHost": path, "PathInContainer": target, "CgroupPermissions": rights})


def _publish(body: dict[str, Any], value: str) -> None:
    ports = published(value)
    if ports is None:
        raise ValueError(f"--publish {value} cannot be read")
    address, outer, inner, protocol = ports
    for index, port in enumerate(inner):
        key = f"{port}/{protocol}"
        body["ExposedPorts"][key] = {}
        binding = {"HostIp": address, "HostPort": str(outer[index]) if outer else ""}
        body["HostConfig"]["PortBindings"].setdefault(key, []).append(binding)


def _endpoint(body: dict[str, Any], wish: Wish, network: str) -> None:
    settings = (
        body.setdefault("NetworkingConfig", {}).setdefault("EndpointsConfig", {}).setdefault(network, {})
    )
    if wish.option == "network-alias":
        settings.setdefault("Aliases", []).append(wish.value)
        return
    addresses = settings.setdefault("IPAMConfig", {})
    if wish.option == "link-local-ip":
        addresses.setdefault("LinkLocalIPs", []).append(wish.value)
    else:
        addresses["IPv4Address" if wish.option == "ip" else "IPv6Address"] = wish.value


def _ulimit(host: dict[str, Any], value: str) -> None:
    name, _, numbers = value.partition("=")
    soft, _, hard = numbers.partition(":")
    host["Ulimits"].append({"Name": name, "Soft": _number(soft), "Hard": _number(hard or soft)})


def _number(text: str) -> int:
    number = integer(text)
    if number is None:
        raise ValueError(f"{text!r} is no number")
    return number


def _sysctl(host: dict[str, Any], value: str) -> None:
    name, _, setting = value.partition("=")
    host["Sysctls"][name] = setting


def _throttle(key: str, amount: str) -> Callable[[dict[str, Any], str], None]:
    def handle(host: dict[str, Any], value: str) -> None:
        path, _, number = value.rpartition(":")
        count = integer(number) or size(number)
        if not count or not path:
            raise ValueError(f"{value} is not DEVICE:NUMBER")
        host.setdefault(key, []).append({"Path": path, amount: count})

    return handle


def _append(key: str) -> Callable[[dict[str, Any], str], None]:
    def handle(host: dict[str, Any], value: str) -> None:
        host[key].append(value)

    return handle


def _cpu_quota(host: dict[str, Any], value: str) -> None:
    host["CpuQuota"] = _number(value)


def _memory_swap(host: dict[str, Any], value: str) -> None:
    host["MemorySwap"] = -1 if value == "-1" else size(value) or 0


_HANDLERS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "add-host": _append("ExtraHosts"),
    "blkio-weight-device": _throttle("BlkioWeightDevice", "Weight"),
    "cap-add": lambda host, value: host["CapAdd"].append(f"CAP_{value}"),
    "cpu-quota": _cpu_quota,
    "device": _device,
    "device-read-bps": _throttle("BlkioDeviceReadBps", "Rate"),
    "device-read-iops": _throttle("BlkioDeviceReadIOps", "Rate"),
    "device-write-bps": _throttle("BlkioDeviceWriteBps", "Rate"),
    "device-write-iops": _throttle("BlkioDeviceWriteIOps", "Rate"),
    "dns": _append("Dns"),
    "group-add": _append("GroupAdd"),
    "memory-swap": _memory_swap,
    "sysctl": _sysctl,
    "ulimit": _ulimit,
}
