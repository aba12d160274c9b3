"""What the check of one manifest costs after the first, in milliseconds: read, planned and judged, with no
engine.

The manifest is the bundled catalog's text as a project's own, in a directory with a repository and an
editor's folder.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from skill_magic.host import discover
from skill_magic.manifest.layers import BUNDLED
from skill_magic.policy.decide import check_all

ONE = """
[skills.one.docker]
image = "debian:12"
volumes = ["./data:/data", "pgdata:/var/lib/postgresql/data", "${PWD}:/w"]
environment = ["LANG=C.UTF-8"]
extra_args = ["--shm-size", "256m"]
"""


def measure(text: str, rounds: int) -> tuple[float, float, int]:
    """Medians of the rounds after the first (by the clock, and of this process's CPU), and the number of
    skills."""
    with tempfile.TemporaryDirectory() as place:
        for name in (".git", ".vscode", "data"):
            (Path(place) / name).mkdir()
        (Path(place) / "skills.toml").write_text(text)
        host = discover(Path(place))
        skills = len(check_all(host))
        costs, busy = [], []
        for _ in range(rounds):
            start, used = time.perf_counter(), time.process_time()
            check_all(host)
            costs.append((time.perf_counter() - start) * 1000)
            busy.append((time.process_time() - used) * 1000)
    return statistics.median(costs), statistics.median(busy), skills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    for title, text in (("one skill", ONE), ("the bundled catalog as a project", BUNDLED.read_text())):
        cost, busy, skills = measure(text, rounds)
        print(
            f"check of {title} ({skills}): median {cost:.1f} ms, {busy:.1f} ms of CPU (limit for one: 5 ms)"
        )


if __name__ == "__main__":
    main()
