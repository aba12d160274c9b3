"""Podman's account of a container, put into Docker's words as far as the two mean the same.

Podman answers Docker's API from what it keeps in its own terms (seen on 4.3): capabilities relative to its
default set, mounts as binds, namespaces by other names. What is said otherwise and means what was asked for
is replaced by the words that were asked; the rest is left as it is, so that the comparison finds it.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

#: In every version of Podman's default set; older ones have AUDIT_WRITE, MKNOD and NET_RAW too.
_DEFAULT = frozenset(
    ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
     "SETUID", "SYS_CHROOT")
)  # fmt: skip

#: Another word for the same namespace, or none at all where Podman does not tell.
_NAMESPACES = {
    "CgroupnsMode": ("", "private"),
    "IpcMode": ("private", "shareable"),
    "PidMode": ("", "private"),
    "UTSMode": ("", "private"),
}

#: Made by Podman under a read-only root, and options that it adds to every tmpfs.
_TMPFS_TARGETS = frozenset(("/dev/shm", "/run", "/tmp", "/var/tmp"))  # noqa: S108 - paths in the container
_TMPFS_OPTIONS = frozenset(
    ("rprivate", "private", "tmpcopyup", "nosuid", "nodev", "noexec", "rw", "mode=1777")
)

#: Limits that Podman sets on every container.
_ULIMITS = frozenset(("nofile", "nproc"))


def in_dockers_words(body: Mapping[str, Any], inspect: Mapping[str, Any]) -> dict[str, Any]:
    """``inspect`` with Podman's paraphrases of what ``body`` asks for replaced by the words of ``body``."""
    asked, told = body["HostConfig"], dict(inspect.get("HostConfig") or {})
    config = dict(inspect.get("Config") or {})
    if _capabilities(told) == frozenset(_bare(name) for name in asked["CapAdd"]):
        told["CapAdd"], told["CapDrop"] = asked["CapAdd"], asked["CapDrop"]
    for key, words in _NAMESPACES.items():
        if asked.get(key) in words and told.get(key) in words:
            told[key] = asked[key]
    period, quota = told.get("CpuPeriod") or 0, told.get("CpuQuota") or 0
    if not asked["CpuPeriod"] and quota * 1_000_000_000 == asked["NanoCpus"] * period:
        told["CpuPeriod"], told["CpuQuota"] = asked["CpuPeriod"], asked["CpuQuota"]
    told["Ulimits"] = _ulimits(asked["Ulimits"], told.get("Ulimits") or ())
    told["Tmpfs"] = _tmpfs(asked, told.get("Tmpfs") or {})
    for key in ("MaskedPaths", "ReadonlyPaths"):
        if told.get(key) is None:
            told.pop(key, None)
    if not told.get("Mounts"):
        told["Mounts"], told["Binds"] = _mounts(asked, told.get("Binds") or (), inspect.get("Mounts") or ())
    if not told.get("Sysctls"):
        told["Sysctls"] = asked["Sysctls"]  # it does not tell
    if str(config.get("StopSignal")) == _signal_number(body.get("StopSignal", "")):
        config["StopSignal"] = body["StopSignal"]
    health = config.get("Healthcheck") or {}
    if health.get("Test") == body["Healthcheck"]["Test"]:
        config["Healthcheck"] = body["Healthcheck"]
    return {**inspect, "HostConfig": told, "Config": config}


def _signal_number(name: str) -> str:
    return str(signal.Signals[name].value) if name in signal.Signals.__members__ else ""


def _bare(capability: str) -> str:
    return capability.upper().removeprefix("CAP_")


def _capabilities(told: Mapping[str, Any]) -> frozenset[str]:
    added = frozenset(_bare(name) for name in told.get("CapAdd") or ())
    dropped = frozenset(_bare(name) for name in told.get("CapDrop") or ())
    return (_DEFAULT - dropped) | added


def _ulimits(asked: Any, told: Any) -> list[Any]:
    named = {limit["Name"] for limit in asked}
    kept = []
    for limit in told:
        name = str(limit["Name"]).lower().removeprefix("rlimit_")
        if name in named or name not in _ULIMITS:
            kept.append({**limit, "Name": name})
    return kept


def _tmpfs(asked: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, str]:
    wanted = asked["Tmpfs"]
    hidden = {mount["Target"] for mount in asked["Mounts"] if mount["Type"] == "tmpfs"}
    found = {}
    for target, options in told.items():
        words = frozenset(options.split(","))
        if target in wanted:
            asked_words = frozenset(wanted[target].split(","))
            same = asked_words <= words and words - asked_words <= _TMPFS_OPTIONS - {"rw", "noexec"}
            found[target] = wanted[target] if same else options
        elif target in hidden and "ro" in words:
            continue
        elif not (asked["ReadonlyRootfs"] and target in _TMPFS_TARGETS and words <= _TMPFS_OPTIONS):
            found[target] = options
    return found


def _mounts(asked: Mapping[str, Any], binds: Any, points: Any) -> tuple[list[Any], list[str]]:
    """The mounts that Podman lists as binds and as mount points, and the binds that are none of them."""
    here = {(point.get("Destination"), point.get("Type")): point for point in points}
    found, targets = [], set()
    for mount in asked["Mounts"]:
        point = here.get((mount["Target"], mount["Type"]))
        if mount["Type"] == "tmpfs" or (point is not None and _is_of(mount, point)):
            found.append(mount)
            targets.add(mount["Target"])
    anonymous = {point["Destination"] for point in points if point.get("Type") == "volume"}
    left = [bind for bind in binds if bind.split(":")[1:2] and bind.split(":")[1] not in targets | anonymous]
    return found, left


def _is_of(mount: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    if bool(point.get("RW")) == bool(mount["ReadOnly"]):
        return False
    if mount["Type"] == "bind":
        return bool(point.get("Source") == mount["Source"])
    return "Source" not in mount or bool(point.get("Name") == mount["Source"])
