"""Numbers as people write them for Docker: sizes, CPUs, integers."""

from __future__ import annotations

import re
from decimal import Decimal

from ..manifest import values

_NOTHING = re.compile(r"[+-]?0+(\.0*)?\s*(?:[bkmgtp]|[kmgtp]i?b)?", re.IGNORECASE)
_LONG_UNIT = re.compile(r"(?<=[0-9])([kmg])i?b\Z", re.IGNORECASE | re.ASCII)
_GO_INT = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")


def size(text: str) -> int | None:
    """Bytes of ``512m``, ``2gb``, ``1024``; 0 for any spelling of nothing; ``None`` for what is no size."""
    if is_nothing(text):
        return 0
    try:
        return values.memory_bytes(short_unit(text))
    except ValueError:
        return None


def short_unit(text: str) -> str:
    """``2gb`` and ``2GiB``, which Docker's options take too, as ``2g``; any other text as it is."""
    return _LONG_UNIT.sub(r"\1", text)


def is_nothing(text: str) -> bool:
    """Whether ``text`` is a spelling of zero, which Docker takes for "no limit"."""
    return _NOTHING.fullmatch(text) is not None


def nano_cpus(text: str) -> int:
    """10⁻⁹ CPUs of a text without ``values.cpus_fault``."""
    return int(Decimal(text) * 1_000_000_000)


def integer(text: str) -> int | None:
    """Go's ``strconv.ParseInt(text, 0, 64)``, as pflag uses it, without ``_``: ``0x10`` and ``010`` count."""
    match = _GO_INT.fullmatch(text)
    if match is None or len(text) > 80:
        return None
    digits = match[2].lower()
    if digits.startswith(("0x", "0b", "0o")):
        number = int(digits, 0)
    else:
        number = int(digits, 8 if digits.startswith("0") else 10)
    number = -number if match[1] == "-" else number
    return number if -(1 << 63) <= number < 1 << 63 else None


def human(count: int) -> str:
    """Bytes as people read them: ``512 MiB``, ``1.5 GiB``."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.4g} {unit}"
    return f"{count} bytes"
