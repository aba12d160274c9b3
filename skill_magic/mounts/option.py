"""The text of ``--mount``: ``type=bind,src=/data,dst=/x,ro`` → Mount, by Docker's own rules.

The reader does what Go's ``encoding/csv`` does for one record (docker/cli 28.5, opts/mount.go): a field may
be quoted whole, a quote inside is doubled, and a quote anywhere else is an error. Keys and the type are
read without regard to case, and of a key given twice the last counts.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..flags.parse import parse_bool
from ..host import Host
from ..plan.quantities import size
from ..spec import Mount
from .text import CONSISTENCY, PROPAGATION, Mode, Reader

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}

_BARE = frozenset(("readonly", "volume-nocopy", "bind-nonrecursive"))

OPTIONS = frozenset(
    (
        "type",
        "source",
        "target",
        "readonly",
        "consistency",
        "bind-propagation",
        "bind-nonrecursive",
        "bind-recursive",
        "bind-create-src",
        "volume-subpath",
        "volume-nocopy",
        "volume-label",
        "volume-driver",
        "volume-opt",
        "image-subpath",
        "tmpfs-size",
        "tmpfs-mode",
    )
)
"""Every key of docker/cli 28.5."""


class OptionSyntaxError(ValueError):
    """A text that is no list of keys and values. ``args[0]`` is a sentence about it."""


def fields(text: str) -> list[str]:
    """The fields of one CSV record. Raises OptionSyntaxError where Go's reader would give an error."""
    found: list[str] = []
    position = 0
    while True:
        if text.startswith('"', position):
            value, position = _quoted(text, position + 1)
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            value, position = text[position:end], end
            if '"' in value:
                raise OptionSyntaxError(
                    'A quote stands inside a field; put the whole field into quotes ("src=/a b").'
                )
        found.append(value)
        if position >= len(text):
            return found
        position += 1  # the comma


def _quoted(text: str, position: int) -> tuple[str, int]:
    """A quoted field from after its opening quote; returns it and the position after its closing one."""
    pieces = []
    while True:
        end = text.find('"', position)
        if end < 0:
            raise OptionSyntaxError("A quote is not closed.")
        pieces.append(text[position:end])
        position = end + 1
        if text.startswith('"', position):
            pieces.append('"')
            position += 1
        elif position == len(text) or text[position] == ",":
            return "".join(pieces), position
        else:
            raise OptionSyntaxError("Something follows a closing quote.")


def pairs(text: str) -> dict[str, list[str]]:
    """Key → all its values, in order; aliases resolved. The last one counts for every key but ``volume-opt``.

    :raises OptionSyntaxError: for an unknown key, a key without a value, white space around either.
    """
    found: dict[str, list[str]] = {}
    for field in fields(text):
        key, equals, value = field.partition("=")
        name = key.lower()
        name = _ALIASES.get(name, name)
        if name != name.strip() or value != value.strip():
            raise OptionSyntaxError(f"White space stands around {field!r}.")
        if name not in OPTIONS:
            raise OptionSyntaxError(f"{key!r} is not a key of --mount.")
        if not equals and name not in _BARE:
            raise OptionSyntaxError(f"{key!r} has no value.")
        found.setdefault(name, []).append(value if equals else "true")
    return found


