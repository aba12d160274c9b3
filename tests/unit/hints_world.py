"""What a failed run and its output come to, all spelt out, for tests of hints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plan_world import make_host

from skill_magic.events import Finished, State
from skill_magic.output import saved
from skill_magic.spec import Limits, Mount, RunSpec
from skill_magic.views import hints_output

GONE = "FileNotFoundError: [Errno 2] No such file or directory: '{}'"


def said(
    directory: Path,
    stderr: str | bytes = "",
    *args: str,
    stdout: str = "",
    code: int = 1,
    state: State = "failed",
    stdin: object = None,
    host: dict[str, Any] | None = None,
    **changes: Any,
) -> list[str]:
    facts: dict[str, Any] = {
        "mounts": (Mount("bind", "/workdir", str(directory), ours=True),),
        "working_dir": "/workdir",
        "directory": directory,
        "network": "bridge",
        "origin": "user",
        "limits": Limits(memory=512 << 20),
    }
    spec = RunSpec("tool", "debian:12", args, **(facts | changes))
    output = saved(stdout.encode(), stderr if isinstance(stderr, bytes) else stderr.encode())
    loopback = hints_output.names_loopback(stdin)
    me = make_host(directory, **(host or {}))
    return list(hints_output.of(spec, Finished(state, code, 1.0, 0.0), output, me, args, loopback=loopback))
