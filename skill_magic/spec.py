"""RunSpec: all that the engine is told of one run, as frozen, typed values.

`plan` makes it, `policy` judges it, `engine.arguments` turns it into Engine API arguments and `dockerline` prints it as
a ``docker run`` line. There is no field for what may never be asked (privileged, namespaces of the host, …): such
wishes arrive as :class:`Wish` values, which the policy refuses and nothing can turn into an API argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Mount:
    """One mount.

    :param kind: ``bind`` (a host path), ``volume`` (named, or anonymous when ``source`` is ``None``), ``tmpfs``, or
        ``mask`` (an empty read-only tmpfs, or /dev/null over a file, that hides a credential below another mount).
    :param source: for ``bind`` the resolved absolute host path, for ``volume`` its name as the engine knows it.
    :param target: cleaned absolute path in the container.
    :param declared: the host part as it was written and expanded, before resolution; shown to people.
    :param size: bytes, for tmpfs; ``None`` for the engine's default.
    :param options: further tmpfs options (``mode=1777``, ``exec``), already checked.
    :param relabel: SELinux relabel letter ``z`` or ``Z``, or an empty string.
    :param propagation: as declared; anything but an empty string, ``private`` or ``rprivate`` is refused.
    :param field: where it was declared (``volumes[0]``, ``extra_args[1]``; empty for our own mounts).
    :param ours: added by this package (the notebook's directory, masks, protections), not by a manifest.
    :param names: names of host variables whose values any part of it was made from; :param target_names: those of
        the target alone, ``None`` where that is not known and may be any of them.
    :param written: its first part (the host's, or the target where there is none) as the manifest has it, nothing
        expanded; shown in place of what may not be.
    :param identity: (device, inode) of ``source`` when the plan was made; ``mounts.recheck`` compares it before start.
    """

    kind: Literal["bind", "volume", "tmpfs", "mask"]
    target: str
    source: str | None = None
    read_only: bool = False
    declared: str = ""
    size: int | None = None
    options: tuple[str, ...] = ()
    relabel: str = ""
    propagation: str = ""
    field: str = ""
    ours: bool = False
    names: tuple[str, ...] = ()
    identity: tuple[int, int] | None = None
    target_names: tuple[str, ...] | None = None
    written: str = ""

    def __repr__(self) -> str:
        # What a host variable is a part of stays out of tracebacks and logs, as the values of EnvVar do.
        source, target = ("…", "…") if self.names else (self.source, self.target)
        mode = "ro" if self.read_only else "rw"
        return f"Mount({self.kind!r}, {target!r}, {source!r}, {mode!r}, field={self.field!r}, names={self.names!r})"


@dataclass(frozen=True)
class EnvVar:
    """One environment variable of the container; ``names`` are the host variables its value was made from."""

    name: str
    value: str = field(repr=False)
    names: tuple[str, ...] = ()
    field: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Ulimit:
    """One resource limit, ``-1`` for unlimited; units as in ``setrlimit(2)``."""

    name: str
    soft: int
    hard: int
    field: str = ""


@dataclass(frozen=True)
class Limits:
    """What the container may use. Sizes in bytes; ``None`` leaves the engine's default.

    :param memory: hard limit; swap is set to the same value unless ``memory_swap`` says otherwise.
    :param memory_field: the key that ``memory`` came from, empty where it is our ceiling.
    :param nano_cpus: 10⁻⁹ CPUs, as the Engine API counts them.
    """

    memory: int | None = None
    memory_field: str = ""
    memory_swap: int | None = None
    memory_reservation: int | None = None
    memory_swappiness: int | None = None
    nano_cpus: int | None = None
    cpu_shares: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids: int = 1024
    shm_size: int | None = None
    blkio_weight: int | None = None
    oom_score_adj: int | None = None
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True)
class Gpus:
    """GPUs: ``count`` of them (-1 for all) or the ones in ``device_ids``."""

    count: int | None = None
    device_ids: tuple[str, ...] = ()
    field: str = "gpus"


@dataclass(frozen=True)
class Wish:
    """A ``docker run`` option that no field of the spec can hold, as written; the policy has the word on it.

    :param option: the option's long name without dashes (``privileged``, ``device``, ``publish``).
    :param value: its value (``"true"`` for a bare boolean).
    :param field: where it stands (``extra_args[0]``).
    """

    option: str
    value: str
    field: str


@dataclass(frozen=True)
class ImageFacts:
    """What the engine says of a local image; it is only ever looked at, never obeyed as configuration."""

    id: str
    digest: str | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    environment: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    healthcheck: bool = False
    architecture: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSpec:
    """One run, nothing left implicit.

    :param args: argv after the entrypoint, verbatim.
    :param entrypoint: argv[0], never split; ``None`` for the image's own.
    :param working_dir: may be the target of a mount, which host variables can be a part of: not in the repr.
    :param user: ``uid:gid`` or a name; ``None`` for the image's own user (``user = "image"``).
    :param user_field: ``user`` where the manifest set it, ``extra_args[i]`` for ``--user``, empty for the caller's own;
        :param user_names: names of host variables whose values are a part of it.
    :param groups: the caller's further groups that share the notebook's directory; :param group_add: others.
    :param init: ``True``/``False`` where it was asked for, ``None``: an init unless the image brings one.
    :param wishes: options without a field; a spec that has one of class "never" cannot be turned into API arguments.
    :param origin: layer of the manifest: ``project``, ``user`` or ``bundled``.
    :param file: that manifest; ``lines`` maps a field (``volumes[0]``, ``memory``) to its 1-based line there.
    :param notes: sentences for the person ("cpus lowered from 4 to 2, which is all this machine has").
    :param directory: the notebook's directory on the host.
    :param grants: what a person has granted this skill; the second look, at the image, needs them too.
    :param timeout: seconds, ``None`` for no limit.
    """

    skill: str
    image: str
    args: tuple[str, ...] = ()
    entrypoint: str | None = None
    mounts: tuple[Mount, ...] = ()
    working_dir: str | None = field(default=None, repr=False)
    environment: tuple[EnvVar, ...] = ()
    limits: Limits = Limits()
    network: str = "none"
    network_field: str = ""
    user: str | None = None
    user_field: str = ""
    user_names: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    group_add: tuple[str, ...] = ()
    gpus: Gpus | None = None
    read_only: bool = False
    init: bool | None = None
    platform: str | None = None
    remove: bool = True
    pull: Literal["missing", "never", "always"] = "missing"
    hostname: str = "skill"
    ipc: Literal["private", "none"] = "private"
    selinux_type: str | None = None
    domainname: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    stop_signal: str | None = None
    stop_timeout: int | None = None
    storage_opt: Mapping[str, str] = field(default_factory=dict)
    wishes: tuple[Wish, ...] = ()
    stdin: bool = False
    timeout: float | None = None
    cell: Literal["stdin", "args"] = "stdin"
    origin: Literal["project", "user", "bundled"] = "project"
    file: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    directory: Path = Path()
    notes: tuple[str, ...] = ()
    grants: frozenset[str] = frozenset()

    def line_of(self, name: str) -> int | None:
        """The line of field ``name`` in ``file``: its own, else that of the key it is an item of."""
        return self.lines.get(name, self.lines.get(name.split("[", 1)[0]))
