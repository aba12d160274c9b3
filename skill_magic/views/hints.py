"""What a person may have taken for granted: habits of a shell, which are told of a run that ended well too, and names
that mean nothing in a container."""

from __future__ import annotations

import fnmatch
import itertools
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..command.habits import MOST, find
from ..foreign import line

if TYPE_CHECKING:
    from ..command.habits import Habit
    from ..events import Finished
    from ..host import Host
    from ..spec import RunSpec

LOOKED_AT = 10_000
"""Names of one folder that a pattern is compared with."""

WAYS = 3
"""Ways out that one line has room for."""

_OPERATORS = frozenset("[ expr find test tcpdump tshark dumpcap tmux".split())  # noqa: SIM905
"""Programs that have operators such as `<` and `;` among their own words."""

_PATTERNS = frozenset(
    """7z 7za 7zr 7zz animate compare composite conjure convert display eslint exiftool find git grep identify import
    magick mogrify montage pg_dump pg_restore prettier psql redis-cli rg rsync stream tar unzip zip""".split()  # noqa: SIM905
)
"""Programs that read a pattern of names themselves."""

# Every image has these itself: that they exist on the host too says nothing.
_OF_IMAGES = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var/lib")


def of(
    spec: RunSpec, end: Finished, shown: Sequence[str], habits: Sequence[Habit] | None = None
) -> Iterator[str]:
    """The hints for a run that failed, each half a sentence.

    :param shown: ``spec.args`` as they may be shown; an argument with a secret in it gets no hint.
    :param habits: words of a shell among them; ``None``: look for them here.
    """
    if end.state != "failed":
        return
    unfound = end.error or end.exit_code in (126, 127)  # an init in the container has no other words for it
    if unfound and spec.entrypoint and " " in spec.entrypoint.strip():
        first = line(spec.entrypoint.split()[0])
        yield f'the entrypoint is one word: write entrypoint = "{first}", and the rest as items of `command`'
    plain = [word for word, seen in zip(spec.args, shown, strict=True) if word == seen][:MOST]
    meant = find(spec.args, "python") if habits is None else habits
    yield from _no_shell([each for each in meant if not _reads_it(each, spec)], spec, shown)
    for word in plain:
        if found := _outside(spec, word):
            yield found
            break


def on_success(
    spec: RunSpec, end: Finished, shown: Sequence[str], habits: Sequence[Habit] | None, host: Host
) -> Iterator[str]:
    """The line on words of a shell for a run that ended well: those that the tool can hardly have been meant to get.
    Parameters as for :func:`of`."""
    if end.state != "finished" or not habits:
        return
    sure = [
        each for each in habits if each.sure and not _reads_it(each, spec) and _bears_out(each, spec, host)
    ]
    yield from _no_shell(sure, spec, shown)


def _reads_it(habit: Habit, spec: RunSpec) -> bool:
    """Whether the program has a use of its own for such a word."""
    programs = {posixpath.basename(word) for word in (spec.skill, spec.entrypoint or "", *spec.args[:1])}
    if habit.kind == "pattern":
        return bool(programs & _PATTERNS)
    return habit.kind not in ("home", "variable") and bool(programs & _OPERATORS)


def _bears_out(habit: Habit, spec: RunSpec, host: Host) -> bool:
    """Whether the machine is as it would be if ``habit`` is one."""
    match habit.needs:
        case "absent":
            return not os.path.lexists(spec.directory / habit.operand)
        case "present":
            return os.path.lexists(spec.directory / habit.operand)
        case "variable":
            return habit.operand in host.environment or habit.operand in ("HOME", "PWD")
        case "matches":
            return _matches(spec.directory, habit.word)
    return True


def _matches(directory: Path, pattern: str) -> bool:
    """Whether a file of ``directory`` has a name that ``pattern`` stands for; of the last step of it only, so that
    one look at one folder tells."""
    folder, _, last = pattern.rpartition("/")
    if re.search(r"[*?]", folder) or os.path.isabs(pattern) or ".." in folder.split("/") or len(last) > 255:
        return False
    try:
        with os.scandir(directory / folder) as entries:
            names = (entry.name for entry in itertools.islice(entries, LOOKED_AT))
            return any(fnmatch.fnmatchcase(name, last) for name in names if name[0] != "." or last[0] == ".")
    except OSError:
        return False


def _no_shell(habits: Sequence[Habit], spec: RunSpec, shown: Sequence[str]) -> Iterator[str]:
    """One line on all of ``habits``."""
    secret = {word for word, seen in zip(spec.args, shown, strict=True) if word != seen}
    told = [habit for habit in habits if habit.word not in secret and habit.operand not in secret]
    if not told:
        return
    words = [_short(habit.word) for habit in told]
    listed = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    went = "as arguments" if len(words) > 1 else "as an argument"
    ways = list(dict.fromkeys(_short(habit.way) for habit in told if habit.way))[:WAYS]
    yield "; ".join((f"there is no shell: {listed} went to the tool {went}", *ways))


def _outside(spec: RunSpec, word: str) -> str:
    """The hint for a path of the host that the tool cannot know; empty where ``word`` is none."""
    if word.startswith("-"):
        word = word.partition("=")[2]
    from ..policy import redact

    home = str(spec.directory)
    binds = [
        (mount.source, mount.target)
        for mount in spec.mounts
        if mount.kind == "bind" and mount.source is not None and (mount.source == home or not mount.ours)
        if redact.mount(mount) == mount  # what is not shown is not hinted at
    ]
    workdir = next((target for source, target in binds if source == home), None)
    if workdir is None or not word or "\0" in word:
        return ""
    if word.startswith("/"):
        path = inside = posixpath.normpath(word)
    elif word.split("/")[0] == ".." and spec.working_dir == workdir:
        path = posixpath.normpath(posixpath.join(home, word))
        inside = posixpath.normpath(posixpath.join(workdir, word))
    else:
        return ""
    if any(_below(inside, mount.target) for mount in spec.mounts):
        return ""  # the tool sees something there
    for source, target in sorted(binds, key=lambda pair: len(pair[0]), reverse=True):
        if _below(path, source):
            there = posixpath.relpath(path, source)
            name = there if source == home and spec.working_dir == workdir else posixpath.join(target, there)
            return f"the tool sees {line(source)} as {line(target)}: write {_short(name)}"
    if path == "/" or any(_below(path, tree) for tree in _OF_IMAGES) or not os.path.lexists(path):
        return ""
    return f"the tool sees {line(home)}, as {line(workdir)}, and not {_short(word)}: put it there"


def _below(path: str, tree: str) -> bool:
    return PurePosixPath(path).is_relative_to(tree)


def _short(word: str) -> str:
    said = line(word)
    return said if len(said) <= 200 else f"{said[:199]}…"
