"""Mounts as manifests write them: ``HOST:CONTAINER[:MODE]`` and ``--mount``'s ``key=value`` list → Mount.

Nothing is judged here: a text becomes a :class:`~skill_magic.spec.Mount` with its source resolved, or is
invalid. A text is split into its parts first and each part is expanded once, so that a variable's value is
data whatever it holds.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import unicodedata
from pathlib import Path

from . import mount_option
from .expand import ExpandError, expand, split
from .findings import Violation
from .flags import parse_bool
from .host import Host
from .policy_paths import identity, resolve
from .quantities import size
from .spec import Mount

VOLUME_PREFIX = "skill-magic-"

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_PROPAGATION = frozenset(("shared", "rshared", "slave", "rslave", "private", "rprivate"))
_CONSISTENCY = frozenset(("consistent", "cached", "delegated"))


class Invalid(Exception):  # noqa: N818 - the name the other rooms know
    """A mount that has no meaning, or that no grant could ever allow; ``violation`` says which and why."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(str(violation))
        self.violation = violation


def parse_volume(text: str, *, field: str, host: Host, base_dir: Path) -> Mount:
    """Read ``HOST:CONTAINER[:MODE]``, ``NAME:CONTAINER[:MODE]`` or ``CONTAINER`` (an anonymous volume).

    :param base_dir: where relative host paths (``./data``) start: the manifest's directory.
    :raises Invalid: where it has no meaning.
    """
    reader = _Reader(text, field, host, base_dir)
    reader.characters(text)
    if _DRIVE.match(text):
        raise reader.invalid(
            "One letter before a colon is a Windows drive; it is no path here and no name for a volume.",
            "Write the path as this machine knows it.",
        )
    parts = split(text)
    if not all(parts):
        raise reader.invalid("One of its parts is empty.", _GRAMMAR)
    if len(parts) > 3:
        raise reader.invalid("It has more than three parts.", _GRAMMAR)
    if len(parts) == 1:
        target, _ = reader.target(parts[0])
        return Mount("volume", target, field=field)
    target, names = reader.target(parts[1])
    mode = _Mode(reader, parts[2] if len(parts) == 3 else "")
    return reader.mount(parts[0], target, names, mode)


_GRAMMAR = "Write HOST:CONTAINER or HOST:CONTAINER:ro."


class _Mode:
    """The third part of a volume: at most one word of each sort, as the engine reads it."""

    def __init__(self, reader: _Reader, text: str) -> None:
        self.read_only = False
        self.relabel = self.propagation = ""
        self.no_copy = False
        seen: set[str] = set()
        for word in text.split(",") if text else ():
            if word in ("ro", "rw"):
                sort, self.read_only = "access", word == "ro"
            elif word in ("z", "Z"):
                sort, self.relabel = "label", word
            elif word in _PROPAGATION:
                sort, self.propagation = "propagation", word
            elif word == "nocopy":
                sort, self.no_copy = "copy", True
            elif word in _CONSISTENCY:
                sort = "consistency"
            else:
                raise reader.invalid(f"{word!r} is not a mode of a mount.", "Modes are ro and rw.")
            if sort in seen:
                raise reader.invalid(
                    f"The mode {text!r} says two things about the same.", "Keep one of them."
                )
            seen.add(sort)


