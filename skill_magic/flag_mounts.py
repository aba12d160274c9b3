"""``-v``, ``--mount`` and ``--tmpfs`` → Mount."""

from __future__ import annotations

import posixpath
import re

from . import mounts
from .flag_values import Wanted
from .flags import Flag
from .quantities import size
from .spec import Mount

_FREE_WORDS = frozenset("ro rw exec noexec nosuid nodev noatime".split())
_OPPOSITES = {"ro": "access", "rw": "access", "exec": "exec", "noexec": "exec"}
_MODE = re.compile(r"0?[0-7]{3,4}")
_ID = re.compile(r"[0-9]{1,10}")


def volume(wanted: Wanted, flag: Flag) -> None:
    """``-v HOST:CONTAINER[:MODE]``."""
    try:
        wanted.mounts.append(
            mounts.parse_volume(flag.value, field=flag.field, host=wanted.host, base_dir=wanted.base_dir)
        )
    except mounts.Invalid as invalid:
        wanted.faults.append(invalid.violation)


def mount(wanted: Wanted, flag: Flag) -> None:
    """``--mount KEY=VALUE,…``."""
    try:
        made = mounts.parse_mount_option(
            flag.value, field=flag.field, host=wanted.host, base_dir=wanted.base_dir
        )
    except mounts.Invalid as invalid:
        wanted.faults.append(invalid.violation)
        return
    wanted.mounts.append(made)


def tmpfs(wanted: Wanted, flag: Flag) -> None:
    """``--tmpfs PATH[:OPTIONS]``."""
    path, colon, text = flag.value.partition(":")
    if not path.startswith("/") or not path.isprintable() or "\\" in path:
        wanted.invalid(flag, "has no absolute container path.", "Write it as in /scratch:size=64m.")
        return
    if colon and not text:
        wanted.invalid(flag, "has no options after the colon.", "Write it as in /scratch:size=64m.")
        return
    bytes_: int | None = None
    options: list[str] = []
    seen: set[str] = set()
    for word in text.split(",") if text else ():
        name, equals, value = word.partition("=")
        sort = _OPPOSITES.get(name, name)
        if sort in seen:
            wanted.invalid(flag, f"says {sort} twice.", "Keep one of them.", "option-repeated")
            return
        seen.add(sort)
        if not equals and word in _FREE_WORDS:
            options.append(word)
        elif name == "size":
            bytes_ = size(value)
            if bytes_ == 0 or value.endswith("%"):
                wanted.wish(flag)  # 0 is "no limit"; a percentage is one of the machine's memory
                return
            if bytes_ is None:
                wanted.invalid(flag, "has a size that cannot be read.", "Write size=64m.")
                return
        elif (name == "mode" and _MODE.fullmatch(value)) or (name in ("uid", "gid") and _ID.fullmatch(value)):
            if name == "mode" and len(value.lstrip("0")) > 3 and value.lstrip("0")[0] not in "1":
                wanted.wish(flag)  # set-uid and set-gid bits on the directory
                return
            options.append(word)
        elif name in ("mode", "uid", "gid"):
            wanted.invalid(flag, f"has a {name} that is no number.", f"Write {name}=1777, say.")
            return
        else:
            wanted.wish(flag)
            return
    target = "/" + posixpath.normpath(path).lstrip("/")
    wanted.mounts.append(
        Mount(
            "tmpfs", target, read_only="ro" in options, size=bytes_, options=tuple(options), field=flag.field
        )
    )
