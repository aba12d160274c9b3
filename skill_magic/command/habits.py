"""Words that a shell would have obeyed, among the arguments of a tool, which gets them as they stand.

Found by the words alone. A word counts only whole: what stands inside an argument (a filter graph, SQL, a program, a
regular expression) is the tool's. Where it is known how a word was typed, one in quotes is the tool's as well. What is
a habit for sure is told whatever becomes of the run; the rest may have been meant and is told of a run that failed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .words import Bare

MOST = 200
"""Arguments that are looked at."""

Kind = Literal[
    "output",
    "append",
    "error",
    "input",
    "pipe",
    "then",
    "background",
    "comment",
    "pattern",
    "home",
    "variable",
]
Needs = Literal["", "absent", "present", "matches", "variable"]
Door = Literal["magic", "shell", "python"]


@dataclass(frozen=True)
class Habit:
    """One such word.

    :param word: as it stands; :param operand: the name that goes with it: a file, a variable.
    :param way: what does here what was meant.
    :param sure: it can hardly be meant for the tool, given what it ``needs``: that no file has the operand's name after
        the run (``absent``), that one has it (``present``), files that the word matches, a variable of the host.
    """

    kind: Kind
    word: str
    operand: str = ""
    way: str = ""
    sure: bool = False
    needs: Needs = ""


# A name of a file that a person types without quotes; `.a` is rather a path of jq's, a number no file.
_NAME = r"(?![\d.,]+\Z)(?!\.\w+\Z)(?![-=])[\w./~{}\[\]+@%,:=-]+"
_FILE = re.compile(_NAME)
_OUTPUT = re.compile(r"(?:1|&)?>\|?")
_APPEND = re.compile(r"(?:1|&)?>>")
_ERROR = re.compile(r"2>>?")
_DESCRIPTOR = re.compile(r"[012]?>&[012-]|[12&]>>?/dev/null")
_GLUED = re.compile(rf"(?P<sign>[12&]?>>?|<)(?P<name>(?=\S*[./]){_NAME})")
_INPUT = re.compile(r"<|<<<?|<<-?\w+")
_NEXT = re.compile(r"(?!-)[A-Za-z_/~{][\w./~{}+-]*|\./[\w./+-]+")
_COMMENT = re.compile(r"#(?![0-9a-fA-F]{3,16}\Z).*", re.DOTALL)  # a colour (`#ff0000`) is none
_PATTERN = re.compile(r"(?=.*[*?])(?=.*[\w/])[\w./~*?\[\]!+-]+")
_HOME = re.compile(r"(?:--?[\w-]+=)?(?P<home>~/.+)")
_VARIABLE = re.compile(r"(?:--?[\w-]+=)?\$(?:(?P<a>[A-Z_][A-Z0-9_]*)|\{(?P<b>[A-Z_][A-Z0-9_]*)\})(?:/.*)?")
_SIGNS = re.compile(r"[012&]?>>?\|?|<|\|\|?|\|&|&&?|;|[012&]?>(?:&[12]|/dev/null)")

FILTERS = frozenset(
    """awk base64 bash bat cat column cut diff egrep fgrep file fold gawk grep gunzip gzip head hexdump jq less more nl
    od paste perl python python3 rev rg sed sh shuf sort sqlite3 strings tac tail tee tr uniq wc xargs xxd xz yq
    zcat""".split()  # noqa: SIM905
)
"""Programs that people write behind ``|``."""

COMMANDS = FILTERS | {
    "cd",
    "cp",
    "echo",
    "export",
    "ls",
    "make",
    "mkdir",
    "mv",
    "pwd",
    "rm",
    "skill",
    "sleep",
    "touch",
}
"""Programs that people write behind ``;``."""


_LOCAL = re.compile(r"\$(?:(?P<a>[a-z_]\w*)|\{(?P<b>[a-z_]\w*)\})")
"""A variable of the notebook as IPython's own commands for a shell take it."""


def find(words: Sequence[str], door: Door) -> tuple[Habit, ...]:
    """The habits among ``words``, one of each kind: the surest, then the first.

    A word of the magic's line or a cell that is no :class:`~.words.Bare` was in quotes. Of the other doors nothing is
    known of quotes: a shell has obeyed what it found without them.
    """
    found: dict[Kind, Habit] = {}
    words = words[:MOST]
    for at, word in enumerate(words):
        if door == "magic" and not isinstance(word, Bare):
            continue
        for habit in _habits(words, at, word, door):
            known = found.get(habit.kind)
            if known is None or (habit.sure and not known.sure):
                found[habit.kind] = habit
    return tuple(found.values())


