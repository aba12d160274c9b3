"""The grammar that the magic and the `skill` command share: words → Command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

VERBS = (
    "run map list info explain check trust lock pull ps stop logs clean doctor report".split()
)


@dataclass(frozen=True)
class Options:
    """Options of a run. Times in seconds.

    :param memory: overrides the manifest's `memory`; :param cpus: overrides `cpus`.
    :param out: notebook variable that receives the result (magic only).
    :param manifest: a manifest to use instead of the discovered project one.
    """

    timeout: float | None = None
    memory: str | None = None
    cpus: str | None = None
    pull: Literal["missing", "never", "always"] | None = None
    no_raise: bool = False
    quiet: bool = False
    raw: bool = False
    expand: bool = False
    out: str | None = None
    bg: bool = False
    keep: bool = False
    json: bool = False
    yes: bool = False
    manifest: Path | None = None


@dataclass(frozen=True)
class Request:
    """One run as it was asked for. ``args`` reach the tool byte for byte; ``None`` means that the call gave none."""

    skill: str
    args: tuple[str, ...] | None = None
    stdin: bytes | BinaryIO | None = None
    options: Options = Options()


@dataclass(frozen=True)
class Command:
    """A parsed line: a verb with its names, and the request where the verb is `run`, `explain` or `map`."""

    verb: str
    names: tuple[str, ...] = ()
    request: Request | None = None
    options: Options = Options()
