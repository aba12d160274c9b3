"""``${VAR}``, ``${VAR:-default}``, ``${VAR:?message}`` and ``$$`` in a manifest's volumes and environment.

The rules are the shell's, cut down to these four forms; every other use of ``$`` or of a backtick is an
error, so that nobody takes a literal ``$HOME`` or ``$(id)`` for something that is expanded. A variable's
value is data: it is never read again. Split a string into its parts first (:func:`split`), then expand each
part once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = re.compile(r"[$`]")
_DEEPEST = 8  # ${A:-${B:-…}}; more than a person writes, and far from Python's recursion limit
_FORMS = "write ${NAME}, ${NAME:-default}, ${NAME:?message}, or $$ for a dollar sign"


@dataclass(frozen=True)
class Expansion:
    """An expanded text; ``names`` are the variables whose values went into it, each once, in order."""

    text: str
    names: tuple[str, ...] = ()


class ExpandError(ValueError):
    """A text that cannot be expanded.

    :param message: what is wrong, one sentence without the text itself.
    :param hint: the way out.
    :param name: the variable it is about, an empty string where there is none.
    """

    def __init__(self, message: str, hint: str, name: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.name = name


def expand(text: str, environment: Mapping[str, str]) -> Expansion:
    """Fill in the variables.

    :param environment: the host's variables; ``PWD`` in it is the notebook's directory.
    :raises ExpandError: for an unset variable without a default, and for every form that is not one of the
        four.
    """
    names: dict[str, None] = {}
    expanded = _expand(text, environment, names, depth=0)
    return Expansion(expanded, tuple(names))


def split(text: str, sep: str = ":") -> list[str]:
    """Split at ``sep`` wherever it is outside ``${…}``: ``${DATA:-/data}:/data:ro`` has three parts.

    An unterminated ``${`` takes the rest of the text along; :func:`manifest.expand` then reports it.
    """
    parts, start, position = [], 0, 0
    while position < len(text):
        if text.startswith("$$", position):
            position += 2
        elif text.startswith("${", position):
            end = _closing(text, position)
            position = end + 1 if end >= 0 else len(text)
        elif text[position] == sep:
            parts.append(text[start:position])
            position += 1
            start = position
        else:
            position += 1
    return [*parts, text[start:]]


def _closing(text: str, start: int) -> int:
    """The index of the brace that closes the ``${`` at ``start``, -1 where there is none."""
    depth, position = 0, start
    while position < len(text):
        if text.startswith("$$", position):
            position += 2
            continue
        if text.startswith("${", position):
            depth += 1
            position += 2
            continue
        if text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return -1


def _expand(text: str, environment: Mapping[str, str], names: dict[str, None], depth: int) -> str:
    if depth > _DEEPEST:
        raise ExpandError("the defaults are nested too deeply", "set the variable instead")
    pieces, position = [], 0
    while position < len(text):
        char = text[position]
        if char == "`":
            raise ExpandError("a backtick is not expanded: nothing is run here", "write the value itself")
        if char != "$":
            found = _SPECIAL.search(text, position)
            end = found.start() if found else len(text)
            pieces.append(text[position:end])
            position = end
        elif text.startswith("$$", position):
            pieces.append("$")
            position += 2
        elif text.startswith("${", position):
            end = _closing(text, position)
            if end < 0:
                raise ExpandError("${ has no closing brace", _FORMS)
            pieces.append(_value(text[position + 2 : end], environment, names, depth))
            position = end + 1
        else:
            raise _bare_dollar(text, position)
    return "".join(pieces)


def _bare_dollar(text: str, position: int) -> ExpandError:
    rest = text[position + 1 :]
    if rest.startswith("("):
        return ExpandError("$(…) is not expanded: nothing is run here", "write the value itself")
    name = _NAME.match(rest)
    if name:
        return ExpandError(
            f"${name[0]} has no braces", f"write ${{{name[0]}}}, or $$ for a dollar sign", name[0]
        )
    return ExpandError("a lone $ has no meaning", _FORMS)


class _UnsetError(ExpandError):
    """An unset variable; inside a default, a fault only where that default is used."""


def _value(inside: str, environment: Mapping[str, str], names: dict[str, None], depth: int) -> str:
    """The value of what stands between the braces."""
    shown = "${" + (inside if len(inside) <= 60 else inside[:60] + "…") + "}"
    found = _NAME.match(inside)
    if not found:
        raise ExpandError(f"{shown} names no variable", _FORMS)
    name, rest = found[0], inside[found.end() :]
    form, operand = rest[:2], rest[2:]
    if rest and form not in (":-", ":?"):
        raise ExpandError(f"{shown} is not one of the forms that are expanded", _FORMS, name)
    # A default is read even where it is not used, so that a fault in it does not wait for an unset variable.
    default_names: dict[str, None] = {}
    default: str | _UnsetError = ""
    if form == ":-":
        try:
            default = _expand(operand, environment, default_names, depth + 1)
        except _UnsetError as error:
            default = error
    value = environment.get(name)
    if value is not None and (value or not rest):
        names[name] = None
        return value
    if form == ":?":
        # The manifest's own message often says what to do.
        told = name in operand and "set" in operand.lower()
        hint = "then try again" if told else f"set {name} and try again"
        raise _UnsetError(operand or f"the variable {name} is not set", hint, name)
    if form != ":-":
        hint = f"set {name}, or give a default: ${{{name}:-default}}"
        raise _UnsetError(f"the variable {name} is not set", hint, name)
    if isinstance(default, _UnsetError):
        raise default
    names.update(default_names)
    return default
