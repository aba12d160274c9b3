"""What an engine reports of one run, in this order: Pulling*, Started, (Output | Usage | Note | Beside)*,
Finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Pulling:
    """Progress of a pull. Bytes over all layers; ``total`` is ``None`` until the engine has named every size.

    :param layers: (layers done, layers known).
    """

    image: str
    current: int
    total: int | None
    layers: tuple[int, int]
    status: str = ""


@dataclass(frozen=True)
class Started:
    """The tool runs. Times are seconds since the epoch.

    :param time: when the engine had started it.
    :param since: just before the engine was asked to, 0 where this process has not asked.
    """

    container: str
    name: str
    image_id: str
    digest: str | None
    time: float
    since: float = 0.0


@dataclass(frozen=True)
class Output:
    """Bytes as the tool wrote them."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True)
class Usage:
    """One sample. Sizes in bytes, cumulative where named ``*_in``/``*_out``/``cpu_seconds``.

    :param elapsed: seconds since the tool was started.
    :param cpu_percent: since the sample before, 100 is one CPU; ``None`` in the first sample.
    :param cpus: CPUs the tool may use (its quota, else the machine's).
    :param memory: working set; :param memory_limit: the limit in force.
    """

    elapsed: float
    cpu_seconds: float
    cpu_percent: float | None
    cpus: float
    memory: int
    memory_peak: int
    memory_limit: int
    network_in: int = 0
    network_out: int = 0
    block_in: int = 0
    block_out: int = 0
    pids: int = 0
    gpu_percent: float | None = None
    gpu_memory: int | None = None


@dataclass(frozen=True)
class Note:
    """A sentence for the person ("cpus lowered from 4 to 2, which is all this machine has")."""

    text: str


@dataclass(frozen=True)
class Beside:
    """Another run that the engine has and that can write where this one can; ``began`` as in ``Started.time``."""

    name: str
    roots: tuple[str, ...]
    began: float


State = Literal["finished", "failed", "stopped", "timeout", "out-of-memory", "killed", "lost"]


@dataclass(frozen=True)
class Finished:
    """The end. ``duration`` in seconds from start to exit by the engine's clock.

    :param state: why it ended.
    :param exit_code: ``None`` only where the engine was lost.
    :param error: the engine's own words where it could not start the tool.
    :param reason: why its program was not executed, where a look at it told.
    """

    state: State
    exit_code: int | None
    duration: float
    started: float
    error: str = ""
    reason: str = ""


Event = Pulling | Started | Output | Usage | Note | Beside | Finished
