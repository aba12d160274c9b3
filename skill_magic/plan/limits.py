"""What a container may use: the manifest's keys, the call's options and `extra_args` joined into Limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..command.parse import Options
from ..findings import Violation
from ..flags.values import Wanted
from ..host import Host
from ..manifest import values
from ..manifest.layers import Skill
from ..manifest.values import Fault
from ..policy import redact
from ..spec import Limits, Ulimit, Wish
from .quantities import human, nano_cpus

#: Without `memory`, a run may use this much of the machine's memory.
CEILING = 0.75

_NO_CORE = Ulimit("core", 0, 0)


def resolve(skill: Skill, options: Options, wanted: Wanted) -> Limits:
    """Join and compare. What the machine lacks is lowered, with a note; a contradiction is a fault."""
    host, docker = wanted.host, skill.docker
    memory_text, memory_field = chosen(
        wanted, "memory", docker.memory, options.memory, values.memory_fault, values.memory_bytes
    )
    cpus_text, cpus_field = chosen(wanted, "cpus", docker.cpus, options.cpus, values.cpus_fault, nano_cpus)
    limits = Limits(
        memory=ceiling(host) if memory_text is None else values.memory_bytes(memory_text),
        memory_field=memory_field,
        nano_cpus=None if cpus_text is None else nano_cpus(cpus_text),
    )
    others: dict[str, Any] = wanted.limits
    limits = replace(limits, **others)
    limits = _lower(limits, wanted, cpus_field)
    _compare(limits, wanted)
    ulimits = tuple(wanted.ulimits)
    if not any(limit.name == "core" for limit in ulimits):
        # The kernel's core_pattern may be a program of the machine, run as its root.
        ulimits = (_NO_CORE, *ulimits)
    return replace(limits, ulimits=ulimits)


def chosen(
    wanted: Wanted,
    name: str,
    written: str | None,
    called: str | None,
    fault_of: Callable[[str], Fault | None],
    meaning: Callable[[str], Any],
) -> tuple[str | None, str]:
    """One value of a key that the manifest, `extra_args` and the call may all set; the call wins.

    :param fault_of: the grammar; :param meaning: what two texts are compared by (``1g`` and ``1024m`` agree).
    :returns: (text, field), ``(None, "")`` where nobody set it. A text with a fault counts as not set.
    """
    said = [(value, name) for value in [written] if value is not None]
    said += wanted.asked.get(name, ())
    sound: list[tuple[str, str]] = []
    for value, field in said:
        fault = fault_of(value)
        if fault is not None:
            wanted.faults.append(Violation(fault.code, field, value, fault.reason, fault.fix, kind="invalid"))
        else:
            sound.append((value, field))
    contradict(wanted, name, sound, meaning)
    if called is not None:
        fault = fault_of(called)
        if fault is None:
            return called, f"--{name}"
        wanted.faults.append(
            Violation(fault.code, f"--{name}", called, fault.reason, fault.fix, kind="invalid")
        )
    # Of several (a fault already) the same one in any order: the least, beside which others look largest.
    return min(sound, key=lambda pair: meaning(pair[0]), default=(None, ""))


def contradict(
    wanted: Wanted, name: str, said: list[tuple[str, str]], meaning: Callable[[str], object]
) -> None:
    """Note where `extra_args` gives a key another value than the manifest does.

    :param said: all values as ``(value, field)``, the manifest's own first.
    """
    if not said or said[0][1] != name:
        return  # only `extra_args`, where a second value is a fault already
    for value, field in said[1:]:
        if meaning(value) != meaning(said[0][0]):
            wanted.faults.append(
                Violation(
                    "option-conflict",
                    field,
                    value,
                    f"The manifest's {name} is {said[0][0]!r}.",
                    "Keep one of the two.",
                    kind="invalid",
                )
            )


def _lower(limits: Limits, wanted: Wanted, cpus_field: str) -> Limits:
    host = wanted.host
    changes: dict[str, Any] = {}
    if limits.memory is not None and 0 < host.memory < limits.memory:
        changes["memory"] = host.memory
        wanted.notes.append(
            f"memory lowered from {human(limits.memory)} to {human(host.memory)}, all this machine has"
        )
    most = host.cpus * 1_000_000_000
    if limits.nano_cpus is not None and limits.nano_cpus > most:
        changes["nano_cpus"] = most
        wanted.notes.append(
            f"cpus lowered from {limits.nano_cpus / 1e9:g} to {host.cpus}, all this machine has"
        )
    period = limits.cpu_period or 100_000
    if limits.cpu_quota is not None and limits.cpu_quota > period * host.cpus:
        changes["cpu_quota"] = period * host.cpus
        wanted.notes.append(f"--cpu-quota lowered to {period * host.cpus}, which is all CPUs of this machine")
    if limits.cpuset_cpus is not None:
        changes["cpuset_cpus"] = _cpuset(limits.cpuset_cpus, wanted)
    if cpus_field and (limits.cpu_quota is not None or limits.cpu_period is not None):
        place = wanted.places.get("cpu_quota") or wanted.places["cpu_period"]
        wanted.faults.append(
            Violation(
                "option-conflict",
                place,
                "--cpu-quota/--cpu-period",
                f"{cpus_field} limits the CPU time already.",
                "Keep one of the two.",
                kind="invalid",
            )
        )
    return replace(limits, **changes)


def _cpuset(text: str, wanted: Wanted) -> str | None:
    """The CPUs of a list that this machine has, a fault where it has none of them."""
    here: list[str] = []
    missing = False
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        missing = missing or high >= wanted.host.cpus or low > high
        high = min(high, wanted.host.cpus - 1)
        if low <= high:
            here.append(f"{low}-{high}" if high > low else str(low))
    if not missing:
        return text
    if not here:
        wanted.faults.append(
            Violation(
                "option-value",
                wanted.places["cpuset_cpus"],
                f"--cpuset-cpus {text}",
                "This machine has none of these CPUs.",
                f"Use numbers from 0 to {wanted.host.cpus - 1}.",
                kind="invalid",
            )
        )
        return None
    kept = ",".join(here)
    wanted.notes.append(f"--cpuset-cpus {text} cut to {kept}, the CPUs that this machine has")
    return kept


def _compare(limits: Limits, wanted: Wanted) -> None:
    """What must stand in a relation to the memory limit."""
    memory = limits.memory
    if memory is None:
        return
    if limits.memory_reservation is not None and limits.memory_reservation > memory:
        _invalid(
            wanted,
            "memory_reservation",
            "--memory-reservation",
            f"It is above the limit of {human(memory)}.",
            "Lower it.",
        )
    swap = limits.memory_swap
    if swap is not None and swap < memory:
        _invalid(
            wanted,
            "memory_swap",
            "--memory-swap",
            f"It is memory and swap together, and the memory alone is {human(memory)}.",
            "Raise it or leave it out.",
        )
    elif swap is not None and swap > 2 * memory:
        wanted.wishes.append(Wish("memory-swap", wanted.texts["memory_swap"], wanted.places["memory_swap"]))
    if limits.shm_size is not None and limits.shm_size > memory:
        wanted.wishes.append(Wish("shm-size", wanted.texts["shm_size"], wanted.places["shm_size"]))
    for mount in wanted.mounts:
        if mount.kind == "tmpfs" and mount.size is not None and mount.size > memory:
            wanted.wishes.append(
                Wish("tmpfs", f"{redact.mount(mount).target}:size={mount.size}", mount.field)
            )


def _invalid(wanted: Wanted, name: str, option: str, reason: str, fix: str) -> None:
    value = f"{option} {wanted.texts[name]}"
    wanted.faults.append(Violation("option-value", wanted.places[name], value, reason, fix, kind="invalid"))


def ceiling(host: Host) -> int | None:
    """Bytes that a run without `memory` may use; ``None`` where the machine's memory is not known."""
    return int(host.memory * CEILING) or None
