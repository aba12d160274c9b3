"""What else may be behind a tool's failure: habits of a shell, and names that mean nothing in a container."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..foreign import line

if TYPE_CHECKING:
    from ..events import Finished
    from ..spec import RunSpec

MOST = 200
"""Arguments that are looked at."""

# Words that a shell would have obeyed; a colour (`#ff0000`) is no comment.
_SHELL = re.compile(
    r"[012&]?>>?|<|\|\|?|&&?|[012&]?>(?:&[12]|/dev/null)|#(?![0-9a-fA-F]{3,16}\Z).*", re.DOTALL
)
# Every image has these itself: that they exist on the host too says nothing.
_OF_IMAGES = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var/lib")


def of(spec: RunSpec, end: Finished, shown: Sequence[str]) -> Iterator[str]:
    """The hints for a run that failed, each half a sentence.

    :param shown: ``spec.args`` as they may be shown; an argument with a secret in it gets no hint.
    """
    if end.state != "failed":
        return
    unfound = end.error or end.exit_code in (126, 127)  # an init in the container has no other words for it
    if unfound and spec.entrypoint and " " in spec.entrypoint.strip():
        first = line(spec.entrypoint.split()[0])
        yield f'the entrypoint is one word: write entrypoint = "{first}", and the rest as items of `command`'
    plain = [word for word, seen in zip(spec.args, shown, strict=True) if word == seen][:MOST]
    for word in plain:
        if _SHELL.fullmatch(word):
            yield f"there is no shell: {_short(word)} went to the tool as an argument"
            break
    for word in plain:
        if found := _outside(spec, word):
            yield found
            break


def _outside(spec: RunSpec, word: str) -> str:
    """The hint for a path of the host that the tool cannot know; empty where ``word`` is none."""
    if word.startswith("-"):
        word = word.partition("=")[2]
    from ..policy import redact

    home = str(spec.directory)
    binds = [
        (mount.source, mount.target)
        for mount in spec.mounts
        if mount.kind == "bind" and mount.source is not None and (mount.source == home or not mount.ours)
        if redact.mount(mount) == mount  # what is not shown is not hinted at
    ]
    workdir = next((target for source, target in binds if source == home), None)
    if workdir is None or not word or "\0" in word:
        return ""
    if word.startswith("/"):
        path = inside = posixpath.normpath(word)
    elif word.split("/")[0] == ".." and spec.working_dir == workdir:
        path = posixpath.normpath(posixpath.join(home, word))
        inside = posixpath.normpath(posixpath.join(workdir, word))
    else:
        return ""
    if any(_below(inside, mount.target) for mount in spec.mounts):
        return ""  # the tool sees something there
    for source, target in sorted(binds, key=lambda pair: len(pair[0]), reverse=True):
        if _below(path, source):
            there = posixpath.relpath(path, source)
            name = there if source == home and spec.working_dir == workdir else posixpath.join(target, there)
            return f"the tool sees {line(source)} as {line(target)}: write {_short(name)}"
    if path == "/" or any(_below(path, tree) for tree in _OF_IMAGES) or not os.path.lexists(path):
        return ""
    return f"the tool sees {line(home)}, as {line(workdir)}, and not {_short(word)}: put it there"


def _below(path: str, tree: str) -> bool:
    return PurePosixPath(path).is_relative_to(tree)


def _short(word: str) -> str:
    said = line(word)
    return said if len(said) <= 200 else f"{said[:199]}…"
