"""skills.toml files → Skill values."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import ManifestError, SkillNotFound
from ..findings import Violation

if TYPE_CHECKING:
    from ..host import Host
    from .file import Layer
    from .non_docker import NonDocker

Origin = Literal["project", "user", "bundled"]

NAMES = ("skills.toml", ".skill-engine.toml", "skill-engine.toml")
"""Names of a project's manifest, the first that is there counts; the last two are the Skill Engine's."""

BUNDLED = Path(__file__).parents[1] / "catalog" / "skills.toml"

HOLE = "\0"
"""Stands in a list of a partial skill for an item with a fault, so that the others keep their place. No sound
item has a NUL."""


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

    :param leading_args: arguments that stand before those of a call, and before ``command`` where it has none.
    :param lines: 1-based line of each key of the docker table and of each item of its lists (``volumes[0]``).
    :param given: names of the docker keys the manifest really wrote (a default and the same value written
        differ).
    """

    name: str
    docker: Docker
    origin: Origin
    file: Path
    description: str = ""
    source: str = ""
    cell: Literal["stdin", "args"] = "stdin"
    leading_args: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    @property
    def base_dir(self) -> Path:
        """The manifest's directory: relative host paths start here."""
        return self.file.parent


@dataclass(frozen=True)
class Manifests:
    """All layers, nearest first wins. Faulty skills are kept aside so that one bad skill does not take the
    rest along.

    A skill or a file with faults is never passed over in favour of a layer further away.

    :param faults: skill name ("" for a file whose skills are not known) → what is wrong with it.
    :param partial: for a skill with faults what is sound in it, to be judged beside them and never to be run;
        lists keep a :data:`HOLE` for each item with a fault, and a missing image is an empty string.
    :param files: the manifests that were read; :param searched: every path that was looked at.
    :param others: skills that are none of Docker's, which stand before those of a layer further away too.
    :param broken: the faults of the nearest file that cannot be read as a whole; no layer behind it counts.
    """

    skills: Mapping[str, Skill]
    faults: Mapping[str, tuple[Violation, ...]]
    files: tuple[Path, ...]
    searched: tuple[Path, ...]
    broken: tuple[Violation, ...] = ()
    partial: Mapping[str, Skill] = field(default_factory=dict)
    others: Mapping[str, NonDocker] = field(default_factory=dict)

    def find(self, name: str) -> Skill:
        """The skill of that name.

        :raises ManifestError: where it has faults or is none of Docker's, or where a nearer file is broken and
            might have described it.
        :raises SkillNotFound: where there is none.
        """
        from ..command.grammar import misread  # which reads our values

        if name in self.skills:
            return self.skills[name]
        if name in self.others:
            raise self.others[name].error(hides=name in _bundled(BUNDLED).skills)
        if faults := self.faults.get(name) or self.broken:
            file = faults[0].file
            what = (
                f"the skill {name} of {file} cannot be used"
                if name in self.faults
                else f"{file} cannot be used"
            )
            raise ManifestError(what, faults)
        near = difflib.get_close_matches(
            name, [known for known in {**self.skills, **self.faults} if known], 3, 0.6
        )
        suggestion = f"; did you mean {' or '.join(near)}?" if near else ""
        if other := misread(name):
            suggestion += f"; {other}"
        hint = "`skill list` shows all"
        if not suggestion:
            read = ["the bundled skills" if file == BUNDLED else str(file) for file in self.files]
            hint += f"; looked in {' and '.join(read)}"
        if not suggestion and self.searched and BUNDLED in self.files[:1]:
            names = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
            hint += f"; there is no {names} in {self.searched[0].parent} or above"
        raise SkillNotFound(f"no skill is called {name!r}{suggestion}", hint)


