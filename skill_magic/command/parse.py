"""The grammar that the magic and the `skill` command share: words → Command.

.. code-block:: text

    [options] [run] NAME [options] -- ARGS...    what is right of the first -- is the tool's, verbatim
    [options] [run] NAME ARGS...                 without --, all words after NAME are the tool's; unless
                                                 they are nothing but long options of ours with values
    [options] VERB [options] [NAMES...]          explain and map take a NAME and ARGS as run does
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ..errors import CommandError
from .grammar import (
    OPTIONS,
    VERBS,
    WITH_ARGUMENTS,
    Door,
    Option,
    OutOfRangeError,
    near_verb,
    nearest,
    option_names,
    options_of,
)
from .habits import Habit
from .habits import find as find_habits
from .help import help_text
from .words import cell_arguments, check_arguments, fill_in, interpolate, split

__all__ = [
    "OPTIONS",
    "VERBS",
    "Command",
    "Options",
    "Request",
    "cell_arguments",
    "check_arguments",
    "fill_in",
    "find_habits",
    "help_text",
    "interpolate",
    "option_names",
    "parse",
    "split",
]


@dataclass(frozen=True)
class Options:
    """Options of a run. Times in seconds.

    :param memory: overrides the manifest's `memory`; :param cpus: overrides `cpus`.
    :param out: notebook variable that receives the result (magic only).
    :param stdout: file of the notebook's directory that the tool's standard output goes to.
    :param interactive: hand the caller's standard input on (shell only); :param no_stdin: never do (shell only).
    :param manifest: a manifest to use instead of the discovered project one.
    """

    timeout: float | None = None
    memory: str | None = None
    cpus: str | None = None
    pull: Literal["missing", "never", "always"] | None = None
    no_raise: bool = False
    quiet: bool = False
    raw: bool = False
    expand: bool = False
    out: str | None = None
    stdout: str | None = None
    interactive: bool = False
    no_stdin: bool = False
    bg: bool = False
    keep: bool = False
    json: bool = False
    yes: bool = False
    all: bool = False
    revoke: bool = False
    manifest: Path | None = None


@dataclass(frozen=True)
class Request:
    """One run as it was asked for. ``args`` reach the tool byte for byte; ``None``: the call gave none.

    :param hint: for the error of a tool that fails: what in the call may not be what was meant.
    :param habits: words of ``args`` that a shell would have obeyed; ``None`` where nobody has looked.
    """

    skill: str
    args: tuple[str, ...] | None = None
    stdin: bytes | BinaryIO | None = None
    options: Options = Options()
    hint: str = field(default="", compare=False)
    habits: tuple[Habit, ...] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Command:
    """A parsed line: a verb with its names, and the request where the verb is `run`, `explain` or `map`.

    The verb is one of ``VERBS`` or ``help``; ``names`` of ``help`` is the verb it is about, or nothing.
    """

    verb: str
    names: tuple[str, ...] = ()
    request: Request | None = None
    options: Options = Options()


def parse(
    words: Sequence[str], *, door: Door = "magic", namespace: Mapping[str, object] | None = None
) -> Command:
    """Read the words of a line.

    :param namespace: where given, ``{name}`` is filled in from it, unless ``--raw`` is there. Which word is
        an option, a name or the ``--`` is told from the words as written, so that no value can pass for one.
    :raises CommandError: for words that have no meaning.
    """
    return _Parser(door, namespace).command(list(words))


_ELSEWHERE: Mapping[Door, tuple[str, str]] = {
    "shell": ("a notebook", "leave it out in a shell"),
    "magic": ("a shell", "the body of a %%skill cell is the tool's input"),
}
"""For an option that has no meaning at this door: where it has one, and the way out."""

_INSTEAD = {
    "out": "leave it out in a shell, and redirect the output: > FILE",
    "bg": "leave it out in a shell, which has & for it",
    "expand": "leave it out in a shell, which fills in its own variables",
    "raw": "leave it out in a shell, where {name} is left as it is",
}
"""The way out for some of them."""

_BY_LONG = {option.long: option for option in OPTIONS.values()}


class _Parser:
    def __init__(self, door: Door, namespace: Mapping[str, object] | None) -> None:
        self.door = door
        self.namespace = namespace
        self.given: dict[str, Any] = {}
        self.help = False
        self.words: list[str] = []

    @property
    def me(self) -> str:
        return "%skill" if self.door == "magic" else "skill"

    def _taken_for_a_value(self) -> str:
        """Which word may have been meant as the skill's name; empty where none can have been."""
        last = self.words[-1] if self.words else ""
        before = self.words[-2] if len(self.words) > 1 else ""
        return (
            f": {last!r} is the value of {before}"
            if before.startswith("-") and not last.startswith("-")
            else ""
        )

    def command(self, words: list[str]) -> Command:
        dashes = words.index("--") if "--" in words else None
        left = self.words = words if dashes is None else words[:dashes]
        if "--raw" in left:
            self.namespace = None
        positional, rest = self._left(left, stop=dashes is None)
        args = None if dashes is None else words[dashes + 1 :]
        if dashes is None and rest and not self._only_options(rest, positional):
            args = rest
        if not positional and not self.help and (self.given or args is not None):
            raise CommandError(
                f"no skill is named{self._taken_for_a_value()}", self._write("[options] NAME -- ARGS...")
            )
        verb = positional[0] if positional and positional[0] in VERBS else "run"
        if VERBS[verb].reserved:
            raise CommandError(f"{verb} is not in this version", f"`{self.me} --help` lists the verbs")
        if self.help or not positional or positional == ["help"]:
            return Command("help", (verb,) if positional and positional[0] in VERBS else ())
        names = positional[1:] if positional[0] in VERBS else positional
        return self._checked(verb, names, args, astray=dashes is None)

    def _only_options(self, words: list[str], positional: list[str]) -> bool:
        """Take ``words`` as options where that leaves nothing of them: ``NAME --timeout 60`` has no word for
        the tool. Only long options with a value: a switch such as --raw or --quiet may well be the tool's."""
        ahead = _Parser(self.door, self.namespace)
        ahead.given = dict(self.given)
        verb = "explain" if positional[0] == "explain" else "run"
        at = 0
        while at < len(words):
            option = _BY_LONG.get(words[at].partition("=")[0])
            if option is None or option.value is None or not option.fits(verb, self.door):
                return False
            following = words[at + 1] if at + 1 < len(words) else None
            try:
                at += 1 + ahead._option(words[at], following, positional)
            except CommandError:
                return False
        self.given = ahead.given
        return True

    def _hint(self, verb: str, name: str, args: Sequence[str]) -> str:
        """What to say of options of ours among a tool's words, should the tool fail."""
        for at, word in enumerate(args):
            written, equals, _ = word.partition("=")
            option = _BY_LONG.get(written)
            if option is None and at == 0 and word == "-o":
                option = OPTIONS["out"]
            if option is None or not option.fits(verb, self.door):
                continue
            value = f" {option.value}" if option.value and not equals else ""
            return f"{written} went to the tool; for {self.me} write it first: `{self.me} {word}{value} {name} …`"
        return self._misspelt(verb, name, args)

    def _misspelt(self, verb: str, name: str, args: Sequence[str]) -> str:
        """The same of a word that is very near one of ours; only of the first, a tool has such words itself."""
        word = args[0].partition("=")[0] if args else ""
        if word in ("-", "–", "—"):  # the last two: -- in a text that somebody has typeset
            return f"{word} went to the tool; if -- was meant, write `{self.me} {name} -- …`"
        known = [option.long for option in options_of(verb, self.door)]
        near = difflib.get_close_matches(word, known, 1, 0.85) if word.startswith("--") else []
        if not near:
            return ""
        value = f" {_BY_LONG[near[0]].value}" if _BY_LONG[near[0]].value else ""
        return f"{word} went to the tool; if {near[0]} was meant, write `{self.me} {near[0]}{value} {name} …`"

    def _left(self, words: list[str], *, stop: bool) -> tuple[list[str], list[str]]:
        """Options and names. With ``stop``, the words behind a tool's NAME are handed back as they are."""
        positional: list[str] = []
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if word.startswith("-") and word != "-":
                at += self._option(word, words[at] if at < len(words) else None, positional)
                continue
            positional += self._filled(word)
            if stop and self._is_name(positional):
                if positional[0] == "explain" and words[at:] == ["--json"]:
                    continue
                return positional, words[at:]
        return positional, []

    def _is_name(self, positional: list[str]) -> bool:
        """Whether the last of ``positional`` is the NAME that a tool's words follow."""
        first = positional[0] if positional else ""
        if first in ("run", "explain"):
            return len(positional) >= 2
        return bool(positional) and first not in (*VERBS, "help")

    def _option(self, word: str, following: str | None, positional: list[str]) -> int:
        """Take one option; returns how many further words it used."""
        name, equals, value = word.partition("=")
        if name in ("-h", "--help"):
            self.help = True
            return 0
        option = next((known for known in OPTIONS.values() if name in (known.long, known.short)), None)
        if option is None:
            raise self._unknown(name, positional)
        if option.name in self.given:
            raise CommandError(f"{option.long} is given twice", "keep one of the two")
        if option.value is None:
            if equals:
                raise CommandError(f"{option.long} takes no value", f"write {option.long} alone")
            self.given[option.name] = True
            return 0
        if not equals and following is None:
            hint = f"write {option.long} {option.value}: {option.meaning}"
            raise CommandError(f"{option.long} needs a value", hint)
        self.given[option.name] = self._read(option, value if equals else following or "")
        return 0 if equals else 1

    def _read(self, option: Option, text: str) -> Any:
        try:
            return option.read(self._one(text))
        except ValueError as error:
            what, hint, *_ = (*error.args, f"write {option.long} {option.value}: {option.meaning}")
            is_ = "is out of range:" if isinstance(error, OutOfRangeError) else "is not"
            raise CommandError(f"{option.long} {text!r} {is_} {what}", hint) from None

    def _unknown(self, name: str, positional: list[str]) -> CommandError:
        """The error for an option that there is not; what is near is looked for among those that would do here."""
        said = [*positional, *(word for word in self.words if not word.startswith("-"))]
        verb = next((word for word in said if word in VERBS), "run")
        if near := nearest(name, [option.long for option in options_of(verb, self.door)]):
            return CommandError(f"unknown option {name}. Did you mean {near}?")
        if verb in WITH_ARGUMENTS:
            hint = "a tool's own options go after --; options of `docker run` go into the manifest, as extra_args"
        else:
            hint = f"`{self.me} {verb} --help` lists its options"
        return CommandError(f"unknown option {name}", hint)

    def _write(self, words: str) -> str:
        return f"write `{self.me} {words}`"

    def _usage(self, verb: str) -> str:
        return self._write(f"{verb} {VERBS[verb].usage}".rstrip())

    def _checked(self, verb: str, names: list[str], args: list[str] | None, *, astray: bool) -> Command:
        for name in self.given:
            option = OPTIONS[name]
            if option.verbs and verb not in option.verbs:
                raise CommandError(
                    f"{verb} has no option {option.long}", f"`{self.me} {verb} --help` lists its options"
                )
            if self.door not in option.doors:
                place, hint = _ELSEWHERE[self.door]
                if self.door == "shell":
                    hint = _INSTEAD.get(name, hint)
                raise CommandError(f"{option.long} is for {place}", hint)
        if "raw" in self.given and "expand" in self.given:
            raise CommandError("--raw and --expand contradict each other", "keep one of the two")
        if "interactive" in self.given and "no_stdin" in self.given:
            raise CommandError("--interactive and --no-stdin contradict each other", "keep one of the two")
        if "keep" in self.given and "bg" not in self.given:
            raise CommandError("--keep goes with --bg", "a run in the foreground ends with its cell")
        self._check_names(verb, names)
        options = Options(**self.given)
        if verb not in WITH_ARGUMENTS:
            if args is not None:
                raise CommandError(f"{verb} takes no --", self._usage(verb))
            return Command(verb, tuple(names), None, options)
        hint = self._hint(verb, names[0], args) if args is not None and astray else ""
        habits = find_habits(args or (), self.door)
        if args is not None and self.namespace is not None:
            args = interpolate(args, self.namespace)
        if args is not None:
            check_arguments(args)
        words = None if args is None else tuple(map(str, args))
        request = Request(names[0], words, None, options, hint, habits)
        return Command(verb, tuple(names), request, options)

    def _check_names(self, verb: str, names: list[str]) -> None:
        facts, usage = VERBS[verb], self._usage(verb)
        if len(names) < facts.least:
            kind, lists = ("run", "ps") if "RUN" in facts.usage else ("skill", "list")
            hint = f"{usage}; `{self.me} {lists}` lists them"
            raise CommandError(f"{verb} needs the name of a {kind}", hint)
        if facts.most is not None and len(names) > facts.most:
            extra = names[facts.most]
            if verb == "run":
                hint = f"the tool's words go after --: `{self.me} {names[0]} -- {extra} …`"
                if near := near_verb(names[0]):
                    hint = f"did you mean the verb {near}? Otherwise {hint}"
                raise CommandError(f"{extra!r} stands between the skill's name and --", hint)
            raise CommandError(f"{verb} does not take {extra!r}", usage)
        if verb == "trust" and bool(names) == bool(self.given.get("all")):
            fault = "trust --all takes no name" if names else "trust needs the name of a skill, or --all"
            raise CommandError(fault, self._write("trust NAME` or `" + f"{self.me} trust --all"))
        if any(not name for name in names):
            raise CommandError(f"{verb} was given an empty name", usage)

    def _filled(self, word: str) -> list[str]:
        return [word] if self.namespace is None else interpolate([word], self.namespace)

    def _one(self, word: str) -> str:
        filled = self._filled(word)
        if len(filled) != 1:
            raise CommandError(f"{word} is a list of {len(filled)}", "an option takes one value")
        return filled[0]
