"""How a tool ended: from exit codes, the engine's words and its clock to an event. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..events import Finished, State

__all__ = ["ended_state", "exit_code_of", "finished", "seconds"]


def finished(state: Mapping[str, Any], stopped: State | None) -> Finished:
    """The event for a container's last state.

    :param state: ``State`` of the engine's inspect, or of a container that could not be started ``ExitCode``
        and ``Error`` alone.
    :param stopped: the reason for which it was given a signal by us, ``None`` where it was not.
    """
    started, ended = seconds(state.get("StartedAt")), seconds(state.get("FinishedAt"))
    code = int(state["ExitCode"])
    # An engine notes the start when its call returns; a tool of a few milliseconds has ended by then.
    return Finished(
        state=ended_state(code, bool(state.get("OOMKilled")), stopped),
        exit_code=code,
        duration=max(ended - started, 0.0) if started and ended else 0.0,
        started=started or time.time(),
        error=str(state.get("Error") or ""),
    )


def ended_state(exit_code: int, out_of_memory: bool, stopped: State | None) -> State:
    """Why a tool ended.

    :param out_of_memory: the engine saw the kernel kill a process of the container for want of memory.
    :param stopped: the reason we gave it a signal, ``None`` where we did not.
    """
    if stopped is not None:
        return stopped
    if exit_code == 0:
        return "finished"
    if out_of_memory:
        return "out-of-memory"
    # 128 + SIGKILL, 128 + SIGTERM: what `docker kill` and `docker stop` of somebody else leave.
    return "killed" if exit_code in (137, 143) else "failed"


def exit_code_of(words: str) -> int | None:
    """The exit code for an engine that could not execute the program; ``None`` where its words say something
    else.

    127 for one that does not exist, 126 for one that cannot be executed: the codes of ``docker run``
    (docker/cli, cli/command/container/run.go) and of shells.
    """
    low = words.lower()
    if "executable file not found" in low or ("exec" in low and "no such file or directory" in low):
        return 127
    if "exec" in low and re.search("permission denied|is a directory|exec format error", low):
        return 126
    return None


def seconds(text: object) -> float:
    """The engine's time ("2024-01-31T10:00:00.123456789Z") in seconds since the epoch; 0 for its "never"."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return 0.0
    # datetime knows microseconds; engines write nanoseconds, or no fraction at all.
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
