"""``check``: the decision on every skill of a project, with no engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer, Block, Findings, Text
from .catalogue import WORDS
from .explain import verdict_data

if TYPE_CHECKING:
    from ..command.parse import Command
    from ..door import Door


def check(command: Command, door: Door) -> Answer:
    """Decide every skill in reach of PATH (a directory or a manifest; default: the door's directory)."""
    from ..errors import CommandError
    from ..policy.decide import check_all

    if len(command.names) > 1:
        raise CommandError("check takes one path", door.line("check [PATH] [--json]"))
    path = Path(command.names[0]) if command.names else None
    if path is not None and not path.exists():
        raise CommandError(f"no such file or directory: {path}")
    decisions = check_all(door.host, path=path)
    blocks: list[Block] = []
    for decision in decisions:
        good = decision.verdict == "allow"
        blocks.append(Text(f"{decision.name or path}: {WORDS[decision.verdict]}", good=good))
        blocks.append(Findings(decision.violations))
    bad = sum(decision.verdict != "allow" for decision in decisions)
    blocks.append(
        Text(
            f"{len(decisions)} skills, {bad} not allowed" if bad else f"{len(decisions)} skills, all allowed"
        )
    )
    return Answer(blocks, [verdict_data(decision) for decision in decisions], 1 if bad else 0)
