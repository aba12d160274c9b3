"""Skill + Request + Host → RunSpec: variables filled in, `extra_args` read, defaults set.

Pure: what there is to know of the machine arrives as a :class:`~skill_magic.host.Host`. Paths are resolved
(by `mounts`), nothing is opened, and whether the result may run is for the policy.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..command.parse import Request
from ..errors import PolicyError, SpecError
from ..findings import Violation
from ..flags.parse import parse
from ..flags.readers import collect
from ..flags.values import Wanted
from ..host import Host
from ..manifest import values
from ..manifest.layers import HOLE, Skill
from ..mounts import mounts
from ..policy import redact
from ..policy.protected import below
from ..spec import EnvVar, Gpus, Limits, Mount, RunSpec
from . import envvars, limits, users
from .quantities import human

_KERNEL_TREES = ("/proc", "/sys", "/dev")

#: Bytes of /run under a read-only root file system: pid files and sockets, no data.
_RUN_SIZE = 64 << 20


@dataclass(frozen=True)
class Draft:
    """As much of a spec as could be made, and every fault that was met on the way."""

    spec: RunSpec
    faults: tuple[Violation, ...] = ()


def plan(skill: Skill, request: Request, host: Host) -> RunSpec:
    """The spec of one run.

    :raises SpecError: with every fault of kind ``invalid``.
    :raises PolicyError: where the only faults are refusals that need no policy to be seen.
    """
    made = draft(skill, request, host)
    invalid = [fault for fault in made.faults if fault.kind == "invalid"]
    if invalid:
        raise SpecError(f"the skill {skill.name!r} cannot be run as it is written", invalid)
    if made.faults:
        raise PolicyError(f"the skill {skill.name!r} is refused", made.faults)
    return made.spec


def draft(skill: Skill, request: Request, host: Host) -> Draft:
    """Plan one run. Faults of the manifest or the call are collected, never raised, and planning goes on."""
    parsed = parse(skill.docker.extra_args)
    wanted = collect(parsed.flags, host, skill.base_dir)
    wanted.faults[:0] = parsed.faults
    options = request.options
    container_mounts, working_dir = _mounts(skill, wanted)
    network, network_field = _network(skill, wanted)
    user, user_field, user_names = users.user(skill, wanted)
    read_only = _read_only(skill, wanted)
    bounds = limits.resolve(skill, options, wanted)
    if bounds.memory is not None and not bounds.memory_field:
        wanted.notes.append(
            f"no `memory` is set: limited to {human(bounds.memory)}, {limits.CEILING:.0%} of this machine"
        )
    if read_only:
        container_mounts = (*container_mounts, *_scratch(container_mounts, bounds))
    gpus = _gpus(skill, wanted)
    spec = RunSpec(
        skill=skill.name,
        image=_image(skill, wanted),
        args=_args(skill, request, wanted),
        entrypoint=_entrypoint(skill, wanted),
        mounts=container_mounts,
        working_dir=working_dir,
        environment=_environment(skill, wanted, user, gpus),
        limits=bounds,
        network=network,
        network_field=network_field,
        user=user,
        user_field=user_field,
        user_names=user_names,
        groups=users.groups(user, container_mounts, wanted),
        gpus=gpus,
        platform=limits.chosen(wanted, "platform", skill.docker.platform, None, values.platform_fault, str)[
            0
        ],
        remove=skill.docker.rm,
        stdin=request.stdin is not None,
        timeout=options.timeout,
        cell=skill.cell,
        origin=skill.origin,
        file=skill.file,
        lines=skill.lines,
        directory=host.directory,
    )
    spec = replace(spec, **wanted.fields)
    spec = replace(
        spec,
        read_only=read_only,
        pull=options.pull or spec.pull,
        wishes=tuple(wanted.wishes),
        notes=_notes(spec, wanted),
    )
    return Draft(spec, tuple(_placed(fault, spec) for fault in wanted.faults))


def _placed(fault: Violation, spec: RunSpec) -> Violation:
    if fault.file is not None or fault.field.startswith(("--", "args")):
        return fault
    return replace(fault, file=spec.file, line=spec.line_of(fault.field))


def _fault(wanted: Wanted, field: str, value: str, fault: values.Fault | None) -> bool:
    if fault is None:
        return False
    wanted.faults.append(Violation(fault.code, field, value, fault.reason, fault.fix, kind="invalid"))
    return True


def _image(skill: Skill, wanted: Wanted) -> str:
    _fault(wanted, "image", skill.docker.image, values.image_fault(skill.docker.image))
    return skill.docker.image


def _args(skill: Skill, request: Request, wanted: Wanted) -> tuple[str, ...]:
    given, name = request.args, "args"
    if given is None:
        given, name = skill.docker.command or (), "command"
    for index, word in enumerate(given):
        fault = envvars.unreadable(word) or values.argument_fault(word)
        _fault(wanted, f"{name}[{index}]", word if len(word) <= 80 else f"{word[:79]}…", fault)
    return (*skill.leading_args, *given)


def _entrypoint(skill: Skill, wanted: Wanted) -> str | None:
    text = skill.docker.entrypoint
    if text is not None and _fault(wanted, "entrypoint", text, values.entrypoint_fault(text)):
        return None
    return text


def _mounts(skill: Skill, wanted: Wanted) -> tuple[tuple[Mount, ...], str | None]:
    """All mounts that were asked for, the notebook's directory among them, and the working directory."""
    host = wanted.host
    made: list[Mount] = []
    for index, text in enumerate(skill.docker.volumes):
        if text == HOLE:
            continue
        try:
            made.append(
                mounts.parse_volume(text, field=f"volumes[{index}]", host=host, base_dir=skill.base_dir)
            )
        except mounts.Invalid as invalid:
            wanted.faults.append(invalid.violation)
    made += wanted.mounts
    _no_target_twice(made, wanted)
    working_dir = _working_dir(skill, wanted)
    own = mounts.project_mount(host)
    elsewhere = [mount for mount in made if mount.kind == "bind" and mount.source == own.source]
    covered = [mount for mount in made if below(own.target, mount.target)]
    if not elsewhere and not covered:
        made.insert(0, own)
    if working_dir is None:
        # Relative names in the arguments mean the notebook's files wherever the manifest put them.
        working_dir = elsewhere[0].target if elsewhere and not covered else own.target
    return tuple(made), working_dir


