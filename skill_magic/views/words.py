"""How things are said, once, so that the panel, the card, the terminal and the errors use the same words."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RunError, SkillFailed, SkillInterrupted, SkillKilled, SkillStopped, SkillTimeout
from ..media import binary as is_binary
from ..text import label, plain

if TYPE_CHECKING:
    from ..events import Usage
    from ..output import SavedOutput, StreamName
    from ..result import RunResult

ROUTINE = re.compile(r"no `memory` is set: .*|\S+ lowered from .*, all this machine has")
"""Notes of nearly every run on a small machine: for the card and `explain`, not for each line of a shell."""

SYMBOLS = {
    "finished": "✓",
    "failed": "✗",
    "stopped": "■",
    "timeout": "⏱",
    "out-of-memory": "✗",
    "killed": "✗",
    "lost": "?",
}

_SHOWN = 32 * 1024  # bytes of a stream's start, and of its end, in which the cause is looked for

# What a shell and Docker mean by these; 128 + n is death by signal n (see signal(7)).
_EXIT_CODES = {
    126: "a command exists but cannot be executed: it is not executable, or a directory",
    127: "a command was not found: it, or the interpreter or loader that it asks for, is not in the image, "
    "or the first line of a script ends in CRLF",
    132: "illegal instruction: the program may be built for another processor",
    134: "the program aborted itself (SIGABRT)",
    135: "the program was ended by a bus error (SIGBUS)",
    136: "the program was ended by an arithmetic error (SIGFPE)",
    137: "the program was killed (SIGKILL)",
    139: "the program was ended by a segmentation fault (SIGSEGV)",
    141: "the program wrote to a pipe that nobody read (SIGPIPE)",
    143: "the program was asked to end (SIGTERM)",
    152: "the program used up its CPU time (SIGXCPU)",
    153: "the program wrote a file larger than it may (SIGXFSZ)",
}


def size(count: int | float) -> str:
    """Bytes for people, in powers of 1024: ``0 B``, ``980 B``, ``1.5 KiB``, ``512 MiB``."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1023.95 or (unit == "B" and abs(value) < 1024):
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def duration(seconds: float) -> str:
    """Seconds for people: ``40 ms``, ``0.21 s``, ``3.2 s``, ``59 s``, ``2 min 5 s``, ``1 h 2 min``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def binary(length: int) -> str:
    """What stands for output that is no text: ``326 bytes of binary output``."""
    return f"{size(length)} of binary output"


def count(number: int, one: str) -> str:
    """``1 line``, ``2 lines``, ``10 000 lines``."""
    return f"{number:,} {one}{'' if number == 1 else 's'}".replace(",", " ")


def _limit(seconds: float) -> str:
    return f"{seconds:g} s"


def state(result: RunResult) -> str:
    """Why the run ended, in words: ``failed: exit code 1``."""
    match result.state:
        case "finished":
            return "finished"
        case "stopped":
            return "stopped by you"
        case "timeout":
            return (
                f"timed out after {_limit(result.timeout if result.timeout is not None else result.duration)}"
            )
        case "out-of-memory":
            limit = f" at {size(result.memory_limit)}" if result.memory_limit else ""
            return f"killed: out of memory{limit}, {_raise_memory(result)}"
        case "killed":
            return f"killed: exit code {result.exit_code}"
        case "lost":
            return "lost: the engine stopped answering"
        case _:
            # A run can fail for another reason than its tool: an input that broke off, a full disk.
            if result.unwritten:
                return f"failed: {label(result.error_text)}"
            return f"failed: exit code {result.exit_code}" if result.exit_code else "failed"


def _raise_memory(result: RunResult) -> str:
    for key, place in result.lines.items():
        if place:
            return f"raise `{label(key)}` in {label(place)}"
        if key.startswith("-"):
            return f"raise {label(key)}"
    return "give it more with --memory"


def hint(result: RunResult) -> str:
    """The way out, what the exit code means, what else may be behind it; empty where there is nothing to add."""
    return label("; ".join(said for said in (_meaning(result), *result.hints) if said))


def _meaning(result: RunResult) -> str:
    if result.unwritten:
        return ""  # its state says it
    if said := plain(result.error_text).strip():
        return label(said.split("\n")[0][:300])
    if result.state == "timeout":
        return "give it longer with --timeout"
    if result.state == "failed" and result.exit_code in _EXIT_CODES:
        return f"exit code {result.exit_code}: {_EXIT_CODES[result.exit_code]}"
    if result.state == "killed":
        signal = {137: "SIGKILL", 143: "SIGTERM"}.get(result.exit_code or 0, "a signal")
        return f"ended by {signal}, from itself or from outside; not for lack of memory, and not by us"
    return ""


def place(file: Path, line: int | None, directory: Path, home: Path) -> str:
    """``FILE:LINE``; the file as seen from the notebook's directory, or from the home directory as ``~/…``."""
    for base, mark in ((directory, ""), (home, "~/")):
        if file.is_relative_to(base):
            file = Path(mark + str(file.relative_to(base)))
            break
    return str(file) if line is None else f"{file}:{line}"


