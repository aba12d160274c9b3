"""events → RunResult: what is known of a run after its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .events import State, Usage


@dataclass(frozen=True)
class FileChange:
    """A file that the run made or changed, below the notebook's directory; ``path`` is relative to it."""

    path: str
    kind: Literal["created", "changed"]
    size: int


@dataclass(frozen=True, repr=False)
class RunResult:
    """One finished run. Times in seconds, sizes in bytes; ``None`` where it was too short to sample.

    :param args: the tool's arguments; :param command_line: the equivalent ``docker run`` line, secrets redacted.
    :param log: file that holds all output where it was too long to keep in memory, else ``None``.
    """

    skill: str
    args: tuple[str, ...]
    image: str
    state: State
    exit_code: int | None
    duration: float
    started: float
    stdout_bytes: bytes = b""
    stderr_bytes: bytes = b""
    digest: str | None = None
    command_line: str = ""
    cpu_seconds: float | None = None
    peak_memory: int | None = None
    memory_limit: int | None = None
    network_in: int | None = None
    network_out: int | None = None
    block_in: int | None = None
    block_out: int | None = None
    files: tuple[FileChange, ...] = ()
    notes: tuple[str, ...] = ()
    samples: tuple[Usage, ...] = ()
    log: Path | None = None
    lines: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the tool ended by itself with exit code 0."""
        return self.state == "finished"