def _no_target_twice(made: Iterable[Mount], wanted: Wanted) -> None:
    first: dict[str, Mount] = {}
    for mount in made:
        earlier = first.setdefault(mount.target, mount)
        if earlier is not mount:
            wanted.faults.append(
                Violation(
                    "mount-duplicate",
                    mount.field,
                    redact.mount(mount).target,
                    f"{earlier.field} is mounted there already.",
                    "Give one of the two another place in the container.",
                    kind="invalid",
                )
            )


def _working_dir(skill: Skill, wanted: Wanted) -> str | None:
    said = [(text, "working_dir") for text in [skill.docker.working_dir] if text is not None]
    said += wanted.asked.get("working_dir", ())
    sound = [
        ("/" + posixpath.normpath(text).lstrip("/"), field)
        for text, field in said
        if not _fault(wanted, field, text, values.working_dir_fault(text))
    ]
    limits.contradict(wanted, "working_dir", sound, str)
    # Of several the worst one goes on, so that a contradiction never hides it from the policy.
    sound.sort(key=lambda pair: not any(below(pair[0].lower(), tree) for tree in _KERNEL_TREES))
    return sound[0][0] if sound else None


def _network(skill: Skill, wanted: Wanted) -> tuple[str, str]:
    written = skill.docker.network
    said = [(written, "network")] if "network" in skill.given or written != "none" else []
    said += wanted.asked.get("network", ())
    sound = [pair for pair in said if not _fault(wanted, pair[1], pair[0], values.network_fault(pair[0]))]
    limits.contradict(wanted, "network", sound, str)
    sound.sort(key=lambda pair: _network_rank(pair[0]))
    return sound[0] if sound else ("none", "")


