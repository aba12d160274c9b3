"""``list`` and ``info``: which skills there are, where they come from and what they may do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..answer import Answer, Block, Table, Text

if TYPE_CHECKING:
    from ..command.parse import Command
    from ..door import Door
    from ..host import Host
    from ..manifest.layers import Skill
    from ..policy.decide import Decision

WORDS = {
    "allow": "allowed",
    "trust": "needs your trust",
    "deny": "refused",
    "error": "faulty",
}
"""A verdict as a person reads it."""


def list_(command: Command, door: Door) -> Answer:
    """Every skill in reach, the nearest layer first."""
    decisions = sorted(_decisions(door.host, command.options.manifest), key=_nearest)
    rows = [
        (
            decision.name,
            decision.skill.docker.image if decision.skill else "",
            decision.skill.docker.network if decision.skill else "",
            decision.skill.origin if decision.skill else "",
            WORDS[decision.verdict],
            decision.skill.description if decision.skill else "",
        )
        for decision in decisions
    ]
    blocks: list[Block] = [Table(("skill", "image", "network", "from", "policy", "description"), rows)]
    if any(decision.verdict != "allow" for decision in decisions):
        blocks.append(Text(f"`{door.line('check')}` says what keeps the others from running."))
    return Answer(blocks, [_as_data(decision) for decision in decisions])


def _decisions(host: Host, explicit: Path | None) -> Iterator[Decision]:
    """The decision on every skill of every layer, as if it was called with no arguments."""
    from ..command.parse import Request
    from ..manifest import layers as manifest
    from ..policy import settings
    from ..policy.decide import Decision, evaluate_named, verdict_of

    manifests = manifest.load(host, explicit=explicit)
    bounds = settings.load(host)
    for name, faults in manifests.faults.items():
        if name not in manifests.partial:
            yield Decision(None, None, faults, verdict_of(faults), name or str(faults[0].file))
    for name in (*manifests.partial, *manifests.skills):
        yield evaluate_named(manifests, Request(name), host, settings=bounds)


def _nearest(decision: Decision) -> tuple[int, str]:
    order = ("project", "user", "bundled")
    return (order.index(decision.skill.origin) if decision.skill else 0, decision.name)


def _as_data(decision: Decision) -> dict[str, Any]:
    skill = decision.skill
    facts: dict[str, Any] = {"name": decision.name, "verdict": decision.verdict}
    if skill is not None:
        facts |= {
            "image": skill.docker.image,
            "network": skill.docker.network,
            "origin": skill.origin,
            "description": skill.description,
            "file": str(skill.file),
            "line": skill.lines.get("image"),
        }
    return facts


def info(command: Command, door: Door) -> Answer:
    """One skill: every key with its value, whether it is the default, and where it was written."""
    from ..command.parse import Request
    from ..manifest import layers as manifest
    from ..policy.decide import evaluate

    manifests = manifest.load(door.host, explicit=command.options.manifest)
    answers = []
    for name in command.names:
        skill = manifests.find(name)
        decision = evaluate(skill, Request(name), door.host)
        answers.append(_describe(skill, decision, door))
    return Answer([block for blocks, _ in answers for block in blocks], [data for _, data in answers])


def _describe(skill: Skill, decision: Decision, door: Door) -> tuple[list[Block], dict[str, Any]]:
    keys = _keys(skill)
    rows = [(key, _shown(value), _origin(skill, key)) for key, value in keys.items()]
    if skill.leading_args:
        rows.append(("leading_args", _shown(skill.leading_args), str(skill.file)))
    title = f"{skill.name}: {skill.description}" if skill.description else skill.name
    blocks: list[Block] = [
        Text(title),
        Table(("key", "value", "from"), rows),
        Text(f"policy: {WORDS[decision.verdict]}", good=decision.verdict == "allow"),
    ]
    if decision.verdict != "allow":
        blocks.append(Text(f"`{door.line(f'explain {skill.name}')}` says why."))
    data = _as_data(decision) | {"cell": skill.cell, "leading_args": list(skill.leading_args), "docker": keys}
    return blocks, data


def _keys(skill: Skill) -> dict[str, Any]:
    return {each.name: getattr(skill.docker, each.name) for each in dataclasses.fields(skill.docker)}


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return ", ".join(value) or "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _origin(skill: Skill, key: str) -> str:
    if key not in skill.given:
        return "default"
    line = skill.lines.get(key)
    return f"{skill.file}:{line}" if line else str(skill.file)
