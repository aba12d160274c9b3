"""What the host runs or reads later by where it is named: a project's own names, git's settings, the open notebook, and
the person's variables."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..host import Host
from ..policy.paths import Budget
from ..policy.protected import below
from ..policy.protected_tables import ENV_CODE
from .git import git_directories, personal, pointed

PROJECT_CODE = (".git", ".vscode", ".idea", ".envrc", ".venv", ".devcontainer", ".husky")
"""In a project's directory: what the host runs later without being asked."""

MANIFESTS = ("skills.toml", ".skill-engine.toml", "skill-engine.toml")

MOST_PLACES = 64
"""Places that one variable may name."""


def places_named(
    source: str, host: Host, files: Iterable[Path], budget: Budget | None = None
) -> Iterator[str]:
    """Paths that the host runs or reads later for what is in ``source``; existing or not, and not all below it.

    :param files: further ones. :raises TooManyError: as :func:`git.pointed`.
    """
    own, budget = personal(host), budget or Budget()
    roots = {source}
    if below(str(host.directory), source) or below(source, str(host.directory)):
        roots.add(str(host.directory))
    for root in sorted(roots):
        for name in (*PROJECT_CODE, *MANIFESTS, ".gitmodules"):
            yield os.path.join(root, name)
        yield from git_directories(root, own, budget)
    # The folder may be a part of repositories, whose own hooks and settings can lie in it.
    for folder in Path(source).parents:
        if os.path.lexists(folder / ".git"):
            yield from pointed(str(folder / ".git"), own, budget)
    for file in (*files, *((host.notebook,) if host.notebook is not None else ())):
        yield str(file)
    yield from _named_by_variables(host)


def _named_by_variables(host: Host) -> Iterator[str]:
    """Files and folders that the person's own variables tell programs to run or to load code from."""
    for name in ENV_CODE:
        for place in host.environment.get(name, "").split(os.pathsep)[:MOST_PLACES]:
            if (
                place and "\0" not in place
            ):  # a relative one is one of the directory that a program is started in
                yield posixpath.normpath(os.path.join(host.directory, place))
