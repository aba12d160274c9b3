"""``check``: the decision on every skill of a project, with no engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer, Block, Findings, Text
from .catalogue import WORDS
from .explain import verdict_data

if TYPE_CHECKING:
    from ..command.parse import Command
    from ..door import Door
    from ..findings import Violation
    from ..policy.decide import Decision


def check(command: Command, door: Door) -> Answer:
    """Decide every skill in reach of PATH (a directory or a manifest; default: the door's directory)."""
    from ..errors import CommandError
    from ..manifest import layers
    from ..policy.decide import check_all

    if len(command.names) > 1:
        raise CommandError("check takes one path", door.line("check [PATH] [--json]"))
    path = Path(command.names[0]) if command.names else None
    if path is not None and not path.exists():
        name = command.names[0]
        known = layers.load(door.host)
        hint = f"check takes a path; {name} is a skill: {door.line(f'explain {name}')}"
        raise CommandError(
            f"no such file or directory: {path}",
            hint if name in known.skills or name in known.faults else door.line("check [PATH]"),
        )
    decisions = check_all(door.host, path=path)
    shared = _shared(decisions)
    blocks: list[Block] = []
    for names, found in shared.items():
        many = "all skills" if len(names) == len(decisions) else ", ".join(names)
        blocks += [Text(f"{many}:", good=False), Findings(found)]
    above = {each for found in shared.values() for each in found}
    for decision in decisions:
        good = decision.verdict == "allow"
        own = [each for each in decision.violations if each not in above]
        more = ", see above" if len(own) < len(decision.violations) else ""
        blocks.append(Text(f"{_title(decision)}: {WORDS[decision.verdict]}{more}", good=good))
        blocks.append(Findings(own))
    bad = sum(decision.verdict != "allow" for decision in decisions)
    skills = [decision for decision in decisions if decision.name]
    if skills:
        count = f"{len(skills)} skill{'s' if len(skills) > 1 else ''}"
        allowed = "allowed" if len(skills) == 1 else "all allowed"
        blocks.append(Text(f"{count}, {bad} not allowed" if bad else f"{count}, {allowed}"))
    return Answer(blocks, [verdict_data(decision) for decision in decisions], 1 if bad else 0)


def _title(decision: Decision) -> str:
    """The skill's name; the file for a fault that no skill has alone."""
    file = next((each.file for each in decision.violations if each.file is not None), None)
    return decision.name or str(file or "the manifest")


def _shared(decisions: Sequence[Decision]) -> dict[tuple[str, ...], list[Violation]]:
    """What several skills have in common (a fault of their file, the directory), said once: their names →
    findings."""
    holders: dict[Violation, list[str]] = {}
    for decision in decisions:
        for each in decision.violations:
            holders.setdefault(each, []).append(_title(decision))
    shared: dict[tuple[str, ...], list[Violation]] = {}
    for each, names in holders.items():
        if len(names) > 1:
            shared.setdefault(tuple(names), []).append(each)
    return shared
