"""Which run a person means by a word: its name, its id, the beginning of either, or its skill's name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from ..errors import EngineError

MOST = 10
"""Runs that an error lists."""


class Named(Protocol):
    """A run as far as it is told from others."""

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> str | None: ...

    @property
    def skill(self) -> str: ...


Run = TypeVar("Run", bound=Named)


def matching(word: str, runs: Sequence[Run]) -> list[Run]:
    """The runs that ``word`` may mean; the one of that very name or id alone. Several handles may be on one run."""
    exact = [run for run in runs if word and word in (run.id, run.name)]
    found = exact or [run for run in runs if word and _fits(word, run)]
    return list({run.name: run for run in reversed(found)}.values())[::-1]


def pick(word: str, runs: Sequence[Run], *, prefer: Callable[[Run], bool] | None = None) -> Run:
    """The run that ``word`` means.

    :param prefer: where it fits several, only those count for which this is true, if there are any.
    :raises EngineError: it fits none, or more than one; the error lists these.
    """
    found = matching(word, runs)
    if len(found) > 1 and prefer is not None:
        found = [run for run in found if prefer(run)] or found
    if len(found) == 1:
        return found[0]
    if found:
        listed = [f"  {_said(run)}" for run in found[:MOST]]
        more = [f"  and {len(found) - MOST} more"] if len(found) > MOST else []
        hint = "give the name or the id of one, or its beginning"
        raise EngineError(f"{word!r} fits {len(found)} runs:", hint, more=[*listed, *more])
    known = {name for run in runs for name in (run.name, run.skill)}
    near = difflib.get_close_matches(word, sorted(known), 1, 0.75)
    suggestion = f"; did you mean {near[0]}?" if near else ""
    raise EngineError(f"there is no run {word!r}{suggestion}", "`skill ps` lists those that there are")


def _fits(word: str, run: Named) -> bool:
    return run.name.startswith(word) or (run.id or "").startswith(word) or run.skill == word


def _said(run: Named) -> str:
    words = (run.name, (run.id or "")[:12], str(getattr(run, "state", "")))
    return "  ".join(word for word in words if word)
