"""What counts as a secret, and how it is kept out of everything that people and files get to see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,31}://)[^/@\s]+@")


def standard_name(name: str) -> bool:
    """Whether every program is told this variable anyway (``HOME``, ``LANG``, ``LC_*``, …)."""
    return name in _STANDARD or name.startswith("LC_")


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
    """A mount as it may be shown: no path that a secret is a part of."""
    if not any(secret_name(name) for name in each.names):
        return each
    return replace(each, source=MASK, declared=MASK, target=f"/{MASK}")


def secrets(names: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of those of ``names`` that are secret, longest first; values under four characters would
    hide noise."""
    values = {environment.get(name, "") for name in names if secret_name(name)}
    return tuple(sorted((value for value in values if len(value) >= 4), key=len, reverse=True))


def every(names: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Like :func:`secrets`, short values too: for a text that is known to be made from them."""
    values = {environment.get(name, "") for name in names if secret_name(name)} - {""}
    return tuple(sorted(values, key=len, reverse=True))


def hide(text: str, values: Iterable[str]) -> str:
    """``text`` without the given values and without the user information of URLs."""
    for value in values:
        text = text.replace(value, MASK)
    return _USERINFO.sub(rf"\g<scheme>{MASK}@", text)


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
    return tuple(sorted(found, key=len, reverse=True))
