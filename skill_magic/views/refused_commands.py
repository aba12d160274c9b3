"""Programs that end with 0 although a server refused what they were told to do.

``redis-cli`` answers with the exit code of a failure only for a command among its arguments, with ``-e``; of commands
on its standard input it prints the server's errors among the replies and ends with 0.
"""

from __future__ import annotations

import contextlib
import itertools
import posixpath
from typing import TYPE_CHECKING

from ..foreign import line

if TYPE_CHECKING:
    from ..events import Finished
    from ..output import Saved, SavedOutput
    from ..spec import RunSpec

__all__ = ["note"]

_SEEN = 1 << 20
"""Bytes of the output that are looked at."""

_WIDTH = 80
"""Characters of an error that are shown."""

_ERRORS = frozenset(
    """
    ERR WRONGTYPE NOAUTH NOPERM WRONGPASS DENIED READONLY OOM MISCONF LOADING BUSY BUSYKEY BUSYGROUP NOGROUP NOSCRIPT
    UNKILLABLE EXECABORT MASTERDOWN NOREPLICAS CROSSSLOT CLUSTERDOWN MOVED ASK TRYAGAIN INVALIDOBJ NOTBUSY NOPROTO
    """.split()  # noqa: SIM905
)
"""First words of the error replies that Redis documents and sends (``src/server.c``, ``createSharedObjects``)."""


def note(spec: RunSpec, end: Finished, output: SavedOutput) -> str:
    """What to say of a run that ended well where the program's server did not agree; empty where there is nothing."""
    program = posixpath.basename(spec.entrypoint or "")
    if program != "redis-cli" or end.state != "finished" or end.exit_code != 0 or not spec.stdin:
        return ""
    refused = _refused(_start(output.stdout).decode("utf-8", "replace"))
    if not refused:
        return ""
    one = len(refused) == 1
    return (
        f"redis-cli ends with 0 whatever the server says to commands on its standard input: {len(refused)} "
        f"{'was' if one else 'were'} refused: {line(refused[0])[:_WIDTH]}"
    )


def _start(kept: Saved) -> bytes:
    if kept.path is None:
        return kept.data[:_SEEN]
    with contextlib.suppress(OSError), kept.path.open("rb") as file:
        return file.read(_SEEN)
    return b""


def _refused(text: str) -> list[str]:
    """The error replies: an error of Redis is followed by an empty line, a value that looks like one is not."""
    lines = text.split("\n")
    return [
        reply.strip()
        for reply, after in itertools.pairwise(lines)
        if not after.strip() and reply.partition(" ")[0] in _ERRORS
    ]
