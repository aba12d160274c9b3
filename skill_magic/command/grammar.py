"""The words that the magic and the `skill` command know: verbs and options."""

from __future__ import annotations

import difflib
import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..manifest import values

Door = Literal["magic", "shell"]


@dataclass(frozen=True)
class Option:
    """One option.

    :param value: what its value is called, ``None`` for a switch.
    :param verbs: the verbs that take it, none: all; :param doors: where it has a meaning.
    :param read: value → what :class:`Options` holds; raises ``ValueError`` with what it should be ("a number"), or
        :class:`OutOfRangeError` with the reason, and as a second argument the way out.
    """

    name: str
    short: str
    value: str | None
    meaning: str
    verbs: tuple[str, ...] = ()
    doors: tuple[Door, ...] = ("magic", "shell")
    read: Callable[[str], Any] = str

    @property
    def long(self) -> str:
        """The word on the line: ``--no-raise``."""
        return "--" + self.name.replace("_", "-")

    def fits(self, verb: str, door: Door) -> bool:
        """Whether it has a meaning for ``verb`` at ``door``."""
        return door in self.doors and (not self.verbs or verb in self.verbs)


class OutOfRangeError(ValueError):
    """A value that can be read and is too small or too large."""


_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)


def _seconds(text: str) -> float:
    fix = "use a number of seconds, e.g. 60 or 1.5"
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number of seconds", fix)
    number = float(text)
    if not 0 < number < math.inf:
        raise OutOfRangeError("it must be above 0" if number <= 0 else "nobody waits that long", fix)
    return number


