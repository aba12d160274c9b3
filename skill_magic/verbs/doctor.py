"""``doctor``: what this package finds on the machine, and what is in its way. Never raises."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..answer import Answer, Block, Table, Text
from ..door import working_directory
from ..errors import SkillError
from ..findings import SHOWN, more

if TYPE_CHECKING:
    from ..command.parse import Command
    from ..door import Door
    from ..engine import Engine
    from ..findings import Violation
    from ..host import Host
    from ..manifest.layers import Manifests
    from ..spec import Mount

SIGNS = {"ok": "ok", "note": "note", "warn": "warning", "bad": "problem"}

RUNC_FIXED = ((1, 2, 8), (1, 3, 3))
"""The runc releases (per branch) with the mask and /dev/console fixes: CVE-2025-31133, -52565, -52881."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``fix`` is the way out where something is wrong."""

    topic: str
    status: Literal["ok", "note", "warn", "bad"]
    text: str
    fix: str = ""


def doctor(command: Command, door: Door) -> Answer:
    """Every finding, and exit code 1 where a run could not succeed."""
    from ..views.words import count

    found = list(examine(door))
    rows = [(each.topic, SIGNS[each.status], sentences(each.text, each.fix)) for each in found]
    blocks: list[Block] = [Table(("what", "", "finding"), rows)]
    bad = [each for each in found if each.status == "bad"]
    blocks.append(
        Text(f"{count(len(bad), 'problem')} to solve before skills can run", good=False)
        if bad
        else Text("ready to run skills", good=True)
    )
    return Answer(blocks, [asdict(each) for each in found], 1 if bad else 0)


def sentences(*texts: str) -> str:
    """``texts`` behind each other, with a full stop between two; the last one ends as it does."""
    *before, last = [text.strip() for text in texts if text.strip()] or [""]
    return " ".join([*(text if text[-1] in ".:;!?" else text + "." for text in before), last])


def examine(door: Door) -> Iterator[Finding]:
    """Look at everything, one part after the other; a part that fails is a finding too."""
    parts: tuple[Callable[[Door], Iterator[Finding]], ...] = (
        _package,
        _front_end,
        _directory,
        _manifests,
        _policy,
        _engine,
    )
    for part in parts:
        yield from _guarded(part.__name__.strip("_"), functools.partial(part, door))


