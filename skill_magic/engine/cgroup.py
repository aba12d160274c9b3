"""What a container uses, read from its control group's files: exact, cheap, and there until the tool has
ended.

Possible where the engine is this machine's own and the files are in sight (Linux, and not inside a
container). Formats: the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cgroup", "Reading", "find"]

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Reading:
    """Counters at one moment. Sizes in bytes, since the start where they count; ``time`` by the monotonic
    clock.

    :param memory: the working set: usage without the page cache that could be dropped at once (as docker/cli
        has it).
    :param cache: that page cache. :param kernel_peak: the kernel's own maximum of usage, cache included.
    """

    time: float
    cpu_seconds: float
    memory: int
    cache: int = 0
    kernel_peak: int | None = None
    network_in: int = 0
    network_out: int = 0
    block_in: int = 0
    block_out: int = 0
    pids: int = 0


def find(container: str, *, root: Path = ROOT, uid: int | None = None) -> Cgroup | None:
    """The control group of the container with that full id, ``None`` where it is not in sight."""
    if (root / "memory").is_dir() and (root / "cpuacct").exists():
        for name in _names(container, uid):
            if (root / "memory" / name).is_dir():
                return _opened(lambda name=name: _V1(root, name))  # type: ignore[misc]
        return None
    for name in _names(container, uid):
        if (root / name / "memory.current").exists():
            return _opened(lambda name=name: _V2(root / name))  # type: ignore[misc]
    return None


class Cgroup:
    """The open files of one control group."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._network: int | None = None
        self.ended: int | None = None
        """A descriptor that becomes readable when the container's first process ends, as far as there is
        one."""

    def read(self) -> Reading:
        """The counters now. Raises OSError once the group is gone."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the files."""
        numbers = [*self._files.values(), self._network, self.ended]
        self._files, self._network, self.ended = {}, None, None
        for number in numbers:
            if number is not None:
                with contextlib.suppress(OSError):
                    os.close(number)

    def _open(self, name: str, path: Path, *, need: bool = False) -> None:
        try:
            self._files[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            if need:
                raise

    def _open_processes(self, procs: Path) -> None:
        # Open, the file keeps the container's network namespace: its counters can be read to the very end.
        pids = _read_file(procs).split()
        with contextlib.suppress(OSError, IndexError):
            self._network = os.open(f"/proc/{pids[0]}/net/dev", os.O_RDONLY | os.O_CLOEXEC)
        for pid in pids:
            status = _read_file(Path(f"/proc/{pid}/status"))
            if re.search(r"^NSpid:.*\s1$", status, re.MULTILINE):
                with contextlib.suppress(OSError, AttributeError):
                    self.ended = os.pidfd_open(int(pid))
                return

    def _text(self, name: str) -> str:
        number = self._files.get(name)
        return "" if number is None else _read(number)

    def _number(self, name: str) -> int:
        text = self._text(name).strip()
        return int(text) if text.isdigit() else 0

    def _traffic(self) -> tuple[int, int]:
        if self._network is None:
            return 0, 0
        received = sent = 0
        with contextlib.suppress(OSError):
            for line in _read(self._network).splitlines()[2:]:
                interface, _, counters = line.partition(":")
                fields = counters.split()
                if interface.strip() != "lo" and len(fields) >= 9:
                    received += int(fields[0])
                    sent += int(fields[8])
        return received, sent

    def _reading(self, cpu: float, cache: int, read: int, write: int) -> Reading:
        """What both versions name alike, added to what they do not."""
        usage = self._number("memory")
        received, sent = self._traffic()
        return Reading(
            time=time.monotonic(),
            cpu_seconds=cpu,
            memory=usage - cache if cache < usage else usage,
            cache=cache,
            kernel_peak=self._number("peak") or None,
            network_in=received,
            network_out=sent,
            block_in=read,
            block_out=write,
            pids=self._number("pids"),
        )


class _V1(Cgroup):
    def __init__(self, root: Path, name: str) -> None:
        super().__init__()
        memory = root / "memory" / name
        self._open("cpu", root / "cpuacct" / name / "cpuacct.usage", need=True)
        self._open("memory", memory / "memory.usage_in_bytes", need=True)
        self._open("stat", memory / "memory.stat", need=True)
        self._open("peak", memory / "memory.max_usage_in_bytes")
        self._open("pids", root / "pids" / name / "pids.current")
        self._open("io", root / "blkio" / name / "blkio.throttle.io_service_bytes_recursive")
        self._open_processes(memory / "cgroup.procs")

    def read(self) -> Reading:
        cpu = int(self._text("cpu")) / 1e9
        cache = _field(self._text("stat"), "total_inactive_file")
        read = write = 0
        for line in self._text("io").splitlines():
            fields = line.split()  # "8:0 Read 4096"; the last line is "Total 4096"
            if len(fields) == 3 and fields[1] == "Read":
                read += int(fields[2])
            elif len(fields) == 3 and fields[1] == "Write":
                write += int(fields[2])
        return self._reading(cpu, cache, read, write)


class _V2(Cgroup):
    def __init__(self, group: Path) -> None:
        super().__init__()
        self._open("cpu", group / "cpu.stat", need=True)
        self._open("memory", group / "memory.current", need=True)
        self._open("stat", group / "memory.stat", need=True)
        self._open("peak", group / "memory.peak")  # since Linux 5.19
        self._open("pids", group / "pids.current")
        self._open("io", group / "io.stat")
        self._open_processes(group / "cgroup.procs")

    def read(self) -> Reading:
        cpu = _field(self._text("cpu"), "usage_usec") / 1e6
        cache = _field(self._text("stat"), "inactive_file")
        read = write = 0
        for line in self._text("io").splitlines():
            for field in line.split()[1:]:  # "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0"
                key, _, value = field.partition("=")
                if key == "rbytes":
                    read += int(value)
                elif key == "wbytes":
                    write += int(value)
        return self._reading(cpu, cache, read, write)


def _names(container: str, uid: int | None) -> Iterator[str]:
    # Where the engines put them: cgroupfs driver, systemd driver, rootless, Podman. The id makes each
    # unmistakable.
    user = f"user.slice/user-{uid}.slice/user@{uid}.service"
    yield f"docker/{container}"
    yield f"system.slice/docker-{container}.scope"
    yield f"{user}/user.slice/docker-{container}.scope"
    yield f"{user}/app.slice/docker-{container}.scope"
    yield f"machine.slice/libpod-{container}.scope"
    yield f"{user}/user.slice/libpod-{container}.scope"
    yield f"libpod_parent/libpod-{container}"


def _opened(make: Callable[[], Cgroup]) -> Cgroup | None:
    try:
        return make()
    except OSError:
        return None


def _read_file(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""


def _read(number: int) -> str:
    return os.pread(number, 1 << 16, 0).decode("ascii", "replace")


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
