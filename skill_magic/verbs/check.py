"""``check``: the decision on every skill of a project, with no engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer, Block, Findings, Text
from ..findings import SHOWN, first
from .catalogue import FINE, WORDS
from .explain import verdict_data

if TYPE_CHECKING:
    from ..command.parse import Command
    from ..door import Door
    from ..findings import Violation
    from ..policy.decide import Decision

_MOST_SKILLS = 256
"""As many as a manifest may have; one that is broken may name more."""


def check(command: Command, door: Door) -> Answer:
    """Decide every skill in reach of PATH (a directory or a manifest; default: the door's directory)."""
    from ..errors import CommandError
    from ..manifest import layers
    from ..policy.decide import check_all

    if len(command.names) > 1:
        raise CommandError("check takes one path", f"write `{door.line('check [PATH]')}`")
    path = Path(command.names[0]) if command.names else None
    if path is not None and not path.exists():
        name = command.names[0]
        known = layers.load(door.host)
        hint = f"check takes a path; for the skill {name} there is `{door.line(f'explain {name}')}`"
        raise CommandError(
            f"there is no file or directory {str(path)!r}",
            hint
            if name in {**known.skills, **known.others, **known.faults}
            else f"`{door.line('check')}` alone checks the manifests of this place",
        )
    decisions = check_all(door.host, path=path)
    blocks = list(_told(decisions, door))
    bad = sum(decision.verdict not in FINE for decision in decisions)
    skills = [decision for decision in decisions if decision.name and decision.other is None]
    others = len([decision for decision in decisions if decision.other is not None])
    if skills:
        count = f"{len(skills)} skill{'s' if len(skills) > 1 else ''}"
        allowed = "allowed" if len(skills) == 1 else "all allowed"
        blocks.append(Text(f"{count}, {bad} not allowed" if bad else f"{count}, {allowed}"))
    if others:
        are = "skill is" if others == 1 else "skills are"
        blocks.append(Text(f"{others} {are} for other runtimes, and not run here"))
    return Answer(blocks, [verdict_data(decision) for decision in decisions], 1 if bad else 0)


def _told(decisions: Sequence[Decision], door: Door) -> Iterator[Block]:
    """What is wrong with each skill, with no more than ``SHOWN`` faults and skills in all."""
    shared = _shared(decisions)
    room = SHOWN
    for names, found in shared.items():
        many = "all skills" if len(names) == len(decisions) else _listed(names)
        if room > 0:
            yield from (Text(f"{many}:", good=False), Findings(first(found, room)))
        room -= len(found)
    above = {each for found in shared.values() for each in found}
    for decision in decisions[:_MOST_SKILLS]:
        own = [each for each in decision.violations if each not in above]
        more = ", see above" if len(own) < len(decision.violations) else ""
        good = None if decision.other is not None else decision.verdict == "allow"
        what = f" (runtime {decision.other.runtime})" if decision.other is not None else more
        yield Text(f"{_title(decision)}: {WORDS[decision.verdict]}{what}", good=good)
        if own and room > 0:
            yield Findings(first(own, room))
        room -= len(own)
    if len(decisions) > _MOST_SKILLS:
        left = len(decisions) - _MOST_SKILLS
        yield Text(f"and {left:,} more {'skill' if left == 1 else 'skills'}")
    if room < 0:
        yield Text(f"and {-room:,} more: `{door.line('check --json')}` lists all", good=False)


def _listed(names: Sequence[str]) -> str:
    """The names of a few skills, and the number of the others."""
    left = len(names) - 10
    return ", ".join(names[:10]) + (f" and {left:,} more" if left > 0 else "")


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
