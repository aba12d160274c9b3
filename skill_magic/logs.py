"""Where logs of long output are kept (``CACHE/runs/TIME-RANDOM/{stdout,stderr}.log``), and for how long.

Old ones are removed when a new one is begun; nothing runs in the background.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

KEEP_RUNS = 1000
KEEP_DAYS = 7
KEEP_BYTES = 1024**3
"""Retention of logs: so many runs, so old, so large together. A loop over many files keeps all that it can hold. A log
being written is never removed; it ends where the logs together would be larger."""

WINDOW = 8 * 1024**2
"""Bytes that a log grows before its writer asks for room again."""


def make_directory(runs: Path) -> Path:
    """A new private log directory below ``runs``; old ones are removed first, see :func:`prune`."""
    runs.mkdir(parents=True, exist_ok=True, mode=0o700)
    prune(runs)
    own = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(4)}"
    own.mkdir(mode=0o700)
    return own


def prune(runs: Path, *, now: float | None = None) -> list[Path]:
    """Remove what retention does not keep and return it. Only directories with logs in them are touched."""
    moment = time.time() if now is None else now
    removed: list[Path] = []
    total = 0
    for position, (changed, size, directory) in enumerate(sorted(_ended(runs), reverse=True)):
        total += size
        if position >= KEEP_RUNS - 1 or total > KEEP_BYTES or changed < moment - KEEP_DAYS * 86_400:
            shutil.rmtree(directory, ignore_errors=True)
            removed.append(directory)
    return removed


def make_room(log: Path) -> bool:
    """Whether ``log``, which is being written, may grow by :data:`WINDOW`; older logs are removed to make it so.

    Every log that is being written counts as if it had used its window, so that all of them together, in any number of
    processes, never have more than :data:`KEEP_BYTES`.
    """
    runs = log.parent.parent
    ended = sorted(_ended(runs))
    total = sum(size for _, size, _ in ended) + sum(size + WINDOW for size in _growing(runs))
    for _, size, directory in ended:
        if total <= KEEP_BYTES:
            break
        shutil.rmtree(directory, ignore_errors=True)
        total -= size
    return total <= KEEP_BYTES


def _growing(runs: Path) -> Iterator[int]:
    """The sizes of the logs that are being written."""
    for directory in runs.iterdir():
        for path in () if directory.is_symlink() else directory.glob("*.log"):
            if not path.is_symlink() and _in_use(path):
                with contextlib.suppress(FileNotFoundError):
                    yield path.stat().st_size


def clean(runs: Path) -> int:
    """Remove the logs of all runs that have ended; returns how many bytes they had."""
    freed = 0
    for _, size, directory in list(_ended(runs)) if runs.is_dir() else []:
        shutil.rmtree(directory, ignore_errors=True)
        freed += size
    return freed


def _ended(runs: Path) -> Iterator[tuple[float, int, Path]]:
    """(last change, bytes, directory) of the logs that nobody writes any more."""
    for directory in runs.iterdir():
        logs = [path for path in directory.glob("*.log") if not path.is_symlink()]
        if directory.is_symlink() or not logs or any(_in_use(path) for path in logs):
            continue
        with contextlib.suppress(FileNotFoundError):  # another process prunes too
            facts = [path.stat() for path in logs]
            yield max(fact.st_mtime for fact in facts), sum(fact.st_size for fact in facts), directory


def _in_use(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
