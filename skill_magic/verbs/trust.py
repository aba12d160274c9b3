"""``trust``: show what a skill asks for beyond its confinement, and let a person decide."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from .. import road
from ..answer import Answer, Block, Findings, Text, safe
from ..errors import CommandError, PolicyError

if TYPE_CHECKING:
    from ..command.parse import Command
    from ..door import Door
    from ..policy.decide import Decision

YES = frozenset({"y", "yes"})


def trust(command: Command, door: Door) -> Answer:
    """Ask for every grant that the skill lacks; or take its grants back (``--revoke``)."""
    if len(command.names) != 1:
        raise CommandError("trust which skill?", door.line("trust NAME"))
    decision = _decision(command, door)
    if decision.skill is None:
        decision.raise_for_verdict()
    if command.options.revoke:
        return _revoke(decision, door)
    if decision.verdict in ("allow", "trust"):
        decision = _with_image(decision, door)
    if decision.verdict == "deny" or decision.verdict == "error":
        decision.raise_for_verdict()
    if decision.verdict == "allow":
        return Answer(
            [Text(f"{decision.name} asks for nothing that needs your trust", good=True)], {"granted": []}
        )
    return _ask(decision, command, door)


def _decision(command: Command, door: Door) -> Decision:
    from ..command.parse import Request

    return road.decide(Request(command.names[0], options=command.options), door.host)


def _with_image(decision: Decision, door: Door) -> Decision:
    """What an image brings along needs trust too; it can be told where the image is on this machine
    already."""
    from .. import engine
    from ..engine import images, passwd
    from ..errors import EngineError
    from ..policy.decide import with_image

    assert decision.spec is not None  # noqa: S101  (a verdict other than "error" has a spec)
    try:
        connected = engine.connect(door.host)
        facts = images.inspect(connected, decision.spec.image, platform=decision.spec.platform)
        if facts is None:
            return decision
        accounts = passwd.accounts(connected, decision.spec, door.host, facts)
    except EngineError:
        return decision
    return with_image(decision, facts, door.host, accounts)


def _ask(decision: Decision, command: Command, door: Door) -> Answer:
    from ..policy import trust as grants

    assert decision.skill is not None  # noqa: S101  (the verdict "trust" has a skill)
    names = [name for name, _ in grants.asks(decision)]
    shown = safe(grants.question(decision, grants.changed(decision.skill, door.host)))
    if command.options.yes and door.kind == "shell":
        answer = "yes"
    elif door.ask is None or command.options.yes:
        # A cell that says yes is the notebook's word, not a person's.
        why = "--yes in a cell is the notebook's word" if command.options.yes else "nobody can be asked here"
        hint = f"in a terminal: cd {shlex.quote(str(door.host.directory))} && skill trust {decision.name}"
        if command.options.yes and door.ask is not None:
            hint = f"leave --yes out, and {door.line(f'trust {decision.name}')} asks you; or {hint}"
        message = f"{decision.name} waits for a person's decision, and {why}"
        raise PolicyError(message, decision.violations, hint)
    else:
        where = safe(door.host.directory)
        answer = door.ask(shown, f"Allow all of this for {safe(decision.name)} in {where}? [y/N] ")
    if answer.strip().lower() not in YES:
        return Answer([Text(f"nothing was granted to {decision.name}")], {"granted": []}, 1)
    grants.grant(decision.skill, door.host, names)
    blocks: list[Block] = [Text(f"granted to {decision.name}: {', '.join(names)}", good=True)]
    # What is granted is what was shown: if the manifest changed in between, its digest did too, and the
    # grants are void.
    after = _decision(command, door)
    if after.verdict != "allow":
        blocks += [Text("it is still not allowed:", good=False), Findings(after.violations)]
    return Answer(blocks, {"granted": names}, 0 if after.verdict == "allow" else 1)


def _revoke(decision: Decision, door: Door) -> Answer:
    from ..policy import trust as grants

    had = decision.skill is not None and grants.given(decision.skill, door.host)
    if decision.skill is not None:
        grants.revoke(decision.skill, door.host)
    words = f"{decision.name} has no grants any more" if had else f"{decision.name} had no grants"
    return Answer([Text(words, good=True)], {"granted": []})
