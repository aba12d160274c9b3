"""``trust``: show what skills ask for beyond their confinement, and let a person decide."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import road
from ..answer import Answer, Block, Findings, Text
from ..errors import CommandError, SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from ..command.parse import Command
    from ..door import Door
    from ..policy.decide import Decision
    from .trust_page import Page

YES = frozenset({"y", "yes"})


def trust(command: Command, door: Door) -> Answer:
    """Ask for every grant that the skill, or (``--all``) each skill of the project, lacks; or take its grants
    back (``--revoke``)."""
    if command.options.all:
        return _revoke_all(command, door) if command.options.revoke else _all(command, door)
    if len(command.names) != 1:
        raise CommandError("trust needs the name of a skill", f"write `{door.line('trust NAME')}`")
    decision = _decision(command, door)
    if decision.skill is None:
        decision.raise_for_verdict()
    if command.options.revoke:
        return _revoke(decision, door)
    before = decision
    if decision.verdict in ("allow", "trust"):
        decision = _with_image(decision, door)
    if decision.verdict == "deny" or decision.verdict == "error":
        decision.raise_for_verdict()
    if decision.verdict == "allow":
        back = f"; `{door.line(f'trust {decision.name} --revoke')}` takes it back"
        nothing = f"{decision.name} asks for nothing that needs your trust"
        words = f"{decision.name} has what it asks for{back}" if _has_grants(decision, door) else nothing
        return Answer([Text(words, good=True)], {"granted": [], "asked": []})
    return _ask(decision, command, door, images=decision is not before)


def _has_grants(decision: Decision, door: Door) -> bool:
    from ..policy import trust as grants

    return decision.skill is not None and bool(grants.grants_for(decision.skill, door.host))


def _decision(command: Command, door: Door) -> Decision:
    from ..command.parse import Request

    return road.decide(Request(command.names[0], options=command.options), door.host)


def _with_image(decision: Decision, door: Door) -> Decision:
    """``decision`` with what its image brings along, which needs trust too; the same one where that is nothing,
    or cannot be told since the image is not on this machine yet."""
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
    found = with_image(decision, facts, door.host, accounts)
    return found if found.violations != decision.violations else decision


def _ask(decision: Decision, command: Command, door: Door, *, images: bool) -> Answer:
    asked = [each.as_dict() for each in decision.violations]
    if not _agreed([decision], (), command, door, images=images):
        data = {"granted": [], "asked": asked}
        return Answer([Text(f"nothing was granted to {decision.name}")], data, 1)
    granted = _grant([decision], door)[decision.name]
    blocks: list[Block] = [Text(f"granted to {decision.name}: {_counted([decision])}", good=True)]
    # What is granted is what was shown: where the manifest has changed in between, so has its digest, and the
    # grants are void.
    after = _decision(command, door)
    if after.verdict != "allow":
        blocks += [Text("it is still not allowed:", good=False), Findings(after.violations)]
    return Answer(blocks, {"granted": granted, "asked": asked}, 0 if after.verdict == "allow" else 1)


def _all(command: Command, door: Door) -> Answer:
    from .trust_page import told

    decisions = before = _of_project(command, door)
    if _engine_answers(decisions, door):
        decisions = [
            _with_image(each, door) if each.verdict in ("allow", "trust") else each for each in decisions
        ]
    asking = [each for each in decisions if each.verdict == "trust"]
    others = [each for each in decisions if each.verdict in ("deny", "error")]
    data: dict[str, object] = {
        "granted": {},
        "asked": {each.name: [one.as_dict() for one in each.violations] for each in asking},
        "refused": [each.name for each in others if each.verdict == "deny"],
        "faulty": [each.name for each in others if each.verdict == "error"],
    }
    blocks: list[Block] = [Text(line, good=False) for line in told(others, door)]
    if not asking:
        words = "no skill of this project waits for your trust"
        if others:
            blocks.append(Text(f"`{door.line('check')}` says why"))
        return Answer([Text(words, good=not others), *blocks], data, 1 if others else 0)
    images = any(each is not one for each, one in zip(decisions, before, strict=True))
    if not _agreed(asking, others, command, door, images=images):
        return Answer([Text("nothing was granted"), *blocks], data, 1)
    data["granted"] = _grant(asking, door)
    blocks.insert(0, Text(f"granted to {_said(asking)}: {_counted(asking)}", good=True))
    named = {each.name for each in asking}
    found = {each.name: each for each in _of_project(command, door) if each.name in named}
    still = [name for name in named if name not in found or found[name].verdict != "allow"]
    if still:
        data["still"] = sorted(still)
        blocks.append(Text(f"still not allowed: {_listed(sorted(still))}", good=False))
        blocks += [Findings(found[name].violations) for name in sorted(still)[:1] if name in found]
    return Answer(blocks, data, 1 if still else 0)


def _of_project(command: Command, door: Door) -> list[Decision]:
    """The decision on each skill of the project's manifest.

    :raises CommandError: where there is none. :raises SpecError: where it, or policy.toml, cannot be read.
    """
    from ..policy.decide import check_all

    _manifest(command, door)
    found = check_all(door.host, explicit=command.options.manifest)
    for each in found:
        if not each.name:
            raise SpecError("the skills of this project cannot be judged", each.violations)
    return [each for each in found if each.skill is None or each.skill.origin == "project"]


def _manifest(command: Command, door: Door) -> Path:
    """The project's manifest."""
    from ..manifest import layers

    file = layers.load(door.host, explicit=command.options.manifest).files[0]
    if file in (layers.BUNDLED, door.host.config_dir / layers.NAMES[0]):
        hint = f"there is no {layers.NAMES[0]} in {door.host.directory} or above"
        raise CommandError("there is no project here whose skills could ask for anything", hint)
    return file


