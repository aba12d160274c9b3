"""Run any containerised program from a notebook with one line of magic, safely and visibly.

``%load_ext skill_magic`` gives ``%skill`` and ``%%skill``; ``skill`` is the same in a shell, and :func:`run`
in Python::

    import skill_magic
    result = skill_magic.run("ffmpeg", ["-i", "in.mp4", "out.webm"])

Names are resolved when they are first used: importing the package, and loading the extension, must cost next
to nothing, because a startup file may do it in every kernel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import imports
from ._version import __version__

if TYPE_CHECKING:
    from .api import attach, check, explain, run, start
    from .background import Handle
    from .errors import (
        CommandError,
        EngineError,
        EngineLost,
        EngineUnavailable,
        GpuUnavailable,
        ImageError,
        ManifestError,
        PolicyError,
        RunError,
        SkillError,
        SkillFailed,
        SkillInterrupted,
        SkillKilled,
        SkillNotFound,
        SkillStopped,
        SkillTimeout,
        SpecError,
    )
    from .findings import Violation
    from .result import FileChange, RunResult

__all__ = [
    "CommandError",
    "EngineError",
    "EngineLost",
    "EngineUnavailable",
    "FileChange",
    "GpuUnavailable",
    "Handle",
    "ImageError",
    "ManifestError",
    "PolicyError",
    "RunError",
    "RunResult",
    "SkillError",
    "SkillFailed",
    "SkillInterrupted",
    "SkillKilled",
    "SkillNotFound",
    "SkillStopped",
    "SkillTimeout",
    "SpecError",
    "Violation",
    "__version__",
    "attach",
    "check",
    "explain",
    "load_ipython_extension",
    "run",
    "start",
    "unload_ipython_extension",
]

imports.install()  # before anything else is imported

_HOMES = {
    "FileChange": "result",
    "Handle": "background",
    "RunResult": "result",
    "Violation": "findings",
    "attach": "api",
    "check": "api",
    "explain": "api",
    "run": "api",
    "start": "api",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext skill_magic``: register the magics and their completion. Starts nothing, connects to nothing.

    :param shell: the IPython shell.
    """
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext skill_magic``: take the completion back and stop what still runs in the background.

    :param shell: the IPython shell.
    """
    from .magics import unload

    unload(shell)
