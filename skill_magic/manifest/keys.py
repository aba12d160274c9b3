"""The keys of a manifest: their types, their defaults and what their values look like.

One table for all who need it: the reader checks by it, and the documentation prints it.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from . import values
from .values import Fault

Kind = Literal["string", "strings", "bool", "number"]
_NAMES: dict[Kind, str] = {
    "string": "a string",
    "strings": "a list of strings",
    "bool": "true or false",
    "number": "a string or a number",
}


@dataclass(frozen=True)
class Key:
    """One key of ``[skills.X.docker]``.

    :param kind: its type; ``number`` is a string or a TOML number.
    :param check: the fault of one string of it, ``None`` where it has none.
    :param meaning: for people; :param default: as TOML or in words, for people.
    """

    kind: Kind
    check: Callable[[str], Fault | None]
    meaning: str
    default: str = "none"


DOCKER: Mapping[str, Key] = {
    "image": Key("string", values.image_fault, "the Docker image, such as `python:3.12-slim`", "required"),
    "entrypoint": Key("string", values.entrypoint_fault, "the program to run", "the image's"),
    "command": Key("strings", values.argument_fault, "default arguments, used when the call gives none"),
    "volumes": Key("strings", values.volume_fault, "`host:container[:ro]`", "`[]`"),
    "working_dir": Key("string", values.working_dir_fault, "absolute path in the container", "`/workdir`"),
    "environment": Key("strings", values.environment_fault, "`KEY=value`", "`[]`"),
    "memory": Key("string", values.memory_fault, "limit such as `512m` or `2g`", "75 % of the machine"),
    "cpus": Key("number", values.cpus_fault, "limit such as `0.5` or `2`"),
    "network": Key("string", values.network_fault, "`none` or `bridge`", '`"none"`'),
    "rm": Key("bool", values.text_fault, "remove the container when it has ended", "`true`"),
    "user": Key("string", values.user_text_fault, "`uid:gid`, a name, or `image` for the image's own", "you"),
    "gpus": Key("string", values.gpus_fault, "`all`, a count, or device ids"),
    "read_only": Key("bool", values.text_fault, "nothing in the image can be written", "`false`"),
    "platform": Key("string", values.platform_fault, "such as `linux/arm64`", "the engine's"),
    "extra_args": Key("strings", values.text_fault, "further `docker run` options", "`[]`"),
}

NOTEBOOK: Mapping[str, Key] = {
    "cell": Key(
        "string", values.cell_fault, "what the body of a `%%skill` cell is: `stdin` or `args`", '`"stdin"`'
    ),
    "leading_args": Key(
        "strings",
        values.argument_fault,
        "arguments that stand before all others, whatever the call gives",
        "`[]`",
    ),
}
"""The keys of ``[skills.X.notebook]``, which the Skill Engine passes over."""

SKILL: Mapping[str, type] = {
    "description": str,
    "source": str,
    "runtime": str,
    "docker": dict,
    "notebook": dict,
    # The rest is the Skill Engine's, for other runtimes. It has no meaning here and does no harm.
    "ref": str,
    "instances": dict,
    "default_instance": str,
    "services": list,
    "config": dict,
    "env": dict,
    "capabilities": dict,
}
ROOT: Mapping[str, type] = {"skills": dict, "version": object, "defaults": dict}

_MEANT = {
    "cmd": "command",
    "args": "command",
    "env": "environment",
    "environ": "environment",
    "workdir": "working_dir",
    "cwd": "working_dir",
    "mounts": "volumes",
    "binds": "volumes",
    "mem_limit": "memory",
    "cpu": "cpus",
    "net": "network",
    "network_mode": "network",
    "remove": "rm",
    "gpu": "gpus",
}


def suggestion(key: str, known: Mapping[str, object]) -> str:
    """A sentence with the way out for a key that there is not."""
    plain = key.lower().replace("-", "_")
    near = _MEANT.get(plain, "")
    if near not in known:
        near = plain if plain in known else next(iter(difflib.get_close_matches(plain, known, 1, 0.6)), "")
    if near:
        return f"Did you mean {near}?"
    if known is DOCKER:
        return "Other options of docker run go into extra_args."
    return f"Known are {', '.join(known)}."


def type_name(value: object) -> str:
    """What a TOML value is, in words."""
    named = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a string",
        dict: "a table",
    }
    if isinstance(value, (datetime.date, datetime.time)):
        return "a date or time"
    return named.get(type(value), "a list")


def faults(name: str, value: Any, table: Mapping[str, Key] = DOCKER) -> Iterator[tuple[str, object, Fault]]:
    """What is wrong with the value of a key.

    :param table: the keys of its table.
    :returns: (field, the offending value, fault), the field with an index for items of
        lists.
    """
    key = table[name]
    if key.kind == "strings":
        if not isinstance(value, list):
            yield name, value, _type_fault(key, value)
            return
        for index, item in enumerate(value):
            field = f"{name}[{index}]"
            if not isinstance(item, str):
                reason = f"It is {type_name(item)}; every item must be a string."
                yield field, item, Fault("manifest-type", reason, 'Write it in quotes: "…".')
            elif fault := key.check(item):
                yield field, item, fault
        if name == "environment":
            yield from _twice(value)
        return
    if not _has_type(key, value):
        yield name, value, _type_fault(key, value)
    elif key.kind != "bool" and (fault := key.check(plain(value))):
        yield name, value, fault


def plain(value: str | int | float) -> str:
    """A string or a TOML number as the string that means the same (``0.5``, never ``5e-01``)."""
    return value if isinstance(value, str) else format(Decimal(repr(value)), "f")


def _has_type(key: Key, value: object) -> bool:
    if key.kind == "bool":
        return isinstance(value, bool)
    if key.kind == "number" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _is_handy(value)
    return isinstance(value, str)


def _is_handy(number: int | float) -> bool:
    """Neither infinite nor of more digits than Python turns into text (a TOML 0x… has no limit)."""
    return -(10**18) < number < 10**18  # false for NaN


def _type_fault(key: Key, value: object) -> Fault:
    reason = f"It is {type_name(value)}; it must be {_NAMES[key.kind]}."
    fix = {
        "bool": "Write true or false, without quotes.",
        "strings": 'Write a list: ["…", "…"], one string for each word.',
    }.get(key.kind, 'Write it in quotes: "…".')
    if key.kind == "number" and isinstance(value, (int, float)) and not _is_handy(value):
        return Fault("manifest-type", "It is no number of any machine.", "Write a number such as 0.5 or 2.")
    return Fault("manifest-type", reason, fix)


def _twice(items: list[Any]) -> Iterator[tuple[str, object, Fault]]:
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        name, equals, _ = item.partition("=") if isinstance(item, str) else ("", "", "")
        if equals and first.setdefault(name, index) != index:
            reason = f"{name} is set by environment[{first[name]}] already."
            yield (
                f"environment[{index}]",
                item,
                Fault("environment-duplicate", reason, "Keep one of the two."),
            )


def shown(name: str, value: object) -> str:
    """A value as an error may show it: short, and of a variable only the name (the rest may be secret)."""
    if isinstance(value, str):
        variable, equals, _ = value.partition("=")
        text = f"{variable}=…" if name == "environment" and equals else value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (int, float)) and (_is_handy(value) or isinstance(value, float)):
        text = str(value)
    else:
        text = type_name(value)
    return text if len(text) <= 120 else text[:119] + "…"
