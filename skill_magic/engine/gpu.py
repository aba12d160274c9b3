"""GPU utilisation, where NVIDIA's ``nvidia-smi`` is on this machine; an extra that may be missing."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..spec import Gpus

__all__ = ["Gpu", "parse"]

QUERY = "--query-gpu=index,utilization.gpu,memory.used"
INTERVAL = 1  # seconds


class Gpu:
    """Asks once a second, through one ``nvidia-smi`` that repeats itself. Figures are the devices', not the
    tool's."""

    def __init__(self, gpus: Gpus) -> None:
        self._devices: dict[int, tuple[float, int]] = {}
        # Of N devices the engine gives the first ones; device ids are left to nvidia-smi to understand.
        self._count = gpus.count if gpus.count is not None and gpus.count > 0 else None
        self._process: subprocess.Popen[str] | None = None
        program = shutil.which("nvidia-smi")
        if program is None:
            return
        command = [program, QUERY, "--format=csv,noheader,nounits", f"--loop={INTERVAL}"]
        if gpus.device_ids:
            command.append(f"--id={','.join(gpus.device_ids)}")
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            threading.Thread(target=self._read, name="skill-magic-gpu", daemon=True).start()

    def latest(self) -> tuple[float, int] | None:
        """Mean utilisation in percent and memory in use in bytes over the tool's devices; ``None``:
        unknown."""
        found = list(self._devices.values())
        if not found:
            return None
        return sum(percent for percent, _ in found) / len(found), sum(memory for _, memory in found)

    def close(self) -> None:
        """End the reader."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process is not None  # noqa: S101 - started before this thread
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        for line in self._process.stdout:
            found = parse(line)
            if found is not None and (self._count is None or found[0] < self._count):
                self._devices[found[0]] = found[1:]


def parse(line: str) -> tuple[int, float, int] | None:
    """One line of ``nvidia-smi``'s CSV without units as (index, percent, bytes)."""
    fields = [field.strip() for field in line.split(",")]
    try:
        return int(fields[0]), float(fields[1]), int(fields[2]) << 20
    except (IndexError, ValueError):
        return None  # "[N/A]": a device that does not say