def error(result: RunResult, printed: Collection[str] = ()) -> RunError | None:
    """The error for ``result``, at most five lines with its hint; ``None`` where it ended well.

    :param printed: streams whose end stands just above it.
    """
    kinds: dict[str, type[RunError]] = {
        "failed": SkillFailed,
        "stopped": SkillStopped,
        "timeout": SkillTimeout,
        "out-of-memory": SkillKilled,
        "killed": SkillKilled,
        "lost": SkillKilled,
    }
    if result.state == "finished":
        return None
    message = f"{label(result.skill)} {state(result)}"
    own = result.state in ("failed", "killed") and not result.unwritten  # the tool's own doing
    said = cause(result.output, printed) if own else ""
    return kinds[result.state](message, hint(result), result=result, more=said.splitlines())


def interrupt(result: RunResult) -> SkillInterrupted:
    """What to raise where a person interrupted the run that they waited for."""
    # A tool can end by itself in the very moment; the person asked for an end of all that, and gets it.
    late = "" if result.state == "stopped" else ", and then you interrupted it"
    return SkillInterrupted(f"{label(result.skill)} {state(result)}{late}", hint(result), result=result)


def cause(output: SavedOutput, printed: Collection[str] = ()) -> str:
    """The lines of the tool's output that tell why it failed, three at most; see :mod:`.cause`.
    Empty where they are on one of the ``printed`` streams."""
    from .cause import pick

    best = ""
    for stream in ("stderr", "stdout"):
        data = kept(output, stream)
        if not data or is_binary(data):
            continue
        found = pick(plain(data))
        if found.lines and (found.sure or not best):
            best = "" if stream in printed else "\n".join(found.lines)
            if found.sure or stream in printed:
                break
    return best


def kept(output: SavedOutput, stream: StreamName) -> bytes:
    """The start and the end of what was written to ``stream``, as far as they are in memory."""
    whole = output.stderr if stream == "stderr" else output.stdout
    if whole.path is None:
        data = whole.data
        return data if len(data) <= 2 * _SHOWN else data[:_SHOWN] + b"\n" + data[-_SHOWN:]
    return b"".join(piece.data for piece in (*output.head, *output.tail) if piece.stream == stream)


def last_words(result: RunResult, printed: Collection[str] = ()) -> str:
    """The last line with text in it on standard error, else on standard output; at most 300 characters.
    Empty where it is on one of the ``printed`` streams."""
    for stream in ("stderr", "stdout"):
        pieces = [p.data for p in (*result.output.head, *result.output.tail) if p.stream == stream]
        if pieces and is_binary(b"".join(pieces)):
            continue
        for line in reversed(plain(b"".join(pieces[-4:])).replace("\r", "\n").split("\n")):
            if line.strip():
                if stream in printed:
                    return ""
                said = line.strip()
                return said if len(said) <= 300 else said[:299] + "…"
    return ""


def of_limit(used: int, limit: int | None) -> str:
    """``120 MiB of 512 MiB``."""
    return f"{size(used)} of {size(limit)}" if limit else size(used)


def percent_of(percent: float, cpus: float) -> str:
    """A share of the quota: ``94 % of 2 CPUs``, from ``percent`` where 100 is one CPU, and the quota in CPUs."""
    return f"{percent / cpus:.0f} % of {cpus:g} CPU{'' if cpus == 1 else 's'}"


def figures_now(usage: Usage) -> list[tuple[str, str]]:
    """One sample as (name, value) for live meters; what stayed at nothing is left out."""
    found = []
    if usage.cpu_percent is not None:
        found.append(("CPU", percent_of(usage.cpu_percent, usage.cpus)))
    found.append(("memory", of_limit(usage.memory, usage.memory_limit)))
    if usage.network_in or usage.network_out:
        found.append(("network", f"↓ {size(usage.network_in)} ↑ {size(usage.network_out)}"))
    if usage.block_in or usage.block_out:
        found.append(("disk", f"{size(usage.block_in)} read, {size(usage.block_out)} written"))
    if usage.gpu_percent is not None:
        held = f", {size(usage.gpu_memory)}" if usage.gpu_memory is not None else ""
        found.append(("GPU", f"{usage.gpu_percent:.0f} %{held}"))
    return found


