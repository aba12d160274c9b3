"""The grammar that the magic and the `skill` command share: words → Command.

.. code-block:: text

    [options] [run] NAME [options] -- ARGS...    what is right of the first -- is the tool's, verbatim
    [options] [run] NAME ARGS...                 without --, all words after NAME are the tool's; unless
                                                 they are nothing but long options of ours with values
    [options] VERB [options] [NAMES...]          explain and map take a NAME and ARGS as run does
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ..errors import CommandError
from ..manifest import values
from .grammar import OPTIONS, VERBS, WITH_ARGUMENTS, Door, OutOfRangeError, help_text, option_names
from .habits import Habit
from .habits import find as find_habits
from .words import cell_arguments, interpolate, split

__all__ = [
    "OPTIONS",
    "VERBS",
    "Command",
    "Options",
    "Request",
    "cell_arguments",
    "check_arguments",
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


_ELSEWHERE: Mapping[Door, Callable[[str], tuple[str, str]]] = {
    "shell": lambda option: (f"{option} is for notebooks", "leave it out in a shell"),
    "magic": lambda option: (f"{option} is for a shell", "the body of a %%skill cell is the tool's input"),
}
"""What to say of an option that has no meaning at this door, and the way out."""

_BY_LONG = {option.long: option for option in OPTIONS.values()}


class _Parser:
    def __init__(self, door: Door, namespace: Mapping[str, object] | None) -> None:
        self.door = door
        self.namespace = namespace
        self.given: dict[str, Any] = {}
        self.help = False

    @property
    def me(self) -> str:
        return "%skill" if self.door == "magic" else "skill"

    def command(self, words: list[str]) -> Command:
        dashes = words.index("--") if "--" in words else None
        left = words if dashes is None else words[:dashes]
        if "--raw" in left:
            self.namespace = None
        positional, rest = self._left(left, stop=dashes is None)
        args = None if dashes is None else words[dashes + 1 :]
        if dashes is None and rest and not self._only_options(rest, positional):
            args = rest
        if not positional and not self.help and (self.given or args is not None):
            raise CommandError("no skill is named", f"{self.me} [options] NAME -- ARGS...")
        verb = positional[0] if positional and positional[0] in VERBS else "run"
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
            return (
                f"{written} went to the tool; for {self.me} write it first: {self.me} {word}{value} {name} …"
            )
        return ""

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
            raise CommandError(
                f"{option.long} needs a value", f"{option.long} {option.value}: {option.meaning}"
            )
        text = value if equals else following or ""
        try:
            self.given[option.name] = option.read(self._one(text))
        except ValueError as error:
            fault = "is out of range" if isinstance(error, OutOfRangeError) else "cannot be read"
            raise CommandError(f"{option.long} {text!r} {fault}", f"{option.value}: {error}") from None
        return 0 if equals else 1

    def _unknown(self, name: str, positional: list[str]) -> CommandError:
        known = [option.long for option in OPTIONS.values()]
        near = difflib.get_close_matches(name, known, 1, 0.75)
        hint = "the tool's own words stand right of --; options of docker run belong in the manifest"
        return CommandError(
            f"{name} is no option of {self.me}", f"did you mean {near[0]}? Else: {hint}" if near else hint
        )

    def _checked(self, verb: str, names: list[str], args: list[str] | None, *, astray: bool) -> Command:
        for name in self.given:
            option = OPTIONS[name]
            if option.verbs and verb not in option.verbs:
                raise CommandError(f"{verb} takes no {option.long}", f"see {self.me} {verb} --help")
            if self.door not in option.doors:
                raise CommandError(*_ELSEWHERE[self.door](option.long))
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
                raise CommandError(f"{verb} takes no --", f"{self.me} {verb} {VERBS[verb].usage}".rstrip())
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
        facts = VERBS[verb]
        usage = f"{self.me} {verb} {facts.usage}".rstrip()
        if facts.reserved and (len(names) < facts.least or (facts.most or len(names)) < len(names)):
            raise CommandError(
                f"{verb} is not in this version", f"{self.me} --help lists the verbs there are"
            )
        if len(names) < facts.least:
            raise CommandError(f"{verb} needs a name", usage)
        if facts.most is not None and len(names) > facts.most:
            extra = names[facts.most]
            if verb == "run":
                hint = f"the tool's words stand right of --: {self.me} {names[0]} -- {extra} …"
                raise CommandError(f"{extra!r} stands between the skill's name and --", hint)
            raise CommandError(f"{verb} does not take {extra!r}", usage)
        if verb == "trust" and bool(names) == bool(self.given.get("all")):
            fault = "trust --all takes no name" if names else "trust needs a name, or --all"
            raise CommandError(fault, usage)
        if any(not name for name in names):
            raise CommandError(f"{verb} was given an empty name", usage)

    def _filled(self, word: str) -> list[str]:
        return [word] if self.namespace is None else interpolate([word], self.namespace)

    def _one(self, word: str) -> str:
        filled = self._filled(word)
        if len(filled) != 1:
            raise CommandError(f"{word} is a list of {len(filled)}", "an option takes one value")
        return filled[0]


_LARGEST_ARGUMENTS = 2_000_000
"""Bytes of all arguments together: Linux gives a new program a quarter of the stack limit (2 MiB of the usual
8), environment included."""


def check_arguments(args: Sequence[str]) -> None:
    """Make sure that a Linux kernel can hand ``args`` to a program, and that all of it can be sent to an
    engine.

    :raises CommandError: for an argument of 128 KiB or more, one with a NUL, one that is not Unicode, or too
        many.
    """
    total = 0
    for number, word in enumerate(args, 1):
        try:
            total += len(word.encode()) + 9  # its NUL and the pointer to it
        except UnicodeEncodeError:
            hint = "rename the file, or pass its name through standard input"
            raise CommandError(f"argument {number} is not valid UTF-8", hint) from None
        if fault := values.argument_fault(word):
            shown = word if len(word) <= 40 else word[:40] + "…"
            raise CommandError(f"argument {number} ({shown!r}) cannot be passed. {fault.reason}", fault.fix)
    if total > _LARGEST_ARGUMENTS:
        hint = "pass them in a file, or in several runs"
        raise CommandError(f"the arguments are {total:,} bytes long; Linux takes about 2 million", hint)
