"""One manifest file → the skills it describes and the faults it has.

A manifest may come from anywhere, so reading one is bounded: a regular file of at most 1 MiB, no nesting that
no manifest needs. Every fault is collected with its file and line; a fault of one skill leaves the others
alone, a fault of the file takes all of its skills.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..command.grammar import VERBS
from ..findings import Violation
from . import keys, reading, values
from .layers import HOLE, Docker, Origin, Skill
from .non_docker import NonDocker, docker_missing, is_non_docker, runtime_fault
from .toml_lines import Path as KeyPath

_FAULTS_OF_FILE = 256
"""Faults of a file as a whole that are listed; the last of them tells how many others there are."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class _Hidden:
    """A value that an error says the type of and no more: where the key is none of a manifest's, the file may be
    another program's, with a password in it."""

    value: object


@dataclass
class Layer:
    """What one file holds.

    :param others: those that are not Docker's; :param faults: skill name → what is wrong with it;
        :param partial: as in ``Manifests``.
    :param broken: what is wrong with the file as a whole.
    """

    file: Path
    skills: dict[str, Skill] = field(default_factory=dict)
    others: dict[str, NonDocker] = field(default_factory=dict)
    faults: dict[str, tuple[Violation, ...]] = field(default_factory=dict)
    partial: dict[str, Skill] = field(default_factory=dict)
    broken: tuple[Violation, ...] = ()


def read(file: Path, origin: Origin, *, owner: int | None = None, named: bool = False) -> Layer:
    """Read a manifest. Never raises; what is wrong is in the result.

    :param owner: where given, nobody but this uid (and root) may be able to write the file: it will be
        trusted.
    :param named: a person named this very file, which may be a link to anywhere; so may their own.
    """
    layer = Layer(file)
    lines: dict[KeyPath, int] = {}
    try:
        text = reading.text(file, owner, named=named or origin != "project")
        document = reading.document(text, lines)  # fills ``lines`` first: also a broken file names its skills
    except reading.BrokenError as error:
        layer.broken = (
            Violation(
                error.code, "manifest", file.name, error.reason, error.fix, None, file, error.line, "invalid"
            ),
        )
        names = {path[1] for path in lines if len(path) > 1 and path[0] == "skills"}
        layer.faults = {str(name): layer.broken for name in names}
        return layer
    reader = _Reader(layer, origin, lines)
    reader.root(document)
    return layer


