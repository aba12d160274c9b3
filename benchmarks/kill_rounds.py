"""Start a run, kill its process with SIGKILL at a random moment, look what is left after five seconds.

    python benchmarks/kill_rounds.py [--rounds 100] [--jobs 4] [--seed 0]

Left must be nothing: no container, no anonymous volume, no watchdog process. Exits 1 where something was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIMIT = 5.0

KERNEL = """
import sys
from skill_magic.engine import Run, connect, session
from skill_magic.host import discover
from skill_magic.spec import Mount, RunSpec

host = discover()
engine = connect(host)
print(session.current().id, flush=True)
spec = RunSpec("kill-round", sys.argv[1], ("sh", "-c", "while :; do echo tick; sleep 0.01; done"),
               directory=host.directory, mounts=(Mount("volume", "/data"),))
for event in Run(engine, spec, host):
    pass
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=4, help="rounds at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image", default="python:3.12-slim")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    delays = [moments.uniform(0.0, 1.2) for _ in range(arguments.rounds)]
    slowest, bad = 0.0, 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        rounds = pool.map(lambda delay: one_round(arguments.image, delay), delays)
        for number, (delay, (taken, left)) in enumerate(zip(delays, rounds, strict=True)):
            slowest = max(slowest, taken)
            if left:
                bad += 1
                print(f"round {number}: killed after {delay:.3f} s, left: {left}", file=sys.stderr)
    print(
        f"{arguments.rounds} rounds, {bad} left something behind; "
        f"the slowest clean-up took {slowest:.1f} s of {LIMIT:.0f} s"
    )
    return 1 if bad else 0


def one_round(image: str, delay: float) -> tuple[float, list[str]]:
    """One kernel started, killed after ``delay`` seconds; how long its traces lasted, and those after the
    limit."""
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL, image],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert kernel.stdout is not None
    session = kernel.stdout.readline().strip()
    assert session, "the kernel ended before its time"
    time.sleep(delay)
    os.killpg(kernel.pid, signal.SIGKILL)
    kernel.wait()
    killed = time.monotonic()
    gone = 0.0
    while time.monotonic() - killed < LIMIT:
        if traces(session):
            gone = 0.0
        elif not gone:
            gone = time.monotonic() - killed
        time.sleep(0.1)
    return gone or LIMIT, traces(session)


def traces(session: str) -> list[str]:
    """What there is of a session: containers and volumes with its label, processes with its name."""
    label = f"skill-magic.session={session}"
    found = []
    for kind, command in (
        ("container", ["docker", "ps", "-aq", "--no-trunc", "--filter", f"label={label}"]),
        ("volume", ["docker", "volume", "ls", "-q", "--filter", f"label={label}"]),
    ):
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        found += [f"{kind} {name}" for name in out]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(session in word for word in words):
                found.append(f"process {entry.name} {json.dumps(words)[:200]}")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
