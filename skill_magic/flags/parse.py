"""`extra_args` by Docker's own rules: words → options.

The reader does what spf13/pflag does for ``docker run`` (interspersed options off): no abbreviations, case
matters, a boolean takes a value only after ``=``, every other option takes the next word whatever it looks
like, short options may be joined (``-itv/:/host``), and the first word that is no option would be the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ..findings import Violation
from ..manifest.layers import HOLE
from .rules import judge
from .table import OPTIONS, SHORT, Kind, Option

__all__ = ["OPTIONS", "Flag", "Kind", "Option", "Parsed", "judge", "parse", "parse_bool"]

LONGEST_VALUE = 4096
"""Characters of an option's value."""

LONGEST_TEXT = 131_071
"""Characters of a value that is text of the person's own: what Linux takes in one argument."""

_TEXTS = frozenset(("env", "label", "mount"))
_MOST_LETTERS = 64
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


@dataclass(frozen=True)
class Flag:
    """One option as it was given.

    :param option: long name, hidden aliases resolved; :param written: as it was spelt (``-v``, ``--net``).
    :param value: its value; ``"true"`` or ``"false"`` for a boolean.
    :param field: the word it started in (``extra_args[0]``).
    """

    option: str
    value: str
    field: str
    written: str


@dataclass(frozen=True)
class Parsed:
    """What was read, and what could not be: reading goes on after a fault while the words have a meaning."""

    flags: tuple[Flag, ...]
    faults: tuple[Violation, ...]


def parse_bool(text: str) -> bool | None:
    """Go's ``strconv.ParseBool``; ``None`` for anything else."""
    return True if text in _TRUE else False if text in _FALSE else None


def parse(args: Sequence[str]) -> Parsed:
    """Read the words of `extra_args`. Nothing is raised: what is wrong comes back as violations."""
    return _Reader(list(args)).read()


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0
        self.flags: list[Flag] = []
        self.faults: list[Violation] = []

    def read(self) -> Parsed:
        while self.at < len(self.words):
            word = self.words[self.at]
            field = f"extra_args[{self.at}]"
            self.at += 1
            if word == HOLE:
                continue  # reported by the reader of the manifest
            if word == "--" or not word.startswith("-") or word == "-":
                self._stray(word, field)
                break  # for Docker, all that follows belongs to the image
            if word.startswith("--"):
                self._long(word, field)
            else:
                self._short(word, field)
        return Parsed(tuple(self.flags), tuple(self.faults))

    def _long(self, word: str, field: str) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            self._fault("option-syntax", field, word, "It is not an option.", "Write --name or --name=value.")
            return
        option = OPTIONS.get(name)
        if option is None:
            self._unknown(f"--{name}", word, field)
            return
        if equals:
            self._add(option, value, field, f"--{name}")
        elif option.boolean:
            self._add(option, "true", field, f"--{name}")
        else:
            self._next(option, field, f"--{name}")

    def _short(self, word: str, field: str) -> None:
        letters = word[1:]
        while letters:
            letter, rest = letters[0], letters[1:]
            if len(word) - len(letters) > _MOST_LETTERS:
                reason = f"It joins more than {_MOST_LETTERS} options."
                self._fault("option-syntax", field, _cut(word), reason, "Write them one by one.")
                return
            name = SHORT.get(letter)
            if name is None:
                self._unknown(f"-{letter}", word, field)
                return
            option, written = OPTIONS[name], f"-{letter}"
            if len(rest) > 1 and rest[0] == "=":
                self._add(option, rest[1:], field, written)
                return
            if option.boolean:
                self._add(option, "true", field, written)
                letters = rest
            elif rest:
                self._add(option, rest, field, written)
                return
            else:
                self._next(option, field, written)
                return

    def _next(self, option: Option, field: str, written: str) -> None:
        if self.at == len(self.words):
            self._fault(
                "option-syntax", field, written, "It needs a value.", f"Write a value after {written}."
            )
            return
        self.at += 1
        value = self.words[self.at - 1]
        if value != HOLE:
            self._add(option, value, field, written)

    def _add(self, option: Option, value: str, field: str, written: str) -> None:
        longest = LONGEST_TEXT if option.name in _TEXTS else LONGEST_VALUE
        if len(value) > longest:
            reason = f"Its value is {len(value):,} characters long; {longest:,} are read at most."
            self._fault("option-too-long", field, f"{written} {_cut(value)}", reason, "Shorten it.")
            return
        if option.boolean:
            truth = parse_bool(value)
            if truth is None:
                self._fault(
                    "option-value",
                    field,
                    f"{written}={value}",
                    "It is neither true nor false.",
                    f"Write {written}=true or {written}=false.",
                )
                return
            value = "true" if truth else "false"
        self.flags.append(Flag(option.alias or option.name, value, field, written))

    def _unknown(self, name: str, word: str, field: str) -> None:
        known = [f"--{option}" for option in OPTIONS] if name.startswith("--") else []
        spaced = any(character.isspace() for character in word)
        name, word = _cut(name), _cut(word)
        near = get_close_matches(name.lower(), known, n=1, cutoff=0.75)
        fix = f"Did you mean {near[0]}?" if near else "Options are spelt as in `docker run --help`, in full."
        if spaced:
            fix = "Give an option and its value as two items of the list."
        self._fault("option-unknown", field, word, f"{name} is not an option of `docker run`.", fix)

    def _stray(self, word: str, field: str) -> None:
        self._fault(
            "option-stray",
            field,
            word,
            "It stands where `docker run` expects the image.",
            "The image is the key `image`; arguments come after `--` in the call.",
        )

    def _fault(self, code: str, field: str, value: str, reason: str, fix: str) -> None:
        self.faults.append(Violation(code, field, value, reason, fix, kind="invalid"))
