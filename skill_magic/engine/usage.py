"""Usage: what a running tool uses, sampled: from its control group where that is in sight, else from the
engine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..events import Usage
from . import cgroup
from .cgroup import Reading

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import RunSpec
    from .connect import Engine

__all__ = ["Sampler", "reading_of"]


class Sampler:
    """Turns readings of counters into :class:`Usage` samples. Made when the tool has run for a moment.

    :param started: when the tool started, by the monotonic clock.
    """

    def __init__(self, engine: Engine, container: str, spec: RunSpec, host: Host, started: float) -> None:
        self._started = started
        self._cpus = _cpus(spec, host)
        self._limit = spec.limits.memory or host.memory
        self._newest: Reading | None = None
        self._before: Reading | None = None  # the one of the last sample
        self._peak = 0
        self._cache = 0
        self._lock = threading.Lock()
        self._group = cgroup.find(container, uid=host.uid) if engine.local else None
        self._stats = None if self._group is not None else _Stats(engine, container)
        self._gpu = None
        if spec.gpus is not None and engine.local:
            from .gpu import Gpu

            self._gpu = Gpu(spec.gpus)

    def look(self) -> None:
        """Read the counters and remember them. The kernel forgets them soon after the tool's end, so looks
        are more frequent than samples: when the very last look comes too late, the one before is not old."""
        with self._lock:
            reading = self._read()
            if reading is not None:
                self._newest = reading
                self._raise_peak(reading)

    def sample(self, *, last: bool = False) -> Usage | None:
        """The usage since the last sample; ``None`` where nothing new is known.

        :param last: the tool has just ended: its counters are final, but it holds no memory any more.
        """
        self.look()
        with self._lock:
            reading, before = self._newest, self._before
            if reading is None or reading is before:
                return None
            self._before = reading
            busy = None
            if before is not None and reading.time > before.time:
                busy = 100 * (reading.cpu_seconds - before.cpu_seconds) / (reading.time - before.time)
            gpu = self._gpu.latest() if self._gpu is not None else None
            return Usage(
                elapsed=reading.time - self._started,
                cpu_seconds=reading.cpu_seconds,
                cpu_percent=busy,
                cpus=self._cpus,
                memory=before.memory if last and before is not None else reading.memory,
                memory_peak=self._peak,
                memory_limit=self._limit,
                network_in=reading.network_in,
                network_out=reading.network_out,
                block_in=reading.block_in,
                block_out=reading.block_out,
                pids=reading.pids,
                gpu_percent=gpu[0] if gpu is not None else None,
                gpu_memory=gpu[1] if gpu is not None else None,
            )

    @property
    def ended(self) -> int | None:
        """A descriptor that becomes readable when the tool ends; ``None`` where there is no such thing."""
        return self._group.ended if self._group is not None else None

    def close(self) -> None:
        """Let go of the files, the stream and the GPU's reader."""
        with self._lock:
            for source in (self._group, self._stats, self._gpu):
                if source is not None:
                    source.close()
            self._group = self._stats = self._gpu = None

    def _read(self) -> Reading | None:
        if self._group is not None:
            with contextlib.suppress(OSError, ValueError):
                return self._group.read()
            return None
        return self._stats.latest() if self._stats is not None else None

    def _raise_peak(self, reading: Reading) -> None:
        # The kernel's maximum misses nothing between two samples, but it counts page cache that nobody would
        # miss: a tool that reads a large file would look as large. Without as much cache as was ever seen it
        # is a figure that the working set did reach.
        self._cache = max(self._cache, reading.cache)
        self._peak = max(self._peak, reading.memory)
        if reading.kernel_peak is not None:
            self._peak = max(self._peak, reading.kernel_peak - self._cache)


class _Stats:
    """The engine's own statistics, once a second: for an engine elsewhere, or control groups out of sight."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._latest: Reading | None = None
        self._closed = False
        self._response: Any = None
        work = threading.Thread(
            target=self._work, args=(engine, container), name="skill-magic-stats", daemon=True
        )
        with contextlib.suppress(RuntimeError):  # the interpreter is about to end
            work.start()

    def latest(self) -> Reading | None:
        """The newest reading; each only once."""
        reading, self._latest = self._latest, None
        return reading

    def close(self) -> None:
        self._closed = True
        if self._response is not None:
            self._response.close()

    def _work(self, engine: Engine, container: str) -> None:
        from .stream import Response

        # Usage is a courtesy: whatever goes wrong here must not end the run.
        with contextlib.suppress(Exception):
            self._response = Response(engine.api, "GET", f"/containers/{container}/stats", {"stream": "true"})
            for sample in self._response.objects():
                if self._closed:
                    break
                reading = reading_of(sample)
                if reading is not None:
                    self._latest = reading
        if self._closed and self._response is not None:
            self._response.close()


def reading_of(sample: Mapping[str, Any]) -> Reading | None:
    """One sample of the engine's statistics as a reading; ``None`` for the empty one it sends at a tool's
    end.

    Follows docker/cli's ``stats_helpers.go``.
    """
    memory = sample.get("memory_stats") or {}
    usage = memory.get("usage")
    total = ((sample.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
    if not usage or total is None:
        return None
    details = memory.get("stats") or {}
    cache = int(details.get("total_inactive_file", details.get("inactive_file", 0)) or 0)
    read = write = 0
    for entry in (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ():
        operation = str(entry.get("op", "")).lower()
        if operation == "read":
            read += int(entry.get("value") or 0)
        elif operation == "write":
            write += int(entry.get("value") or 0)
    networks = (sample.get("networks") or {}).values()
    return Reading(
        time=time.monotonic(),
        cpu_seconds=int(total) / 1e9,
        memory=int(usage) - cache if cache < int(usage) else int(usage),
        cache=cache,
        kernel_peak=int(memory["max_usage"]) if memory.get("max_usage") else None,
        network_in=sum(int(one.get("rx_bytes") or 0) for one in networks),
        network_out=sum(int(one.get("tx_bytes") or 0) for one in networks),
        block_in=read,
        block_out=write,
        pids=int((sample.get("pids_stats") or {}).get("current") or 0),
    )


def _cpus(spec: RunSpec, host: Host) -> float:
    limits = spec.limits
    if limits.nano_cpus:
        return limits.nano_cpus / 1e9
    if limits.cpu_quota and limits.cpu_quota > 0:
        return limits.cpu_quota / (limits.cpu_period or 100_000)
    return float(host.cpus)
