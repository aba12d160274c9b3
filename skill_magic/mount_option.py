"""The text of ``--mount``: ``type=bind,src=/data,dst=/x,ro`` → key, value pairs, by Docker's own rules.

The reader does what Go's ``encoding/csv`` does for one record (docker/cli 28.5, opts/mount.go): a field may
be quoted whole, a quote inside is doubled, and a quote anywhere else is an error. Keys and the type are
read without regard to case, and of a key given twice the last counts.
"""

from __future__ import annotations

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}

_BARE = frozenset(("readonly", "volume-nocopy", "bind-nonrecursive"))

OPTIONS = frozenset(
    (
        "type",
        "source",
        "target",
        "readonly",
        "consistency",
        "bind-propagation",
        "bind-nonrecursive",
        "bind-recursive",
        "bind-create-src",
        "volume-subpath",
        "volume-nocopy",
        "volume-label",
        "volume-driver",
        "volume-opt",
        "image-subpath",
        "tmpfs-size",
        "tmpfs-mode",
    )
)
"""Every key of docker/cli 28.5."""


class OptionSyntaxError(ValueError):
    """A text that is no list of keys and values. ``args[0]`` is a sentence about it."""


def fields(text: str) -> list[str]:
    """The fields of one CSV record. Raises OptionSyntaxError where Go's reader would give an error."""
    found: list[str] = []
    position = 0
    while True:
        if text.startswith('"', position):
            value, position = _quoted(text, position + 1)
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            value, position = text[position:end], end
            if '"' in value:
                raise OptionSyntaxError(
                    'A quote stands inside a field; put the whole field into quotes ("src=/a b").'
                )
        found.append(value)
        if position >= len(text):
            return found
        position += 1  # the comma


def _quoted(text: str, position: int) -> tuple[str, int]:
    """A quoted field from after its opening quote; returns it and the position after its closing one."""
    pieces = []
    while True:
        end = text.find('"', position)
        if end < 0:
            raise OptionSyntaxError("A quote is not closed.")
        pieces.append(text[position:end])
        position = end + 1
        if text.startswith('"', position):
            pieces.append('"')
            position += 1
        elif position == len(text) or text[position] == ",":
            return "".join(pieces), position
        else:
            raise OptionSyntaxError("Something follows a closing quote.")


def pairs(text: str) -> dict[str, list[str]]:
    """Key → all its values, in order; aliases resolved. The last one counts for every key but ``volume-opt``.

    :raises OptionSyntaxError: for an unknown key, a key without a value, white space around either.
    """
    found: dict[str, list[str]] = {}
    for field in fields(text):
        key, equals, value = field.partition("=")
        name = key.lower()
        name = _ALIASES.get(name, name)
        if name != name.strip() or value != value.strip():
            raise OptionSyntaxError(f"White space stands around {field!r}.")
        if name not in OPTIONS:
            raise OptionSyntaxError(f"{key!r} is not a key of --mount.")
        if not equals and name not in _BARE:
            raise OptionSyntaxError(f"{key!r} has no value.")
        found.setdefault(name, []).append(value if equals else "true")
    return found
