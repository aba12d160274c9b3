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
    from ..manifest.non_docker import NonDocker
    from ..policy.decide import Decision

WORDS = {
    "allow": "allowed",
    "trust": "needs your trust",
    "deny": "refused",
    "error": "faulty",
    "not-docker": "not a Docker skill",
}
"""A verdict as a person reads it."""

FINE = ("allow", "not-docker")
"""Verdicts with which nothing is the matter."""


def list_(command: Command, door: Door) -> Answer:
    """Every skill in reach, the nearest layer first."""
    decisions = sorted(_decisions(door.host, command.options.manifest), key=_nearest)
    rows = [
        (
            decision.name,
            decision.skill.docker.image if decision.skill else "",
            decision.skill.docker.network if decision.skill else "",
            known.origin if known else "",
            WORDS[decision.verdict],
            known.description if known else "",
        )
        for decision in decisions
        for known in [decision.skill or decision.other]
    ]
    blocks: list[Block] = [Table(("skill", "image", "network", "from", "policy", "description"), rows)]
    if any(decision.verdict not in FINE for decision in decisions):
        blocks.append(Text(f"`{door.line('check')}` says what keeps the others from running."))
    return Answer(blocks, [_as_data(decision) for decision in decisions])


def _decisions(host: Host, explicit: Path | None) -> Iterator[Decision]:
    """The decision on every skill of every layer, as if it was called with no arguments."""
    from ..command.parse import Request
    from ..manifest import layers as manifest
    from ..policy import settings
    from ..policy.decide import Decision, evaluate_named, not_docker, verdict_of
    from ..policy.paths import Judge

    manifests = manifest.load(host, explicit=explicit)
    bounds = settings.load(host)
    judge = Judge(host, home_project=bounds.allow_home_project)  # one look at the folders for all skills
    for name, faults in manifests.faults.items():
        if name not in manifests.partial:
            yield Decision(None, None, faults, verdict_of(faults), name or str(faults[0].file))
    yield from map(not_docker, manifests.others.values())
    for name in (*manifests.partial, *manifests.skills):
        yield evaluate_named(manifests, Request(name), host, settings=bounds, judge=judge)


def _nearest(decision: Decision) -> tuple[int, str]:
    order = ("project", "user", "bundled")
    known = decision.skill or decision.other
    return (order.index(known.origin) if known else 0, decision.name)


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
            "runtime": "docker",
        }
    return facts | (_as_other(decision.other) if decision.other is not None else {})


def _as_other(other: NonDocker) -> dict[str, Any]:
    return {
        "origin": other.origin,
        "description": other.description,
        "file": str(other.file),
        "line": other.line,
        "runtime": other.runtime,
    }


def info(command: Command, door: Door) -> Answer:
    """One skill: every key with its value, whether it is the default, and where it was written."""
    from ..command.parse import Request
    from ..manifest import layers as manifest
    from ..policy.decide import evaluate

    manifests = manifest.load(door.host, explicit=command.options.manifest)
    answers = []
    for name in command.names:
        if name in manifests.others:
            answers.append(_describe_other(manifests.others[name], door))
            continue
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


def _describe_other(other: NonDocker, door: Door) -> tuple[list[Block], dict[str, Any]]:
    from ..policy.decide import not_docker

    place = f"{other.file}:{other.line}" if other.line else str(other.file)
    rows = [("runtime", other.runtime, place if other.said else "default")]
    if other.source:
        rows.append(("source", other.source, str(other.file)))
    decision = not_docker(other)
    blocks: list[Block] = [
        Text(f"{other.name}: {other.description}" if other.description else other.name),
        Table(("key", "value", "from"), rows),
        Text(f"policy: {WORDS[decision.verdict]}; {door.line(f'explain {other.name}')} says what to do."),
    ]
    return blocks, _as_data(decision)


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
