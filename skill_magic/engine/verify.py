"""The second gate: is the container that the engine made the one that was asked for?

After create and before start the engine's own account of the container is compared with the request, field
by field. What was not asked for must be nothing, also in fields that this package has never heard of. This
catches a client's or a daemon's defaults, a plugin that changes requests, and our own slips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .verify_podman import in_dockers_words

#: Set by the engine itself, and no right of the container.
_OF_THE_ENGINE = frozenset(
    ("ConsoleSize", "ContainerIDFile", "Isolation", "Runtime", "Cgroup", "Cgroups", "CgroupManager",
     "CgroupMode",
     "CgroupConf", "Annotations")
)  # fmt: skip

#: Shares and hints that a kernel may not have; the engine warns and leaves them out. No limit is among them.
_MAY_BE_DROPPED = frozenset(
    ("BlkioWeight", "CpuShares", "MemoryReservation", "MemorySwappiness", "OomScoreAdj")
)

#: Compared in their own way below.
_APART = frozenset(("MaskedPaths", "ReadonlyPaths", "MemorySwap", "Mounts", "Binds"))

_CONFIG = ("User", "WorkingDir", "Entrypoint", "Cmd", "Hostname", "Domainname", "StopSignal", "StopTimeout",
           "OpenStdin", "StdinOnce", "MacAddress")  # fmt: skip

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")

#: Docker Desktop's names for the host's files inside its virtual machine.
_DESKTOP = ("/host_mnt", "/run/desktop/mnt/host")


def differences(body: Mapping[str, Any], inspect: Mapping[str, Any], *, podman: bool = False) -> list[str]:
    """What the engine made otherwise, as ``FIELD: what was asked, what was made``; empty where nothing.

    :param body: what was sent to ``POST /containers/create``.
    :param inspect: the answer of ``GET /containers/ID/json``; :param podman: it comes from Podman.
    """
    if podman:
        inspect = in_dockers_words(body, inspect)
    wanted, made = body["HostConfig"], inspect.get("HostConfig") or {}
    found = [
        f"HostConfig.{key}: {_shown(wanted.get(key))} was asked, {_shown(made.get(key))} was made"
        for key in sorted({*wanted, *made} - _OF_THE_ENGINE - _APART)
        if not _same(key, wanted.get(key), made.get(key))
    ]
    found += _paths(made)
    found += _swap(wanted, made)
    found += _mounts(body, inspect)
    found += _config(body, inspect.get("Config") or {})
    found += _networks(wanted, inspect.get("NetworkSettings") or {})
    return found


def _same(key: str, wanted: Any, made: Any) -> bool:
    wanted, made = _plain(key, wanted), _plain(key, made)
    if wanted == made:
        return True
    return key in _MAY_BE_DROPPED and made in (None, -1)


def _plain(key: str, value: Any) -> Any:
    """A value in one form for all engines; ``None`` for all kinds of nothing (null, "", 0, false, [], {})."""
    if key in ("CapAdd", "CapDrop") and value:
        return sorted(str(name).upper().removeprefix("CAP_") for name in value)
    if key == "SecurityOpt" and value:
        return sorted(
            re.sub(r"^no-new-privileges[:=]true$", "no-new-privileges", str(text)) for text in value
        )
    if key == "MemorySwappiness" and value == -1:
        return None
    if key == "RestartPolicy" and isinstance(value, Mapping) and value.get("Name") in ("", "no"):
        return None
    if key == "Ulimits" and value:
        return sorted(
            (str(item["Name"]).lower().removeprefix("rlimit_"), item["Soft"], item["Hard"]) for item in value
        )
    return _bare(value)


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: bare for key, item in value.items() if (bare := _bare(item)) is not None} or None
    if isinstance(value, (list, tuple)):
        return [_bare(item) for item in value] or None
    return value or None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _paths(made: Mapping[str, Any]) -> Iterator[str]:
    # Podman does not tell. Docker does: an empty list opens the kernel's files to the container.
    for key, sample in (("MaskedPaths", "/proc/kcore"), ("ReadonlyPaths", "/proc/sys")):
        if key in made and sample not in (made[key] or ()):
            yield f"HostConfig.{key}: the engine's own list was asked, {_shown(made[key])} was made"


def _swap(wanted: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[str]:
    asked, got = wanted.get("MemorySwap") or 0, made.get("MemorySwap") or 0
    # -1 without having been asked: this kernel does not count swap.
    if got != asked and got != -1:
        yield f"HostConfig.MemorySwap: {asked} was asked, {got} was made"


def _mounts(body: Mapping[str, Any], inspect: Mapping[str, Any]) -> Iterator[str]:
    wanted = {mount["Target"]: mount for mount in body["HostConfig"].get("Mounts") or ()}
    made = inspect.get("HostConfig") or {}
    if made.get("Binds") and "Mounts" in made:
        yield f"HostConfig.Binds: nothing was asked, {_shown(made['Binds'])} was made"
    told = {mount.get("Target"): mount for mount in made.get("Mounts") or ()}
    if "Mounts" in made or wanted:
        for target in sorted({*wanted, *told}, key=str):
            if _bare(wanted.get(target)) != _bare(_home(told.get(target), wanted.get(target))):
                asked, got = _shown(wanted.get(target)), _shown(told.get(target))
                yield f"HostConfig.Mounts: {asked} was asked, {got} was made"
    for point in inspect.get("Mounts") or ():
        problem = _point(wanted.get(point.get("Destination")), point)
        if problem:
            yield f"Mounts: {point.get('Destination')} {problem}"


def _home(told: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A mount as it was told, by the host's own path where Docker Desktop gave its name for it."""
    if told is None or wanted is None or told.get("Source") not in _names(wanted.get("Source")):
        return told
    return {**told, "Source": wanted.get("Source")}


