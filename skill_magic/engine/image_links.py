"""Links of an image: where the places of a run's mounts lead in it, before anything is mounted there.

An image can say that /workdir is a link to /etc. The engine follows it, and makes its own files of /etc in the
notebook's directory, as root. An image never changes, so a path without a link is remembered in the cache directory: as
a keyed hash, since a path can hold the value of a variable.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import json
import os
import posixpath
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from . import image_look, made
from .failures import translate

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine

__all__ = ["Facts", "check", "real_path", "stat"]

MOST = 40
"""Links that are followed from one path, as the kernel has it."""

GO_LINK = 1 << 27
"""``os.ModeSymlink`` of Go's io/fs, in which the engine tells a file's mode."""


GO_TYPE = 0x8F280000
"""All bits of that mode for a type; a regular file has none of them."""


def check(engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts) -> None:
    """Let the policy look at where the paths of the run lead in the image.

    :raises PolicyError: one leads where nothing may be put. :raises EngineError: what it needs is not to be had.
    """
    from ..policy.decide import check_links
    from ..policy.image_paths import paths_in_image

    paths = {path: _hash(engine, path) for path in paths_in_image(spec, facts)}
    file = host.cache_dir / "image-links" / f"{facts.id.removeprefix('sha256:')[:64]}.json"
    plain = _read(file)
    unknown = [path for path, digest in paths.items() if digest not in plain]
    if not unknown:
        return
    with image_look.opened(engine, spec, host, facts) as container:
        link = functools.cache(functools.partial(_link, engine, container))
        alone = {path: _real(path, (), link) for path in unknown}
        mounted = {alone.get(mount.target, mount.target) for mount in spec.mounts}
        # In a mounted folder the image's links are hidden, but only once it is mounted; the order is the engine's.
        past = {path: _real(path, mounted, link) for path in unknown}
    moved = {path for path in unknown if {alone[path], past[path]} != {path}}
    _write(file, plain | {paths[path] for path in unknown if path not in moved})
    for leading in (alone, past):
        elsewhere = {path: place for path, place in leading.items() if place != path}
        if elsewhere:
            check_links(spec, elsewhere, host)


def _hash(engine: Engine, path: str) -> str:
    return hmac.new(engine.key, os.fsencode(path), hashlib.sha256).hexdigest()


def real_path(engine: Engine, container: str, path: str) -> str:
    """Where a path of the image leads, step by step as the kernel goes: an engine works out ``..`` as text.

    :param container: one of the image that has no mounts. :raises EngineError: as :func:`_real`.
    """
    return _real(path, (), functools.partial(_link, engine, container))


def _real(path: str, mounted: Collection[str], link: Callable[[str], str]) -> str:
    """``path`` with the links of the image followed.

    :param mounted: folders in which the image's links are hidden. :param link: what :func:`_link` says.
    :raises EngineError: there are too many, as in a circle.
    """
    done, left, followed = "/", path.strip("/").split("/"), 0
    while left:
        name = left.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            done = posixpath.dirname(done)
            continue
        here = posixpath.join(done, name)
        hidden = any(here.startswith(f"{place.rstrip('/')}/") for place in mounted)
        target = "" if hidden else link(here)
        if not target:
            done = here
            continue
        followed += 1
        if followed > MOST:
            raise EngineError(f"in the image {path} leads through more than {MOST} links")
        if target.startswith("/"):
            done = "/"
        left[:0] = target.strip("/").split("/")
    return done


@dataclass(frozen=True)
class Facts:
    """What an engine says of a path of an image.

    :param mode: as Go's io/fs has it. :param link: where it leads, if it is a link: followed to the end, as the engine
        does. Empty for what is none.
    """

    mode: int
    link: str = ""

    @property
    def regular(self) -> bool:
        """Whether it is a regular file."""
        return not self.mode & GO_TYPE


def stat(engine: Engine, container: str, path: str) -> Facts | None:
    """The facts of a path, not followed; ``None`` where there is nothing.

    :raises EngineError: the engine refuses, or its answer is not understood.
    """
    api = engine.api
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    with translate(f"look at {path} of the image"), api.head(url, params={"path": path}) as answer:
        if answer.status_code == 404:
            return None
        api._raise_for_status(answer)
        packed = answer.headers.get("X-Docker-Container-Path-Stat", "")
    try:
        found: dict[str, Any] = json.loads(base64.b64decode(packed))
        mode = int(found["mode"])
        link = str(found.get("linkTarget") or "") if mode & GO_LINK else ""
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"the engine does not say what {path} of the image is") from error
    return Facts(mode, link)


def _link(engine: Engine, container: str, path: str) -> str:
    """Where a link of the image leads; empty for what is none, or is not there."""
    facts = stat(engine, container, path)
    if facts is None or not facts.mode & GO_LINK:
        return ""
    # What the engine calls the target has been followed to its end in the image, also through links that a mount
    # will hide; only the link itself says where its next step leads.
    return made.link_text(engine, container, path)


def _read(file: Path) -> frozenset[str]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, list):
            return frozenset(map(str, found))
    return frozenset()


def _write(file: Path, plain: frozenset[str]) -> None:
    """Remember; a cache that cannot be written costs time and nothing else."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as target:
                json.dump(sorted(plain), target)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
