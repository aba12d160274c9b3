"""What of the host a container may see, where, and what it may change."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..findings import Violation
from ..mounts.guards import GuardsError, run_later
from ..mounts.mounts import WORKDIR
from ..spec import Mount, RunSpec
from . import redact
from .context import Context
from .paths import Hit, file_type, mount_points, mounted_below, resolve, socket_in
from .protected import below, clean

MOST_MOUNTS = 256
"""Mounts that one manifest may ask for; each costs a look at the file system."""

_KERNEL = ("/proc", "/sys", "/dev")


def too_many(spec: RunSpec) -> bool:
    """Whether a manifest asks for more mounts than are looked at."""
    return sum(not mount.ours for mount in spec.mounts) > MOST_MOUNTS


def sources(context: Context) -> Iterator[Violation]:
    """Judge the host side of every mount."""
    if too_many(context.spec):
        yield context.violation(
            "mount-too-many",
            "volumes",
            f"{len(context.spec.mounts)} mounts",
            f"There are more than {MOST_MOUNTS} mounts.",
            "Mount a folder that has all of them.",
            kind="invalid",
        )
        return
    project = str(context.host.directory)
    for mount in context.spec.mounts:
        # Of our own mounts only the notebook's directory is somebody's wish; the others lie in a judged one.
        if mount.kind == "bind" and not (mount.ours and (mount.read_only or mount.source != project)):
            yield from _source(context, mount)


def _source(context: Context, mount: Mount) -> Iterator[Violation]:
    where, source = mount.field or "directory", mount.source or ""
    declared, shown = mount.declared or source, context.path(mount, mount.declared or source)
    notebook = source == str(context.host.directory)
    if mount.propagation not in ("", "private", "rprivate"):
        yield context.violation(
            "mount-propagation",
            where,
            mount.propagation,
            "Mounts made on one side would appear on the other.",
            "Leave the propagation out.",
        )
    hit = context.paths.hit(declared, source, read_only=mount.read_only, notebook=notebook)
    if hit is None and resolve(declared) != source:
        yield context.violation(
            "mount-changed", where, shown, "It leads somewhere else now.", "Run it again."
        )
        return
    if hit is not None:
        yield _refusal(context, mount, hit, notebook=notebook)
        return
    engine = context.host.engine
    if engine is not None and engine.remote:
        yield context.violation(
            "mount-remote",
            where,
            shown,
            "The engine runs on another machine, so this path names that machine's files.",
            "Use a local engine, or",
            grant="remote-mounts",
        )
    if (
        mount.read_only
        and context.spec.origin == "project"
        and (below_it := mounted_below(source, mount_points()))
    ):
        yield context.violation(
            "mount-below",
            where,
            shown,
            f"Another file system is mounted in it ({context.path(mount, below_it)}), where read-only has no effect.",
            "Mount a folder of one file system.",
        )
    kind = file_type(source)
    if kind == "special":
        yield context.violation(
            "mount-special",
            where,
            shown,
            "It is a socket, a pipe or a device; only folders and plain files are mounted.",
            "Mount a folder or a file.",
        )
    elif kind in ("missing", "unreadable"):
        word = "does not exist" if kind == "missing" else "cannot be looked at"
        yield context.violation(
            "mount-missing",
            where,
            shown,
            f"It {word}.",
            "Create it first; the engine would make a folder that belongs to root.",
            kind="invalid",
        )
    else:
        yield from _reach(context, mount, where, shown)


def _hidden(context: Context, where: str, shown: str) -> Violation:
    return context.violation(
        "mount-hidden",
        where,
        shown,
        "It is made from a variable that is not shown, and leads elsewhere by a link or by `..`: "
        "nobody could see what they are asked for.",
        "Write the path that it leads to.",
    )


def _roundabout(context: Context, mount: Mount) -> bool:
    """Whether a project's mount that is asked for by its variables alone ends somewhere else than these say. A link can
    be changed after a person has agreed."""
    if context.spec.origin != "project" or redact.mount(mount).source == mount.source:
        return False
    return mount.source != posixpath.normpath(mount.declared) or ".." in mount.written.split("/")


def _reach(context: Context, mount: Mount, where: str, shown: str) -> Iterator[Violation]:
    """Whether what may be mounted may be mounted like this: outside the notebook's directory never without a
    grant, for what is read without a network can be left where a run with one finds it."""
    source, root = mount.source or "", str(context.host.directory)
    inside = below(source, root)
    if mount.relabel and not inside:
        yield context.violation(
            "mount-relabel",
            where,
            f"{shown}:{mount.relabel}",
            "The modes z and Z change the SELinux labels of the folder on the host.",
            "Use them in the notebook's directory only.",
        )
    if inside:
        if mount.read_only or source == root:
            return
        files = (context.spec.file,) if context.spec.file is not None else ()
        try:
            later = run_later(context.host, files, source, context.paths)
        except GuardsError as error:
            yield context.violation("mount-guards", where, shown, str(error), error.fix)
            return
        code = next((place for place in later if below(source, place)), None)
        if code is not None and _roundabout(context, mount):
            yield _hidden(context, where, shown)
        elif code is not None:
            yield context.violation(
                "mount-project-code",
                where,
                shown,
                f"The host runs later what is written into {os.path.relpath(code, root)}.",
                "Mount it read-only (:ro), or",
                grant=f"mount:rw:{context.place(mount)}",
            )
        return
    socket = socket_in(source)
    if socket is not None:
        yield _refusal(context, mount, Hit("socket", source, "contains", socket), notebook=False)
        return
    if _roundabout(context, mount):
        yield _hidden(context, where, shown)
        return
    if not mount.read_only:
        yield context.violation(
            "mount-outside-rw",
            where,
            shown,
            "It lies outside the notebook's directory and could be changed.",
            "Mount it read-only (:ro), or",
            grant=f"mount:rw:{context.place(mount)}",
        )
    else:
        yield context.violation(
            "mount-outside-ro",
            where,
            shown,
            "It lies outside the notebook's directory, which is all that a project's skill gets to see.",
            "Copy what is needed into the notebook's directory, or",
            grant=f"mount:ro:{context.place(mount)}",
        )


_REASONS = {
    "system": ("mount-system", "{what} a part of the system ({place})"),
    "exact": ("mount-system", "{what} a directory that others share ({place})"),
    "socket": (
        "mount-socket",
        "{what} where control sockets are ({place}); mounting it read-only does not prevent connections",
    ),
    "credential": ("mount-credential", "{what} a place of credentials or start-up files ({place})"),
    "code": ("mount-code", "{what} a file that the host runs later ({place})"),
    "home": ("mount-home", "{what} a home directory ({place}), with every key and start-up file in it"),
    "kernel": ("mount-kernel", "{what} the kernel's view of the machine ({place})"),
    "pipe": ("mount-pipe", "{what} a Windows pipe, the way to an engine"),
}


def _refusal(context: Context, mount: Mount, hit: Hit, *, notebook: bool) -> Violation:
    code, text = _REASONS[hit.kind]
    what = {"is": "This is", "is in": "This is in", "contains": "This contains"}[hit.relation]
    reason = text.format(what=what, place=context.path(mount, hit.place)) + "."
    fix = "Mount a folder with the data that is needed, and nothing else; this is never allowed."
    if notebook:
        fix = "Move the notebook into a folder of its own below your home directory."
        if hit.kind == "home":
            policy = context.host.config_dir / "policy.toml"
            fix += f" Or write allow_home_project = true in {policy}: the keys in it are hidden then."
    shown = context.path(mount, mount.declared or str(mount.source))
    return context.violation(code, mount.field or "directory", shown, reason, fix)


def targets(context: Context) -> Iterator[Violation]:
    """Judge the container side of every mount."""
    for mount in context.spec.mounts:
        target, where, shown = clean(mount.target), mount.field or "mount", context.target(mount)
        if target == "/":
            yield context.violation(
                "target-root",
                where,
                shown,
                "It would hide the whole image.",
                f"Write {WORKDIR} or another path.",
            )
        if target == "/etc" and mount.kind == "bind":
            yield context.violation(
                "target-system",
                where,
                context.target(mount),
                "The engine would make its own hosts, hostname and resolv.conf in that folder, as root.",
                f"Write {WORKDIR} or another path.",
            )
        tree = next((each for each in _KERNEL if below(target, each)), None)
        if tree is not None and not (mount.kind == "tmpfs" and target == "/dev/shm"):  # noqa: S108
            yield context.violation(
                "target-kernel",
                where,
                shown,
                f"{tree} is the engine's.",
                f"Write {WORKDIR} or another path.",
            )


def nested(context: Context) -> Iterator[Violation]:
    """What is mounted inside a mounted folder must be there: the engine would make it on the host, as
    root."""
    spec = context.spec
    if too_many(spec):
        return
    for mount in spec.mounts:
        if mount.ours:
            continue
        around, place = _on_host(spec.mounts, clean(mount.target), strictly=True)
        if around is None or os.path.lexists(place):
            continue
        shown = context.target(mount)
        missing = context.path(around, place) if shown == mount.target else redact.MASK
        yield context.violation(
            "target-missing",
            mount.field or "mount",
            shown,
            f"On the host this is {missing}, which does not exist.",
            "Create it first; the engine would make one that belongs to root.",
            kind="invalid",
        )
    if spec.working_dir is not None and not _in_kernel(spec.working_dir):
        around, place = _on_host(spec.mounts, clean(spec.working_dir), strictly=False)
        if around is not None and not os.path.isdir(place):
            yield context.violation(
                "workdir-missing",
                "working_dir",
                str(redact.working_dir(spec)),
                f"On the host this is {context.path(around, place)}, which is no folder.",
                "Create it first; the engine would make one that belongs to root.",
                kind="invalid",
            )


def _on_host(mounts: Iterable[Mount], path: str, *, strictly: bool) -> tuple[Mount | None, str]:
    """The mount that ``path`` in the container lies in and the host path that it is there; ``None`` where it is in
    no mounted folder."""
    around = [
        each
        for each in mounts
        if below(path, clean(each.target)) and not (strictly and clean(each.target) == path)
    ]
    inner = max(around, key=lambda each: len(clean(each.target)), default=None)
    if inner is None or inner.kind != "bind" or not os.path.isdir(inner.source or ""):
        return None, ""
    place = os.path.join(inner.source or "", os.path.relpath(path, clean(inner.target)))
    return inner, os.path.normpath(place)


def _in_kernel(path: str) -> bool:
    return any(below(clean(path), tree) for tree in _KERNEL)


def volumes(context: Context, found: Mapping[str, Mapping[str, Any]]) -> Iterator[Violation]:
    """Judge named volumes by what the engine says of those that exist."""
    for mount in context.spec.mounts:
        volume = found.get(mount.source or "")
        if mount.kind != "volume" or volume is None:
            continue
        driver, options = volume.get("Driver") or "local", volume.get("Options") or {}
        if driver != "local" or options:
            what = (
                f"the driver {driver}" if driver != "local" else f"the options {', '.join(sorted(options))}"
            )
            yield context.violation(
                "volume-options",
                mount.field or "volumes",
                context.path(mount, mount.declared or str(mount.source)),
                f"This volume was made with {what}, so that it can be any directory of the host.",
                f"Remove it (`docker volume rm {context.path(mount, str(mount.source))}`) or use another name.",
            )


def working_dir(context: Context) -> Iterator[Violation]:
    """A working directory below /proc reaches the host's files (CVE-2024-21626)."""
    path = context.spec.working_dir
    if path is None:
        return
    if _in_kernel(path):
        yield context.violation(
            "workdir-kernel",
            "working_dir",
            str(redact.working_dir(context.spec)),
            "A directory of the kernel is a way out of the container (CVE-2024-21626).",
            f"Write {WORKDIR}.",
        )
