"""Completion after ``%skill ``, ``%%skill `` and ``r = %skill ``: verbs, skills, options, and file names
after ``--``.

It runs while a person types, so it reads manifests and directories and nothing else: no engine is asked, and
a manifest that cannot be read completes nothing instead of raising.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    words = match["words"].split()
    fragment = "" if not words or match["words"][-1:].isspace() else words.pop()
    if "--" in words:
        return _files(fragment, directory()), fragment
    return [
        word for word in _candidates(words, fragment, names, directory) if word.startswith(fragment)
    ], fragment


def _candidates(
    words: list[str], fragment: str, names: Callable[[], Iterable[str]], directory: Callable[[], Path]
) -> list[str]:
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
            return list(PULL)
        return _files(fragment, directory()) if words[-1] in ("--manifest", "-m") else []
    if fragment.startswith("-"):
        known = [option for option in OPTIONS.values() if option.fits(verb, "magic")]
        return sorted(["--help", *(option.long for option in known)])
    if not plain:
        return [*sorted(names()), *(name for name, verb in VERBS.items() if not verb.reserved)]
    if plain[0] in VERBS and len(plain) == 1:
        if verb in _TAKES_SKILL:
            return sorted(names())
        if verb in _TAKES_RUN:
            return _runs()
        return _files(fragment, directory()) if verb in _TAKES_PATH else []
    return ["--"] if verb in WITH_ARGUMENTS else []


def _runs() -> list[str]:
    """Background runs of this process; others would have to be asked of the engine."""
    background = sys.modules.get("skill_magic.background")
    return [handle.name for handle in background.handles()] if background else []


def _files(fragment: str, directory: Path) -> list[str]:
    """Names below ``directory`` that go on from ``fragment``; a folder ends with a slash."""
    folder, _, start = fragment.rpartition("/")
    found: list[str] = []
    try:
        with os.scandir(directory / folder) as entries:
            for entry in entries:
                if not entry.name.startswith(start) or (
                    entry.name.startswith(".") and not start.startswith(".")
                ):
                    continue
                name = f"{folder}/{entry.name}" if "/" in fragment else entry.name
                found.append(quote(name) + ("/" if entry.is_dir() else ""))
                if len(found) >= LIMIT:
                    break
    except OSError:
        return []
    return sorted(found)


def quote(name: str) -> str:
    """``name`` as one word of the line: spaces and quotes escaped, braces doubled against interpolation."""
    return re.sub(r"([\s'\"\\#])", r"\\\1", name).replace("{", "{{").replace("}", "}}")


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
        return {
            "completions": [SimpleCompletion(word, type="skill") for word in words],
            "suppress": True,
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
