"""A manifest's bytes → its TOML document, with the line of every key; bounded, since it may come from anywhere."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from .toml_lines import Path as KeyPath
from .toml_lines import scan

LARGEST = 1 << 20
"""Bytes of a manifest that are read."""

MOST_SKILLS = 256
"""Skills of one file."""

MOST_ITEMS = 1024
"""Items of one list."""

MOST_OF_ALL = 8192
"""Items of all docker tables' lists together: `skill check` looks each of their paths up on the disk."""


class BrokenError(Exception):
    """The file cannot be read as TOML at all."""

    def __init__(self, code: str, reason: str, fix: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.fix, self.line = code, reason, fix, line


def text(file: Path, owner: int | None = None, *, named: bool = True) -> str:
    """The text of a regular file of at most 1 MiB.

    :param owner: where given, nobody but this uid (and root) may be able to write the file or its directory.
    :param named: a person named it, and may name a link; else see :func:`_own_file`.
    :raises BrokenError: where it cannot be had.
    """
    follow = 0
    if not named:
        file, follow = _own_file(file), os.O_NOFOLLOW
    try:
        # Non-blocking: opening a fifo that somebody named skills.toml would wait for a writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | follow)
    except OSError as error:
        raise _unreadable(error) from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise BrokenError("manifest-unreadable", "It is not a regular file.", "Remove it or rename it.")
        if owner is not None:
            _nobody_elses(file, facts, owner)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise _unreadable(error) from None
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise BrokenError(
            "manifest-too-large", "It is larger than 1 MiB.", "A manifest is a few lines per skill."
        )
    try:
        return content.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BrokenError("manifest-encoding", "It is not UTF-8.", "Save it as UTF-8.", line) from None


def _nobody_elses(file: Path, facts: os.stat_result, owner: int) -> None:
    """Nobody but ``owner`` and root may be able to write the file, nor to put another one in its place.

    Whoever may write its directory could move a file there that the owner's own run has left elsewhere. In a directory
    with the sticky bit only owners can, and a group of the owner's own number is theirs alone.

    :raises BrokenError: where somebody else may.
    """
    exposed = [file] if facts.st_uid not in (owner, 0) or facts.st_mode & 0o022 else []
    for folder in dict.fromkeys((file.parent, Path(os.path.realpath(file)).parent)):
        found = os.stat(folder)
        others = (
            0 if found.st_mode & stat.S_ISVTX else stat.S_IWOTH | (stat.S_IWGRP * (found.st_gid != owner))
        )
        if found.st_uid not in (owner, 0) or found.st_mode & others:
            exposed.append(folder)
    if exposed:
        what = "it" if exposed[0] == file else "its directory"
        reason = f"Others can write {what}, and what it says is trusted."
        raise BrokenError("manifest-not-private", reason, f"Own it and run `chmod go-w {exposed[0]}`.")


def _own_file(file: Path) -> Path:
    """``file``, where it is a link what it leads to: a manifest that came with a project stays in its directory.

    A link out of it would have this package read, and quote, a file of the person's: git keeps links. The directory
    itself may be reached by one.

    :raises BrokenError: for a link that leads elsewhere.
    """
    real, folder = Path(os.path.realpath(file)), Path(os.path.realpath(file.parent))
    if real.is_relative_to(folder):
        return real
    reason = "It is a link that leads out of its directory."
    fix = "Put the file itself there, or name the other one with --manifest."
    raise BrokenError("manifest-link", reason, fix)


def _unreadable(error: OSError) -> BrokenError:
    reason = f"It cannot be read: {error.strerror or error}."
    return BrokenError("manifest-unreadable", reason, "Make it readable or remove it.")


def document(text: str, lines: dict[KeyPath, int]) -> dict[str, Any]:
    """The document of a manifest's text.

    :param lines: receives the 1-based line of every key, also where the rest of the text is no TOML.
    :raises BrokenError: where it is no TOML, or more of it than a manifest needs.
    """
    positions = scan(text)
    lines.update(positions.lines)
    if positions.too_deep is not None:
        raise BrokenError(
            "manifest-too-deep", "It is nested too deeply.", "Take the nesting out.", positions.too_deep
        )
    found = _parsed(text)
    _countable(found, lines)
    return found


def _parsed(text: str) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # TOMLDecodeError is a ValueError; int() of endless digits another
        message = str(error)
        place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
        if place:
            reason = f"It is not TOML: {message[: place.start()]}, line {place[1]}, column {place[2]}."
            line: int | None = int(place[1])
        else:
            reason = f"It is not TOML: {message.replace(' (at end of document)', ' at the end of the file')}."
            line = text.count("\n") + 1 if "end of document" in message else None
        # The line itself is not shown: it may be the one with a password in it.
        fix = "Texts stand in quotes." if message.startswith("Invalid value") else "Mend that line."
        raise BrokenError("manifest-toml", reason, fix, line) from None


def _countable(document: dict[str, Any], lines: dict[KeyPath, int]) -> None:
    skills = document.get("skills")
    if isinstance(skills, dict) and len(skills) > MOST_SKILLS:
        line = lines.get(("skills", list(skills)[MOST_SKILLS]))
        reason = f"It describes {len(skills):,} skills; {MOST_SKILLS} are read at most."
        raise BrokenError("manifest-too-many", reason, "Split it over several projects.", line)
    tables = skills.values() if isinstance(skills, dict) else ()
    dockers = [table.get("docker") for table in tables if isinstance(table, dict)]
    lists = [value for docker in dockers if isinstance(docker, dict) for value in docker.values()]
    items = sum(len(value) for value in lists if isinstance(value, list) and len(value) <= MOST_ITEMS)
    if items > MOST_OF_ALL:
        reason = f"Its skills' lists have {items:,} items together; {MOST_OF_ALL:,} are read at most."
        raise BrokenError("manifest-too-many", reason, "Split it over several projects.")
