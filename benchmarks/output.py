"""What output costs: CPU seconds of this package for a stream, through each front end, on a real engine.

    python benchmarks/output.py [--mib 8] [STREAM...]

A container writes the stream as fast as it is read. For each front end the table has the CPU seconds of the process
that shows it (the `skill` command, or the kernel), less what a run without output costs there. The last columns are
the seconds from a stop, and from the end of a `--timeout` of three seconds, to the end of a run that writes the stream
without end; they include the tool's and the engine's own. Figures of one machine.
"""

from __future__ import annotations

import argparse
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "unit"))

import psutil
from engine.kernels import Kernel
from hostile import HOSTILE, PLAIN, USUAL

SKILL = [sys.executable, "-m", "skill_magic"]
MANIFEST = '[skills.x.docker]\nimage = "python:3.12-slim"\nentrypoint = "python3"\n'
CAT = "import shutil, sys; shutil.copyfileobj(open('stream', 'rb'), sys.stdout.buffer)"
FLOOD = "import sys\ndata = open('stream', 'rb').read()\nwhile True:\n    sys.stdout.buffer.write(data)"
PYTHON = "import skill_magic, sys; skill_magic.run('x', ['-c', sys.argv[1]])"


def command(
    words: list[str], folder: Path, *, terminal: bool = False, stop: float | None = None
) -> tuple[float, float]:
    """CPU seconds of a command, and seconds of its end after it was interrupted (else of all of it)."""
    before = os.times()
    began = time.monotonic()
    master, slave = pty.openpty() if terminal else (-1, subprocess.PIPE)
    error = slave if terminal else subprocess.DEVNULL
    process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=slave, stderr=error)
    if terminal:
        os.close(slave)
    source = master if terminal else process.stdout.fileno()  # type: ignore[union-attr]

    def drain() -> None:
        try:
            while os.read(source, 1 << 16):
                pass
        except OSError:
            pass

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    if stop is not None:
        time.sleep(stop)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
    process.wait()
    reader.join(5)
    took = time.monotonic() - began
    if terminal:
        os.close(master)
    else:
        process.stdout.close()  # type: ignore[union-attr]
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, took


class Notebook:
    """A kernel whose CPU time is read before and after a cell."""

    def __init__(self, folder: Path, view: str) -> None:
        self.kernel = Kernel(folder, SKILL_MAGIC_VIEW=view)
        self.kernel.run("import os")
        [pid] = self.kernel.run("os.getpid()").data("text/plain")
        self.process = psutil.Process(int(pid))

    def cost(self, line: str) -> float:
        before = sum(self.process.cpu_times()[:2])
        cell = self.kernel.run(line, timeout=600)
        assert cell.ok, cell.error
        return sum(self.process.cpu_times()[:2]) - before


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=8)
    parser.add_argument("stream", nargs="*", help=f"of: {', '.join({**USUAL, **HOSTILE})}")
    arguments = parser.parse_args()
    streams = {"plain text": PLAIN, **USUAL, **HOSTILE}
    chosen = {name: streams[name] for name in arguments.stream} or streams
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "book"
        folder.mkdir()
        (folder / "skills.toml").write_text(MANIFEST)
        (folder / "cat.py").write_text(CAT)
        measure(folder, chosen, arguments.mib << 20)
    return 0


def measure(folder: Path, streams: dict[str, Callable[[int], bytes]], size: int) -> None:
    panel, text = Notebook(folder, "panel"), Notebook(folder, "text")
    background = "h = %skill --bg x -- cat.py\nr = h.wait()"
    fronts: dict[str, Callable[[], float]] = {
        "terminal": lambda: command([*SKILL, "x", "--", "cat.py"], folder, terminal=True)[0],
        "pipe": lambda: command([*SKILL, "x", "--", "cat.py"], folder)[0],
        "-q": lambda: command([*SKILL, "-q", "x", "--", "cat.py"], folder)[0],
        "Python": lambda: command([sys.executable, "-c", PYTHON, CAT], folder)[0],
        "panel": lambda: panel.cost("%skill x -- cat.py"),
        "text": lambda: text.cost("%skill x -- cat.py"),
        "background": lambda: panel.cost(background),
    }
    try:
        (folder / "stream").write_bytes(b"")
        idle = {name: min(cost() for _ in range(2)) for name, cost in fronts.items()}
        print(f"CPU seconds for {size >> 20} MiB, less those of a run without output; then seconds")
        print(f"{'':28}", *(f"{name:>10}" for name in (*fronts, "stop", "timeout")))
        for name, make in streams.items():
            (folder / "stream").write_bytes(make(size))
            costs = [max(cost() - idle[front], 0.0) for front, cost in fronts.items()]
            words = [*SKILL, "x", "--", "-c", FLOOD]
            _, stopped = command(words, folder, terminal=True, stop=3.0)
            _, whole = command([*SKILL, "--timeout", "3", *words[len(SKILL) :]], folder, terminal=True)
            _, nothing = command([*SKILL, "x", "--", "-c", "pass"], folder, terminal=True)
            figures = [*costs, stopped, max(whole - 3 - nothing, 0.0)]
            print(f"{name:28}", *(f"{figure:10.2f}" for figure in figures), flush=True)
    finally:
        panel.kernel.close()
        text.kernel.close()


if __name__ == "__main__":
    sys.exit(main())
