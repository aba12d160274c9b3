"""A finding: one thing that is wrong with a skill, an argument or a setting.

Every room reports what it dislikes as :class:`Violation` values, all of them at once, so that a person mends a
manifest in one go and a machine reads the same list from ``skill check --json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


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
        return f"{where}{self.field} = {self.value!r}: {self.reason} {self.fix} [{self.code}]"
