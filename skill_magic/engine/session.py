"""Session: which process a container belongs to, and that nothing of it is left when the process is gone.

Three things take a container away when its process cannot: an ``atexit`` handler (a normal end), the watchdog
(a process of its own that outlives a SIGKILL, see ``watchdog.py``) and ``reaper.sweep`` in the next process
of the same person (the machine's control group was killed as a whole, or the engine was away at the time).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .ownership import person_key
from .watchdog import signature

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import RunSpec
    from .connect import Engine

__all__ = ["LABEL", "Session", "boot_id", "current", "pid_namespace", "process_start"]

LABEL = "skill-magic."
"""What every label of ours begins with."""

PROTOCOL_DONE = b"q"
"""Told to a watchdog that is not needed any more."""


GOODBYE = 0.5
"""Seconds that a process waits at most for a watchdog that has nothing to do any more; it takes some 0.01."""


class Live(Protocol):
    """A run of this process that is not over."""

    @property
    def name(self) -> str: ...

    @property
    def keep(self) -> bool: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Session:
    """One process's containers. ``id`` is in the labels of each."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.id = uuid.uuid4().hex
        self._start = process_start(self.pid)
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}
        self._watchdogs: dict[str, subprocess.Popen[bytes]] = {}
        atexit.register(self._at_exit)

    def labels(self, spec: RunSpec, host: Host, name: str, image: str, *, keep: bool) -> dict[str, str]:
        """The labels of a container of this process, by which it is found again.

        :param name: the container's name, and :param image: the id of its image, which the labels are signed for.
        """
        labels = {
            "session": self.id,
            "pid": str(self.pid),
            "pid-start": self._start,
            "pid-ns": pid_namespace(),
            "boot-id": boot_id(),
            "user": str(host.uid),
            "skill": spec.skill,
            "image": spec.image,
            "image-id": image.removeprefix("sha256:"),  # Podman tells some ids without it
            "keep": "true" if keep else "false",
            "rm": "true" if spec.remove else "false",
            "directory": str(spec.directory),
        }
        signed = {LABEL + label: value for label, value in labels.items()}
        return signed | {LABEL + "signature": signature(person_key(host.data_dir), name, signed)}

    def enter(self, run: Live) -> None:
        """``run`` is about to create a container of its name."""
        with self._lock:
            self._live[run.name] = run

    def leave(self, run: Live) -> None:
        """``run`` is over and its container is as it should be."""
        with self._lock:
            self._live.pop(run.name, None)

    @property
    def live(self) -> dict[str, Live]:
        """Runs that are not over, by the name of their container."""
        with self._lock:
            return dict(self._live)

    def protect(self, engine: Engine) -> None:
        """Have a watchdog for ``engine``: one per engine, started with the first container, ended with this
        process.

        It costs some milliseconds once. Where none can be had (no interpreter to start, an exhausted process
        table) the run goes on: ``atexit`` and the next sweep remain.
        """
        url = engine.address.url
        with self._lock:
            dog = self._watchdogs.get(url)
            if dog is not None and dog.poll() is None:
                return
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._watchdogs[url] = _start_watchdog(engine, self.id)

    def _at_exit(self) -> None:
        if os.getpid() != self.pid:
            return  # a forked child: not its containers
        runs = [run for run in self.live.values() if not run.keep]
        for run in runs:
            with contextlib.suppress(Exception):
                run.close()
        with self._lock:
            dogs, self._watchdogs = self._watchdogs, {}
        clean = not any(run.name in self.live for run in runs)
        for dog in dogs.values():
            assert dog.stdin is not None  # noqa: S101 - started with a pipe
            with contextlib.suppress(OSError):
                if clean:
                    dog.stdin.write(PROTOCOL_DONE)
                dog.stdin.close()  # without the word it takes away what is left
            if clean:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    dog.wait(GOODBYE)


_session: Session | None = None
_lock = threading.Lock()


def current() -> Session:
    """This process's session; a forked child begins its own."""
    global _session
    with _lock:
        if _session is None or _session.pid != os.getpid():
            _session = Session()
        return _session


def _start_watchdog(engine: Engine, session: str) -> subprocess.Popen[bytes]:
    address = engine.address
    task = {
        "url": address.url,
        "tls": str(address.tls or ""),
        "verify": "yes" if address.tls_verify else "",
        "label": f"{LABEL}session={session}",
    }
    script = Path(__file__).with_name("watchdog.py")
    dog = subprocess.Popen(
        [sys.executable, "-I", "-S", str(script), json.dumps(task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Not in our process group: what kills a kernel kills its group, and Ctrl-C in a terminal reaches all
        # of it.
        start_new_session=True,
        cwd="/",
        bufsize=0,
    )
    assert dog.stdin is not None  # noqa: S101 - started with a pipe
    dog.stdin.write(f"{engine.key.hex()}\n".encode())
    return dog


def process_start(pid: int) -> str:
    """When process ``pid`` started, in a form to compare only; an empty string where there is no such
    process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        ps = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return ps.stdout.strip()
    fields = stat.rsplit(b")", 1)[1].split()
    if fields[0] in (b"Z", b"X"):
        return ""  # dead, and waiting to be noticed by its parent
    return fields[19].decode()  # field 22 of proc(5): clock ticks since boot


def boot_id() -> str:
    """Tells one boot of one machine from all others."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(OSError):
        sysctl = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False
        )
        return sysctl.stdout.strip()
    return ""


def pid_namespace() -> str:
    """The namespace in which a pid has a meaning: kernels in two containers may share a machine and an
    engine."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""
