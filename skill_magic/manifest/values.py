"""What the values of a manifest and of an option may look like.

Syntax only: each function says whether a text has a meaning at all, from the text alone. Whether that meaning
is allowed, and whether this machine has as much, is for other rooms. Everything is matched whole and in
ASCII, because ``$`` would let a newline through and ``\\d`` other scripts' digits.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple


class Fault(NamedTuple):
    """Why a value has no meaning: a stable code, one sentence, and one sentence with the way out."""

    code: str
    reason: str
    fix: str


LONGEST_ARGUMENT = 131_072
"""Bytes of one argument with its closing NUL: MAX_ARG_STRLEN of Linux (32 pages of 4 KiB)."""

_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_VARIABLE = "Take it out, or put the value in a file of the notebook's directory and name that file."
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def line_fault(text: str) -> Fault | None:
    """For values of one line: no control character at all."""
    return _control_fault(_CONTROL.search(text))


def _control_fault(found: re.Match[str] | None) -> Fault | None:
    if not found:
        return None
    named = {"\0": "a NUL", "\n": "a line break", "\r": "a carriage return", "\t": "a tab"}
    what = named.get(found[0], f"the control character \\x{ord(found[0]):02x}")
    return Fault("control-character", f"It holds {what} at position {found.start() + 1}.", "Take it out.")


def text_fault(text: str) -> Fault | None:
    """For values that may go over lines (an argument, a description): anything but NUL."""
    return _control_fault(re.search("\0", text))


def argument_fault(text: str) -> Fault | None:
    """For an element of argv: no NUL, and no longer than the kernel takes."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size >= LONGEST_ARGUMENT:
        return Fault(
            "argument-too-long",
            f"It is {size:,} bytes long; Linux takes {LONGEST_ARGUMENT - 1:,} at most in one argument.",
            "Put the text in a file of the notebook's directory, or on the tool's standard input.",
        )
    return text_fault(text)


def cell_fault(text: str) -> Fault | None:
    """What the body of a cell is."""
    if text in ("stdin", "args"):
        return None
    return Fault("cell-invalid", "It must be stdin or args.", 'Write cell = "stdin" or cell = "args".')


# --- image: the grammar of github.com/distribution/reference ------------------------------------------------

_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?"
_IMAGE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PATH}(?:/{_PATH})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[^@]*))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def image_fault(text: str) -> Fault | None:
    """An image reference: ``python:3.12-slim``, ``ghcr.io/astral-sh/uv:0.5.1``, ``debian@sha256:…``."""
    code, fix = "image-invalid", "Write [REGISTRY/]NAME[:TAG], such as python:3.12-slim."
    if not text:
        return Fault(code, "It is empty.", fix)
    if "$" in text:
        return Fault(code, "Variables are not expanded here: a pull would send their values out.", fix)
    if text.startswith("-"):
        return Fault(code, "It looks like an option.", fix)
    if len(text) > 512:
        return Fault(code, "It is too long.", fix)
    found = _IMAGE.fullmatch(text)
    if not found or len(found["name"]) > 255:
        lower = _IMAGE.fullmatch(text.lower())
        reason = "Image names are lower case." if lower else "That is not an image reference."
        return Fault(code, reason, fix)
    first, slash, _ = found["name"].partition("/")
    if slash and first != first.lower() and not set(first) & set(".:"):
        return Fault(code, "Image names are lower case, and a registry has a dot or a port.", fix)
    if found["digest"] is not None and not _DIGEST.fullmatch(found["digest"]):
        return Fault(
            code,
            "Its digest is not sha256 with 64 or sha512 with 128 lower-case hexadecimal digits.",
            "Copy the whole digest, as `docker image inspect` shows it under RepoDigests.",
        )
    return None


def same_image(one: str, other: str) -> bool:
    """Whether two references name the same image: ``python`` and ``docker.io/library/python:latest`` do."""
    return _whole_image(one) == _whole_image(other)


def _whole_image(text: str) -> str:
    text = text.strip().removeprefix("index.docker.io/").removeprefix("docker.io/").removeprefix("library/")
    named = "@" in text or ":" in text.rpartition("/")[2]
    return text if named else f"{text}:latest"


# --- limits -------------------------------------------------------------------------------------------------

_MEMORY = re.compile(r"([1-9][0-9]*)([bkmg]?)", re.IGNORECASE | re.ASCII)
_UNIT = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_LEAST_MEMORY = 6 << 20  # the engine's own minimum
_MOST_MEMORY = 1 << 48  # what 48 address bits reach: above it, it is a slip and not a large machine
_CPUS = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_LEAST_CPUS, _MOST_CPUS = Decimal("0.01"), Decimal(100_000)  # the engine's own minimum; a slip above


def memory_fault(text: str) -> Fault | None:
    """A size: ``512m``, ``2g``; a bare number is bytes. A size that this machine lacks is no fault."""
    fix = "Write a whole number and b, k, m or g, such as 512m or 2g; leave the key out for the default."
    found = _MEMORY.fullmatch(text) if len(text) <= 32 else None
    if not found:
        return Fault("memory-invalid", "That is not a size.", fix)
    size = memory_bytes(text)
    if size < _LEAST_MEMORY:
        return Fault("memory-invalid", "The engine gives no container less than 6m.", fix)
    if size > _MOST_MEMORY:
        return Fault("memory-invalid", "No machine has that much memory.", fix)
    return None


def memory_bytes(text: str) -> int:
    """The size in bytes of a text without :func:`memory_fault`."""
    found = _MEMORY.fullmatch(text)
    if not found:
        raise ValueError(text)
    return int(found[1]) * _UNIT[found[2].lower()]


