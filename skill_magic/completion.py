"""Completion after ``%skill ``, ``%%skill `` and ``r = %skill ``: verbs, skills, options, and file names
after ``--``.

It runs while a person types, so it reads manifests and directories and nothing else: no engine is asked, and
a manifest that cannot be read completes nothing instead of raising. A name that would not be seen as it is (control
characters, what turns or hides text) is not offered; every other file name is offered so that what is inserted is read
as that file.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import natural
from .foreign import hides

if TYPE_CHECKING:
    from .magics import SkillMagics

_LINE = re.compile(r"^\s*(?:[\w.,\s\[\]'\"]+=\s*)?%{1,2}skill\s+(?P<words>.*)$", re.DOTALL)
_TAKES_SKILL = frozenset(["run", "info", "explain", "trust", "pull", "map", "lock"])
_TAKES_RUN = frozenset(["stop", "logs", "clean"])
_TAKES_PATH = frozenset(["check", "report"])
IDENTIFIER = "skill_magic"
LIMIT = 200  # names per answer; a directory of a hundred thousand files must not slow typing down


def complete(
    text: str, names: Callable[[], Iterable[str]], directory: Callable[[], Path]
) -> tuple[list[str], str] | None:
    """Completions of ``text``, the line up to the cursor, and the fragment they replace.

    :param names: the skills in reach; only asked for where one fits.
    :returns: ``None`` where the line is none of ours.
    """
    match = _LINE.match(text)
    if match is None:
        return None
    words, fragment, typed = _split(match["words"])
    if "--" in words:
        return _files(typed, directory(), raw="--raw" in words[: words.index("--")]), fragment
    found = _candidates(words, fragment, typed, names, directory)
    return [word for word in found if not hides(word)], fragment


def _split(text: str) -> tuple[list[str], str, str]:
    """The words before the cursor's, the cursor's word as it stands there, and what it says so far; by the quoting of
    ``command.words``, where a quote may still be open."""
    words: list[str] = []
    start, said, quote = 0, "", ""
    at = 0
    while at < len(text):
        char, following = text[at], text[at + 1 : at + 2]
        at += 1
        if char == "\\" and quote != "'" and following:
            kept = quote and following not in tuple('$`"\\')
            said += char + following if kept else following
            at += 1
        elif quote:
            quote, said = ("", said) if char == quote else (quote, said + char)
        elif char in "'\"":
            quote = char
        elif char in " \t\r\n":
            if at - 1 > start:
                words.append(said)
            start, said = at, ""
        else:
            said += char
    return words, text[start:], said


def _candidates(
    words: list[str],
    fragment: str,
    typed: str,
    names: Callable[[], Iterable[str]],
    directory: Callable[[], Path],
) -> list[str]:
    def going_on(candidates: Iterable[str]) -> list[str]:
        return [each for each in candidates if each.startswith(fragment)]

    from .command.grammar import OPTIONS, PULL, VERBS, WITH_ARGUMENTS

    takes_value = {
        name for option in OPTIONS.values() if option.value for name in (option.long, option.short)
    } - {""}
    plain = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if not word.startswith("-") and before not in takes_value
    ]
    verb = plain[0] if plain and plain[0] in VERBS else "run"
    if words and words[-1] in takes_value:
        if words[-1] == "--pull":
            return going_on(PULL)
        raw = "--raw" in words
        takes_file = words[-1] in ("--manifest", "-m", "--stdout")
        return _files(typed, directory(), raw=raw) if takes_file else []
    if fragment.startswith("-"):
        known = [option for option in OPTIONS.values() if option.fits(verb, "magic")]
        return going_on(sorted(["--help", *(option.long for option in known)]))
    if not plain:
        verbs = (name for name, verb in VERBS.items() if not verb.reserved)
        return going_on([*sorted(names()), *verbs])
    if plain[0] in VERBS and len(plain) == 1:
        if verb in _TAKES_SKILL:
            return going_on(sorted(names()))
        if verb in _TAKES_RUN:
            return going_on(_runs(verb))
        return _files(typed, directory(), raw="--raw" in words) if verb in _TAKES_PATH else []
    return going_on(["--"]) if verb in WITH_ARGUMENTS else []


def _runs(verb: str) -> list[str]:
    """Background runs of this process, for their logs those that are over too; others would have to be asked of the
    engine."""
    background, finished = (sys.modules.get(f"skill_magic.{name}") for name in ("background", "finished"))
    names = [handle.name for handle in background.handles()] if background else []
    over = [one.name for one in finished.runs()] if finished and verb == "logs" else []
    return [*names, *(name for name in over if name not in names)]


def _files(typed: str, directory: Path, *, raw: bool) -> list[str]:
    """Names below ``directory`` that go on from ``typed``, quoted; a folder ends with a slash.

    :param raw: braces are not filled in on this line.
    """
    if not raw:
        typed = typed.replace("{{", "{").replace("}}", "}")
    folder, slash, start = typed.rpartition("/")
    found: list[str] = []
    try:
        with os.scandir(directory / (folder + slash)) as entries:
            for entry in entries:
                if not entry.name.startswith(start) or (entry.name[0] == "." and start[:1] != "."):
                    continue
                name = folder + slash + entry.name
                if _unseen(name):
                    continue
                if name.startswith("-"):  # a tool would take it for an option
                    name = f"./{name}"
                found.append(quote(name, raw=raw) + ("/" if entry.is_dir() else ""))
                if len(found) >= LIMIT:
                    break
    except (OSError, ValueError):  # a NUL in what is typed
        return []
    return sorted(found, key=natural.order)


def _unseen(name: str) -> bool:
    """Whether a name is not seen as it is: also one whose first character joins what stands before it."""
    return hides(name) or any(unicodedata.combining(part[:1] or "/") for part in name.split("/"))


def quote(name: str, *, raw: bool = False) -> str:
    """``name`` as one word of the line: spaces, quotes and a ``?``, which IPython takes for a question at the end of
    a line, are escaped, and braces doubled against interpolation unless the line is ``--raw``."""
    return re.sub(r"([\s'\"\\#?])", r"\\\1", name if raw else _braces(name))


def _braces(name: str) -> str:
    """``name`` as interpolation gives it back: ``}}`` stands for a brace only after a ``{{``."""
    pieces: list[str] = []
    opened = 0
    for char in name:
        if char == "{":
            opened += 1
        doubled = char == "{" or (char == "}" and opened > 0)
        opened -= char == "}" and opened > 0
        pieces.append(char * 2 if doubled else char)
    return "".join(pieces)


class _Nothing(list[Any]):
    """No completion, and no other matcher's file names either: IPython lets a matcher suppress others only where it
    has something itself, and its own would offer what is withheld here."""

    def __len__(self) -> int:
        return 1


def matcher(magics: SkillMagics) -> Any:
    """A matcher in the form that ``IPCompleter.custom_matchers`` takes (API version 2)."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier=IDENTIFIER)  # type: ignore[untyped-decorator]
    def skill_magic(context: Any) -> dict[str, Any]:
        try:
            found = complete(
                context.line_with_cursor[: context.cursor_position], magics.names, magics.directory
            )
        except (
            Exception
        ):  # a completer that raises garbles the prompt, and a broken manifest is told of elsewhere
            found = None
        if found is None:
            return {"completions": []}
        words, fragment = found
        completions = [SimpleCompletion(word, type="skill") for word in words]
        return {
            "completions": completions or _Nothing(),
            "suppress": True if completions else {"IPCompleter.file_matcher"},
            "matched_fragment": fragment,
            "ordered": True,
        }

    return skill_magic


def install(shell: Any, magics: SkillMagics) -> None:
    """Add the matcher to ``shell``'s completer."""
    if shell.Completer is not None:
        remove(shell)
        shell.Completer.custom_matchers.append(matcher(magics))


def remove(shell: Any) -> None:
    """Take it out again."""
    if shell.Completer is not None:
        matchers = shell.Completer.custom_matchers
        matchers[:] = [each for each in matchers if getattr(each, "matcher_identifier", None) != IDENTIFIER]
