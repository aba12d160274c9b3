"""Devices and groups of `extra_args`: all need a grant, once their grammar is right."""

from __future__ import annotations

import re

from ..plan.quantities import integer, size
from .parse import Flag
from .values import Reader, Wanted

_GROUP = re.compile(r"[0-9]{1,10}|[A-Za-z_][A-Za-z0-9_.-]*")
_DEVICE = re.compile(r"/[^:]*(:/[^:]*)?(:(?=[rwm]{1,3}\Z)(?!.*(.).*\3)[rwm]{1,3})?")
_CDI = re.compile(r"[^/:=]+/[^/:=]+=[^/]+")


def _device(wanted: Wanted, flag: Flag) -> None:
    if not flag.value.isprintable() or not (_DEVICE.fullmatch(flag.value) or _CDI.fullmatch(flag.value)):
        wanted.invalid(flag, "It is not a device.", "Write it as in /dev/dri/renderD128.")
    else:
        wanted.wish(flag)


def _group(wanted: Wanted, flag: Flag) -> None:
    if _GROUP.fullmatch(flag.value) is None:
        wanted.invalid(flag, "It is not a group.", "Write a number or a name.")
    else:
        wanted.wish(flag)


def _throttle(kind: str) -> Reader:
    """``DEVICE:AMOUNT``; ``kind`` is what the amount counts: bytes, operations or a weight."""

    def read(wanted: Wanted, flag: Flag) -> None:
        path, _, text = flag.value.rpartition(":")
        amount = size(text) if kind == "bytes" else integer(text)
        right = amount is not None and (10 <= amount <= 1000 if kind == "weight" else amount > 0)
        if not path.startswith("/dev/") or not path.isprintable() or not right:
            wanted.invalid(flag, "It is not DEVICE:AMOUNT.", "Write it as in /dev/sda:1m.")
        else:
            wanted.wish(flag)

    return read


READERS: dict[str, Reader] = {
    "blkio-weight-device": _throttle("weight"),
    "device": _device,
    "device-read-bps": _throttle("bytes"),
    "device-read-iops": _throttle("operations"),
    "device-write-bps": _throttle("bytes"),
    "device-write-iops": _throttle("operations"),
    "group-add": _group,
}
