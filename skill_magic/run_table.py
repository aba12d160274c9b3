"""The table of this person's runs, of whatever process: the folders that each can write to, and when it ran.

A row is there from before the run is started until no run that overlapped with it can ask any more. A run that is on is
locked by its process, so that one whose process was killed is known to be over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .overlap import SLACK, Other

PATIENCE = 2.0
"""Seconds to wait for the table while another process has it."""

ROWS = 256
"""Runs that are over and still in the table; beyond that the older half becomes one."""

ROOTS = 64
"""Folders of one row; a run with more could write anywhere."""

TABLE_BYTES = 4 << 20


class Entry:
    """A run's place in the table, from before it is started until its files have been looked at.

    Where there can be none (a cache directory that cannot be written) the others do not know of this run.

    :param folder: where the table is; :param roots: the host paths that the run can write to.
    """

    def __init__(self, folder: Path, roots: Iterable[str]) -> None:
        self._folder = folder
        self._id = uuid.uuid4().hex
        self._lock: int | None = None
        wide = tuple(roots)
        self._roots = wide if len(wide) <= ROOTS else ("/",)
        self._began = time.time()
        self._others: list[Other] | None = None
        if not self._roots:
            return
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _table(folder) as rows:
                self._lock = _locked(_lock_of(folder, self._id))
                row = {"id": self._id, "roots": list(self._roots), "began": self._began}
                rows.append(row)

    def started(self, name: str, since: float) -> None:
        """The run is on: its name, and the time just before the engine was asked to start it."""
        if self._lock is None:
            return
        self._began = max(self._began, since)
        with contextlib.suppress(OSError), _table(self._folder) as rows:
            for row in rows:
                if row["id"] == self._id:
                    row["name"], row["began"] = name, self._began

    def others(self) -> list[Other]:
        """The runs of the table that overlapped with this one."""
        if self._others is not None:
            return self._others
        found: list[Other] = []
        with contextlib.suppress(OSError), _table(self._folder) as rows:
            for row in rows:
                if row["id"] != self._id and row.get("ended", math.inf) >= self._began - SLACK:
                    found.append(_other(row))
        return found

    def close(self) -> None:
        """The run is over, and what it left has been looked at."""
        if self._lock is None:
            return
        self._others = self.others()
        with contextlib.suppress(OSError), _table(self._folder) as rows:
            for row in rows:
                if row["id"] == self._id:
                    row["ended"] = time.time()
            self._let_go()
            rows[:] = _needed(rows)
        self._let_go()

    def _let_go(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            with contextlib.suppress(OSError):
                _lock_of(self._folder, self._id).unlink(missing_ok=True)
                fcntl.flock(lock, fcntl.LOCK_UN)  # a child process may have the descriptor too
            os.close(lock)

    def __del__(self) -> None:
        # A run that nobody asked for its result: the next to look at the table sees that it is over.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextlib.contextmanager
def _table(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """The rows of the table, which are written back if they were changed; those of dead processes are ended.

    :raises OSError: the table cannot be had.
    """
    lock = _locked(folder / "lock")
    try:
        before = _read(folder / "table.json")
        rows = [dict(row) for row in before]
        for row in rows:
            if "ended" not in row and not _alive(folder, row["id"]):
                row["ended"] = time.time()
        yield rows
        if rows != before:
            _write(folder / "table.json", rows)
    finally:
        os.close(lock)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            rows = json.loads(file.read(TABLE_BYTES))
        return [{**row, "id": str(row["id"]), "began": float(row["began"])} for row in rows if _sound(row)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def _sound(row: Any) -> bool:
    return isinstance(row["roots"], list) and str(row["id"]).isalnum() and float(row.get("ended", 0)) >= 0


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    handle, temporary = tempfile.mkstemp(prefix="table", dir=path.parent)
    try:
        with open(handle, "w", encoding="ascii") as file:
            json.dump(rows, file)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _other(row: dict[str, Any]) -> Other:
    ended = row.get("ended")
    end = math.inf if ended is None else float(ended)
    return Other(str(row.get("name", "")), tuple(map(str, row["roots"])), row["began"], end)


def _needed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that a run that is on may still ask for."""
    live = [row for row in rows if "ended" not in row]
    first = min((row["began"] for row in live), default=math.inf)
    over = sorted(
        (row for row in rows if row.get("ended", -math.inf) >= first - SLACK), key=lambda row: row["ended"]
    )
    if len(over) > ROWS:
        old, over = over[: ROWS // 2], over[ROWS // 2 :]
        roots = sorted({root for row in old for root in row["roots"]})
        merged = {
            "id": uuid.uuid4().hex,
            "roots": roots if len(roots) <= ROOTS else ["/"],
            "began": min(row["began"] for row in old),
            "ended": old[-1]["ended"],
        }
        over.insert(0, merged)
    return live + over


def _lock_of(folder: Path, run: str) -> Path:
    return folder / f"{run}.run"


def _locked(path: Path) -> int:
    """A descriptor of the file, which is locked as long as it is open."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError) and time.monotonic() < until:
                time.sleep(0.002)
                continue
            os.close(descriptor)
            raise
        return descriptor


def _alive(folder: Path, run: str) -> bool:
    """Whether a process holds the lock of a run; the lock of one that does not is taken away."""
    path = _lock_of(folder, run)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    return False
