"""Mounts as manifests write them: ``HOST:CONTAINER[:MODE]`` → Mount.

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
from typing import Any, Literal

from ..findings import Violation
from ..host import Host
from ..manifest.expand import ExpandError, expand, split
from ..policy.paths import identity, resolve
from ..spec import Mount

VOLUME_PREFIX = "skill-magic-"

LONGEST_PATH = 4096
"""Bytes: PATH_MAX of Linux. What is longer would only cost time to look at."""

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
PROPAGATION = frozenset(("shared", "rshared", "slave", "rslave", "private", "rprivate"))
CONSISTENCY = frozenset(("consistent", "cached", "delegated"))


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
    reader = Reader(text, field, host, base_dir)
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
        return reader.made("volume", reader.target(parts[0]), written=parts[0])
    target = reader.target(parts[1])
    mode = Mode(reader, parts[2] if len(parts) == 3 else "")
    return reader.mount(parts[0], target, mode)


_GRAMMAR = "Write HOST:CONTAINER or HOST:CONTAINER:ro."


class Mode:
    """The third part of a volume: at most one word of each sort, as the engine reads it."""

    def __init__(self, reader: Reader, text: str) -> None:
        self.read_only = False
        self.relabel = self.propagation = ""
        self.no_copy = False
        seen: set[str] = set()
        for word in text.split(",") if text else ():
            if word in ("ro", "rw"):
                sort, self.read_only = "access", word == "ro"
            elif word in ("z", "Z"):
                sort, self.relabel = "label", word
            elif word in PROPAGATION:
                sort, self.propagation = "propagation", word
            elif word == "nocopy":
                sort, self.no_copy = "copy", True
            elif word in CONSISTENCY:
                sort = "consistency"
            else:
                raise reader.invalid(f"{word!r} is not a mode of a mount.", "Modes are ro and rw.")
            if sort in seen:
                raise reader.invalid(
                    f"The mode {text!r} says two things about the same.", "Keep one of them."
                )
            seen.add(sort)


class Reader:
    """Reads one text; what is wrong with it becomes :class:`Invalid`.

    It remembers the name of every variable that it expands, and :meth:`made` is the only place where a text
    becomes a mount: no part can lose the names of what it was made from.
    """

    def __init__(self, text: str, field: str, host: Host, base_dir: Path) -> None:
        self.text, self.field, self.host, self.base_dir = text, field, host, base_dir
        self.environment = host.variables
        self._names: dict[str, None] = {}
        self._target_names: dict[str, None] = {}

    def invalid(self, reason: str, fix: str, code: str = "mount-syntax") -> Invalid:
        return Invalid(Violation(code, self.field, self.text, reason, fix, kind="invalid"))

    def refused(self, code: str, reason: str, fix: str) -> Invalid:
        return Invalid(Violation(code, self.field, self.text, reason, fix))

    def characters(self, text: str) -> None:
        if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
            raise self.invalid("It has a control character in it.", "Remove it.")
        if "\\" in text:
            raise self.invalid("It has a backslash in it.", "Write paths with forward slashes.")

    def expanded(self, part: str, also: dict[str, None] | None = None) -> str:
        """``part`` with its variables filled in, their names noted (in ``also`` as well)."""
        try:
            expansion = expand(part, self.environment)
        except ExpandError as error:
            raise self.invalid(_sentence(error.message), _sentence(error.hint), "variable") from None
        for noted in (self._names, also):
            if noted is not None:
                noted.update(dict.fromkeys(expansion.names))
        self.characters(expansion.text)
        if len(os.fsencode(expansion.text)) >= LONGEST_PATH:
            raise self.invalid(f"A part of it is longer than {LONGEST_PATH} bytes.", "Shorten it.")
        if not expansion.text:
            raise self.invalid(
                f"{part} is empty.", "Set the variable, or give it a default with ${NAME:-default}."
            )
        return expansion.text

    def target(self, part: str) -> str:
        text = self.expanded(part, self._target_names)
        if not text.startswith("/"):
            raise self.invalid(f"The container path {part!r} is not absolute.", "Start it with a slash.")
        return "/" + posixpath.normpath(text).lstrip("/")

    def made(
        self,
        kind: Literal["bind", "volume", "tmpfs"],
        target: str,
        mode: Mode | None = None,
        *,
        written: str = "",
        **more: Any,
    ) -> Mount:
        """The mount, with the names of all that was expanded for it."""
        if mode is not None:
            more = {"read_only": mode.read_only, **more}
        return Mount(
            kind,
            target,
            field=self.field,
            names=tuple(self._names),
            target_names=tuple(self._target_names),
            written=written,
            **more,
        )

    def mount(self, source: str, target: str, mode: Mode, *, kind: str = "") -> Mount:
        """A bind mount or a named volume; ``kind`` says which where the text alone does not."""
        text = self.expanded(source)
        if kind == "volume" or (kind != "bind" and "/" not in text and text not in (".", "..")):
            return self.volume(text, source, target, mode)
        if mode.no_copy:
            raise self.invalid("nocopy is for volumes.", "Leave it out for a folder.")
        declared = self.absolute(text, source)
        resolved = resolve(declared)
        return self.made(
            "bind",
            target,
            mode,
            written=source,
            source=resolved,
            declared=declared,
            relabel=mode.relabel,
            propagation=mode.propagation,
            identity=identity(resolved),
        )

    def volume(self, text: str, written: str, target: str, mode: Mode) -> Mount:
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
        name = volume_name(text, self.host)
        return self.made("volume", target, mode, written=written, source=name, declared=text, options=options)

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


def volume_name(name: str, host: Host) -> str:
    """The engine's name of a named volume: one project never sees another's volume of the same name."""
    project = hashlib.sha256(os.fsencode(host.directory)).hexdigest()[:12]
    return f"{VOLUME_PREFIX}{project}-{name}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""
