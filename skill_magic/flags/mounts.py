"""``-v``, ``--mount`` and ``--tmpfs`` of `extra_args` → Mount."""

from __future__ import annotations

import posixpath
import re
from collections import Counter

from ..mounts import mounts
from ..plan.quantities import short_unit, size
from ..spec import Mount
from .parse import Flag
from .values import Reader, Wanted

_WORDS = {
    "ro": "access",
    "rw": "access",
    "exec": "exec",
    "noexec": "exec",
    "nosuid": "suid",
    "nodev": "dev",
    "noatime": "atime",
}
"""Options of tmpfs without a value → what they are about."""

_NUMBERS = {
    "mode": re.compile(r"[0-7]{3,5}"),
    "uid": re.compile(r"[0-9]{1,10}"),
    "gid": re.compile(r"[0-9]{1,10}"),
}
_SCRATCH = "Write it as in /scratch:size=64m."


def _volume(wanted: Wanted, flag: Flag) -> None:
    try:
        made = mounts.parse_volume(flag.value, field=flag.field, host=wanted.host, base_dir=wanted.base_dir)
    except mounts.Invalid as invalid:
        wanted.faults.append(invalid.violation)
    else:
        wanted.mounts.append(made)


def _mount(wanted: Wanted, flag: Flag) -> None:
    try:
        made = mounts.parse_mount_option(
            flag.value, field=flag.field, host=wanted.host, base_dir=wanted.base_dir
        )
    except mounts.Invalid as invalid:
        wanted.faults.append(invalid.violation)
    else:
        wanted.mounts.append(made)


def _tmpfs(wanted: Wanted, flag: Flag) -> None:
    """``PATH[:OPTION,…]``. What is dangerous is looked for first, so that no slip beside it hides it."""
    path, colon, text = flag.value.partition(":")
    words = text.split(",") if text else []
    if any(_dangerous(word) for word in words):
        wanted.wish(flag)
    elif not path.startswith("/") or not path.isprintable() or "\\" in path:
        wanted.invalid(flag, "It has no absolute container path.", _SCRATCH)
    elif colon and not all(words or [""]):
        wanted.invalid(flag, "It has an empty option.", _SCRATCH)
    elif max(Counter(map(_about, words)).values(), default=1) > 1:
        wanted.invalid(flag, "It says two things about the same.", "Keep one of them.", "option-repeated")
    elif unread := [word for word in words if not _readable(word)]:
        wanted.invalid(flag, f"It has the option {unread[0]!r}.", _SCRATCH)
    else:
        sizes = [_kernel_size(word.removeprefix("size=")) for word in words if word.startswith("size=")]
        wanted.mounts.append(
            Mount(
                "tmpfs",
                "/" + posixpath.normpath(path).lstrip("/"),
                read_only="ro" in words,
                size=sizes[0] if sizes else None,
                options=tuple(word for word in words if not word.startswith("size=")),
                field=flag.field,
            )
        )


def _about(word: str) -> str:
    return _WORDS.get(word, word.partition("=")[0])


def _dangerous(word: str) -> bool:
    """``suid``, ``dev`` and what nobody thought of; no limit, or one in per cent of the machine's memory."""
    name, equals, value = word.partition("=")
    if name == "size":
        return size(value) == 0 or value.endswith("%")
    if name == "mode" and _NUMBERS["mode"].fullmatch(value):
        return int(value, 8) & 0o6000 != 0  # set-uid and set-gid
    return bool(word) and (name not in _NUMBERS if equals else name not in _WORDS and name not in _NUMBERS)


def _readable(word: str) -> bool:
    name, equals, value = word.partition("=")
    if not equals:
        return name in _WORDS
    return bool(_kernel_size(value)) if name == "size" else _NUMBERS[name].fullmatch(value) is not None


def _kernel_size(text: str) -> int | None:
    """A size as tmpfs(5) takes it: Docker hands the text on, and for the kernel ``64mb`` is none."""
    return size(text) if short_unit(text) == text else None


READERS: dict[str, Reader] = {"mount": _mount, "tmpfs": _tmpfs, "volume": _volume}