def _network_rank(text: str) -> int:
    """Worst first, so that a contradiction never hides it from the policy."""
    if text == "host" or ":" in text:
        return 0
    return {"bridge": 2, "none": 3}.get(text, 1)


def _read_only(skill: Skill, wanted: Wanted) -> bool:
    written = skill.docker.read_only
    asked = wanted.fields.pop("read_only", written)
    if "read_only" in skill.given and asked != written:
        said = [(str(written).lower(), "read_only"), (str(asked).lower(), wanted.places["read_only"])]
        limits.contradict(wanted, "read_only", said, str)
    return bool(asked or written)


def _scratch(made: tuple[Mount, ...], bounds: Limits) -> list[Mount]:
    """Writable /tmp and /run under a read-only root; Docker's default would forbid running programs there."""
    half = (bounds.memory or _RUN_SIZE * 2) // 2
    taken = {mount.target for mount in made}
    options = ("exec", "nosuid", "nodev", "mode=1777")
    return [
        Mount("tmpfs", target, size=min(most, half), options=options, ours=True)
        for target, most in (("/tmp", half), ("/run", _RUN_SIZE))  # noqa: S108 - a path in the container
        if target not in taken
    ]


def _gpus(skill: Skill, wanted: Wanted) -> Gpus | None:
    text = skill.docker.gpus
    if text is None or _fault(wanted, "gpus", text, values.gpus_fault(text)):
        return None
    if text == "all":
        return Gpus(count=-1)
    if text.isdigit():
        return Gpus(count=int(text))
    return Gpus(device_ids=tuple(text.removeprefix("device=").split(",")))


def _environment(skill: Skill, wanted: Wanted, user: str | None, gpus: Gpus | None) -> tuple[EnvVar, ...]:
    made: list[EnvVar] = []
    for index, item in enumerate(skill.docker.environment):
        if item == HOLE:
            continue
        variable = envvars.parse(item, field=f"environment[{index}]", host=wanted.host)
        if isinstance(variable, Violation):
            wanted.faults.append(variable)
        else:
            made.append(variable)
    made += wanted.environment
    first: dict[str, EnvVar] = {}
    for variable in made:
        earlier = first.setdefault(variable.name, variable)
        if earlier is not variable:
            wanted.faults.append(
                Violation(
                    "environment-duplicate",
                    variable.field,
                    f"{variable.name}=…",
                    f"{variable.name} is set by {earlier.field} already.",
                    "Keep one of the two.",
                    kind="invalid",
                )
            )
    ours = {}
    if user is not None:
        # The image does not know the caller's uid: HOME would be /, where it cannot write.
        ours = {"HOME": "/tmp", "XDG_CACHE_HOME": "/tmp/.cache"}  # noqa: S108 - paths in the container
    if gpus is None:
        # Where NVIDIA's runtime is the engine's default, an image's own variable would hand out every GPU.
        ours["NVIDIA_VISIBLE_DEVICES"] = "void"
    made += [EnvVar(name, value, ours=True) for name, value in ours.items() if name not in first]
    return tuple(made)


def _notes(spec: RunSpec, wanted: Wanted) -> tuple[str, ...]:
    notes = list(wanted.notes)
    # The engine relabels for `Binds` only, and those would make missing folders as root.
    notes += [
        f"the mode {mount.relabel} of {redact.mount(mount).declared} has no effect: label the folder with chcon"
        for mount in spec.mounts
        if mount.relabel
    ]
    notes += [
        f"{mount.declared} is a named volume and not the folder {mount.declared} beside it: write ./{mount.declared}"
        for mount in spec.mounts
        if mount.kind == "volume"
        and mount.declared
        and not mount.names
        and (spec.directory / mount.declared).is_dir()
    ]
    if spec.network == "none":
        for name in ("dns", "dns_options", "dns_search", "extra_hosts"):
            if getattr(spec, name):
                notes.append(f'{name} has no effect: the network is "none"')
    return tuple(notes)
