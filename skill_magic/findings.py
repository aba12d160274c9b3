"""A finding: one thing that is wrong with a skill, an argument or a setting.

Every room reports what it dislikes as :class:`Violation` values, all of them at once, so that a person mends a
manifest in one go and a machine reads the same list from ``skill check --json``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from .foreign import line
from .wrap import fill, wrap

SHOWN = 50
"""Findings that a person is shown at once; a machine reads all of them."""

LISTING = "skill check --json"
"""The command that lists all, as it is typed in a shell."""

_LONGEST_VALUE, _LONGEST_SENTENCES = 300, 1000


@dataclass(frozen=True)
class Violation:
    """One reason why a skill may not run.

    :param code: stable identifier, lower case with dashes (``mount-socket``); documented in SECURITY.md.
    :param field: the manifest key it concerns, with an index for lists (``volumes[0]``).
    :param value: the offending text, redacted where it holds a secret.
    :param reason: one sentence: what is wrong.
    :param fix: one sentence: the way out.
    :param grant: the name of the grant that would lift it, ``None`` where no grant can.
    :param file: the manifest the value stands in; ``None`` where it came from a command line.
    :param line: 1-based line of the key in ``file``.
    :param bare: ``value`` is no string of the manifest (a number, a date, words for a table): shown without quotes.
    :param kind: ``invalid`` for input that has no meaning (verdict "error"), ``refused`` for what the policy forbids.
    """

    code: str
    field: str
    value: str
    reason: str
    fix: str
    grant: str | None = None
    file: Path | None = None
    line: int | None = None
    kind: Literal["invalid", "refused"] = "refused"
    bare: bool = False

    @property
    def liftable(self) -> bool:
        """Whether a person's grant can lift it."""
        return self.grant is not None

    @property
    def place(self) -> str:
        """``FILE:LINE`` as far as it is known, else an empty string."""
        if self.file is None:
            return ""
        return f"{self.file}:{self.line}" if self.line is not None else str(self.file)

    @property
    def said(self) -> str:
        """Field and value as a person reads them: ``memory = 512``, ``image = 'Debian'``; the field alone where
        there is no value."""
        value = _short(self.value, _LONGEST_VALUE)
        if self.bare:
            return f"{self.field} = {value}" if value else self.field
        return f"{self.field} = {value!r}"

    @property
    def sentences(self) -> str:
        """Reason and way out as a person reads them."""
        return _short(f"{self.reason} {self.fix}".strip(), _LONGEST_SENTENCES)

    def as_dict(self) -> dict[str, object]:
        """The JSON form that ``skill check --json`` promises."""
        return {
            "code": self.code,
            "field": self.field,
            "value": self.value,
            "reason": self.reason,
            "fix": self.fix,
            "liftable": self.liftable,
            "grant": self.grant,
            "file": str(self.file) if self.file is not None else None,
            "line": self.line,
        }

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.said}: {self.reason} {self.fix} [{self.code}]"


def _short(text: str, limit: int) -> str:
    """``text`` without its middle where it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    return f"{text[: limit * 2 // 3]}…{text[-(limit // 4) :]}"


def first(violations: Sequence[Violation], limit: int = SHOWN) -> list[Violation]:
    """At most ``limit`` of them, in their order: where some have to be left out, it is those that a grant lifts,
    then what is invalid, so that the reason for a refusal is never behind many small faults."""
    if len(violations) <= limit:
        return list(violations)
    found = range(len(violations))
    chosen = sorted(found, key=lambda at: _weight(violations[at]))[: max(limit, 0)]
    return [violations[at] for at in sorted(chosen)]


def _weight(violation: Violation) -> int:
    return 2 if violation.liftable else 1 if violation.kind == "invalid" else 0


def told(violations: Sequence[Violation], listing: str = LISTING, width: int | None = None) -> list[str]:
    """The findings as lines, two for each of the first :data:`SHOWN`, then the number of the others.

    :param listing: the command that lists all. :param width: columns of a line; a longer one becomes several.
    """
    lines = []
    for each in first(violations):
        atoms = [*([f"{each.place}:"] if each.place else []), each.said, f"[{each.code}]"]
        atoms = [line(atom) for atom in atoms]
        lines += fill(atoms, width, "  ", "      ") if width else [f"  {' '.join(atoms)}"]
        lines += wrap(line(f"    {each.sentences}"), width, "    ")
    left = len(violations) - SHOWN
    return [*lines, f"  {more(left, listing)}"] if left > 0 else lines


def more(left: int, listing: str = LISTING) -> str:
    """The line in place of what is not shown."""
    return f"and {left:,} more: `{listing}` lists all"


_OFFER = re.compile(r"(?:, or|\. Or) allow it: `%?skill trust [^`]*`\.$")


def offer(fix: str, skill: str) -> str:
    """``fix`` with the command that asks a person for the grant; it ends in ", or" or is a sentence."""
    words = f"allow it: `skill trust {skill}`."
    return f"{fix} {words}" if fix.endswith(", or") else f"{fix} Or {words}"


def without_offer(found: Iterable[Violation]) -> tuple[Violation, ...]:
    """For what no grant can lift as a whole: a way out that would not help is not offered."""
    return tuple(replace(each, fix=_OFFER.sub(".", each.fix)) for each in found)