def load(host: Host, *, explicit: Path | None = None) -> Manifests:
    """Find and read the layers: the project's manifest, the user's, the bundled one.

    :param explicit: a manifest that takes the project's place; relative to the notebook's directory.
    :raises ManifestError: where ``explicit`` is not there.
    """
    from .file import Layer, read

    searched: list[Path] = []
    own = host.config_dir / NAMES[0]
    foreign: Violation | None = None
    named = False
    if explicit is not None:
        project: Path | None = _explicit(host.directory / explicit)
        named = project == host.directory / explicit  # and not the manifest of a directory that was named
        searched.append(host.directory / explicit)
    else:
        project = _project(host.directory, searched)
        foreign = _foreign(project, host) if project is not None else None
    layers: list[Layer] = []
    # A person who works in the configuration directory itself has their own manifest there, not a project's.
    if project is not None and not _same(project, own):
        layers.append(Layer(project, broken=(foreign,)) if foreign else read(project, "project", named=named))
    searched.append(own)
    if os.path.lexists(own):
        layers.append(read(own, "user", owner=host.uid))
    layers.append(_bundled(BUNDLED))

    skills: dict[str, Skill] = {}
    faults: dict[str, tuple[Violation, ...]] = {}
    partial: dict[str, Skill] = {}
    others: dict[str, NonDocker] = {}
    for layer in layers:
        for name in {**layer.skills, **layer.others, **layer.faults}:
            if name in skills or name in others or name in faults:
                continue
            if name in layer.skills:
                skills[name] = layer.skills[name]
            elif name in layer.others:
                others[name] = layer.others[name]
            else:
                faults[name] = layer.faults[name]
                if name in layer.partial:
                    partial[name] = layer.partial[name]
        if layer.broken:
            if not layer.faults:
                faults[""] = layer.broken
            break
    files = tuple(layer.file for layer in layers)
    broken = next((layer.broken for layer in layers if layer.broken), ())
    return Manifests(skills, faults, files, tuple(searched), broken, partial, others)


@lru_cache(maxsize=1)
def _bundled(file: Path) -> Layer:
    """The catalog, read once: it comes with the package and does not change under it."""
    from .file import read

    return read(file, "bundled")


def _explicit(path: Path) -> Path:
    if path.is_dir():
        for name in NAMES:
            if os.path.lexists(path / name):
                return path / name
    elif os.path.lexists(path):
        return path
    kind = f"{path} holds no manifest" if path.is_dir() else f"there is no manifest {path}"
    raise ManifestError(kind, (), "name a skills.toml, or a directory that has one")


def _project(directory: Path, searched: list[Path]) -> Path | None:
    """The first manifest in ``directory`` or above; a dangling link counts, and is an error when read."""
    for place in (directory, *directory.parents):
        for name in NAMES:
            searched.append(place / name)
            if os.path.lexists(place / name):
                return place / name
    return None


def _foreign(file: Path, host: Host) -> Violation | None:
    """What is wrong with a manifest above the notebook's directory that somebody else could have put there
    (``/tmp/skills.toml``), ``None`` where nothing is.

    It and its directory must be the caller's or root's, unwritable for all but the caller's own group. Who
    may write in the notebook's directory as well could put one beside the notebook, and is no stranger.
    """
    if file.parent == host.directory:
        return None
    try:
        here = os.stat(host.directory)
        groups = {host.gid} | ({here.st_gid} if here.st_mode & stat.S_IWGRP else set())
        anybody = here.st_mode & stat.S_IWOTH and not here.st_mode & stat.S_ISVTX
        real = Path(os.path.realpath(file))
        for place in dict.fromkeys((file.parent, file, real, real.parent)):
            found = os.lstat(place)
            mode = 0 if stat.S_ISLNK(found.st_mode) else found.st_mode
            if (
                found.st_uid not in (0, host.uid, here.st_uid)
                or (mode & stat.S_IWGRP and found.st_gid not in groups)
                or (mode & stat.S_IWOTH and not anybody)
            ):
                break
        else:
            return None
    except OSError:
        return None  # reading it says what is wrong
    return Violation(
        "manifest-not-private",
        "manifest",
        str(file),
        f"It stands above the notebook's directory, and others could have written {place}.",
        f"Put a {NAMES[0]} beside the notebook (an empty one will do), or name this one with --manifest.",
        file=file,
        kind="invalid",
    )


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