def _limit(fault: Callable[[str], values.Fault | None], what: str, fix: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if found := fault(text):
            unread = found.reason.startswith("That is not")
            if unread and not _NUMBER.fullmatch(text):
                raise ValueError(what, fix)
            reason = "it is too small" if unread else found.reason[0].lower() + found.reason[1:].rstrip(".")
            raise OutOfRangeError(reason, fix)
        return text

    return read


_memory_limit = _limit(values.memory_fault, "a size", "use a whole number with b, k, m or g, e.g. 512m")
_cpu_limit = _limit(values.cpus_fault, "a number of CPUs", "use a number such as 0.5 or 2")

PULL = ("missing", "never", "always")


def _pull(text: str) -> str:
    if text not in PULL:
        near = nearest(text, PULL)
        raise ValueError(
            "missing, never or always", f"did you mean {near}?" if near else "use one of the three"
        )
    return text


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError("the name of a variable", "use letters, digits and _, e.g. --out result")
    return text


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("the path of a manifest", "name a skills.toml, or a directory that has one")
    return Path(text)


def _file(text: str) -> str:
    if not text or text == "-" or "\0" in text:
        raise ValueError("a file in the notebook's directory, such as out.txt")
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that ``word`` may have been meant to be; empty where none is near."""
    words = list(known)
    turned = [each for each in words if len(word) > 1 and sorted(each) == sorted(word)]  # short words: rnu
    return next(iter(turned or difflib.get_close_matches(word, words, 1, 0.75)), "")


_MEANT = {
    "ls": "list",
    "show": "info",
    "inspect": "info",
    "validate": "check",
    "lint": "check",
    "allow": "trust",
    "approve": "trust",
    "grant": "trust",
    "kill": "stop",
    "log": "logs",
    "rm": "clean",
    "prune": "clean",
    "status": "ps",
    "jobs": "ps",
    "start": "run",
    "exec": "run",
}
"""Words of other programs → the verb that does it here."""


def near_verb(word: str) -> str:
    """The verb that ``word`` may have been meant to be; empty where none is near."""
    return _MEANT.get(word) or nearest(word, USABLE)


def misread(name: str) -> str:
    """What somebody may have meant who named a skill that there is none of; empty where nothing is near."""
    first, *rest = name.split()[:3] or [""]
    if rest:
        return f"quotes make one word of it; write {first} -- {' '.join(rest)}"
    near = near_verb(name)
    return f"did you mean the verb {near}?" if near else ""


WITH_ARGUMENTS = ("run", "map", "explain")
_STARTING = ("run", "map")
_ANSWERING = ("list", "info", "explain", "check", "lock", "ps", "doctor", "report", "trust")
_ASKING = ("trust", "clean", "lock", "pull")
_NOTEBOOK: tuple[Door, ...] = ("magic",)
_SHELL: tuple[Door, ...] = ("shell",)

_memory = "memory limit in place of the manifest's, such as 512m or 2g"
_cpus = "CPU limit in place of the manifest's, such as 0.5 or 2"
_pulling = "get the image when it is missing (the default), never, or always"
_stdout = "write the tool's standard output to a file here"
OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("timeout", "", "SECONDS", "end the run after that time", WITH_ARGUMENTS, read=_seconds),
        Option("memory", "", "SIZE", _memory, WITH_ARGUMENTS, read=_memory_limit),
        Option("cpus", "", "NUMBER", _cpus, WITH_ARGUMENTS, read=_cpu_limit),
        Option("pull", "", "WHEN", _pulling, WITH_ARGUMENTS, read=_pull),
        Option("no_raise", "", None, "don't raise when the tool fails; check the result", _STARTING),
        Option("raw", "", None, "leave {name} as it is", WITH_ARGUMENTS, _NOTEBOOK),
        Option("expand", "", None, "fill in {name} in the cell's body too", WITH_ARGUMENTS, _NOTEBOOK),
        Option("out", "-o", "NAME", "put the result into that variable", _STARTING, _NOTEBOOK, _variable),
        Option("stdout", "", "FILE", _stdout, _STARTING, read=_file),
        Option("interactive", "-i", None, "give the tool this command's standard input", ("run",), _SHELL),
        Option("no_stdin", "", None, "give the tool an empty standard input", ("run",), _SHELL),
        Option("bg", "", None, "run in the background; the result is a handle", _STARTING, _NOTEBOOK),
        Option("keep", "", None, "with --bg: go on when the kernel ends", ("run",), _NOTEBOOK),
        Option("json", "", None, "answer in JSON", _ANSWERING),
        Option("yes", "-y", None, "do not ask", _ASKING),
        Option("all", "", None, "for all skills of the project, on one page", ("trust",)),
        Option("revoke", "", None, "take back all that was allowed", ("trust",)),
        Option("quiet", "-q", None, "print only the tool's output"),
        Option("manifest", "-m", "PATH", "use this manifest in place of the project's", read=_path),
    )
}


@dataclass(frozen=True)
class Verb:
    """What stands behind a verb: usage, meaning, the least and the most names (``None``: any number).

    :param reserved: no skill may be called so, and there is nothing behind it yet.
    """

    usage: str
    meaning: str
    least: int = 0
    most: int | None = 0
    reserved: bool = False


VERBS: Mapping[str, Verb] = {
    "run": Verb("NAME [-- ARGS...]", "run a skill (the word run may be left out)", 1, 1),
    "map": Verb("NAME FILES... -- ARGS...", "run a skill once for each file", 1, None, reserved=True),
    "list": Verb("", "the skills in reach, and where each comes from"),
    "info": Verb("NAME", "what a skill is and what it may touch", 1, 1),
    "explain": Verb("NAME [-- ARGS...]", "docker run command and the policy's verdict; nothing runs", 1, 1),
    "check": Verb("[PATH]", "all manifest errors, each with its fix", 0, 1),
    "trust": Verb("NAME | --all", "show the extra permissions a skill wants, and approve them", 0, 1),
    "lock": Verb("[NAME...]", "write down the images' digests", 0, None, reserved=True),
    "pull": Verb("NAME...", "get the images of skills", 1, None),
    "ps": Verb("", "the runs of this and other kernels"),
    "stop": Verb("RUN...", "stop runs", 1, None),
    "logs": Verb("RUN", "the output of a run", 1, 1),
    "clean": Verb("[RUN...]", "remove what ended runs left", 0, None),
    "doctor": Verb("", "check this machine and report problems"),
    "report": Verb("[PATH]", "the runs that a notebook holds", 0, 1, reserved=True),
}


USABLE = tuple(verb for verb, facts in VERBS.items() if not facts.reserved)
"""The verbs that there is something behind."""


def options_of(verb: str | None, door: Door) -> list[Option]:
    """The options that have a meaning for ``verb`` at ``door``; without a verb, those of any verb."""
    return [
        option
        for option in OPTIONS.values()
        if door in option.doors and (verb is None or not option.verbs or verb in option.verbs)
    ]


def option_names(verb: str, door: Door = "magic") -> list[str]:
    """The words that ``verb`` takes as options: ``--quiet`` and ``-q``."""
    words = [word for option in options_of(verb, door) for word in (option.long, option.short) if word]
    return [*words, "--help", "-h"]
