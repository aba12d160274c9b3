"""events → RunResult: what is known of a run after its end."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import natural
from .events import Beside, Event, Finished, Note, Output, Started, State, Usage
from .files import FileChange
from .output import OutputLog, SavedOutput
from .overlap import Other

if TYPE_CHECKING:
    from .command.habits import Habit
    from .errors import RunError
    from .host import Host
    from .spec import RunSpec
    from .stdout_file import StdoutFile

__all__ = ["FileChange", "Recorder", "RunResult"]

MOUNTS_SHOWN = 48
"""Mounts of our own in the docker run line of a result, which is saved with the notebook."""

SAMPLES = 600
"""At most this many samples of usage are kept; a long run keeps every second, fourth, … one."""


@dataclass(frozen=True, repr=False)
class RunResult:
    """One finished run. Times in seconds, sizes in bytes; ``None`` where it was too short to sample.

    :param skill: the skill's name.
    :param args: the tool's arguments.
    :param image: the image as the manifest names it.
    :param state: ``finished``, or how else it ended: ``failed``, ``stopped``, ``timeout``, ``out-of-memory``,
        ``killed``, ``lost`` (the engine).
    :param exit_code: the tool's, ``None`` where it never started.
    :param duration: how long the tool itself ran, without the container's set-up.
    :param started: seconds since the epoch.
    :param output: all that the tool wrote; read it as ``stdout``, ``stderr`` or their ``…_bytes``.
    :param digest: the image's digest in its registry, where it has one.
    :param image_id: the image's id on the engine.
    :param command_line: the equivalent ``docker run`` line, secrets redacted.
    :param network: the network that the tool had, ``none`` where it had none.
    :param cpu_seconds: processor time of all its processes.
    :param peak_memory: the most memory that was seen in use.
    :param memory_limit: the limit that was in force.
    :param network_in: bytes received.
    :param network_out: bytes sent.
    :param block_in: bytes read from disks.
    :param block_out: bytes written to disks.
    :param timeout: the run's ``--timeout``.
    :param error_text: why the tool could not be started: what a look at it told, else the engine's own words.
    :param files: what this run made or changed in the notebook's directory, in natural order. What a person or a
        program that is no skill wrote there meanwhile looks the same and is among them.
    :param unattributed_files: made or changed while another run could write there too: whose they are cannot be told.
        A note says so.
    :param directory: the notebook's directory, which the tool saw as ``/workdir``.
    :param notes: what a person should know of the run: limits that were lowered, files that were left out.
    :param samples: usage over time, at most 600.
    :param lines: ``FILE:LINE`` of manifest keys that concern the result (``memory``).
    :param shown_args: ``args`` as they may be shown and saved: secrets of the run replaced.
    :param hints: what else may be behind a failure, for its error.
    :param stdout_file: the file of the notebook's directory that standard output went to (``--stdout``), empty where it
        is in ``stdout``.
    :param unwritten: the file of ``stdout_file`` could not be written; ``error_text`` says why.
    """

    skill: str
    args: tuple[str, ...]
    image: str
    state: State
    exit_code: int | None
    duration: float
    started: float
    output: SavedOutput = field(default_factory=SavedOutput)
    digest: str | None = None
    image_id: str | None = None
    command_line: str = ""
    network: str = "none"
    cpu_seconds: float | None = None
    peak_memory: int | None = None
    memory_limit: int | None = None
    network_in: int | None = None
    network_out: int | None = None
    block_in: int | None = None
    block_out: int | None = None
    timeout: float | None = None
    error_text: str = ""
    files: tuple[FileChange, ...] = ()
    unattributed_files: tuple[FileChange, ...] = ()
    directory: Path | None = None
    notes: tuple[str, ...] = ()
    samples: tuple[Usage, ...] = ()
    lines: Mapping[str, str] = field(default_factory=dict)
    shown_args: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    stdout_file: str = ""
    unwritten: bool = False

    @property
    def ok(self) -> bool:
        """Whether the tool ended by itself with exit code 0."""
        return self.state == "finished"

    @property
    def stdout_bytes(self) -> bytes:
        """Standard output as the tool wrote it. Raises SkillError where its log file is gone."""
        return self.output.stdout.read()

    @property
    def stderr_bytes(self) -> bytes:
        """Standard error as the tool wrote it. Raises SkillError where its log file is gone."""
        return self.output.stderr.read()

    @property
    def stdout(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """Standard error as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stderr_bytes.decode("utf-8", "replace")

    @property
    def log(self) -> Path | None:
        """The file with output that was too long for memory, else ``None``; stdout's where both were."""
        logs = self.output.logs
        return logs.get("stdout") or logs.get("stderr")

    def error(self, printed: Collection[str] = ()) -> RunError | None:
        """What to raise for this result: ``None`` for a run that ended well.

        :param printed: streams that a person has just seen; the error does not repeat their last line.
        """
        from .views import words

        return words.error(self, printed)

    def as_dict(self) -> dict[str, Any]:
        """The key figures as JSON values; no output, no secrets."""
        from .views import words

        return words.as_dict(self)

    def __repr__(self) -> str:
        from .views import words

        return words.one_line(self)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        from .views import card

        bundle = card.bundle(self)
        return {
            mime: data
            for mime, data in bundle.items()
            if (include is None or mime in include) and mime not in (exclude or ())
        }


