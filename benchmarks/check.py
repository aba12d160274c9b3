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

from skill_magic.decide import check_all
from skill_magic.host import discover
from skill_magic.manifest import BUNDLED

ONE = """
[skills.one.docker]
image = "debian:12"
volumes = ["./data:/data", "pgdata:/var/lib/postgresql/data", "${PWD}:/w"]
environment = ["LANG=C.UTF-8"]
extra_args = ["--shm-size", "256m"]
"""


def measure(text: str, rounds: int) -> tuple[float, int]:
    """The median of the rounds after the first, and the number of skills."""
    with tempfile.TemporaryDirectory() as place:
        for name in (".git", ".vscode", "data"):
            (Path(place) / name).mkdir()
        (Path(place) / "skills.toml").write_text(text)
        host = discover(Path(place))
        skills = len(check_all(host))
        costs = []
        for _ in range(rounds):
            start = time.perf_counter()
            check_all(host)
            costs.append((time.perf_counter() - start) * 1000)
    return statistics.median(costs), skills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    for title, text in (("one skill", ONE), ("the bundled catalog as a project", BUNDLED.read_text())):
        cost, skills = measure(text, rounds)
        print(f"check of {title}: median {cost:.1f} ms for {skills} (limit 5 ms a manifest of one skill)")


if __name__ == "__main__":
    main()
