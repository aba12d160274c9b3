"""The verbs beside ``run``: each takes a parsed command and the door it came through, and returns an
Answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import CommandError

if TYPE_CHECKING:
    from ..answer import Answer
    from ..command.parse import Command
    from ..door import Door

# verb → (module, function); a module is imported when its verb is used
_VERBS = {
    "list": ("catalogue", "list_"),
    "info": ("catalogue", "info"),
    "explain": ("explain", "explain"),
    "check": ("check", "check"),
    "trust": ("trust", "trust"),
    "pull": ("pull", "pull"),
    "doctor": ("doctor", "doctor"),
    "ps": ("containers", "ps"),
    "stop": ("containers", "stop"),
    "logs": ("containers", "logs"),
    "clean": ("containers", "clean"),
}


def perform(command: Command, door: Door) -> Answer:
    """Do what ``command`` asks for. Raises SkillError."""
    if command.verb not in _VERBS:
        raise CommandError(
            f"{command.verb} is not in this version", f"`{door.line('--help')}` lists the verbs"
        )
    module, function = _VERBS[command.verb]
    answer: Answer = getattr(import_module(f".{module}", __name__), function)(command, door)
    return answer
