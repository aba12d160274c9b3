"""What the options of `extra_args` ask for, collected from their readers.

A value that cannot be read is a fault (``invalid``); one that could harm is a
:class:`~skill_magic.spec.Wish`, on which the policy has the word; the rest becomes fields of the spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..findings import Violation
from ..host import Host
from ..spec import EnvVar, Mount, Ulimit, Wish
from .parse import Flag
from .table import OPTIONS


@dataclass
class Wanted:
    """What the options ask for, still to be joined with the manifest's own keys.

    :param base_dir: the manifest's directory, where relative host paths start.
    :param fields: fields of RunSpec; :param limits: fields of Limits;
    :param places: either's name → where it stood; :param texts: either's name → its value as written.
    :param asked: values of the keys that the manifest has too, as ``(value, field)``, in order.
    """

    host: Host
    base_dir: Path
    fields: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    asked: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    mounts: list[Mount] = field(default_factory=list)
    environment: list[EnvVar] = field(default_factory=list)
    ulimits: list[Ulimit] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    faults: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wish(self, flag: Flag, value: str | None = None, option: str | None = None) -> None:
        """Leave ``flag`` (or the value of it that matters) to the policy."""
        self.wishes.append(Wish(option or flag.option, flag.value if value is None else value, flag.field))

    def invalid(self, flag: Flag, reason: str, fix: str, code: str = "option-value") -> None:
        """Note a value that has no meaning; ``reason`` is a sentence."""
        said = flag.written if OPTIONS[flag.option].boolean else f"{flag.written} {flag.value}"
        self.faults.append(Violation(code, flag.field, said, reason, fix, kind="invalid"))

    def set(self, name: str, value: Any, flag: Flag) -> None:
        """Set a field of RunSpec."""
        self.fields.setdefault(name, value)
        self.places.setdefault(name, flag.field)

    def limit(self, name: str, value: Any, flag: Flag) -> None:
        """Set a field of Limits; of several values (a fault already) the largest counts, in any order."""
        if name not in self.limits or value > self.limits[name]:
            self.limits[name] = value
            self.places[name] = flag.field
            self.texts[name] = flag.value

    def add(self, name: str, values: Sequence[str]) -> None:
        """Append to a list field of RunSpec; what is there already stays single."""
        have = self.fields.get(name, ())
        self.fields[name] = (*have, *(value for value in values if value not in have))

    def put(self, name: str, key: str, value: str, flag: Flag) -> None:
        """Put one pair into a mapping field of RunSpec; another value for the same key is a fault."""
        have: Mapping[str, str] = self.fields.get(name, {})
        if have.get(key, value) != value:
            self.invalid(flag, f"It gives {key} a second value.", "Name it once.", "option-repeated")
            return
        self.fields[name] = {**have, key: value}

    def ask(self, name: str, flag: Flag) -> None:
        """Keep a value of a key that the manifest has too; `plan` joins the two."""
        self.asked.setdefault(name, []).append((flag.value, flag.field))


Reader = Callable[[Wanted, Flag], None]
