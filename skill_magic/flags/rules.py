"""The verdict on an option that no field of the spec can hold: its code, why, and what grant lifts it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from ..findings import Violation, offer
from ..spec import RunSpec, Wish
from .table import OPTIONS

#: Capabilities a person may grant beyond those that need no grant.
GRANTABLE_CAPABILITIES = frozenset(("SYS_CHROOT", "NET_RAW", "SYS_NICE"))

#: Resource limits whose raising a person may grant; the real-time ones and core dumps nobody may.
GRANTABLE_ULIMITS = frozenset(("memlock", "msgqueue", "sigpending", "locks"))

_GRANTABLE_DEVICES = re.compile(
    r"/dev/(dri/renderD[0-9]+|nvidia[0-9]+|nvidiactl|nvidia-uvm|nvidia-uvm-tools|nvidia-modeset)"
)
_CDI_DEVICE = re.compile(r"[a-z0-9][a-z0-9-]*\.[a-z0-9.-]*[a-z0-9]/[A-Za-z0-9_-]+=[A-Za-z0-9._:-]+")
_GRANTABLE_SYSCTLS = re.compile(r"kernel\.(msg|shm)[a-z_]+|kernel\.sem|fs\.mqueue\.[a-z_]+")


def _device(value: str) -> bool:
    path = value.split(":", 1)[0]
    if _CDI_DEVICE.fullmatch(value):
        return True
    # Only the plain path: with `..` or a doubled slash in it, what is named is not what is meant.
    return posixpath.normpath(path) == path and _GRANTABLE_DEVICES.fullmatch(path) is not None


def _always(_value: str) -> bool:
    return True


_MAY_BE_GRANTED: dict[str, Callable[[str], bool]] = {
    "add-host": _always,
    "cap-add": GRANTABLE_CAPABILITIES.__contains__,
    "cpu-quota": _always,
    "device": _device,
    "dns": _always,
    "memory-swap": _always,
    "sysctl": lambda value: _GRANTABLE_SYSCTLS.fullmatch(value.partition("=")[0]) is not None,
    "ulimit": lambda value: value.partition("=")[0] in GRANTABLE_ULIMITS,
}


def judge(wish: Wish, spec: RunSpec | None = None) -> Violation:
    """Why ``wish`` is refused, with the name of the grant that would lift it (``None`` where none can).

    :param spec: the run it belongs to; only the skill's name in the way out is taken from it.
    """
    option = OPTIONS.get(wish.option)
    if option is None or option.kind in ("ok", "error") or not option.code:
        # Nothing should have made such a wish; what nobody thought of is refused.
        return Violation(
            "option-refused",
            wish.field,
            wish.value,
            f"--{wish.option} is not taken from a manifest.",
            "Leave it out.",
        )
    said = f"--{option.name}" if option.boolean else f"--{option.name} {wish.value}"
    reason = f"{said} {option.reason}"
    grant = grant_name(wish) if _grantable(wish) else None
    name = spec.skill if spec is not None else "NAME"
    nothing = option.fix or "Leave it out; nothing can allow it."
    fix = offer("Leave it out, or", name) if grant is not None else nothing
    return Violation(option.code, wish.field, said, reason, fix, grant)


def grant_name(wish: Wish) -> str:
    """The grant that would lift a wish: ``device:/dev/dri/renderD128``, ``publish-all``."""
    return wish.option if OPTIONS[wish.option].boolean else f"{wish.option}:{wish.value}"


def _grantable(wish: Wish) -> bool:
    rule = _MAY_BE_GRANTED.get(wish.option)
    if rule is not None:
        return rule(wish.value)
    return OPTIONS[wish.option].kind == "grant"
