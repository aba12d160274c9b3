"""Skills that are for another runtime of the Skill Engine: no fault of a manifest, and nothing that is run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ManifestError
from ..findings import Violation
from . import keys
from .layers import Origin
from .toml_lines import Path as KeyPath
from .values import Fault

OTHERS = ("native", "wasm")
"""The Skill Engine's runtimes beside Docker; without a docker table and a runtime it takes a skill for the last."""


@dataclass(frozen=True)
class NonDocker:
    """One of them.

    :param runtime: as the manifest says it, else what the Skill Engine takes it for; :param said: it says it.
    :param line: of ``runtime``, or of the table.
    """

    name: str
    runtime: str
    said: bool
    origin: Origin
    file: Path
    line: int | None = None
    description: str = ""
    source: str = ""

    @classmethod
    def of(
        cls, name: str, table: Mapping[str, Any], origin: Origin, file: Path, lines: Mapping[KeyPath, int]
    ) -> NonDocker:
        """The skill of a table without faults."""
        said = "runtime" in table
        path: KeyPath = ("skills", name)
        return cls(
            name=name,
            runtime=table.get("runtime", OTHERS[-1]),
            said=said,
            origin=origin,
            file=file,
            line=lines.get((*path, "runtime") if said else path),
            description=table.get("description", ""),
            source=table.get("source", ""),
        )

    def error(self, *, hides: bool = False) -> ManifestError:
        """What a call of it gets.

        :param hides: a bundled skill of that name is behind it.
        """
        table = f'[skills.{self.name}.docker] with image = "…"'
        if self.said:
            reason = f"Its runtime is {self.runtime}, and this package runs Docker skills only."
            table = f'runtime = "docker" and {table}'
        else:
            reason = "It has no docker table, and this package runs Docker skills only."
        fix = f"Run it with the Skill Engine, or write {table}."
        if hides:
            fix += f" The bundled {self.name} is behind it: rename this one to have that."
        field, value = ("runtime", self.runtime) if self.said else (f"skills.{self.name}", "")
        fault = Violation(
            "not-docker", field, value, reason, fix, None, self.file, self.line, "invalid", not self.said
        )
        return ManifestError(f"{self.name} is not a Docker skill", [fault])


def is_non_docker(table: Any) -> bool:
    """Whether a skill's table is one of another runtime, and nothing in it speaks of Docker."""
    if not isinstance(table, dict) or any(key in table for key in ("docker", "image")):
        return False
    runtime = table.get("runtime")
    return runtime in OTHERS if "runtime" in table else not _of_docker(table)


def _of_docker(table: Mapping[str, Any]) -> bool:
    source = table.get("source")
    return isinstance(source, str) and source.startswith("docker:")


def runtime_fault(runtime: str) -> Fault:
    """The fault of a runtime in a skill with a docker table, or of one that there is not."""
    code = "runtime-unsupported"
    if runtime in OTHERS:
        reason = "It has a docker table, which is for Docker alone."
        return Fault(code, reason, 'Write runtime = "docker", or take the docker table out.')
    near = keys.suggestion(runtime, {"docker": None, "native": None, "wasm": None})
    return Fault(code, "There is no such runtime.", f'{near} A Docker skill has runtime = "docker", or none.')


def docker_missing(name: str, table: Mapping[str, Any]) -> Fault:
    """The fault of a skill that is Docker's by its own words and has no docker table."""
    image = table["source"].removeprefix("docker:") if _of_docker(table) else "…"
    fix = f'Write [skills.{name}.docker] with image = "{image}".'
    return Fault("docker-missing", "It has no docker table.", fix)
