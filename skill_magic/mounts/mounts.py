"""Mounts of a run beyond their text: the notebook's directory, what is kept from the container inside an
allowed mount, and the second look just before the start.

The grammar is in ``mount_text`` and ``mount_option``, the protections are in ``mount_guards``; this module is
what other rooms use.
"""

from __future__ import annotations

from ..findings import Violation
from ..host import Host
from ..policy import redact
from ..policy.paths import identity, resolve
from ..spec import Mount, RunSpec
from .guards import GuardsError, absent, complete, planted, watched
from .option import parse_mount_option
from .text import Invalid, parse_volume, volume_name

__all__ = [
    "WORKDIR",
    "GuardsError",
    "Invalid",
    "absent",
    "complete",
    "parse_mount_option",
    "parse_volume",
    "planted",
    "project_mount",
    "recheck",
    "volume_name",
    "watched",
]

WORKDIR = "/workdir"
"""Where the notebook's directory is mounted."""


def project_mount(host: Host) -> Mount:
    """The notebook's directory, read-write at ``/workdir``. Whether it may be mounted, the policy says."""
    source = str(host.directory)
    return Mount("bind", WORKDIR, source, declared=source, ours=True, identity=identity(source))


def recheck(spec: RunSpec, *, started: bool = False) -> None:
    """Look again, just before the start, whether each host path is still what was judged.

    :param started: just after it instead: whether a link has taken a path's place meanwhile (the engine
        resolves paths when it starts a container). The tool may have moved a directory of its own by then.
    :raises PolicyError: ``mount-changed`` where a path now leads somewhere else or is gone.
    """
    from ..errors import PolicyError

    found = []
    for mount in spec.mounts:
        if mount.kind != "bind" or mount.source is None:
            continue
        same = started or identity(mount.source) == mount.identity
        if resolve(mount.source) != mount.source or not same:
            shown = redact.mount(mount)
            found.append(
                Violation(
                    "mount-changed",
                    mount.field or "mount",
                    shown.declared or str(shown.source),
                    "It was replaced between the check and the start.",
                    "Run it again; if this repeats, something on this machine keeps moving it.",
                    file=spec.file,
                    line=spec.line_of(mount.field) if mount.field else None,
                )
            )
    if found:
        raise PolicyError(f"{spec.skill}: a mounted path changed under our hands", found)
