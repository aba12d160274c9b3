"""Accounts of the image: what a user's name stands for, and an entry for the caller.

A name in ``user`` is looked up here, in the image alone, and the engine is given the numbers: it would read
the files by rules of its own, and add every group that the image lists the name in.

The passwd entry of the caller: programs that ask who they are (psql, node, getpass) must get an answer.

A container that runs as the caller's uid knows no such user. The image's own /etc/passwd with one line more
is mounted read-only over it, which works with a read-only root as well and leaves the image's file as it is.
It is made once per image and uid. Not on an engine elsewhere, which cannot see the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import EngineError
from ..spec import Mount
from . import image_links, image_look, made

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine

__all__ = ["accounts", "check_files", "with_entry", "with_line", "with_numbers"]

PATH = "/etc/passwd"
GROUP = "/etc/group"


def accounts(engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts) -> tuple[str, str] | None:
    """The image's /etc/passwd and /etc/group, ``None`` where ``spec`` has no name that they would explain.

    :raises EngineError: no way to know.
    """
    from ..policy.accounts import named_groups
    from ..policy.user import root_is_caller

    if root_is_caller(host):
        return None
    named = spec.user is None or (spec.user_field and not re.fullmatch(r"[0-9]+:[0-9]+", spec.user))
    if not named and not named_groups(spec):
        return None
    passwd, group = _of_image(engine, spec, host, facts, (PATH, GROUP), follow=True)
    return passwd, group


def check_files(engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts) -> None:
    """Whether the files that the engine itself opens for a user are files: it would wait for ever for a pipe's writer,
    with the container locked. Looked at once per image.

    :raises EngineError: one is no file, or cannot be read.
    """
    folder = host.cache_dir / "passwd"
    seen = folder / f"{hashlib.sha256(facts.id.encode()).hexdigest()[:32]}-files"
    if seen.exists():
        return
    _of_image(engine, spec, host, facts, (PATH, GROUP), follow=True)
    with contextlib.suppress(OSError):  # then it is looked at again
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen.touch(mode=0o600)


def with_numbers(engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts) -> RunSpec:
    """``spec``, with numbers where the manifest wrote names of users and groups, and the policy allows them.

    :raises PolicyError: a name stands for root, for nobody, or for somebody whom no grant names.
    :raises EngineError: no way to know.
    """
    from ..policy.accounts import group_number, named_groups, numeric
    from ..policy.decide import check_accounts

    files = accounts(engine, spec, host, facts)
    if files is None:
        return spec
    passwd, group = files
    check_accounts(spec, passwd, group, host, image_user=facts.user)
    if spec.user is None or spec.user_field:
        spec = replace(spec, user=numeric(spec.user or facts.user or "0", passwd, group))
    names = named_groups(spec)
    wishes = (
        replace(wish, value=str(group_number(wish.value, group))) if wish in names else wish
        for wish in spec.wishes
    )
    return replace(spec, wishes=tuple(wishes))


def with_entry(engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts) -> RunSpec:
    """``spec``, with the mount of a passwd file where the image has no entry for the numeric user.

    Whatever prevents it (no room in the cache directory, an image without a readable file) leaves ``spec`` as
    it is.
    """
    match = re.fullmatch(r"([0-9]+)(?::([0-9]+))?", spec.user or "")
    if match is None or int(match[1]) == 0 or not engine.local or _taken(spec):
        return spec
    uid, gid = int(match[1]), int(match[2] or 0)
    folder = host.cache_dir / "passwd"
    # A file of an image serves all its runs, so nothing of a host variable may get into it.
    home = next((one.value for one in spec.environment if one.name == "HOME" and not one.names), "/tmp")  # noqa: S108
    text = f"{facts.id}\0{uid}\0{gid}\0{home}"
    file = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}-{uid}-{gid}"
    try:
        if not file.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A link could lead to where the mount must not go: such an image's file is left alone.
            (text,) = _of_image(engine, spec, host, facts, (PATH,), follow=False)
            _write(file, with_line(text, uid, gid, host.user if uid == host.uid else "", home) or "")
        if not file.stat().st_size:
            return spec  # the image knows the user
    except (OSError, EngineError):
        return spec
    mount = Mount("bind", PATH, str(file.resolve()), read_only=True, ours=True)
    return replace(spec, mounts=(*spec.mounts, mount))


def with_line(text: str, uid: int, gid: int, name: str, home: str) -> str | None:
    """A passwd file with a line for ``uid``; ``None`` where it has one."""
    fields = [line.split(":") for line in text.splitlines()]
    if any(len(line) > 2 and line[2] == str(uid) for line in fields):
        return None
    names = {line[0] for line in fields}
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", name) or name in names:
        name = next(one for one in ("skill", f"skill{uid}", uuid.uuid4().hex) if one not in names)
    if not re.fullmatch(r"/[^:\n\0]*", home):
        home = "/"
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{name}:x:{uid}:{gid}:{name}:{home}:/bin/sh\n"


def _taken(spec: RunSpec) -> bool:
    # A mount of the manifest's own at or above the file is what its author wants there.
    above = {PATH, *(str(parent) for parent in PurePosixPath(PATH).parents)}
    return any(mount.target in above for mount in spec.mounts)


def _of_image(
    engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts, paths: tuple[str, ...], *, follow: bool
) -> list[str]:
    """Files of the image, read out of a container that is never started; empty where it has none."""
    with image_look.opened(engine, spec, host, facts) as container:
        for path in (GROUP, PATH):
            _be_a_file(engine, container, path)
        if follow:
            paths = tuple(image_links.real_path(engine, container, path) for path in paths)
        return [made.read(engine, container, path, follow=False) for path in paths]


def _be_a_file(engine: Engine, container: str, path: str) -> None:
    """An engine that reads a file out of an image looks the names of its owners up in the image's own account files, so
    that these are asked for by their modes first.

    :raises EngineError: it is neither a file nor missing.
    """
    facts = image_links.stat(engine, container, path)
    if facts is not None and facts.link:
        facts = image_links.stat(engine, container, facts.link)
    if facts is not None and not facts.regular:
        raise EngineError(f"the image's {path} is not a file")


def _write(file: Path, text: str) -> None:
    # Two runs may make it at once; each renames a whole file into place.
    number, name = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(number, "wb") as target:
            target.write(text.encode("utf-8", "surrogateescape"))
            os.fchmod(target.fileno(), 0o644)  # the tool reads it as another user
        Path(name).replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
