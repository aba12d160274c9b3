"""The lines of a failed tool's output that a person would point at when asked for the cause.

Tools end with usage texts, stacks, carets and words about cleaning up, so that the last line is seldom the one
that tells why. Each line is given points for what it says: a label such as ``error:``, a reason such as "No such
file". The best are taken, in the order they came. Nothing here reads or writes; the cost is linear in the text,
of which only :data:`LINES` lines at each end are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .cause_words import (
    CHILD,
    CODE,
    COMPILER,
    DERIVED,
    EXCEPTION,
    FILE,
    HARD,
    HINT,
    LABEL,
    LOCATION,
    METER,
    MILD,
    NOISE,
    QUIET,
    SOFT,
    TEST,
    USAGE,
    WORD,
)

__all__ = ["LINES", "MOST", "Picked", "pick"]

MOST = 3
"""Lines at most."""

WIDTH = 300
"""Characters of one line at most; a longer one loses its middle."""

LINES = 500
"""Lines of the start, and of the end, that are looked at."""

WEAK = 20
"""Points of a line that has a reason's words and nothing else."""

STRONG = 50
"""Points from which a line is a plain statement that something failed."""

_LOOK = 1000  # characters of a line, half of them from its end, that are looked at
_TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class Picked:
    """``lines`` in the order they came. ``sure`` is false where none of them says that something failed."""

    lines: tuple[str, ...] = ()
    sure: bool = False


def pick(text: str) -> Picked:
    """The lines of ``text`` that tell why, ``MOST`` at most; ``text`` has no control sequences in it."""
    lines = _lines(text)
    found = _exceptions(lines)
    if not found:
        points = _points(lines)
        found = _best(lines, points)
        if not found:
            return Picked(tuple(_shown(lines[at]) for at in _last(lines, points)))
        sure = max(points[at] for at in found) >= STRONG
    else:
        sure = True
    chosen = dict.fromkeys(_shown(lines[at]) for at in sorted(set(found)))
    return Picked(tuple(chosen)[:MOST], sure)


def _lines(text: str) -> list[str]:
    lines = text.replace("\r", "\n").split("\n")
    if len(lines) > 2 * LINES:
        lines = lines[:LINES] + lines[-LINES:]
    half = _LOOK // 2
    kept = []
    for line in lines:
        line = line.rstrip()
        kept.append(line if len(line) <= _LOOK else f"{line[:half]} … {line[-half:]}")
    return kept


def _shown(line: str) -> str:
    line = METER.sub("", line).strip()
    line = re.sub(r"^\[[^\[\]]{1,60} @ 0x[0-9a-f]{4,16}\] ", "", line)  # FFmpeg's address of a part of it
    line = re.sub(r"^[ |]*\| ", "", line)  # the frame of an exception group
    if len(line) <= WIDTH:
        return line
    return f"{line[: WIDTH - 101]}…{line[-100:]}"


def _last(lines: Sequence[str], points: Sequence[int]) -> list[int]:
    """The last line that says something, in a list; else the last with anything on it."""
    for least in (0, -1):
        for at in range(len(lines) - 1, -1, -1):
            if points[at] >= least and (WORD.search(lines[at]) or (least < 0 and lines[at].strip())):
                return [at]
    return []


def _caret(line: str) -> bool:
    """Whether ``line`` only points at something in the line above."""
    return bool(line) and not line.strip(" \t|~^-") and ("^" in line or "~" in line)


# --- Python's tracebacks: the last one has the error that ended the program.


def _exceptions(lines: Sequence[str]) -> list[int]:
    ends = [end for at, line in enumerate(lines) if (end := _traceback_end(lines, at, line)) is not None]
    if not ends:
        return _syntax_error(lines)
    last = ends[-1]
    if lines[last].lstrip().startswith("|"):
        return _group(lines, last)
    found = [last]
    if len(ends) > 1 and "direct cause" in "".join(lines[ends[-2] + 1 : ends[-2] + 4]):
        found.insert(0, ends[-2])
    if ":" not in lines[last]:  # no message: the statement that raised it tells more
        code = next((at for at in range(last - 1, max(last - 4, -1), -1) if WORD.search(lines[at])), None)
        if code is not None and not lines[code].lstrip().startswith("["):
            found.append(code)
    head = next(at for at in range(last, -1, -1) if _TRACEBACK in lines[at])
    found += [at for at in range(max(head - 2, 0), head) if TEST.search(lines[at])]
    if CHILD.search(lines[last]):
        found += _best(lines[:head], _points(lines[:head]))[: MOST - 1]
    return found + _following(lines, last, MOST - len(found))


def _traceback_end(lines: Sequence[str], at: int, line: str) -> int | None:
    """The line of the exception for a traceback that begins ``at``."""
    if not line.endswith(_TRACEBACK):
        return None
    frame = line[: len(line) - len(_TRACEBACK)]
    bar = "| " if "Exception Group" in frame else ""
    for number in range(at + 1, min(at + 400, len(lines))):
        body = lines[number].lstrip().removeprefix(bar) if bar else lines[number]
        if body and not body.startswith(" "):
            return number if EXCEPTION.match(body) else None
    return None