def _guarded(topic: str, part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from part()
    except SkillError as error:
        lines = error.lines()[1:] if hasattr(error, "violations") else []
        details = [line for line in lines if not line.startswith("hint: ")]
        yield Finding(topic, "bad", sentences(error.message, *details), error.hint)
    except Exception as error:  # a doctor that falls ill is of no use
        yield Finding(topic, "bad", f"could not be looked at: {type(error).__name__}: {error}")


def _package(door: Door) -> Iterator[Finding]:
    from .._version import __version__

    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("skill_magic", "ok", f"{__version__} on {system}")


def _front_end(door: Door) -> Iterator[Finding]:
    versions = {name: _version(name) for name in ("ipython", "ipykernel", "ipywidgets", "anywidget")}
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    place = {"shell": "a shell", "python": "Python"}.get(
        door.kind, "a notebook" if door.notebook else "a terminal"
    )
    yield Finding("front end", "ok", f"{place}; {text}")
    if door.notebook and not versions["anywidget"]:
        yield Finding(
            "panel",
            "warn",
            "anywidget is not installed, so runs are shown as text.",
            "Install it: `pip install anywidget`.",
        )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _directory(door: Door) -> Iterator[Finding]:
    from ..mounts import mounts

    host = door.host
    if host.notebook is not None:
        yield Finding("notebook", "ok", str(host.notebook))
    try:
        mount = mounts.project_mount(host)
    except mounts.Invalid as invalid:
        yield Finding(
            "directory", "bad", f"{host.directory}: {invalid.violation.reason}", invalid.violation.fix
        )
        return
    refused = [each for each in _judged(host, mount) if each.field == "directory"]
    for each in refused:
        yield Finding("directory", "bad", f"{host.directory}: {each.reason} [{each.code}]", each.fix)
    if not refused:
        yield Finding("directory", "ok", f"{host.directory} is mounted at {mount.target}")
    here = working_directory()
    if here != host.directory and door.notebook:
        text = f"the kernel is in {here}, skills see the notebook's directory: %cd does not move it"
        yield Finding("directory", "note", text)


def _judged(host: Host, mount: Mount) -> tuple[Violation, ...]:
    """What the policy says of a run that asks for nothing but the notebook's directory."""
    from ..policy import rules, settings
    from ..spec import RunSpec

    spec = RunSpec(
        skill="doctor", image="none", entrypoint=None, args=(), directory=host.directory, mounts=(mount,)
    )
    return rules.check(spec, host, settings=settings.load(host))


def _manifests(door: Door) -> Iterator[Finding]:
    from ..manifest import layers as manifest

    manifests = manifest.load(door.host)
    for path in manifests.files:
        count = sum(skill.file == path for skill in manifests.skills.values())
        others = sum(other.file == path for other in manifests.others.values())
        beside = f", {others} for other runtimes" if others else ""
        yield Finding("manifest", "ok", f"{path}: {count} skill{'' if count == 1 else 's'}{beside}")
    holders: dict[Violation, list[str]] = {}
    for name, faults in manifests.faults.items():
        for fault in faults:
            holders.setdefault(fault, []).append(name)
    for fault, names in [*holders.items()][:SHOWN]:  # a fault of the file is every skill's
        yield Finding(
            "manifest", "bad", f"{names[0]}: {fault}" if len(names) == 1 and names[0] else str(fault)
        )
    if len(holders) > SHOWN:
        yield Finding("manifest", "bad", more(len(holders) - SHOWN, door.line("check --json")))


def _policy(door: Door) -> Iterator[Finding]:
    from ..policy import settings

    found = settings.load(door.host)
    where = ", ".join(map(str, found.files)) or "no policy.toml, so the defaults hold"
    yield Finding("policy", "ok", f"profile {found.profile}; {where}")


def _engine(door: Door) -> Iterator[Finding]:
    from .. import engine

    address = door.host.engine
    if address is not None:
        yield Finding(
            "engine address", "ok" if not address.problem else "bad", f"{address.url} ({address.source})"
        )
        if address.remote:
            yield Finding(
                "engine address",
                "warn",
                "The engine is on another machine, where the notebook's directory is not to be had.",
                "Run the notebook on that machine.",
            )
    connected = engine.connect(door.host)
    info = connected.info
    kind = "Podman" if connected.podman else "Docker"
    rootless = ", rootless" if connected.rootless else ""
    yield Finding(
        "engine",
        "ok",
        f"{kind} {connected.version.get('Version', '?')}{rootless} on {connected.system or 'some system'}, "
        f"cgroup v{connected.cgroup}, {connected.cpus} CPUs, {connected.memory / 2**30:.1f} GiB",
    )
    yield from _safety(info)
    yield from _guarded("GPU", lambda: _gpu(connected))
    yield from _guarded("images", lambda: _images(connected, door.host))
    yield from _guarded("containers", lambda: _containers(connected))


def _safety(facts: Mapping[str, Any]) -> Iterator[Finding]:
    options = [str(option) for option in facts.get("SecurityOptions") or ()]
    if not any("seccomp" in option for option in options):
        yield Finding(
            "engine", "warn", "It filters no system calls (no seccomp).", "Use a kernel and engine that do."
        )
    commit = facts.get("RuncCommit") or {}
    version = runc_version(str(commit.get("ID") or ""))
    if version is not None and runc_is_old(version):
        name = ".".join(map(str, version))
        text = f"runc {name} has known container-escape bugs (CVE-2025-31133 and others)."
        yield Finding("engine", "warn", text, "Update runc (containerd.io) to 1.2.8, 1.3.3 or later.")


def runc_version(text: str) -> tuple[int, int, int] | None:
    """``1.1.5+ds1`` or ``v1.2.8-0-geeb7e60`` → (1, 2, 8); ``None`` for a bare commit."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def runc_is_old(version: tuple[int, int, int]) -> bool:
    """Whether a runc lacks the fixes of :data:`RUNC_FIXED`."""
    same_branch = [fixed for fixed in RUNC_FIXED if fixed[:2] == version[:2]]
    return version < (same_branch[0] if same_branch else RUNC_FIXED[-1])


def _gpu(engine: Engine) -> Iterator[Finding]:
    from ..engine.images import require_gpu
    from ..errors import GpuUnavailable

    try:
        require_gpu(engine)
    except GpuUnavailable as error:
        yield Finding("GPU", "note", f"none: {error.message.removeprefix('the skill wants a GPU, and ')}")
    else:
        yield Finding("GPU", "ok", "the engine can give GPUs to containers")


def _images(engine: Engine, host: Host) -> Iterator[Finding]:
    from ..engine.images import inspect
    from ..manifest import layers as manifest

    manifests: Manifests = manifest.load(host)
    wanted = sorted({skill.docker.image for skill in manifests.skills.values()})
    missing = [image for image in wanted if inspect(engine, image) is None]
    here = len(wanted) - len(missing)
    text = f"{here} of {len(wanted)} are here"
    if missing:
        text += f"; pulled when they are first needed: {', '.join(missing)}"
    yield Finding("images", "ok" if here else "note", text)


def _containers(engine: Engine) -> Iterator[Finding]:
    from ..engine import containers
    from ..views.words import count

    number = len(containers(engine))
    yield Finding(
        "containers", "ok", count(number, "skill_magic container") if number else "no skill_magic containers"
    )
