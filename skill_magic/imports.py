"""Keeps the modules beside a notebook out of this package's imports.

A kernel looks for a module in the notebook's directory before it looks among the installed ones, and this package, like
its libraries, imports most of what it needs late. A ``docker.py`` or ``tempfile.py`` in a directory that somebody else
wrote would so be run by the first ``%skill``. What this package or a library imports on its behalf is looked for in all
other places of ``sys.path``; what a person's own code imports is found as ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType

PACKAGE = __name__.partition(".")[0]


class InstalledOnly:
    """A finder of ``sys.meta_path`` for imports of this package, and of libraries that it has called."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module outside the current directory; ``None`` where the usual search is to go on.

        :raises ModuleNotFoundError: there is none elsewhere: one in the current directory is not taken.
        """
        if path is not None:
            return None  # a module of a package that has been found
        kept = [entry for entry in sys.path if not _current(entry)]
        if (
            name == PACKAGE
        ):  # loaded anew (%reload_ext); a checkout that is the current directory is found as ever
            return PathFinder.find_spec(name, kept)
        if len(kept) == len(sys.path) or not _on_our_behalf(sys._getframe(1), kept):
            return None
        found = PathFinder.find_spec(name, kept)
        for finder in sys.meta_path:
            if found is None and finder is not self and finder is not PathFinder:
                found = finder.find_spec(
                    name, None, target
                )  # built-in and frozen modules, editable installations
        if found is None and PathFinder.find_spec(name, [entry for entry in sys.path if _current(entry)]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found


def _current(entry: str) -> bool:
    """Whether a place of ``sys.path`` is the current directory, which is a kernel's notebook's."""
    if entry in ("", "."):
        return True
    try:
        return os.path.realpath(entry) == os.getcwd()
    except OSError:  # the directory is gone
        return False


def _on_our_behalf(frame: FrameType | None, kept: Sequence[str]) -> bool:
    """Whether this package imports, or a library that it has called; not a person's own code that it has called."""
    importer = True
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if not module.startswith(("importlib", "_frozen_importlib")):
            if importer and not _installed(frame, kept):
                return False
            importer = False
            if module == PACKAGE or module.startswith(f"{PACKAGE}."):
                return True
        frame = frame.f_back
    return False


def _installed(frame: FrameType, kept: Sequence[str]) -> bool:
    """Whether the code of a frame comes from a place of ``sys.path`` other than the current directory."""
    file = frame.f_globals.get("__file__")
    if not isinstance(file, str):
        return False
    if (frame.f_globals.get("__name__") or "").partition(".")[0] == PACKAGE:
        return True
    file = os.path.realpath(file)
    return any(file.startswith(os.path.realpath(entry).rstrip("/") + "/") for entry in kept)


def install() -> None:
    """Put the finder before all others, once."""
    if not any(isinstance(finder, InstalledOnly) for finder in sys.meta_path):
        sys.meta_path.insert(0, InstalledOnly())
