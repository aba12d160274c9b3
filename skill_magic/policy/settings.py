"""policy.toml: the upper bound that a user or an administrator sets on what any skill may do.

Read from the system-wide directory and from the user's configuration directory; where both speak, the
narrower wins. No project file is ever read: a notebook can tighten what it runs by a tighter manifest, and
loosen nothing.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import SpecError
from ..findings import Violation
from ..host import Host
from ..plan.quantities import human, size

if TYPE_CHECKING:
    from ..manifest.layers import Skill
    from ..spec import Limits, RunSpec

NAME = "policy.toml"
MAX_BYTES = 1 << 20

REGISTRIES = (
    "docker.io",
    "ghcr.io",
    "quay.io",
    "lscr.io",
    "mcr.microsoft.com",
    "nvcr.io",
    "public.ecr.aws",
    "gcr.io",
    "registry.k8s.io",
    "registry.access.redhat.com",
    "cgr.dev",
)
"""Registries that an image may come from without a grant: well known, and not to be set up by just
anybody."""


@dataclass(frozen=True)
class Settings:
    """The policy in force. Sizes in bytes; ``None`` sets no bound.

    :param profile: ``strict`` adds: read-only root, grants for ``bridge`` and ``gpus``, images only by
        digest, numeric users.
    :param registries: registries that need no grant.
    :param networks: user-defined networks that need no grant.
    :param allow_home_project: a notebook in the home directory itself may run skills; credentials in it are
        masked.
    :param forbid_grants: patterns (``uid0``, ``mount:rw:*``) of grants that have no effect.
    :param files: the files that were read.
    """

    profile: Literal["default", "strict"] = "default"
    max_memory: int | None = None
    max_cpus: float | None = None
    max_pids: int | None = None
    registries: frozenset[str] = frozenset(REGISTRIES)
    networks: frozenset[str] = frozenset()
    allow_home_project: bool = False
    forbid_grants: frozenset[str] = frozenset()
    files: tuple[Path, ...] = ()

    @property
    def strict(self) -> bool:
        """Whether the strict profile is in force."""
        return self.profile == "strict"

    def forbids(self, grant: str) -> bool:
        """Whether no person may give ``grant`` here."""
        return any(fnmatch.fnmatchcase(grant, pattern) for pattern in self.forbid_grants)


def load(host: Host) -> Settings:
    """The settings in force for ``host``: the system's and the user's file, the narrower of the two.

    :raises SpecError: where a file is there but cannot be relied on (others can write it, it lies in the
        project, a key is unknown). Nothing runs then: to go on without an administrator's bound would
        loosen it.
    """
    faults: list[Violation] = []
    layers: list[dict[str, Any]] = []
    files: list[Path] = []
    for directory in (host.system_dir, host.config_dir):
        path = directory / NAME
        try:
            data = read_guarded(path, host)
            if data is None:
                continue
            layers.append(_validated(data, path))
            files.append(path)
        except _FaultError as fault:
            faults.append(fault.violation)
    if faults:
        raise SpecError("the policy settings cannot be relied on, so nothing is run", faults)
    return _narrowest(layers, tuple(files))


class _FaultError(Exception):
    def __init__(
        self, path: Path, code: str, value: object, reason: str, fix: str, field: str = NAME
    ) -> None:
        from ..manifest.keys import shown

        super().__init__(reason)
        bare = not isinstance(value, str)
        self.violation = Violation(
            code, field, shown(field, value), reason, fix, file=path, kind="invalid", bare=bare
        )


def unsafe_file(path: Path, host: Host) -> str | None:
    """Why the file at ``path`` cannot be relied on, ``None`` where it can.

    It must be a regular file of the caller's or root's that nobody else can write, in a directory of the
    same kind, and not in the notebook's directory, where whoever wrote the notebook could have put it.
    """
    real = Path(os.path.realpath(path))
    os.stat(real)  # what is not there is no danger, wherever it would lie
    inside = real == host.directory or host.directory in real.parents
    if inside and host.directory != host.home and host.directory not in host.home.parents:
        return "it lies in the notebook's directory, where a project could have brought it along"
    for place in (real, real.parent):
        found = os.stat(place)
        if found.st_uid not in (0, host.uid):
            return f"{place} belongs to user {found.st_uid}, not to you or root"
        others = stat.S_IWOTH | (0 if found.st_gid == host.gid == host.uid else stat.S_IWGRP)
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & others and not sticky:
            return f"{place} can be written by other users"
    if not stat.S_ISREG(os.stat(real).st_mode):
        return "it is not a regular file"
    return None


def read_guarded(path: Path, host: Host) -> dict[str, Any] | None:
    """The TOML table in ``path``, ``None`` where there is no such file. Raises ``_FaultError``."""
    import tomllib

    try:
        why = unsafe_file(path, host)
        if why is not None:
            raise _FaultError(
                path,
                "settings-unsafe",
                str(path),
                f"The file is ignored because {why}.",
                "Make it your own and unwritable for others (chmod 600), or remove it.",
            )
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _FaultError(
            path,
            "settings-unreadable",
            str(path),
            f"It cannot be read: {error.strerror}.",
            "Make it readable.",
        ) from None
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("it is larger than 1 MiB")
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise _FaultError(
            path, "settings-syntax", str(path), f"It is not valid TOML: {error}.", "Mend or remove it."
        ) from None


def _size(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value > 0 else None
    return (size(value) or None) if isinstance(value, str) else None


def _names(value: object) -> frozenset[str] | None:
    if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
        return frozenset(value)
    return None


def _positive(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
    return float(value) if good and isinstance(value, int | float) else None


_READERS: Mapping[str, tuple[Any, str]] = {
    "profile": (lambda value: value if value in ("default", "strict") else None, '"default" or "strict"'),
    "max_memory": (_size, 'a size such as "8g"'),
    "max_cpus": (_positive, "a number above 0"),
    "max_pids": (
        lambda value: int(value) if _positive(value) and value == int(value) else None,
        "a whole number above 0",
    ),
    "registries": (_names, "a list of registry host names"),
    "networks": (_names, "a list of network names"),
    "allow_home_project": (lambda value: value if isinstance(value, bool) else None, "true or false"),
    "forbid_grants": (_names, "a list of grant names"),
}


def _validated(data: dict[str, Any], path: Path) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in data.items():
        if key not in _READERS:
            import difflib

            near = difflib.get_close_matches(key, _READERS, 1)
            fix = f"Did you mean {near[0]}?" if near else f"Known keys: {', '.join(_READERS)}."
            raise _FaultError(path, "settings-key", value, "This key is unknown.", fix, field=key)
        reader, wanted = _READERS[key]
        read = reader(value)
        if read is None:
            raise _FaultError(
                path, "settings-value", value, f"It must be {wanted}.", "Mend or remove it.", field=key
            )
        if key == "forbid_grants":
            _fitting(read, path)
        table[key] = read
    return table


def _fitting(patterns: Iterable[str], path: Path) -> None:
    """A pattern with a slip in it would forbid nothing, and nobody would see it."""
    from .gravity import unlike

    for pattern in sorted(patterns):
        near = unlike(pattern)
        if near is not None:
            fix = f"Did you mean {near}?" if near else "SECURITY.md lists the grants."
            raise _FaultError(
                path, "settings-value", pattern, "No grant has such a name.", fix, field="forbid_grants"
            )


def _narrowest(layers: list[dict[str, Any]], files: tuple[Path, ...]) -> Settings:
    chosen: dict[str, Any] = {}
    for each in fields(Settings):
        values = [layer[each.name] for layer in layers if each.name in layer]
        if not values:
            continue
        if each.name == "profile":
            chosen["profile"] = "strict" if "strict" in values else "default"
        elif each.name == "allow_home_project":
            chosen[each.name] = all(values)
        elif each.name == "forbid_grants":
            chosen[each.name] = frozenset().union(*values)
        elif each.name in ("registries", "networks"):
            chosen[each.name] = frozenset.intersection(*values)
        else:
            chosen[each.name] = min(values)
    return Settings(**chosen, files=files)


def tightened(skill: Skill, settings: Settings) -> Skill:
    """``skill`` as the settings want it planned: under the strict profile its root file system is
    read-only."""
    if not settings.strict or skill.docker.read_only:
        return skill
    given = skill.given - {"read_only"}  # so that a written `false` is overruled, not contradicted
    return replace(skill, docker=replace(skill.docker, read_only=True), given=given)


def bounded(spec: RunSpec, settings: Settings) -> RunSpec:
    """``spec`` with its limits lowered to the settings' bounds, and a note for each that was."""
    limits, notes = spec.limits, list(spec.notes)
    most = settings.max_memory
    if most is not None and (limits.memory is None or limits.memory > most):
        notes.append(f"memory lowered to {human(most)}, the bound set in policy.toml")
        limits = _with_memory(limits, most)
    if settings.max_cpus is not None:
        nano = int(settings.max_cpus * 1_000_000_000)
        if limits.cpu_quota is not None:
            period = limits.cpu_period or 100_000
            limits = replace(limits, cpu_quota=min(limits.cpu_quota, int(period * settings.max_cpus)))
        elif limits.nano_cpus is None or limits.nano_cpus > nano:
            if limits.nano_cpus is not None:
                notes.append(f"cpus lowered to {settings.max_cpus:g}, the bound set in policy.toml")
            limits = replace(limits, nano_cpus=nano)
    if settings.max_pids is not None:
        limits = replace(limits, pids=min(limits.pids, settings.max_pids))
    mounts = spec.mounts
    if limits.memory is not None:
        room = limits.memory
        mounts = tuple(
            replace(each, size=room)
            if each.kind == "tmpfs" and each.size is not None and each.size > room
            else each
            for each in mounts
        )
    return replace(spec, limits=limits, mounts=mounts, notes=tuple(notes))


def _with_memory(limits: Limits, most: int) -> Limits:
    def least(value: int | None) -> int | None:
        return None if value is None else min(value, most)

    swap = None if limits.memory_swap is None else min(limits.memory_swap, 2 * most)
    return replace(
        limits,
        memory=most,
        memory_swap=swap,
        memory_reservation=least(limits.memory_reservation),
        shm_size=least(limits.shm_size),
    )