def run_time(result: RunResult) -> str:
    """How long the tool ran; the engine may have noted its start only after a quick tool's end."""
    return duration(result.duration) if result.duration else "a few ms"


def figures(result: RunResult) -> list[tuple[str, str]]:
    """The figures of a run as (name, value), in the order every view shows them."""
    # By the engine's clock, and of the tool alone.
    found = [("run time", run_time(result))]
    if result.cpu_seconds is None or result.peak_memory is None:
        return found  # it ended before its usage could be read even once
    found.append(("CPU time", duration(result.cpu_seconds)))
    found.append(("peak memory", of_limit(result.peak_memory, result.memory_limit)))
    if result.network != "none" or result.network_in or result.network_out:
        found.append(("network", f"↓ {size(result.network_in or 0)} ↑ {size(result.network_out or 0)}"))
    if result.block_in or result.block_out:
        found.append(("disk", f"{size(result.block_in or 0)} read, {size(result.block_out or 0)} written"))
    busy = [sample.gpu_percent for sample in result.samples if sample.gpu_percent is not None]
    if busy:
        most = max(sample.gpu_memory or 0 for sample in result.samples)
        found.append(("GPU", f"up to {max(busy):.0f} %, {size(most)}"))
    return found


def in_short(result: RunResult) -> list[str]:
    """The figures that a line has room for, and the files."""
    found = []
    if result.cpu_seconds is not None and result.peak_memory is not None:
        found.append(f"CPU {duration(result.cpu_seconds)}")
        found.append(f"peak memory {of_limit(result.peak_memory, result.memory_limit)}")
    if made := made_files(result):
        found.append(made)
    return found


def made_files(result: RunResult, most: int = 3) -> str:
    """``made out.webm (1.2 MiB), changed a.txt (12 B) and 2 more``; empty where there are none."""
    named = [
        f"{'made' if f.kind == 'created' else 'changed'} {label(f.path)} ({size(f.size)})"
        for f in result.files
    ]
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def one_line(result: RunResult) -> str:
    """The result in a line: ``<RunResult ffmpeg finished, 3.2 s, peak memory 120 MiB, 1 file>``."""
    parts = [f"{label(result.skill)} {state(result)}"]
    parts.append(run_time(result))
    if result.peak_memory is not None:
        parts.append(f"peak memory {size(result.peak_memory)}")
    if result.files:
        parts.append(count(len(result.files), "file"))
    if result.unattributed_files:
        parts.append(count(len(result.unattributed_files), "unattributed file"))
    return f"<RunResult {', '.join(parts)}>"


def shown_args(result: RunResult) -> tuple[str, ...]:
    """The arguments as they may be shown; those of a result that no run made are redacted by form."""
    if len(result.shown_args) == len(result.args):
        return result.shown_args
    from ..policy.redact import hide

    return tuple(hide(argument, ()) for argument in result.args)


def as_dict(result: RunResult) -> dict[str, Any]:
    """The key figures as JSON values. ``version`` counts changes of this form."""
    arguments: list[str] | None = list(shown_args(result))
    if sum(len(argument) for argument in result.args) > 16_384:
        arguments = None
    return {
        "version": 1,
        "skill": result.skill,
        "args": arguments,
        "state": result.state,
        "words": state(result),
        "exit_code": result.exit_code,
        "image": result.image,
        "digest": result.digest,
        "image_id": result.image_id,
        "network": result.network,
        "started": result.started,
        "duration": result.duration,
        "cpu_seconds": result.cpu_seconds,
        "peak_memory": result.peak_memory,
        "memory_limit": result.memory_limit,
        "network_in": result.network_in,
        "network_out": result.network_out,
        "block_in": result.block_in,
        "block_out": result.block_out,
        "stdout_bytes": result.output.stdout.size,
        "stderr_bytes": result.output.stderr.size,
        "files": [{"path": f.path, "kind": f.kind, "size": f.size} for f in result.files[:200]],
        "files_total": len(result.files),
        "unattributed_files": [
            {"path": f.path, "kind": f.kind, "size": f.size} for f in result.unattributed_files[:200]
        ],
        "unattributed_files_total": len(result.unattributed_files),
        "notes": list(result.notes[:50]),
    }
