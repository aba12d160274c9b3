"""The page that a person reads before they allow something: at most :data:`LINES` lines, a summary, a question.

Nothing that a manifest says can make it longer: there is one line for each kind of grant at least, the gravest
first, then lines for single items as far as they fit; the summary counts every kind. Values keep to their
lines, see :mod:`skill_magic.fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ..fit import columns, cut, names, value, wrapped
from ..policy import gravity

if TYPE_CHECKING:
    from pathlib import Path

    from ..door import Door
    from ..policy.decide import Decision
    from ..policy.gravity import Ask

LINES = 20
"""The most lines before the summary."""

_FEW, _SOME = 3, 6  # lines for a kind of which there are many: at first, and where there is room
_CHANGES = 3  # lines for what has changed since a grant


@dataclass(frozen=True)
class Page:
    """``text`` is shown, then ``question`` is put."""

    text: str
    question: str


def page(
    decisions: Sequence[Decision],
    door: Door,
    *,
    changes: Mapping[str, Mapping[str, str]],
    given: Iterable[str] = (),
    others: Sequence[Decision] = (),
    alone: bool,
    images: bool = False,
) -> Page:
    """The page on what ``decisions`` ask for.

    :param changes: skill → what has changed since its grants, see ``trust.changed``.
    :param given: what was granted in this project before.
    :param others: skills that are not asked for, since a yes would not help them.
    :param alone: it is about one skill that was named, not about a project.
    :param images: some of it comes from images, at which ``explain`` and ``check`` do not look.
    """
    width, height = door.screen()
    asks = gravity.asked(
        ((each.name, each.violations) for each in decisions),
        gravity.steering(door.host),
        str(door.host.home),
    )
    room = width - columns("Allow all of this for ? [y/N] ")
    many = f"{len(decisions)} skills" if len(decisions) > 1 else value(decisions[0].name, min(32, room))
    top = _top(decisions, many, width)
    clauses = gravity.together(asks, [each.spec for each in decisions if each.spec is not None], given)
    below = [
        *_left_out(others, width),
        *(wrapped(f"Together: {'; '.join(clauses)}.", width) if clauses else []),
        cut(_in_full(decisions, len(asks), door, alone=alone, images=images), width),
    ]
    summary = wrapped(f"In all {len(asks):,}: {', '.join(gravity.counts(asks))}.", width)
    news = _news(changes, width, alone=alone)
    room = min(LINES, height - len(summary) - 1) - 1 - len(below)
    if room - len(news) < 4:
        news = news[:1]
    items = _items(asks, max(room - len(news), 1), width, every=len(decisions) == 1)
    question = f"Allow all of this for {many}? [y/N] "
    return Page("\n".join([top, *items, *news, *below, *summary]), question)


def _top(decisions: Sequence[Decision], many: str, width: int) -> str:
    asks = "asks" if len(decisions) == 1 else "ask"
    start = f"{many} {asks} for more than a project's skill gets, in "
    where: Path | str = ""
    if decisions[0].skill is not None:
        where = decisions[0].skill.file.parent
    return cut(start + value(str(where), max(width - columns(start) - 1, 12)), width - 1) + ":"


def _items(asks: Sequence[Ask], limit: int, width: int, *, every: bool) -> list[str]:
    """At most ``limit`` lines: each kind has one, the gravest kinds more."""
    groups = [list(group) for _, group in groupby(asks, key=lambda each: each.rank)]
    rest: list[list[Ask]] = []
    if len(groups) > limit:  # where there is one line, it is the gravest, and the summary has the others
        groups, rest = groups[: max(limit - 1, 1)], groups[limit - 1 :] if limit > 1 else []
    sizes = [1] * len(groups)
    spare = limit - len(groups) - bool(rest)
    for at, group in enumerate(groups):  # a few lines for each kind,
        take = max(min(len(group), _FEW) - 1, 0)
        sizes[at] += min(take, spare)
        spare -= min(take, spare)
    for at, group in enumerate(groups):  # then all of a kind where they fit
        take = len(group) - sizes[at]
        if take <= spare:
            sizes[at] += take
            spare -= take
    for at, group in enumerate(groups):  # and some more of those that do not
        take = max(min(len(group), _SOME) - sizes[at], 0)
        sizes[at] += min(take, spare)
        spare -= min(take, spare)
    lines = []
    for group, size in zip(groups, sizes, strict=True):
        single = size if size == len(group) else size - 1
        lines += [_line(each.text, each.skills, width, every=every) for each in group[:single]]
        if single < len(group):
            lines.append(_group(group[single:], bool(single), width, every=every))
    if rest:
        left = [each for group in rest for each in group]
        lines.append(cut(f"  - and {', '.join(gravity.counts(left))}", width))
    return lines


def _line(text: Callable[[int], str], skills: Sequence[str], width: int, *, every: bool) -> str:
    """One line, which ends with the skills it is about."""
    whose = "" if every else f"  [{names(skills, width // 3, 24)}]"
    return f"  - {text(width - 4 - columns(whose))}{whose}"


def _group(group: Sequence[Ask], more: bool, width: int, *, every: bool) -> str:
    kind = group[0].kind
    noun = kind.one if len(group) == 1 else kind.many
    start = f"{len(group):,} {'more ' if more else ''}{noun}: "
    skills = list(dict.fromkeys(skill for each in group for skill in each.skills))

    def text(limit: int) -> str:
        said = names([each.value for each in group], max(limit - len(start), 0))
        # Where not one name fits, the number says it already.
        return cut(start.removesuffix(": ") if said.endswith(" of them") else start + said, limit)

    return _line(text, skills, width, every=every)


def _news(changes: Mapping[str, Mapping[str, str]], width: int, *, alone: bool) -> list[str]:
    """What has changed since it was allowed."""
    if not changes:
        return []
    if not alone:
        what = [f"{name} ({', '.join(keys) or 'by an earlier version'})" for name, keys in changes.items()]
        many = f" ({len(what)} skills)" if len(what) > 1 else ""
        return [cut(f"Allowed before, and changed since{many}: {', '.join(what)}", width)]
    (keys,) = changes.values()
    if not keys:
        return [cut("It was allowed before, by an earlier version of this package.", width)]
    lines = [cut(f"It was allowed before. Changed since: {', '.join(keys)}", width)]
    return lines + [cut(f"  {key}: {what}", width) for key, what in [*keys.items()][: _CHANGES - 1]]


def _left_out(others: Sequence[Decision], width: int) -> list[str]:
    """Who is not asked for, and why."""
    lines = []
    for verdict, words in (("deny", "refused by the policy"), ("error", "with faults")):
        who = [each.name or "the manifest" for each in others if each.verdict == verdict]
        if who:
            start = f"Not asked for: {len(who):,} {words}: "
            lines.append(cut(start + names(who, max(width - len(start), 8), 32), width))
    return lines


def _in_full(decisions: Sequence[Decision], count: int, door: Door, *, alone: bool, images: bool) -> str:
    from ..findings import SHOWN

    if images:
        words = f"trust --json {decisions[0].name if alone else '--all'}"
        return f"In full, with reasons: answer n to {door.line(words)}"
    json = " --json" if count > SHOWN else ""
    words = f"explain{json} {decisions[0].name}" if alone else f"check{json}"
    return f"In full, with reasons: {door.line(words)}"


def told(others: Sequence[Decision], door: Door) -> list[str]:
    """The lines on skills that are not asked for."""
    return _left_out(others, door.screen()[0])