class _Reader:
    def __init__(self, text: str, field: str, host: Host, base_dir: Path) -> None:
        self.text, self.field, self.host, self.base_dir = text, field, host, base_dir
        self.environment = {**host.environment, "PWD": str(host.directory)}

    def invalid(self, reason: str, fix: str, code: str = "mount-syntax") -> Invalid:
        return Invalid(Violation(code, self.field, self.text, reason, fix, kind="invalid"))

    def refused(self, code: str, reason: str, fix: str) -> Invalid:
        return Invalid(Violation(code, self.field, self.text, reason, fix))

    def characters(self, text: str) -> None:
        if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
            raise self.invalid("It has a control character in it.", "Remove it.")
        if "\\" in text:
            raise self.invalid("It has a backslash in it.", "Write paths with forward slashes.")

    def expanded(self, part: str) -> tuple[str, tuple[str, ...]]:
        try:
            expansion = expand(part, self.environment)
        except ExpandError as error:
            raise self.invalid(_sentence(error.message), _sentence(error.hint), "variable") from None
        self.characters(expansion.text)
        if not expansion.text:
            raise self.invalid(
                f"{part} is empty.", "Set the variable, or give it a default with ${NAME:-default}."
            )
        return expansion.text, expansion.names

    def target(self, part: str) -> tuple[str, tuple[str, ...]]:
        text, names = self.expanded(part)
        if not text.startswith("/"):
            raise self.invalid(f"The container path {part!r} is not absolute.", "Start it with a slash.")
        return "/" + posixpath.normpath(text).lstrip("/"), names

    def mount(
        self, source: str, target: str, names: tuple[str, ...], mode: _Mode, *, kind: str = ""
    ) -> Mount:
        """A bind mount or a named volume; ``kind`` says which where the text alone does not."""
        text, source_names = self.expanded(source)
        names = tuple(dict.fromkeys((*source_names, *names)))
        if kind == "volume" or (kind != "bind" and "/" not in text and text not in (".", "..")):
            return self.volume(text, source, target, names, mode)
        if mode.no_copy:
            raise self.invalid("nocopy is for volumes.", "Leave it out for a folder.")
        declared = self.absolute(text, source)
        resolved = resolve(declared)
        return Mount(
            "bind",
            target,
            resolved,
            mode.read_only,
            declared=declared,
            relabel=mode.relabel,
            propagation=mode.propagation,
            field=self.field,
            names=names,
            identity=identity(resolved),
        )

    def volume(self, text: str, written: str, target: str, names: tuple[str, ...], mode: _Mode) -> Mount:
        # Messages show what was written: what it stands for may be a secret.
        if text.startswith("~"):
            raise self.invalid("~ is not expanded here.", "Write ${HOME}.")
        if not _VOLUME_NAME.fullmatch(text):
            raise self.invalid(
                f"{written!r} is no name for a volume.",
                "Write ./NAME for a folder; a volume's name has two letters, digits, _ . - or more.",
            )
        if mode.propagation or mode.relabel:
            raise self.invalid(
                "A named volume takes no such mode.", "Modes of a volume are ro, rw and nocopy."
            )
        options = ("nocopy",) if mode.no_copy else ()
        return Mount(
            "volume",
            target,
            volume_name(text, self.host),
            mode.read_only,
            declared=text,
            options=options,
            field=self.field,
            names=names,
        )

    def absolute(self, text: str, written: str) -> str:
        if text.startswith("/"):
            return text
        if text in (".", "..") or text.startswith(("./", "../")):
            return (
                os.path.join(self.base_dir, text.removeprefix("./") if text != "." else "").rstrip("/") or "/"
            )
        if text.startswith("~"):
            raise self.invalid("~ is not expanded here.", "Write ${HOME}.")
        raise self.invalid(
            f"{written!r} is neither an absolute path nor a name.",
            "Write ./PATH for a folder beside the manifest.",
        )


def parse_mount_option(csv: str, *, field: str, host: Host, base_dir: Path) -> Mount:
    """Read the value of ``--mount``. Every value is expanded once, after the text has been split.

    :raises Invalid: where it has no meaning; of kind ``refused`` for volume plugins, Windows pipes and
        their like.
    """
    reader = _Reader(csv, field, host, base_dir)
    reader.characters(csv)
    try:
        options = mount_option.pairs(csv)
    except mount_option.OptionSyntaxError as error:
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
    if last.get("consistency", "default") not in {"default", *_CONSISTENCY}:
        raise reader.invalid("This consistency is unknown.", "Leave it out.")
    if "target" not in last:
        raise reader.invalid("It has no target.", "Add dst=CONTAINER.")
    target, names = reader.target(last["target"])
    mode = _Mode(reader, "")
    mode.read_only = _truth(reader, last, "readonly")
    mode.no_copy = _truth(reader, last, "volume-nocopy")
    mode.propagation = last.get("bind-propagation", "")
    if mode.propagation and mode.propagation not in _PROPAGATION:
        raise reader.invalid("This propagation is unknown.", "Leave it out.")
    if kind == "tmpfs":
        return _tmpfs(reader, last, target, names, mode)
    source = last.get("source", "")
    if not source:
        if kind == "bind":
            raise reader.invalid("It has no source.", "Add src=HOST.")
        return Mount("volume", target, read_only=mode.read_only, field=field, names=names)
    return reader.mount(source, target, names, mode, kind=kind)


_FOREIGN_TYPES = {
    "npipe": ("mount-pipe", "A Windows pipe leads to an engine or another service of the host."),
    "cluster": ("mount-type", "A cluster volume belongs to a swarm."),
    "image": ("mount-type", "Another image is not mounted: it would be pulled unseen."),
}


def _refuse_foreign(reader: _Reader, last: dict[str, str]) -> None:
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


def _truth(reader: _Reader, last: dict[str, str], name: str) -> bool:
    value = parse_bool(last.get(name, "false"))
    if value is None:
        raise reader.invalid(f"{name} is neither true nor false.", f"Write {name} alone, or {name}=true.")
    return value


def _tmpfs(reader: _Reader, last: dict[str, str], target: str, names: tuple[str, ...], mode: _Mode) -> Mount:
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
    return Mount(
        "tmpfs",
        target,
        read_only=mode.read_only,
        size=bytes_,
        options=options,
        field=reader.field,
        names=names,
    )


def volume_name(name: str, host: Host) -> str:
    """The engine's name of a named volume: one project never sees another's volume of the same name."""
    project = hashlib.sha256(os.fsencode(host.directory)).hexdigest()[:12]
    return f"{VOLUME_PREFIX}{project}-{name}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""
