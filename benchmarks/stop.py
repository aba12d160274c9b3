"""Seconds from a Stop, and from the end of --timeout, to the end of the run with its container gone.

    python benchmarks/stop.py [--rounds 10]

The promise is two seconds for each kind of tool on a quiet machine. Exits 1 where the slowest round took longer.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from skill_magic.engine import Engine, Run, connect
from skill_magic.events import Started
from skill_magic.host import Host, discover
from skill_magic.spec import RunSpec

LIMIT = 2.0
IGNORING = "import signal\nfor s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n"
TOOLS = {
    "ends on SIGINT": "import time; time.sleep(600)",
    "ignores signals": f"{IGNORING}import time; time.sleep(600)",
    "floods with text": f"{IGNORING}import os\nwhile True: os.write(1, b'some text\\n' * 6000)",
    "floods with one long line": f"{IGNORING}import os\nos.write(1, b'\\r')\nwhile True: os.write(1, b'x' * 65536)",
    "floods with random bytes": f"{IGNORING}import os\nwhile True: os.write(1, os.urandom(65536))",
}


def stopped(engine: Engine, host: Host, spec: RunSpec) -> float:
    """Seconds from the stop to the end of all events."""
    run = Run(engine, spec, host)
    began = 0.0
    for event in run:
        if isinstance(event, Started):
            began = time.monotonic() + 1.0
        elif began and time.monotonic() >= began:
            break
        if isinstance(event, Started) and "sleep" in spec.args[-1]:
            time.sleep(1.0)
            break
    asked = time.monotonic()
    run.stop()
    for _ in run:
        pass
    return time.monotonic() - asked


def timed_out(engine: Engine, host: Host, spec: RunSpec) -> float:
    """Seconds from the moment that ``--timeout 1`` names to the end of all events."""
    began = 0.0
    for event in Run(engine, replace(spec, timeout=1.0), host):
        if isinstance(event, Started):
            began = time.monotonic()
    return time.monotonic() - began - 1.0


def main() -> int:
    """Measure and print; 1 where a round was slower than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        host = discover(Path(folder))
        engine = connect(host)
        print(f"{'':28}{'Stop':>18}{'--timeout':>18}   median and slowest of {rounds}, in seconds")
        for name, script in TOOLS.items():
            spec = RunSpec("stop", "python:3.12-slim", ("python3", "-c", script), directory=Path(folder))
            cells = []
            for measure in (stopped, timed_out):
                figures = [measure(engine, host, spec) for _ in range(rounds)]
                worst = max(worst, *figures)
                cells.append(f"{statistics.median(figures):>9.2f}{max(figures):>9.2f}")
            print(f"{name:28}{''.join(cells)}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
