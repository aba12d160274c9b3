"""What counts as a secret, and how it is kept out of everything that people and files get to see."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..findings import Violation
    from ..host import Host
    from ..spec import EnvVar, Mount, RunSpec

MASK = "***"

# Words of a variable's name that speak of a credential. The short ones count as whole words (KEYBOARD is no
# KEY, AUTHOR no AUTH) or at the end, where names run together (OPENAIKEY); the unmistakable ones anywhere.
_ANYWHERE = re.compile(
    r"PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|APIKEY|ACCESSKEY|PRIVATEKEY|COOKIE", re.IGNORECASE
)
_WORD = re.compile(
    r"(?:^|_)(?:KEY|KEYS|PASS|PWD|PW|CRED|CREDS|AUTH|SESSION|SID|DSN|JWT|PAT|PIN|OTP|BEARER|SIGNATURE|SAS)(?:$|_|\d)"
    r"|(?:PASS|PWD|KEY)$",
    re.IGNORECASE,
)
_STANDARD = frozenset(
    ("HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "PWD", "UID", "GID", "TMPDIR", "SHELL", "TERM")
)
# Those of locale(7), and no other: people carry secrets over ssh as LC_WHATEVER, which servers let through.
_LOCALE = frozenset(
    ("LC_ALL", "LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES",
     "LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME")
)  # fmt: skip
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,31}://)[^/@\s]+@")


def standard_name(name: str) -> bool:
    """Whether every program is told this variable anyway (``HOME``, ``LANG``, ``LC_TIME``, …)."""
    return name in _STANDARD or name in _LOCALE


def secret_name(name: str) -> bool:
    """Whether a variable's name speaks of a credential (``PGPASSWORD``, ``MY_API_KEY``, ``SENTRY_DSN``)."""
    return not standard_name(name) and bool(_ANYWHERE.search(name) or _WORD.search(name))


def env_value(variable: EnvVar) -> str:
    """The value of a container's variable as it may be shown.

    Hidden whole where the name or a host variable it was made from speaks of a secret or is not one that
    every program is told anyway; else only the user information of URLs in it.
    """
    if variable.ours:
        return variable.value
    if secret_name(variable.name) or any(not standard_name(name) for name in variable.names):
        return MASK if variable.value else ""
    return _USERINFO.sub(rf"\g<scheme>{MASK}@", variable.value)


def mount(each: Mount) -> Mount:
    """A mount as it may be shown.

    Nothing of it where a host variable that speaks of a secret is a part of it. Of the others the target and
    a volume's name are hidden, and a host path only where it does not exist: a value that is an existing
    path is no secret, and a person must see what they are asked for.
    """
    foreign = [name for name in each.names if not standard_name(name)]
    if not foreign:
        return each
    secret = any(secret_name(name) for name in foreign)
    if secret or not (each.kind == "mask" or (each.kind == "bind" and each.identity is not None)):
        each = replace(each, source=each.source and MASK, declared=each.declared and MASK)
    of_target = each.names if each.target_names is None else each.target_names
    if secret or any(not standard_name(name) for name in of_target):
        each = replace(each, target=f"/{MASK}")
    return each


def working_dir(spec: RunSpec) -> str | None:
    """The working directory as it may be shown: without ``working_dir`` it is where a manifest mounts the
    notebook's directory, and so made of the same variables."""
    for each in spec.mounts:
        if each.target == spec.working_dir:
            return mount(each).target
    return spec.working_dir


def secrets(names: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of those of ``names`` that are secret, longest first; values under four characters would
    hide noise."""
    values = {environment.get(name, "") for name in names if secret_name(name)}
    return _longest_first(value for value in values if len(value) >= 4)


def hide_values(text: str, values: Iterable[str]) -> str:
    """``text`` without the given values."""
    for value in values:
        text = text.replace(value, MASK)
    return text


def hide(text: str, values: Iterable[str]) -> str:
    """``text`` without the given values and without the user information of URLs."""
    text = hide_values(text, values)
    return _USERINFO.sub(rf"\g<scheme>{MASK}@", text)


def violation(each: Violation, values: Iterable[str]) -> Violation:
    """A finding without the given values. The grant's name stays: it is made without them."""
    values = tuple(values)
    return replace(
        each,
        value=hide(each.value, values),
        reason=hide(each.reason, values),
        fix=hide(each.fix, values),
    )


def spec_secrets(spec: RunSpec, host: Host) -> tuple[str, ...]:
    """Every secret value that ``spec`` holds: of host variables it was made from, and of secret-looking
    variables."""
    names = {name for mount in spec.mounts for name in mount.names}
    names.update(name for variable in spec.environment for name in variable.names)
    found = set(secrets(names, host.environment))
    found.update(
        variable.value
        for variable in spec.environment
        if not variable.ours and secret_name(variable.name) and len(variable.value) >= 4
    )
    return _longest_first(found)


def concealed(spec: RunSpec, host: Host) -> tuple[str, ...]:
    """Every value of ``spec`` that is not shown, in each form that the engine's words may have it in.

    More than :func:`spec_secrets`: a host variable may hold a secret under any name, and an engine quotes
    paths as a whole, cleaned, or one step of them.
    """
    found = set(spec_secrets(spec, host))
    for variable in spec.environment:
        if env_value(variable) == MASK:
            found.add(variable.value)
            found.update(_foreign(variable.names, host))
    for each in spec.mounts:
        shown = mount(each)
        for real, seen in (
            (each.source, shown.source),
            (each.declared, shown.declared),
            (each.target, shown.target),
        ):
            if real and real != seen:
                found.add(real)
                found.update(_foreign(each.names, host))
    return _longest_first(form for value in found for form in _forms(value) if len(form) >= 4)


def _foreign(names: Iterable[str], host: Host) -> Iterator[str]:
    return (host.environment.get(name, "") for name in names if not standard_name(name))


_LINE = 8
"""Characters from which on one line of a value over several lines is concealed by itself: an engine may quote a line
of a key, and a shorter one is as likely a word of the engine's own."""


def _forms(value: str) -> Iterator[str]:
    rows = [row for row in (part.strip() for part in value.splitlines()) if len(row) >= _LINE]
    for text in (value, posixpath.normpath(value) if value else "", *value.split("/"), *rows):
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]


def _longest_first(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values), key=lambda value: (-len(value), value)))
