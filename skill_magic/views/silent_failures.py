"""Programs that end with 0 although they did not do what they were told.

``redis-cli`` answers with the exit code of a failure only for a command among its arguments, with ``-e``; of commands
on its standard input it prints the server's errors among the replies and ends with 0.
"""

from __future__ import annotations

import contextlib
import itertools
import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from ..foreign import line

if TYPE_CHECKING:
    from ..events import Finished
    from ..output import Saved, SavedOutput
    from ..spec import RunSpec

__all__ = ["notes"]

_SEEN = 1 << 20
"""Bytes of the output that are looked at."""

_LAST = 4096
"""Bytes of the end of standard error that are looked at."""

_WIDTH = 80
"""Characters of an error that are shown."""

_NOT_WRITTEN = (b"Not overwriting - exiting", b"already exists. Exiting.")

_CODE = {
    **dict.fromkeys(("python", "python3"), ("-c",)),
    "node": ("-e", "--eval", "-p", "--print"),
    "psql": ("-c", "--command"),
}
"""Options of programs that are given their code by them instead of on standard input."""

_READS = re.compile(r"stdin|input|/dev/fd/0|\b(?:open|readFileSync)\(0\b|^-$", re.IGNORECASE)
"""Signs that the code itself reads standard input."""

_ERRORS = frozenset(
    """
    ERR WRONGTYPE NOAUTH NOPERM WRONGPASS DENIED READONLY OOM MISCONF LOADING BUSY BUSYKEY BUSYGROUP NOGROUP NOSCRIPT
    UNKILLABLE EXECABORT MASTERDOWN NOREPLICAS CROSSSLOT CLUSTERDOWN MOVED ASK TRYAGAIN INVALIDOBJ NOTBUSY NOPROTO
    """.split()  # noqa: SIM905
)
"""First words of the error replies that Redis documents and sends (``src/server.c``, ``createSharedObjects``)."""


def notes(spec: RunSpec, end: Finished, output: SavedOutput) -> Iterator[str]:
    """What to say of a run that ended well although it did not do what it was told."""
    program = posixpath.basename(spec.entrypoint or "")
    if end.state != "finished" or end.exit_code != 0:
        return
    if program == "redis-cli" and spec.stdin:
        yield from filter(None, [_of_redis(output)])
    if program == "ffmpeg" and any(said in _end(output.stderr) for said in _NOT_WRITTEN):
        yield "ffmpeg wrote nothing: the file is there already; -y before the arguments overwrites it"
    if spec.stdin and program in _CODE and _code_alone(spec.args, _CODE[program]):
        yield (
            f"the input was given to {program}, which does not read it beside {_option(spec.args, _CODE[program])}: "
            "a cell's body or stdin= is the whole program where that option is left out"
        )


def _code_alone(args: Sequence[str], options: Collection[str]) -> bool:
    """Whether code among the arguments takes the place of standard input, and does not read it either."""
    return bool(_option(args, options)) and not any(_READS.search(word) for word in args)


def _option(args: Sequence[str], options: Collection[str]) -> str:
    return next((word for word in args if word in options), "")


def _of_redis(output: SavedOutput) -> str:
    refused = _refused(_start(output.stdout).decode("utf-8", "replace"))
    if not refused:
        return ""
    one = len(refused) == 1
    return (
        f"redis-cli ends with 0 whatever the server says to commands on its standard input: {len(refused)} "
        f"{'was' if one else 'were'} refused: {line(refused[0])[:_WIDTH]}"
    )


def _end(kept: Saved) -> bytes:
    return kept.data[-_LAST:] if kept.path is None else b""


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
