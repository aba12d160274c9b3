"""Ways to what is mounted inside a mount: they must lead there in the container as on the host.

The engine makes what a mount or the working directory lacks, as root, and follows links for it in the container: an
absolute link means another place there, and one to nothing is made to lead to something.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..findings import Violation
from ..spec import Mount
from . import redact
from .context import Context
from .mounts import too_many
from .paths import way
from .protected import below, clean


def inside(context: Context) -> Iterator[Violation]:
    """Judge each mount and the working directory that lie inside another mount."""
    spec = context.spec
    if too_many(spec):
        return
    asked = [each for each in spec.mounts if not each.ours or each.source == str(context.host.directory)]
    places: list[tuple[str, str, str, Mount | None]] = [
        (each.target, context.target(each), each.field or "mount", each) for each in asked if not each.ours
    ]
    if spec.working_dir is not None:
        places.append((spec.working_dir, str(redact.working_dir(spec)), "working_dir", None))
    for target, shown, field, mount in places:
        path = clean(target)
        outer = [each for each in asked if each is not mount and below(path, clean(each.target))]
        around = max(outer, key=lambda each: len(clean(each.target)), default=None)
        if around is None or path == clean(around.target):
            continue
        if around.kind == "volume" and around.source is not None:
            yield context.violation(
                "target-volume",
                field,
                shown,
                "It lies in a named volume, where an earlier run may have put a link to anywhere.",
                "Write a path that is not in a volume, or the volume's own.",
            )
        elif around.kind == "bind" and _by_link(around, path):
            yield context.violation(
                "target-way",
                field,
                shown,
                "A link on the way to it leads somewhere else in the container than on this machine.",
                "Write the path without the link.",
            )


def _by_link(around: Mount, path: str) -> bool:
    """Whether a link on the way from the mounted folder to ``path`` is absolute, leads out of it, or to nothing."""
    source = os.path.normpath(around.source or "")
    place = os.path.normpath(os.path.join(source, os.path.relpath(path, clean(around.target))))
    if not os.path.lexists(place):
        return False  # refused for that
    steps = list(way(place))[len([part for part in source.split("/") if part]) :]
    return not all(below(step, source) for step in steps) or not os.path.exists(place)
