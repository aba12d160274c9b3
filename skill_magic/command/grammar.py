"""The words that the magic and the `skill` command know: verbs, options, and the help on them."""

from __future__ import annotations

import difflib
import keyword
import math
import re
from collections.abc import Callable, Mapping
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
    :param read: value → what :class:`Options` holds; raises ``ValueError`` with a sentence.
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
    fix = "a number of seconds above 0, such as 60 or 1.5"
    if not _NUMBER.fullmatch(text):
        raise ValueError(fix)
    number = float(text)
    if not 0 < number < math.inf:
        raise OutOfRangeError(fix)
    return number


def _limit(fault: Callable[[str], values.Fault | None]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if found := fault(text):
            words = f"{found.reason} {found.fix}".replace("leave the key out", "leave it out")
            readable = not found.reason.startswith("That is not") or _NUMBER.fullmatch(text)
            raise (OutOfRangeError if readable else ValueError)(words)
        return text

    return read


PULL = ("missing", "never", "always")


def _pull(text: str) -> str:
    if text not in PULL:
        raise ValueError("missing, never or always")
    return text


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError("the name of a variable")
    return text


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("the path of a manifest")
    return Path(text)


def _file(text: str) -> str:
    if not text or text == "-" or "\0" in text:
        raise ValueError("a file in the notebook's directory, such as out.txt")
    return text


def misread(name: str) -> str:
    """What somebody may have meant who named a skill that there is none of; empty where nothing is near."""
    first, *rest = name.split()[:3] or [""]
    if rest:
        return f"quotes make one word of it; write {first} -- {' '.join(rest)}"
    near = difflib.get_close_matches(name, [verb for verb in VERBS if not VERBS[verb].reserved], 1, 0.75)
    return f"did you mean the verb {near[0]}?" if near else ""


WITH_ARGUMENTS = ("run", "map", "explain")
_STARTING = ("run", "map")
_ANSWERING = ("list", "info", "explain", "check", "lock", "ps", "doctor", "report", "trust")
_ASKING = ("trust", "clean", "lock", "pull")
_NOTEBOOK: tuple[Door, ...] = ("magic",)
_SHELL: tuple[Door, ...] = ("shell",)

_memory = "memory limit in place of the manifest's, such as 512m or 2g"
_cpus = "CPU limit in place of the manifest's, such as 0.5 or 2"
_pulling = "get the image when it is missing (the default), never, or always"
_stdout = "write the tool's standard output to that file of the notebook's directory"
OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("timeout", "", "SECONDS", "end the run after that time", WITH_ARGUMENTS, read=_seconds),
        Option("memory", "", "SIZE", _memory, WITH_ARGUMENTS, read=_limit(values.memory_fault)),
        Option("cpus", "", "NUMBER", _cpus, WITH_ARGUMENTS, read=_limit(values.cpus_fault)),
        Option("pull", "", "WHEN", _pulling, WITH_ARGUMENTS, read=_pull),
        Option("no_raise", "", None, "a tool that fails is no error; look at the result", _STARTING),
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
        Option("quiet", "-q", None, "show nothing of this package's own"),
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
    "explain": Verb("NAME [-- ARGS...]", "the docker run line and what the policy says; nothing runs", 1, 1),
    "check": Verb("[PATH]", "all faults of the manifests", 0, 1),
    "trust": Verb("NAME | --all", "show what a project's skill asks for, and allow it", 0, 1),
    "lock": Verb("[NAME...]", "write down the images' digests", 0, None, reserved=True),
    "pull": Verb("NAME...", "get the images of skills", 1, None),
    "ps": Verb("", "the runs of this and other kernels"),
    "stop": Verb("RUN...", "stop runs", 1, None),
    "logs": Verb("RUN", "the output of a run", 1, 1),
    "clean": Verb("[RUN...]", "remove what ended runs left", 0, None),
    "doctor": Verb("", "what is found on this machine, and what is the matter"),
    "report": Verb("[PATH]", "the runs that a notebook holds", 0, 1, reserved=True),
}


def option_names(verb: str) -> list[str]:
    """The words that ``verb`` takes as options: ``--quiet`` and ``-q``."""
    chosen = [option for option in OPTIONS.values() if not option.verbs or verb in option.verbs]
    words = [word for option in chosen for word in (option.long, option.short) if word]
    return [*words, "--help", "-h"]


def help_text(topic: str | None = None) -> str:
    """The help on a verb, on ``cell`` (what a cell's body is), or, without a topic, on all of it."""
    if topic == "cell":
        return "\n".join(
            (
                "%%skill [options] NAME [-- ARGS...]",
                "the script, SQL or arguments for the skill, in the lines below",
            )
        )
    if topic is None or topic not in VERBS:
        return _overview()
    facts = VERBS[topic]
    lines = [f"skill {topic} [options] {facts.usage}".rstrip(), f"  {facts.meaning}", "", "Options:"]
    return "\n".join([*lines, *_option_lines(topic)])


def _overview() -> str:
    lines = [
        "%skill [options] NAME [-- ARGS...]     in a notebook; in a shell: skill ...",
        "  Run a skill. What is right of -- is the tool's, word for word. Without -- all words after NAME are",
        "  the tool's, except where they are nothing but options with values: NAME --timeout 60",
        "  {name}, {obj.attr} and {d[key]} are filled in from the notebook.",
        "%%skill [options] NAME [-- ARGS...]",
        "  The same; the lines below go to the tool's standard input, or are its arguments.",
        "",
        "Verbs:",
    ]
    heads = {f"{verb} {facts.usage}": facts.meaning for verb, facts in VERBS.items() if not facts.reserved}
    width = max(map(len, heads))
    lines += [f"  {head:{width}}  {meaning}" for head, meaning in heads.items()]
    lines += [f"  Reserved: {', '.join(verb for verb, facts in VERBS.items() if facts.reserved)}."]
    return "\n".join([*lines, "", "Options:", *_option_lines(None)])


_PLACES = {_NOTEBOOK: " (notebooks)", _SHELL: " (shell)"}


def _option_lines(verb: str | None) -> list[str]:
    chosen = [
        option for option in OPTIONS.values() if verb is None or not option.verbs or verb in option.verbs
    ]
    heads = [
        ", ".join(filter(None, (option.short, option.long))) + f" {option.value or ''}" for option in chosen
    ]
    heads = [*(head.rstrip() for head in heads), "-h, --help"]
    meanings = [option.meaning + _PLACES.get(option.doors, "") for option in chosen] + ["this text"]
    width = max(map(len, heads))
    return [f"  {head:{width}}  {meaning}" for head, meaning in zip(heads, meanings, strict=True)]