def parse_mount_option(csv: str, *, field: str, host: Host, base_dir: Path) -> Mount:
    """Read the value of ``--mount``. Every value is expanded once, after the text has been split.

    :raises Invalid: where it has no meaning; of kind ``refused`` for volume plugins, Windows pipes and
        their like.
    """
    reader = Reader(csv, field, host, base_dir)
    reader.characters(csv)
    try:
        options = pairs(csv)
    except OptionSyntaxError as error:
        raise reader.invalid(str(error), "Write type=bind,src=HOST,dst=CONTAINER.") from None
    last = {name: values[-1] for name, values in options.items()}
    _refuse_foreign(reader, last)
    kind = last.get("type", "volume").lower()
    if kind not in ("bind", "volume", "tmpfs"):
        raise reader.invalid(f"{kind!r} is not a type of mount.", "Types are bind, volume and tmpfs.")
    for name in last:
        family = name.partition("-")[0]
        if family in ("bind", "volume", "tmpfs", "image") and family != kind:
            raise reader.invalid(f"{name} does not go with type={kind}.", f"Leave {name} out.")
    for name in ("bind-recursive", "bind-nonrecursive", "bind-create-src", "volume-subpath", "volume-label"):
        if name in last and last[name] not in ("enabled", "false"):
            raise reader.invalid(f"{name} is not supported here.", "Leave it out.")
    if last.get("consistency", "default") not in {"default", *CONSISTENCY}:
        raise reader.invalid("This consistency is unknown.", "Leave it out.")
    if "target" not in last:
        raise reader.invalid("It has no target.", "Add dst=CONTAINER.")
    target = reader.target(last["target"])
    mode = Mode(reader, "")
    mode.read_only = _truth(reader, last, "readonly")
    mode.no_copy = _truth(reader, last, "volume-nocopy")
    mode.propagation = last.get("bind-propagation", "")
    if mode.propagation and mode.propagation not in PROPAGATION:
        raise reader.invalid("This propagation is unknown.", "Leave it out.")
    if kind == "tmpfs":
        return _tmpfs(reader, last, target, mode)
    source = last.get("source", "")
    if not source:
        if kind == "bind":
            raise reader.invalid("It has no source.", "Add src=HOST.")
        return reader.made("volume", target, mode, written=last["target"])
    return reader.mount(source, target, mode, kind=kind)


_FOREIGN_TYPES = {
    "npipe": ("mount-pipe", "A Windows pipe leads to an engine or another service of the host."),
    "cluster": ("mount-type", "A cluster volume belongs to a swarm."),
    "image": ("mount-type", "Another image is not mounted: it would be pulled unseen."),
}


def _refuse_foreign(reader: Reader, last: dict[str, str]) -> None:
    """What makes the engine run a plugin, mount a device or reach another machine. Nothing can allow it."""
    kind = last.get("type", "volume").lower()
    if kind in _FOREIGN_TYPES:
        code, reason = _FOREIGN_TYPES[kind]
        raise reader.refused(code, reason, "Use type=bind, volume or tmpfs; this is never allowed.")
    if last.get("volume-driver", "local") != "local":
        raise reader.refused(
            "mount-volume-driver",
            "A volume driver is a plugin that runs on the host.",
            "Leave volume-driver out; this is never allowed.",
        )
    if "volume-opt" in last:
        raise reader.refused(
            "mount-volume-option",
            "With options a volume can be any directory or device of the host.",
            "Leave volume-opt out; this is never allowed.",
        )


def _truth(reader: Reader, last: dict[str, str], name: str) -> bool:
    value = parse_bool(last.get(name, "false"))
    if value is None:
        raise reader.invalid(f"{name} is neither true nor false.", f"Write {name} alone, or {name}=true.")
    return value


def _tmpfs(reader: Reader, last: dict[str, str], target: str, mode: Mode) -> Mount:
    if "source" in last:
        raise reader.invalid("A tmpfs has no source.", "Leave src out.")
    bytes_ = None
    if "tmpfs-size" in last:
        bytes_ = size(last["tmpfs-size"])
        if not bytes_:
            raise reader.invalid("tmpfs-size is not a size above 0.", "Write tmpfs-size=64m.")
    options: tuple[str, ...] = ()
    if "tmpfs-mode" in last:
        bits = last["tmpfs-mode"]
        if not re.fullmatch(r"0?1?[0-7]{3}", bits):
            raise reader.invalid("tmpfs-mode is not a plain mode.", "Write tmpfs-mode=1777.")
        options = (f"mode={bits}",)
    if mode.read_only:
        options = (*options, "ro")
    return reader.made("tmpfs", target, mode, written=last["target"], size=bytes_, options=options)