class _Reader:
    """Walks the document, collecting skills and faults."""

    def __init__(self, layer: Layer, origin: Origin, lines: dict[KeyPath, int]) -> None:
        self.layer = layer
        self.origin = origin
        self.lines = lines
        self.docker_lines = _docker_lines(lines)

    def root(self, document: dict[str, Any]) -> None:
        broken: list[Violation] = []
        for key, value in document.items():
            if key in ("policy", "trust"):
                reason = "A manifest cannot say what is allowed."
                fix = "Policy belongs in your policy.toml, and `skill trust NAME` gives trust."
                broken.append(self._fault("manifest-policy", (key,), _Hidden(value), reason, fix))
            else:
                broken += self._known(keys.ROOT, (key,), value)
        skills = document.get("skills")
        tables = skills if isinstance(skills, dict) else {}
        for name, table in tables.items():
            self._skill(name, table)
        if broken:
            # Each is a fault of every skill: many of both would be a list without end.
            if (left := len(broken) - _FAULTS_OF_FILE) > 0:
                last = broken[_FAULTS_OF_FILE - 1]
                last = replace(last, reason=f"{last.reason} Of such faults {left:,} more are not listed.")
                broken = [*broken[: _FAULTS_OF_FILE - 1], last]
            self.layer.broken = tuple(broken)
            self.layer.others.clear()
            for name in tables:
                if name in self.layer.skills:
                    self.layer.partial[name] = self.layer.skills.pop(name)
                self.layer.faults[name] = (*broken, *self.layer.faults.get(name, ()))

    def _skill(self, name: str, table: Any) -> None:
        path: KeyPath = ("skills", name)
        found = self._skill_faults(name, path, table)
        if found:
            self.layer.faults[name] = tuple(found)
            if not isinstance(table, dict) or not isinstance(table.get("docker"), dict):
                return
            if any(fault.code == "runtime-unsupported" for fault in found):
                return  # somebody else's skill: what it would be here is of no interest
            self.layer.partial[name] = self._made(name, table, frozenset(fault.field for fault in found))
            return
        if is_non_docker(table):
            self.layer.others[name] = NonDocker.of(name, table, self.origin, self.layer.file, self.lines)
        else:
            self.layer.skills[name] = self._made(name, table, frozenset())

    def _made(self, name: str, table: dict[str, Any], bad: frozenset[str]) -> Skill:
        """The skill of a table, without the fields in ``bad``."""
        docker = table["docker"]
        given = {
            key: _frozen(key, value, bad)
            for key, value in docker.items()
            if key in keys.DOCKER and key not in bad
        }
        said = {**docker, **table}
        texts = {
            key: said[key]
            for key in ("description", "source")
            if key not in bad and isinstance(said.get(key), str)
        }
        notebook = _sound_notebook(table.get("notebook"))
        return Skill(
            name=name,
            docker=Docker(**{"image": "", **given}),
            origin=self.origin,
            file=self.layer.file,
            description=texts.get("description", ""),
            source=table.get("source", "") if "source" in texts else "",
            cell=notebook.get("cell", "stdin"),
            leading_args=tuple(notebook.get("leading_args", ())),
            lines=self.docker_lines.get(name, {}),
            given=frozenset(given),
        )

    def _skill_faults(self, name: str, path: KeyPath, table: Any) -> list[Violation]:
        found: list[Violation] = []
        if not _NAME.fullmatch(name):
            reason = "A skill's name is letters, digits, _ . and -, at most 64, the first a letter or digit."
            found.append(self._fault("skill-name", path, name, reason, "Rename it."))
        elif name in VERBS and not is_non_docker(table):
            reason = f"{name} is a word of %skill itself."
            found.append(
                self._fault("skill-name", path, name, reason, f"Rename it, for instance {name}-tool.")
            )
        if not isinstance(table, dict):
            reason = f"It is {keys.type_name(table)}; a skill is a table."
            return [
                *found,
                self._fault("manifest-type", path, _Hidden(table), reason, f"Write [skills.{name}]."),
            ]
        for key, value in table.items():
            found += self._known(keys.SKILL, (*path, key), value)
        for key in ("description", "source"):
            if isinstance(table.get(key), str):
                found += self._text_faults((*path, key), table[key])
        found += self._notebook_faults((*path, "notebook"), table.get("notebook"))
        return [*found, *self._runtime_faults(path, table)]

    def _text_faults(self, path: KeyPath, value: Any) -> list[Violation]:
        if not isinstance(value, str):
            return self._known(keys.SKILL, path, value)
        fault = values.text_fault(value)
        return [self._fault(fault.code, path, value, fault.reason, fault.fix)] if fault else []

    def _notebook_faults(self, path: KeyPath, table: Any) -> list[Violation]:
        if not isinstance(table, dict):
            return []  # absent, or of the wrong type and reported as that
        found: list[Violation] = []
        for key, value in table.items():
            if key not in keys.NOTEBOOK:
                found.append(self._unknown(keys.NOTEBOOK, (*path, key), value))
                continue
            line = self.lines.get((*path, key))
            if isinstance(value, list) and len(value) > reading.MOST_ITEMS:
                found.append(self._too_many((*path, key), value))
                continue
            for where, wrong, fault in keys.faults(key, value, keys.NOTEBOOK):
                code = (
                    "cell-invalid" if key == "cell" else fault.code
                )  # whatever it is in place of the two words
                found.append(self._violation(code, f"notebook.{where}", wrong, fault.reason, fault.fix, line))
        return found

    def _runtime_faults(self, path: KeyPath, table: dict[str, Any]) -> list[Violation]:
        if is_non_docker(table):
            return []
        docker, runtime = table.get("docker"), table.get("runtime")
        found: list[Violation] = []
        if isinstance(runtime, str) and runtime != "docker":
            fault = runtime_fault(runtime)
            found = [self._fault(fault.code, (*path, "runtime"), runtime, fault.reason, fault.fix)]
        misplaced = "image" in table  # reported already, with the docker table as the way out
        if isinstance(docker, dict):
            inside = self._docker_faults(path, docker, table.get("source"))
            return [*found, *(each for each in inside if not (misplaced and each.code == "image-missing"))]
        if found or docker is not None or misplaced:
            return found
        fault = docker_missing(str(path[1]), table)
        return [self._fault(fault.code, path, None, fault.reason, fault.fix)]

    def _docker_faults(self, skill: KeyPath, table: dict[str, Any], source: Any) -> list[Violation]:
        path = (*skill, "docker")
        found: list[Violation] = []
        for key, value in table.items():
            if key == "description":  # its place is one table up; here it says the same and does no harm
                found += self._text_faults((*path, key), value)
                continue
            if key not in keys.DOCKER:
                found.append(self._unknown(keys.DOCKER, (*path, key), value))
                continue
            if isinstance(value, list) and len(value) > reading.MOST_ITEMS:
                found.append(self._too_many((*path, key), value))
                continue
            for where, wrong, fault in keys.faults(key, value):
                line = self.docker_lines.get(str(skill[1]), {}).get(where, self.lines.get((*path, key)))
                found.append(self._violation(fault.code, where, wrong, fault.reason, fault.fix, line))
        image = table.get("image")
        if image is None:
            fix = 'Write image = "NAME:TAG".'
            if isinstance(source, str) and source.startswith("docker:"):
                fix = f'Write image = "{source.removeprefix("docker:")}".'
            found.append(self._fault("image-missing", path, None, "It names no image.", fix, field="image"))
        elif isinstance(image, str) and isinstance(source, str) and source.startswith("docker:"):
            named = source.removeprefix("docker:")
            if not values.same_image(named, image):
                reason, fix = f"It disagrees with image = {image!r}.", "Make both the same, or drop source."
                found.append(self._fault("source-differs", (*skill, "source"), source, reason, fix))
        return found

    def _too_many(self, path: KeyPath, value: list[Any]) -> Violation:
        reason = f"It has {len(value):,} items; {reading.MOST_ITEMS} are read at most."
        return self._fault("manifest-too-many", path, value, reason, "Take some out.")

    def _known(self, known: Mapping[str, type], path: KeyPath, value: Any) -> list[Violation]:
        """Whether a key outside the docker table is one, and of its type."""
        wanted = known.get(str(path[-1]))
        if wanted is None and known is keys.SKILL and str(path[-1]) in keys.DOCKER:
            reason = f"[{'.'.join(map(str, path[:-1]))}] has no such key."
            fix = f"Put it into [{'.'.join(map(str, path[:-1]))}.docker]."
            return [self._fault("manifest-unknown-key", path, value, reason, fix)]
        if wanted is None:
            return [self._unknown(known, path, value)]
        if isinstance(value, wanted):
            return []
        word = "a string" if wanted is str else "a table" if wanted is dict else "a list"
        reason = f"It is {keys.type_name(value)}; it must be {word}."
        return [self._fault("manifest-type", path, _Hidden(value), reason, f"Make it {word}.")]

    def _unknown(self, known: Mapping[str, object], path: KeyPath, value: Any) -> Violation:
        where = f"[{'.'.join(map(str, path[:-1]))}]" if len(path) > 1 else "a manifest"
        reason = f"{where} has no such key."
        suggestion = keys.suggestion(str(path[-1]), known)
        return self._fault("manifest-unknown-key", path, _Hidden(value), reason, suggestion)

    def _fault(
        self, code: str, path: KeyPath, value: Any, reason: str, fix: str, *, field: str = ""
    ) -> Violation:
        parts = path[2:] if path[0] == "skills" and len(path) > 2 else path
        if parts[0] == "docker" and len(parts) > 1:
            parts = parts[1:]
        name = field or ".".join(map(str, parts))
        return self._violation(code, name, value, reason, fix, self.lines.get(path))

    def _violation(
        self, code: str, field: str, value: object, reason: str, fix: str, line: int | None
    ) -> Violation:
        if isinstance(value, _Hidden):
            shown = keys.type_name(value.value)
        else:
            shown = "" if value is None else keys.shown(field.partition("[")[0], value)
        bare = not isinstance(value, str)
        return Violation(code, field, shown, reason, fix, None, self.layer.file, line, "invalid", bare)


def _docker_lines(lines: dict[KeyPath, int]) -> dict[str, dict[str, int]]:
    """Skill → ``image`` or ``volumes[0]`` → line."""
    found: dict[str, dict[str, int]] = {}
    for path, line in lines.items():
        if len(path) in (4, 5) and path[0] == "skills" and path[2] == "docker":
            index = f"[{path[4]}]" if len(path) == 5 else ""
            found.setdefault(str(path[1]), {})[f"{path[3]}{index}"] = line
    return found


def _sound_notebook(table: Any) -> dict[str, Any]:
    """The keys of a notebook table that have no fault."""
    if not isinstance(table, dict):
        return {}
    return {
        key: value
        for key, value in table.items()
        if key in keys.NOTEBOOK and not any(True for _ in keys.faults(key, value, keys.NOTEBOOK))
    }


def _frozen(key: str, value: Any, bad: frozenset[str]) -> Any:
    kind = keys.DOCKER[key].kind
    if kind == "strings":
        return tuple(HOLE if f"{key}[{index}]" in bad else item for index, item in enumerate(value))
    return keys.plain(value) if kind == "number" else value