def cpus_fault(text: str) -> Fault | None:
    """A number of CPUs: ``0.5``, ``2``. More than this machine has is no fault."""
    fix = "Write a number such as 0.5 or 2; leave the key out for no limit."
    if len(text) > 32 or not _CPUS.fullmatch(text):
        return Fault("cpus-invalid", "That is not a number of CPUs.", fix)
    number = Decimal(text)
    if not _LEAST_CPUS <= number <= _MOST_CPUS:
        return Fault("cpus-invalid", "The engine takes 0.01 and more, up to what the machine has.", fix)
    if number != number.quantize(Decimal("1e-9")):
        return Fault("cpus-invalid", "The engine counts in steps of 0.000000001.", fix)
    return None


# --- the rest -----------------------------------------------------------------------------------------------

_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NETWORK_WORDS = {
    "none",
    "bridge",
    "host",
    "default",
    "nat",
    "private",
    "pasta",
    "slirp4netns",
    "container",
    "ns",
}
_USER_PART = r"(?:[0-9]{1,10}|[A-Za-z_][A-Za-z0-9_.-]*\$?)"
_USER = re.compile(rf"{_USER_PART}(?::{_USER_PART})?|:{_USER_PART}")
_UUID = r"(?:GPU|MIG)-[0-9A-Za-z-]{1,64}(?:/[0-9]{1,3}/[0-9]{1,3})?"
_DEVICE = rf"(?:[0-9]{{1,3}}(?::[0-9]{{1,3}})?|{_UUID})"
_GPUS = re.compile(rf"all|[1-9][0-9]{{0,3}}|device={_DEVICE}(?:,{_DEVICE})*|{_DEVICE}(?:,{_DEVICE})+|{_UUID}")
_PLATFORM = re.compile(r"linux/(?:amd64|arm64(?:/v8)?|arm/v[67]|386|ppc64le|s390x|riscv64)")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def network_fault(text: str) -> Fault | None:
    """``none``, ``bridge``, a network's name; ``host`` and ``container:…`` mean something and are refused."""
    fix = 'Write "none" or "bridge".'
    if text.startswith(("container:", "ns:")) and not line_fault(text):
        return None
    if text not in ("none", "bridge", "host") and text.lower().partition(":")[0] in _NETWORK_WORDS:
        return Fault("network-invalid", "That is no network mode of this package.", fix)
    if not _NETWORK.fullmatch(text) or len(text) > 255:
        return Fault("network-invalid", "That is neither a mode nor a network's name.", fix)
    return None


def user_fault(text: str) -> Fault | None:
    """``uid``, ``uid:gid``, a name, or ``image``."""
    fix = 'Write "uid:gid" such as "1000:1000", a name of the image, or "image" for the image\'s own user.'
    if not _USER.fullmatch(text):
        return Fault("user-invalid", "That is neither uid:gid nor a name.", fix)
    if any(part.isdigit() and int(part) >= 2**31 for part in text.split(":")):
        return Fault("user-invalid", "Ids go up to 2147483647.", fix)
    return None


def user_text_fault(text: str) -> Fault | None:
    """The same before variables are filled in, which happens where the run is planned."""
    return line_fault(text) if re.search(r"[$`]", text) else user_fault(text)


def gpus_fault(text: str) -> Fault | None:
    """``all``, a count, or device ids: ``0,1``, ``device=0``, ``GPU-…``."""
    fix = 'Write "all", a count such as "2", or ids such as "device=0" or "0,1".'
    if not _GPUS.fullmatch(text):
        return Fault("gpus-invalid", "That is neither all, nor a count, nor device ids.", fix)
    return None


def platform_fault(text: str) -> Fault | None:
    """One of the platforms that images are published for."""
    fix = "Write linux/ and amd64, arm64, arm64/v8, arm/v7, arm/v6, 386, ppc64le, s390x or riscv64."
    if not _PLATFORM.fullmatch(text):
        return Fault("platform-invalid", "That is not a platform of Linux containers.", fix)
    return None


def working_dir_fault(text: str) -> Fault | None:
    """An absolute path in the container."""
    if not text.startswith("/"):
        return Fault("working-dir-invalid", "It is not an absolute path.", 'Write a path such as "/workdir".')
    return line_fault(text)


def entrypoint_fault(text: str) -> Fault | None:
    """One program, never split at blanks."""
    if not text.strip():
        return Fault(
            "entrypoint-invalid", "It is empty.", "Name a program, or leave the key out for the image's own."
        )
    return line_fault(text) or argument_fault(text)


def volume_fault(text: str) -> Fault | None:
    """Only that it is one line with something on it; what stands there is read where mounts are made."""
    if not text:
        return Fault("volume-invalid", "It is empty.", 'Write "HOST:CONTAINER[:ro]".')
    return line_fault(text)


def environment_fault(text: str) -> Fault | None:
    """``NAME=value``; ``value`` may go over lines, as Docker takes it (a key in PEM form)."""
    fix = 'Write "NAME=value"; ${NAME} stands for the value of a variable of yours.'
    name, equals, value = text.partition("=")
    if not equals:
        return Fault(
            "environment-invalid", "It has no =: Docker would copy the variable from your machine.", fix
        )
    if not _ENVIRONMENT_NAME.fullmatch(name):
        return Fault("environment-invalid", "The name is not made of letters, digits and _.", fix)
    found = _control_fault(_CONTROL_BUT_LINES.search(value))
    return found and found._replace(fix=_NO_VARIABLE)