class Recorder:
    """Follows the events of one run and makes its result.

    :param command_line: the equivalent ``docker run`` line, redacted; made here where it is empty.
    :param stdout: the file that standard output goes to.
    :param stdin: what the tool is given; only looked at for what a failure may come from.
    :param habits: words of a shell among the arguments, ``None`` where nobody has looked for them.
    """

    def __init__(
        self,
        spec: RunSpec,
        host: Host,
        *,
        command_line: str = "",
        stdout: StdoutFile | None = None,
        stdin: object = None,
        habits: tuple[Habit, ...] | None = None,
    ) -> None:
        from .files import Watch
        from .mounts.mounts import absent
        from .views.hints_output import names_loopback

        self._spec = spec
        self._host = host
        self._command_line = command_line
        self._stdout = stdout
        self._habits = habits
        self._output = OutputLog(host.cache_dir / "runs", stdout_elsewhere=stdout is not None)
        self._notes = list(spec.notes)
        self._usage = _Samples()
        self._started: Started | None = None
        self._finished: Finished | None = None
        self._created = time.time()
        self._result: RunResult | None = None
        self._watch = Watch(spec, host)
        self._absent = absent(spec, host)
        self._loopback = names_loopback(stdin)

    def event(self, event: Event) -> None:
        """Take one event. Never raises for what a tool wrote."""
        if isinstance(event, Output):
            self._output.write(event.stream, event.data)
            if self._stdout is not None and event.stream == "stdout":
                self._stdout.write(event.data)
        elif isinstance(event, Usage):
            self._usage.add(event)
        elif isinstance(event, Note):
            self._notes.append(event.text)
        elif isinstance(event, Started):
            self._started = event
            self._watch.started(event.name, event.since)
        elif isinstance(event, Beside):
            self._watch.beside(Other(event.name, event.roots, event.began))
        elif isinstance(event, Finished):
            self._finished = event

    @property
    def unwritten(self) -> bool:
        """Whether the file for standard output can take no more, so that the run is of no use."""
        return self._stdout is not None and bool(self._stdout.error)

    def shows(self, event: Event) -> bool:
        """Whether ``event`` is for a view: not what goes to a file."""
        return self._stdout is None or not isinstance(event, Output) or event.stream != "stdout"

    def result(self) -> RunResult:
        """The result, the same one however often it is asked for. No Finished event: the engine was lost."""
        if self._result is None:
            self._result = self._make()
        return self._result

    def _make(self) -> RunResult:
        from .views import hints, silent_failures

        spec = self._spec
        began = self._started.time if self._started else self._created
        end = self._finished or Finished("lost", None, max(time.time() - began, 0.0), began)
        file = self._stdout
        end, unwritten = (end, "") if file is None else file.settle(end)
        tolerated = (
            file is not None and file.whatever_exit_code
        )  # nobody shows an error, so that a note must say it
        stdout_file = file.name if file is not None and file.kept else ""
        output = self._output.close(stdout_kept=bool(stdout_file))
        files, notes = self._watch.changes()
        if file is not None and file.kept and all(each.path != file.name for each in files):
            files = (*files, file.change)  # the look has its bounds, and is at what the tool can write to
        last = self._usage.last
        shown = _shown(spec, self._host)
        return RunResult(
            skill=spec.skill,
            args=spec.args,
            image=spec.image,
            state=end.state,
            exit_code=end.exit_code,
            duration=end.duration,
            started=end.started or began,
            output=output,
            digest=self._started.digest if self._started else None,
            image_id=self._started.image_id if self._started else None,
            command_line=self._command_line or _docker_run_line(spec),
            network=spec.network,
            cpu_seconds=last.cpu_seconds if last else None,
            peak_memory=self._usage.peak if last else None,
            memory_limit=(last.memory_limit if last else None) or spec.limits.memory,
            network_in=last.network_in if last else None,
            network_out=last.network_out if last else None,
            block_in=last.block_in if last else None,
            block_out=last.block_out if last else None,
            timeout=spec.timeout,
            error_text=end.reason or end.error,
            files=files,
            unattributed_files=tuple(each for each in self._watch.unattributed if each.path != stdout_file),
            directory=spec.directory,
            notes=tuple(
                dict.fromkeys(
                    [
                        *notes,  # first, for a card ends after some
                        *([unwritten] if unwritten and tolerated else []),
                        *silent_failures.notes(spec, end, output),
                        *hints.on_success(spec, end, shown, self._habits, self._host),
                        *self._planted(),
                        *self._notes,
                        *self._processes(),
                        *self._output.notes,
                        *_unshown(spec),
                    ]
                )
            ),
            samples=self._usage.kept(),
            lines=_places(spec, self._host),
            shown_args=shown,
            hints=tuple(
                dict.fromkeys(
                    filter(
                        None,
                        (
                            *hints.of(spec, end, shown, self._habits),
                            *self._from_output(end, output, shown),
                            "" if tolerated else unwritten,
                        ),
                    )
                )
            ),
            stdout_file=stdout_file,
            unwritten=self.unwritten,
        )

    def _from_output(self, end: Finished, output: SavedOutput, shown: tuple[str, ...]) -> tuple[str, ...]:
        from .views import hints_output

        return hints_output.of(self._spec, end, output, self._host, shown, loopback=self._loopback)

    def left_behind(self) -> tuple[str, ...]:
        """The notes on what the run made apart from its results, of one that has none; mends what can be."""
        _, notes = self._watch.changes()
        return (*notes, *self._planted())

    def close(self) -> None:
        """Nothing more is asked; leaves nothing of a file that has not become a part of the result."""
        self._watch.close()
        if self._stdout is not None:
            self._stdout.discard()

    def _planted(self) -> Iterator[str]:
        from .mounts.mounts import planted
        from .policy.protected_later import why

        for path in sorted(planted(self._absent), key=lambda each: natural.order(str(each))):
            if why(path.name, path.parent.name) is not None:
                continue  # told by what it is, wherever it lies
            who = "this run or another beside it" if self._watch.overlapped else "the run"
            yield f"{who} made {path}, which this machine may run or read by itself later: look at it"

    def _processes(self) -> Iterator[str]:
        limit = self._spec.limits.pids
        if self._usage.pids >= limit:
            yield f"the tool had all the {limit} processes and threads that it may have (--pids-limit)"