def _group(lines: Sequence[str], at: int) -> list[int]:
    parts = [
        number
        for number in range(at + 1, len(lines))
        if lines[number].lstrip().startswith("| ") and EXCEPTION.match(lines[number].lstrip(" |"))
    ]
    return [at, *parts[: MOST - 1]]


def _syntax_error(lines: Sequence[str]) -> list[int]:
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].startswith(("SyntaxError: ", "IndentationError: ", "TabError: ")):
            for place in range(at - 1, max(at - 6, -1), -1):
                if lines[place].startswith('  File "') or LOCATION.fullmatch(lines[place]):
                    return [place, at]
            return [at]
    return []


def _following(lines: Sequence[str], at: int, room: int) -> list[int]:
    """The rest of a message of several lines, of which ``at`` has the first; a note of Python's is one line."""
    found: list[int] = []
    several = lines[at].endswith(":")
    for number in range(at + 1, min(at + 1 + room, len(lines))):
        line = lines[number]
        if not WORD.search(line) or DERIVED.search(line):
            break
        if not several and not line.startswith(" ") and number > at + 1:
            break
        found.append(number)
    return found


# --- All others: points.


def _points(lines: Sequence[str]) -> list[int]:
    points = [0] * len(lines)
    usage = False
    for at, line in enumerate(lines):
        usage = usage or bool(USAGE.search(line))
        indented = line[:1] in ("", " ", "\t", "-")
        if (usage and (indented or line.endswith(":"))) or _aside(line):
            points[at] = -1
        elif WORD.search(line) and not (at + 1 < len(lines) and _code(line, lines[at + 1])):
            points[at] = _score(line) or -usage
    return points


def _aside(line: str) -> bool:
    return bool(USAGE.search(line) or NOISE.search(line) or HINT.search(line) or DERIVED.search(line))


def _code(line: str, below: str) -> bool:
    """A line of source, and not the error itself with a caret below it."""
    if CODE.match(line):
        return True
    return _caret(below) and (line[:1] in (" ", "\t") or not LABEL.search(line))


def _score(line: str) -> int:
    hard = 30 if HARD.search(line) else 0
    if QUIET.search(line):
        return WEAK if hard else 0
    soft = 20 if SOFT.search(line) else 0
    label = 50 if LABEL.search(line) or EXCEPTION.match(line.lstrip(" [")) else 0
    place = 25 if LOCATION.match(line) else 0
    return max(label + hard + soft + place, 15 if MILD.search(line) else 0)


def _best(lines: Sequence[str], points: Sequence[int]) -> list[int]:
    most = max(points, default=0)
    if most < 15:
        return []
    good = [at for at, value in enumerate(points) if value >= min(most, WEAK)]
    first = next(at for at in good if points[at] >= min(most, STRONG))
    if COMPILER.match(lines[first]):  # the errors that follow often come of the first
        first = next(at for at in good if COMPILER.match(lines[at]))
        return [first, *_details(lines, points, first)][:MOST]
    found = [first, *_details(lines, points, first)]
    cause = [at for at in good if "Caused by: " in lines[at] or "[cause]: " in lines[at]]
    last = sorted(good, key=lambda at: (-points[at], -at))
    rest = [*cause[-1:], *last[:1], *sorted(good, key=lambda at: (-points[at], at))]
    if most < STRONG:  # nothing says plainly that it failed: the last words may be it
        rest += _last(lines, points)
    said = {_reason(lines[at]) for at in found}
    for at in rest:
        if len(found) >= MOST:
            break
        if at not in found and _reason(lines[at]) not in said:
            said.add(_reason(lines[at]))
            found.append(at)
    for at in range(first, len(lines) if len(found) < MOST else 0):
        name = FILE.fullmatch(lines[at])
        if name is not None and not any(name[1] in lines[number] for number in found):
            return [*found, at]
    return found[:MOST]


def _reason(line: str) -> str:
    """What is behind the last colon, by which two lines that say the same are known."""
    return line.rpartition(": ")[2].strip(" .")


def _details(lines: Sequence[str], points: Sequence[int], at: int) -> list[int]:
    """What belongs to the line ``at``: what its colon announces, the file it does not name, details."""
    found: list[int] = []
    near = range(at + 1, min(at + 16, len(lines)))
    after = [number for number in near if lines[number] and points[number] >= 0 and not _caret(lines[number])]
    if lines[at].endswith(":") and after:
        block: list[int] = []
        for number in after:
            if block and not lines[number].startswith((" ", "\t")):
                break
            block.append(number)
        best = max(block, key=lambda number: (points[number], -number))
        found.append(best)
        if lines[best].endswith(":"):
            found += [number for number in after if number > best][:1]
    for number in after[:2]:
        line = lines[number].lstrip()
        if line.startswith(("DETAIL: ", "LINE ", "--> ")):
            found.append(number)
    return found[: MOST - 1]
