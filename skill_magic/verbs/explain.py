"""``explain``: what a run would be and what the policy says of it, without running it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import road
from ..answer import Answer, Block, Findings, Text, Verbatim
from ..errors import CommandError, SpecError
from ..policy.redact import MASK, env_value, mount, working_dir
from .catalogue import WORDS

if TYPE_CHECKING:
    from ..command.parse import Command, Request
    from ..door import Door
    from ..policy.decide import Decision
    from ..spec import RunSpec


def explain(command: Command, door: Door) -> Answer:
    """The equivalent ``docker run`` line, every finding of the policy, and the notes."""
    from ..foreign import shell
    from ..plan.dockerline import docker_run_line, docker_run_words

    if command.request is None:
        raise CommandError(
            "explain needs the name of a skill", f"write `{door.line('explain NAME -- ARGS')}`"
        )
    decision = _decide(command.request, door)
    blocks: list[Block] = []
    line = None
    if decision.spec is not None:
        line = docker_run_line(decision.spec)
        blocks.append(Verbatim(shell(docker_run_words(decision.spec))))
        blocks += [
            Text(f"group {each}: yours, and the notebook's directory is shared with it")
            for each in door.host.directory_groups
            if each.gid in decision.spec.groups
        ]
        blocks += [Text(f"note: {note}") for note in decision.spec.notes]
    blocks.append(Text(f"policy: {WORDS[decision.verdict]}", good=decision.verdict == "allow"))
    blocks.append(Findings(decision.violations))
    if decision.verdict == "trust":
        blocks.append(Text(f"`{door.line(f'trust {decision.name}')}` shows what it asks for, and asks you."))
    return Answer(blocks, as_data(decision, line), 0 if decision.verdict == "allow" else 1)


def _decide(request: Request, door: Door) -> Decision:
    """The decision; one of verdict "error" where the manifest's faults leave no skill to decide on."""
    from ..policy.decide import Decision, verdict_of

    try:
        return road.decide(request, door.host)
    except SpecError as error:
        if not error.violations:
            raise
        return Decision(None, None, error.violations, verdict_of(error.violations), request.skill)


def verdict_data(decision: Decision) -> dict[str, Any]:
    """The object per skill that ``check --json`` promises."""
    return {
        "name": decision.name,
        "verdict": decision.verdict,
        "violations": [violation.as_dict() for violation in decision.violations],
    }


def as_data(decision: Decision, line: str | None) -> dict[str, Any]:
    """The same with the RunSpec and the command line, values redacted."""
    spec = decision.spec
    return verdict_data(decision) | {
        "command": line,
        "spec": spec_data(spec) if spec is not None else None,
    }


def spec_data(spec: RunSpec) -> dict[str, Any]:
    """A RunSpec as JSON values; the values of variables are shown as far as the command line shows them."""
    data: dict[str, Any] = {}
    for each in dataclasses.fields(spec):
        value = getattr(spec, each.name)
        if each.name == "environment":
            data[each.name] = [_variable(variable) for variable in value]
        elif each.name == "mounts":
            data[each.name] = [_plain(mount(one)) for one in value]
        elif each.name == "working_dir":
            data[each.name] = working_dir(spec)
        else:
            data[each.name] = _plain(value)
    return data


def _variable(variable: Any) -> dict[str, Any]:
    shown = env_value(variable)
    return {"name": variable.name, "value": shown, "redacted": MASK in shown, "names": list(variable.names)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
