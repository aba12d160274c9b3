"""Credentials: what the person's Docker configuration has for a registry, read as docker itself reads it.

Sources: docker/cli ``cli/config/configfile/file.go`` and ``cli/config/types/authconfig.go``. An entry that is
faulty is passed over, as docker passes it over; what is the matter is kept, for the case that the pull is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ImageError
from ..text import label
from .failures import explain

__all__ = ["Credentials", "config_file", "credentials"]

SIZE_LIMIT = 8 << 20
"""Bytes of a configuration; more is none of Docker's."""

INDEX = "docker.io"
INDEX_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Credentials:
    """:param header: the value of ``X-Registry-Auth``, empty where there is nothing to send. :param fault: what
    could not be read in the configuration (file, entry), empty where all could."""

    header: str = ""
    fault: str = ""


def config_file() -> Path:
    """The configuration that docker itself would read."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path(os.path.expanduser("~"), ".docker"), "config.json")


def credentials(registry: str) -> Credentials:
    """What is to be sent to ``registry``, as docker-py names it (``docker.io``, ``ghcr.io``).

    :raises ImageError: a credential helper that the configuration names for it does not work.
    """
    path = config_file()
    try:
        config = _read(path)
    except _FaultError as fault:
        return Credentials(fault=f"{label(str(path))} cannot be read: {fault}")
    try:
        entry = _helped(path, config, registry) or _listed(config, registry)
    except _FaultError as fault:
        return Credentials(fault=f"{label(str(path))}: {fault}")
    if not entry:
        return Credentials()
    packed = json.dumps({"serveraddress": registry, **entry}).encode("ascii")
    return Credentials(base64.urlsafe_b64encode(packed).decode("ascii"))


class _FaultError(Exception):
    """Something in the configuration that docker cannot read either; never with a secret in its words."""


def _read(path: Path) -> dict[str, Any]:
    """The configuration; empty where there is none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a read of a pipe would wait for a writer
            raise _FaultError("it is no regular file")
        with open(path, "rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _FaultError(error.strerror or str(error)) from None
    if len(raw) > SIZE_LIMIT:
        raise _FaultError(f"it is larger than {SIZE_LIMIT >> 20} MiB")
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(text) if text.strip() else {}
    except UnicodeDecodeError as error:
        raise _FaultError(f"it is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise _FaultError(
            f"it is not JSON (line {error.lineno}, column {error.colno}: {error.msg})"
        ) from None
    except (RecursionError, ValueError):
        raise _FaultError(
            "it is not JSON that can be read (nested too deeply, or a number too long)"
        ) from None
    return _table(value, "the document")


def _table(value: Any, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _FaultError(f"{what} is {_kind(value)}, not a JSON object")
    return value


def _text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _FaultError(f"{what} is {_kind(value)}, not a text")
    return value


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "something else")


def _helped(path: Path, config: Mapping[str, Any], registry: str) -> dict[str, str]:
    """What the credential helper for ``registry`` gives."""
    import docker.credentials
    import docker.errors

    server = INDEX_KEY if registry == INDEX else registry
    key = f"credHelpers.{label(json.dumps(server))}"
    name = _text(_table(config.get("credHelpers"), "credHelpers").get(server), key)
    if not name:
        key, name = "credsStore", _text(config.get("credsStore"), "credsStore")
    if not name:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # docker-py's words for a helper that is missing; ours follow
            store: Any = docker.credentials.Store(name)
            found = store.get(server)
            user, secret = str(found["Username"]), str(found["Secret"])
    except docker.credentials.CredentialsNotFound:
        return {}
    except (
        docker.credentials.StoreError,
        docker.errors.DockerException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
    ) as error:
        raise ImageError(
            f"the credentials for {registry} cannot be read: {explain(error)}",
            f"the credential helper docker-credential-{label(name)}, which {label(str(path))} names ({key}), does not "
            "work: install it, or take its entry out of that file",
            problem="denied",
        ) from error
    return {"identitytoken": secret} if user == "<token>" else {"username": user, "password": secret}


def _listed(config: Mapping[str, Any], registry: str) -> dict[str, str]:
    """What the file itself has for ``registry``."""
    listed = _table(config.get("auths"), "auths")
    keys = [key for key in listed if key == registry] or [key for key in listed if _host(key) == registry]
    found: dict[str, str] = {}
    for key in keys:
        where = f"auths.{label(json.dumps(key, ensure_ascii=False))}"
        entry = _table(listed[key], where)
        for name in ("username", "password", "identitytoken", "registrytoken"):
            if value := _text(entry.get(name), f"{where}.{name}"):
                found[name] = value
        if packed := _text(entry.get("auth"), f"{where}.auth").strip():
            found["username"], found["password"] = _unpacked(packed, f"{where}.auth")
        if found:
            break
    return found


def _unpacked(packed: str, where: str) -> tuple[str, str]:
    try:
        plain = base64.b64decode("".join(packed.split()).encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise _FaultError(f"{where} is not base64") from None
    user, colon, password = plain.partition(b":")
    if not colon:
        raise _FaultError(f"{where} is not the base64 of USER:PASSWORD")
    return user.decode("utf-8", "replace"), password.strip(b"\0").decode("utf-8", "replace")


def _host(key: str) -> str:
    """The registry that a key of ``auths`` is for; old ones are whole addresses."""
    host = key.removeprefix("http://").removeprefix("https://").partition("/")[0]
    return INDEX if host == f"index.{INDEX}" else host
