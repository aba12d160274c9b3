"""``KEY=value`` of `environment` and of ``-e``: one grammar, one expansion."""

from __future__ import annotations

import re

from ..findings import Violation
from ..host import Host
from ..manifest import values
from ..manifest.expand import ExpandError, expand
from ..spec import EnvVar

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CODE = "environment-invalid"


def parse(item: str, *, field: str, host: Host) -> EnvVar | Violation:
    """Read one item; a violation of kind ``invalid``, which shows the name only, where it has no meaning."""
    key, equals, raw = item.partition("=")
    shown = f"{key}=…" if equals else item
    fault = values.environment_fault(item)
    if fault is not None:
        return _invalid(field, shown, fault)
    if _KEY.fullmatch(key) is None:
        reason = "The name is not made of letters, digits and _."
        return _invalid(field, shown, values.Fault(_CODE, reason, 'Write "NAME=value".'))
    try:
        expansion = expand(raw, host.variables)
    except ExpandError as error:
        return _invalid(field, shown, values.Fault("variable", sentence(error.message), sentence(error.hint)))
    word = f"{key}={expansion.text}"
    fault = values.environment_fault(word) or values.argument_fault(word) or unreadable(word)
    if fault is not None:
        return _invalid(field, shown, fault)
    return EnvVar(key, expansion.text, expansion.names, field)


def unreadable(word: str) -> values.Fault | None:
    """The fault of bytes that are not UTF-8 (an old file name): the engine's interface is JSON."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return values.Fault(
            "not-utf-8",
            "It holds bytes that are not UTF-8, which the engine cannot be told.",
            "Rename the file.",
        )
    return None


def sentence(text: str) -> str:
    """Words of an error as a sentence."""
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _invalid(field: str, value: str, fault: values.Fault) -> Violation:
    return Violation(fault.code, field, value, fault.reason, fault.fix, kind="invalid")