def _engine_answers(decisions: Sequence[Decision], door: Door) -> bool:
    """Whether what images bring along can be told; asked once, not once for each skill."""
    from .. import engine
    from ..errors import EngineError

    if not any(each.verdict in ("allow", "trust") for each in decisions):
        return False
    try:
        engine.connect(door.host)
    except EngineError:
        return False
    return True


def _agreed(
    decisions: Sequence[Decision], others: Sequence[Decision], command: Command, door: Door, *, images: bool
) -> bool:
    """Whether a person has said yes to all that ``decisions`` ask for.

    :param images: whether some of it comes from images.
    :raises PolicyError: where there is nobody to be asked.
    """
    if command.options.yes and door.kind == "shell":
        return True
    if door.ask is None or command.options.yes:
        raise _nobody(decisions, command, door)
    shown = _page(decisions, others, door, alone=not command.options.all, images=images)
    return door.ask(shown.text, shown.question).strip().lower() in YES


def _nobody(decisions: Sequence[Decision], command: Command, door: Door) -> Exception:
    """The error where no person can be asked: a cell that says yes is the notebook's word, not a person's."""
    from ..policy.gravity import untrusted

    words = "trust --all" if command.options.all else f"trust {decisions[0].name}"
    why = "--yes in a cell is the notebook's word" if command.options.yes else "nobody can be asked here"
    hint = f"in a terminal: `cd {shlex.quote(str(door.host.directory))} && skill {words}`"
    if command.options.yes and door.ask is not None:
        hint = f"leave --yes out, and `{door.line(words)}` asks you; or {hint}"
    waits = "wait" if len(decisions) > 1 else "waits"
    message = f"{_said(decisions)} {waits} for a person's decision, and {why}"
    words = "skill check" if command.options.all else f"skill explain {decisions[0].name}"
    details = f"each with its reason: `{words}`"
    return untrusted(message, [(each.name, each.violations) for each in decisions], hint, details)


def _page(
    decisions: Sequence[Decision], others: Sequence[Decision], door: Door, *, alone: bool, images: bool
) -> Page:
    from ..policy import trust as grants
    from .trust_page import page

    changes = {}
    given: set[str] = set()
    for each in decisions:
        assert each.skill is not None  # noqa: S101  (the verdict "trust" has a skill)
        news = grants.changed(each.skill, door.host)
        if news is not None:
            changes[each.name] = news
        if not given:
            given.update(*grants.of_project(each.skill.file.parent, door.host).values())
    return page(decisions, door, changes=changes, given=given, others=others, alone=alone, images=images)


def _grant(decisions: Sequence[Decision], door: Door) -> dict[str, list[str]]:
    """Store what was shown; returns it by skill."""
    from ..policy import trust as grants

    wanted = {each.name: [name for name, _ in grants.asks(each)] for each in decisions}
    skills = [each.skill for each in decisions if each.skill is not None]
    grants.grant_all(door.host, [(skill, wanted[skill.name]) for skill in skills])
    return wanted


def _counted(decisions: Sequence[Decision]) -> str:
    from ..policy import gravity

    return ", ".join(gravity.counts(gravity.asked((each.name, each.violations) for each in decisions)))


def _said(decisions: Sequence[Decision]) -> str:
    return decisions[0].name if len(decisions) == 1 else f"{len(decisions)} skills"


def _listed(words: Sequence[str]) -> str:
    from ..fit import names

    return names(words, 80)


def _revoke(decision: Decision, door: Door) -> Answer:
    from ..policy import trust as grants

    had = decision.skill is not None and grants.given(decision.skill, door.host)
    if decision.skill is not None:
        grants.revoke(decision.skill, door.host)
    words = f"{decision.name} has no grants any more" if had else f"{decision.name} had no grants"
    return Answer([Text(words, good=True)], {"granted": []})


def _revoke_all(command: Command, door: Door) -> Answer:
    """Also of skills that are gone, and where the manifest cannot be read any more."""
    from ..policy import trust as grants

    had = grants.revoke_project(_manifest(command, door).parent, door.host)
    words = f"no grants any more: {_listed(had)}" if had else "no skill of this project had grants"
    return Answer([Text(words, good=True)], {"granted": {}, "revoked": list(had)})
