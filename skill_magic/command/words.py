"""Lines and cells → words, and the notebook's values put into them.

Splitting follows the shell's quoting and nothing else of it: no expansion, no globbing, no operators. Values
are filled in after the split, so that one value stays one argument whatever it holds.
"""

from __future__ import annotations

import difflib
import keyword
import numbers
import os
import re
from collections.abc import Callable, Mapping, Sequence

from ..errors import CommandError
from ..file_change import FileChange
from ..manifest import values

_PLAIN = re.compile(r"[^ \t\r\n'\"\\]+")
_SINGLE = re.compile(r"[^']*")
_DOUBLE = re.compile(r'[^"\\]+')
_COMMENT = re.compile(r"[^\n]*")
_BLANKS = " \t\r\n"
_SHOWN = 60  # characters of a line that an error shows


class Bare(str):
    """A word that was typed without a quote or a backslash."""

    __slots__ = ()


def split(line: str) -> list[str]:
    """Split a line into words by the shell's quoting: ``'…'``, ``"…"`` and ``\\``. Those that needed none are
    :class:`Bare`.

    :raises CommandError: for a quote that is not closed; shows its place.
    """
    return _split(line, comments=False)


def cell_arguments(body: str) -> list[str]:
    """Read a cell's body as arguments: the shell's quoting, ``#`` comments, line breaks as spaces.

    :raises CommandError: for a quote that is not closed; shows its line and place.
    """
    return _split(body, comments=True)


def _split(text: str, *, comments: bool) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None  # None between words; quotes can make an empty one
    bare = True
    at = 0
    while at < len(text):
        char = text[at]
        if char in _BLANKS:
            if word is not None:
                words.append(_word(word, bare))
                word = None
            at += 1
        elif char == "#" and comments and word is None:
            at = _end(_COMMENT, text, at)
        elif text.startswith("\\\n", at):
            at += 2
        else:
            if word is None:
                word, bare = [], True
            if char in "'\"\\":
                at, bare = _quoted(text, at, word), False
            else:
                at = _plain(text, at, word)
    return words if word is None else [*words, _word(word, bare)]


def _word(parts: list[str], bare: bool) -> str:
    text = "".join(parts)
    return Bare(text) if bare else text


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _plain(text: str, at: int, word: list[str]) -> int:
    end = _end(_PLAIN, text, at)
    word.append(text[at:end])
    return end


def _quoted(text: str, start: int, word: list[str]) -> int:
    """Read the quote or backslash at ``start``; returns the index behind it."""
    if text[start] == "\\":
        if start + 1 == len(text):
            raise _unclosed("a backslash stands at the very end", text, start, "write \\\\ for a backslash")
        word.append(text[start + 1])
        return start + 2
    if text[start] == "'":
        end = _end(_SINGLE, text, start + 1)
        if end == len(text):
            raise _unclosed(
                "the quote ' is not closed", text, start, "close it, or write \\' for an apostrophe"
            )
        word.append(text[start + 1 : end])
        return end + 1
    at = start + 1
    while at < len(text):
        char = text[at]
        if char == '"':
            return at + 1
        if char != "\\":
            end = _end(_DOUBLE, text, at)
            word.append(text[at:end])
            at = end
        else:
            # POSIX: between double quotes a backslash is one, unless one of these follows it.
            following = text[at + 1 : at + 2]
            word.append(
                "" if following == "\n" else following if following in tuple('$`"\\') else "\\" + following
            )
            at += 2
    raise _unclosed('the quote " is not closed', text, start, 'close it, or write \\" for a quotation mark')