def _habits(words: Sequence[str], at: int, word: str, door: Door) -> Iterator[Habit]:
    following = words[at + 1] if at + 1 < len(words) else ""
    ends = at + 2 >= len(words) or _SIGNS.fullmatch(words[at + 2]) is not None
    typed = door == "magic"
    if _DESCRIPTOR.fullmatch(word):
        yield _made("error", word, door, sure=at > 0)
    elif glued := _GLUED.fullmatch(word):
        ends = at + 1 >= len(words) or _SIGNS.fullmatch(following) is not None
        yield _redirected(glued["sign"], word, glued["name"], door, sure=ends and at > 0)
    elif any(sign.fullmatch(word) for sign in (_OUTPUT, _APPEND, _ERROR)):
        file = following if _FILE.fullmatch(following) or (typed and not isinstance(following, Bare)) else ""
        yield _redirected(word, word, file, door, sure=bool(file) and ends and at > 0)
    elif _INPUT.fullmatch(word):
        file = following if word == "<" and _FILE.fullmatch(following) else ""
        sure = (bool(file) and ends) or (typed and word.startswith("<<"))
        yield _made("input", word, door, file, sure=sure and at > 0, needs="" if typed else "present")
    elif word in ("|", "|&"):
        yield _made("pipe", word, door, sure=at > 0 and following in FILTERS)
    elif word in ("&&", "||"):
        yield _made("then", word, door, sure=at > 0 and _NEXT.fullmatch(following) is not None)
    elif word == ";":
        sure = following in COMMANDS or (typed and _NEXT.fullmatch(following) is not None)
        option = words[at - 1].startswith("-") and following not in COMMANDS
        if at > 0 and not option and not {"-exec", "-execdir", "-ok", "-okdir"} & set(words[:at]):
            yield _made("then", word, door, sure=sure)
    elif word == "&":
        yield _made("background", word, door, sure=typed and at > 0 and not following)
    elif _COMMENT.fullmatch(word):
        yield _made("comment", word, door)
    else:
        yield from _expanded(words, at, word, door)


def _expanded(words: Sequence[str], at: int, word: str, door: Door) -> Iterator[Habit]:
    """What a shell would have put other words in the place of."""
    if _HOME.fullmatch(word):
        yield _made("home", word, door, sure=True)
    elif variable := _VARIABLE.fullmatch(word):
        name = variable["a"] or variable["b"]
        yield _made("variable", word, door, name, sure=True, needs="variable")
    elif door == "magic" and (variable := _LOCAL.fullmatch(word)):
        yield _made("variable", word, door, variable["a"] or variable["b"])
    elif _PATTERN.fullmatch(word):
        option = at > 0 and words[at - 1].startswith("-")
        # A shell puts names in its place where there are any: what is still here was quoted, or fits no file.
        yield _made("pattern", word, door, sure=not option and door != "shell", needs="matches")


def _redirected(sign: str, word: str, file: str, door: Door, *, sure: bool) -> Habit:
    kind: Kind = "output"
    if sign.startswith("<"):
        return _made("input", word, door, file, sure=sure, needs="" if door == "magic" else "present")
    if sign.startswith("2"):
        kind = "error"
    elif ">>" in sign:
        kind = "append"
    return _made(kind, word, door, file, sure=sure, needs="" if door == "magic" else "absent")


def _made(
    kind: Kind, word: str, door: Door, operand: str = "", *, sure: bool = False, needs: Needs = ""
) -> Habit:
    return Habit(kind, str(word), str(operand), _way(kind, str(operand), door), sure, needs)


def _way(kind: Kind, operand: str, door: Door) -> str:
    """What does here what was meant, in a few words."""
    if kind == "output":
        outside = operand.startswith(("/", "~", "../"))  # where no file is written
        name = operand.rpartition("/")[2] if outside else operand
        if not name or operand.startswith("/dev/"):
            return ""
        option = f"stdout={name!r}" if door == "python" else f"--stdout {shlex.quote(name)}"
        return f"{option} writes a file"
    if kind == "variable" and operand == operand.lower():
        return f"{{{operand}}} fills in a variable of the notebook"
    if kind in ("home", "variable"):
        return "names of files are relative to the notebook's directory"
    if kind == "comment":
        return ""
    if door == "shell":
        return "without quotes it is your own shell's"
    return {
        "append": "r.stdout_bytes can be appended in Python",
        "error": "standard error is in r.stderr",
        "input": "a cell's body is the input" if door == "magic" else "stdin=Path(…) is the input",
        "pipe": "work on r.stdout in Python",
        "then": "start one run after the other",
        "background": "--bg runs it in the background",
        "pattern": "{names} fills in a list of names",
    }[kind]