def _names(source: Any) -> tuple[str, ...]:
    """What an engine may call the host's path ``source``."""
    return tuple(f"{root}{source}" for root in ("", *_DESKTOP)) if source else ()


def _point(wanted: Mapping[str, Any] | None, point: Mapping[str, Any]) -> str:
    """What is wrong with one mount as the engine worked it out."""
    kind, name = point.get("Type"), str(point.get("Name") or "")
    if wanted is None:
        if kind == "volume" and point.get("Driver") == "local" and _ANONYMOUS.fullmatch(name):
            return ""  # the image's own VOLUME
        return "" if kind == "tmpfs" else f"is a {kind} of {point.get('Source')!r} that was not asked for"
    if kind != wanted["Type"]:
        return f"is a {kind}, not a {wanted['Type']}"
    if kind == "bind":
        source = str(point.get("Source"))
        if source not in _names(wanted["Source"]):
            return f"is {source!r}, not {wanted['Source']!r}"
        if point.get("Propagation") not in ("rprivate", "private", None):
            return f"has the propagation {point.get('Propagation')!r}"
    if kind == "volume" and point.get("Driver") != "local":
        return f"is on the driver {point.get('Driver')!r}"
    if kind != "tmpfs" and bool(point.get("RW")) == bool(wanted.get("ReadOnly")):
        return "is writable, not read-only" if point.get("RW") else "is read-only, not writable"
    return ""


def _config(body: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[str]:
    for key in _CONFIG:
        if key in body and _bare(body[key]) != _bare(made.get(key)):
            yield f"Config.{key}: {_shown(body[key])} was asked, {_shown(made.get(key))} was made"
    # The engine adds the image's own interval and the like to the word that there is no check.
    check = (made.get("Healthcheck") or {}).get("Test")
    if "Healthcheck" in body and body["Healthcheck"].get("Test") != check:
        yield f"Config.Healthcheck: {_shown(body['Healthcheck'])} was asked, {_shown(check)} was made"
    if made.get("Tty"):
        yield "Config.Tty: False was asked, True was made"
    told = set(made.get("Env") or ())
    # Values may be secret: only the name is said. What the image adds is its own.
    for item in body.get("Env") or ():
        if item not in told:
            yield f"Config.Env: {item.partition('=')[0]} is not as it was asked"
    labels = made.get("Labels") or {}
    for key, value in (body.get("Labels") or {}).items():
        if labels.get(key) != value:
            yield f"Config.Labels: {key} is not as it was asked"


def _networks(wanted: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    mode = wanted.get("NetworkMode")
    allowed = {mode, "podman"} if mode == "bridge" else {mode}
    for name in settings.get("Networks") or ():
        if name not in allowed:
            yield f"NetworkSettings.Networks: {mode} was asked, {name} was made"
