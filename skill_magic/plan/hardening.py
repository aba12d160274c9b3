"""What the request to the engine and the printed ``docker run`` line have in common."""

from __future__ import annotations

import posixpath

from ..spec import ImageFacts, Mount, RunSpec

#: Programs that are an init themselves and fail below another one (s6-overlay: "can only run as pid 1").
INITS = frozenset(("init", "tini", "tini-static", "dumb-init", "docker-init", "s6-svscan", "catatonit"))

#: Bytes of the empty file system that hides a directory.
MASK_SIZE = 4096


def wants_init(spec: RunSpec, image: ImageFacts | None) -> bool:
    """Whether the engine's init goes in front: as asked, else unless the program is an init itself."""
    if spec.init is not None:
        return spec.init
    entrypoint = (spec.entrypoint,) if spec.entrypoint is not None else image.entrypoint if image else ()
    command = spec.args or (image.command if image and spec.entrypoint is None else ())
    program = next(iter((*entrypoint, *command)), "")
    return posixpath.basename(program) not in INITS


def tmpfs_options(mount: Mount) -> str:
    """The options of a tmpfs, as mount(8) writes them; what is not said is Docker's default."""
    said = [option for option in mount.options if option not in ("ro", "rw", "nosuid", "nodev")]
    words = ["ro" if mount.read_only else "rw", "nosuid", "nodev"]
    if "exec" not in said and "noexec" not in said:
        words.append("noexec")
    words += said
    if mount.size is not None:
        words.append(f"size={mount.size}")
    return ",".join(words)
