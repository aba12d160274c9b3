"""Ownership: which containers this person's processes have made, proven by a signature among their labels.

Labels alone prove nothing. A container inherits those of its image, so an image can carry any label of ours, ``docker
commit`` copies them from a container of ours into an image, and another user of the same engine can write them. The
label ``skill-magic.signature`` is an HMAC of the container's name, its image's id and the labels that decide what
becomes of it, with a key that only this person's processes can read. What is not signed is neither listed nor stopped
nor removed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .watchdog import is_signed

__all__ = ["KEY_FILE", "own_name", "person_key", "signed_name"]

KEY_FILE = "container-key"
"""The file of the key in the person's data directory."""

_LENGTH = 32
_process_key = secrets.token_bytes(_LENGTH)
"""Where no key can be kept: the watchdog and this process can still clean up, a later process cannot."""


def person_key(data_dir: Path) -> bytes:
    """The key of this person, made at its first use.

    A file that somebody else owns, or could have read, is not relied on: this process then has a key of its own.
    """
    path = data_dir / KEY_FILE
    for _ in range(2):
        with contextlib.suppress(OSError):
            return _read(path) or _process_key
        with contextlib.suppress(OSError):
            _make(path)
    return _process_key


def _read(path: Path) -> bytes | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        private = (
            stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
        )
        key = file.read(_LENGTH + 1) if private else b""
    return key if len(key) == _LENGTH else None


def _make(path: Path) -> None:
    """Write a new key; one that another process has written meanwhile stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{KEY_FILE}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_LENGTH))
        os.link(draft, path)  # fails where there is one, and a reader never meets half a key
    finally:
        draft.unlink()


def signed_name(key: bytes, names: Iterable[str], labels: Mapping[str, str], image: str) -> str:
    """That of a container's ``names`` for which its labels are signed; empty where it is not ours.

    :param image: the id of its image.
    """
    return next((name for name in names if is_signed(key, name, labels, image)), "")


def own_name(key: bytes, entry: Mapping[str, Any]) -> str:
    """The name of a container in the engine's list; empty where it is not ours."""
    names = [str(name).removeprefix("/") for name in entry.get("Names") or ()]
    return signed_name(key, names, entry.get("Labels") or {}, str(entry.get("ImageID") or ""))