class _Samples:
    """Usage over time in bounded memory."""

    def __init__(self) -> None:
        self.last: Usage | None = None
        self.peak = 0
        self.pids = 0
        self._kept: list[Usage] = []
        self._step = 1
        self._count = 0

    def add(self, sample: Usage) -> None:
        self.last = sample
        self.peak = max(self.peak, sample.memory, sample.memory_peak)
        self.pids = max(self.pids, sample.pids)
        if self._count % self._step == 0:
            self._kept.append(sample)
        self._count += 1
        if len(self._kept) >= SAMPLES:
            del self._kept[1::2]
            self._step *= 2

    def kept(self) -> tuple[Usage, ...]:
        if self.last is None or self._kept[-1] is self.last:
            return tuple(self._kept)
        return (*self._kept, self.last)


def _docker_run_line(spec: RunSpec) -> str:
    from .plan.dockerline import docker_run_line

    ours = [each for each in spec.mounts if each.ours]
    left_out = set(map(id, ours[MOUNTS_SHOWN:]))
    return docker_run_line(
        replace(spec, mounts=tuple(each for each in spec.mounts if id(each) not in left_out))
    )


def _unshown(spec: RunSpec) -> Iterator[str]:
    count = sum(each.ours for each in spec.mounts) - MOUNTS_SHOWN
    if count > 0:
        yield f"{count} protecting mounts are left out of the docker run line; skill explain shows them all"


def _shown(spec: RunSpec, host: Host) -> tuple[str, ...]:
    from .policy import redact

    secrets = redact.spec_secrets(spec, host)
    return tuple(redact.hide(argument, secrets) for argument in spec.args)


def _places(spec: RunSpec, host: Host) -> dict[str, str]:
    """Where the keys stand that a person changes to make a run succeed; the manifest as a short path."""
    from .views import words

    key = spec.limits.memory_field
    if not key:
        return {}
    if key.startswith("-") or spec.file is None or spec.origin == "bundled":
        return {key: ""}
    return {key: words.place(spec.file, spec.line_of(key), spec.directory, host.home)}