def _unclosed(what: str, text: str, at: int, hint: str) -> CommandError:
    begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    line = text[begin : end if end >= 0 else len(text)]
    column = at - begin
    where = f"column {column + 1}" if "\n" not in text.strip() else f"line {text.count(chr(10), 0, at) + 1}"
    first = max(0, column - _SHOWN // 2)
    shown = line[first : first + _SHOWN].replace("\t", " ")
    return CommandError(f"{what} ({where}):", hint, more=[f"  {shown}", f"  {' ' * (column - first)}^"])


# --- {name} -------------------------------------------------------------------------------------------------

_IDENTIFIER = r"[^\W\d]\w*"
_STEP = re.compile(rf"\.({_IDENTIFIER})|\[([^\[\]{{}}]+)\]")
_FIELD = re.compile(rf"\{{({_IDENTIFIER})((?:\.{_IDENTIFIER}|\[[^\[\]{{}}]+\])*)\}}")
_BRACE = re.compile(r"[{}]")


def interpolate(words: Sequence[str], namespace: Mapping[str, object]) -> list[str]:
    """Fill in ``{name}``, ``{obj.attr}`` and ``{d[key]}`` from ``namespace``; ``{{name}}`` stands for
    ``{name}``.

    A list or tuple becomes many words where its braces are the whole word. Braces around anything that does
    not read as a Python name stay as they are, so that JSON and awk programs need no care. Nothing is called
    or evaluated.

    :raises CommandError: for an unknown name, and for a value that is no text, number, path, or list of
        these.
    """
    filled: list[str] = []
    for word in words:
        whole = _FIELD.fullmatch(word)
        if whole and not keyword.iskeyword(whole[1]):
            value = _look_up(whole, namespace)
            items = value if isinstance(value, (list, tuple)) else [value]
            filled += [_as_text(item, whole[0]) for item in items]
        else:
            filled.append(_fill(word, namespace, _as_text))
    return filled


def fill_in(text: str, namespace: Mapping[str, object]) -> str:
    """The same for a text that has no words, such as a script: a list or another container of Python's own is written
    as Python shows it.

    :raises CommandError: as for :func:`interpolate`.
    """
    return _fill(text, namespace, _in_text)


def _in_text(value: object, field: str) -> str:
    kinds = (list, tuple, dict, set, frozenset)
    if value is not None and not isinstance(value, kinds):
        return _as_text(value, field)
    try:
        return str(value)
    except Exception as error:  # of what is in it
        problem = type(error).__name__
        raise CommandError(
            f"{field}: the {type(value).__name__} cannot be shown ({problem})", "look at it first"
        ) from None


def _fill(word: str, namespace: Mapping[str, object], as_text: Callable[[object, str], str]) -> str:
    pieces: list[str] = []
    at, doubled = 0, 0  # `}}` is a brace only where a `{{` is open: JSON ends in `}}` too
    while found := _BRACE.search(word, at):
        start = found.start()
        pieces.append(word[at:start])
        field = _FIELD.match(word, start)
        if word.startswith("{{", start):
            pieces.append("{")
            at, doubled = start + 2, doubled + 1
        elif word.startswith("}}", start) and doubled:
            pieces.append("}")
            at, doubled = start + 2, doubled - 1
        elif field and not keyword.iskeyword(field[1]):
            pieces.append(as_text(_look_up(field, namespace), field[0]))
            at = field.end()
        else:
            pieces.append(word[start])
            at = start + 1
    return "".join((*pieces, word[at:]))


def _look_up(field: re.Match[str], namespace: Mapping[str, object]) -> object:
    name = field[1]
    if name not in namespace or name.startswith("__"):
        near = difflib.get_close_matches(name, [known for known in namespace if not known.startswith("_")], 1)
        suggestion = f"; did you mean {{{near[0]}}}?" if near else ""
        hint = f"for the text {field[0]} itself write {{{field[0]}}}, or use --raw"
        raise CommandError(f"{field[0]}: no variable is called {name!r}{suggestion}", hint)
    value = namespace[name]
    for step in _STEP.finditer(field[2]):
        value = _attribute(value, step[1], field[0]) if step[1] else _item(value, step[2], field[0])
    return value


def _attribute(value: object, name: str, field: str) -> object:
    if name.startswith("_"):
        raise CommandError(f"{field}: {name} is private", "put the value into a variable first")
    try:
        return getattr(value, name)
    except Exception as error:
        kind = type(value).__name__
        raise CommandError(
            f"{field}: a {kind} has no {name} ({type(error).__name__})", "see dir() of it"
        ) from None


def _item(value: object, key: str, field: str) -> object:
    """``[0]`` and ``[-1]`` are numbers, ``[key]`` and ``['key']`` texts."""
    number = re.fullmatch(r"-?[0-9]{1,18}", key)
    quoted = re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", key)
    wanted: object = int(key) if number else key
    if quoted:
        wanted = quoted[1] if quoted[1] is not None else quoted[2]
    if number and isinstance(value, Mapping) and wanted not in value:
        wanted = key
    try:
        return value[wanted]  # type: ignore[index]
    except Exception as error:
        kind, problem = type(value).__name__, type(error).__name__
        raise CommandError(f"{field}: the {kind} has no item {key} ({problem})", "look at it first") from None


def _as_text(value: object, field: str) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # the text of a str-Enum, not its name
    if isinstance(value, FileChange):
        return value.argument  # its whole path is one of the host, which no tool sees
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    if isinstance(value, numbers.Number):
        return str(value)
    if isinstance(value, (list, tuple)):
        raise CommandError(
            f"{field} is a {type(value).__name__} inside a word",
            f"write {field} as a word of its own, or join it first",
        )
    raise CommandError(
        f"{field} is a {type(value).__name__}, not a text", "turn it into a text first, e.g. with str()"
    )


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
