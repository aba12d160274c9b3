"""skills.toml files → Skill values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Origin = Literal["project", "user", "bundled"]


@dataclass(frozen=True)
class Docker:
    """`[skills.X.docker]`, types checked, nothing expanded; the fifteen keys and their defaults."""

    image: str
    entrypoint: str | None = None
    command: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str | None = None
    environment: tuple[str, ...] = ()
    memory: str | None = None
    cpus: str | None = None
    network: str = "none"
    rm: bool = True
    user: str | None = None
    gpus: str | None = None
    read_only: bool = False
    platform: str | None = None
    extra_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skill:
    """One skill as its manifest describes it.

    :param lines: 1-based line of each key of the docker table and of each item of its lists (``volumes[0]``).
    :param given: names of the docker keys the manifest really wrote (a default and the same value written differ).
    """

    name: str
    docker: Docker
    origin: Origin
    file: Path
    description: str = ""
    source: str = ""
    cell: Literal["stdin", "args"] = "stdin"
    lines: Mapping[str, int] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    @property
    def base_dir(self) -> Path:
        """The manifest's directory: relative host paths start here."""
        return self.file.parent


@dataclass(frozen=True)
class Manifests:
    """All layers, nearest first wins. Faulty skills are kept aside so that one bad skill does not take the rest along.

    :param faults: skill name ("" for a whole file) → what is wrong with it.
    :param files: the manifests that were read; :param searched: every path that was looked at.
    """

    skills: Mapping[str, Skill]
    faults: Mapping[str, tuple[object, ...]]
    files: tuple[Path, ...]
    searched: tuple[Path, ...]
