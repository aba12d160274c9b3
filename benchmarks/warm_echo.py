"""What a run costs: `echo` in a local image, through this package and through `docker run --rm`, by turns.

    python benchmarks/warm_echo.py [--rounds 30] [--image python:3.12-slim]

Both do the same: a new container without network, with an init, removed at its end. The whole road is taken, from the
manifest to the result. Prints medians and their ratio; figures of one machine, quote the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import skill_magic

MANIFEST = """
[skills.echo]
source = "docker:{image}"
runtime = "docker"

[skills.echo.docker]
image = "{image}"
entrypoint = "echo"
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--image", default="python:3.12-slim")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="warm-echo-") as folder:
        (Path(folder) / "skills.toml").write_text(MANIFEST.format(image=arguments.image))
        ours, theirs = measure(Path(folder), arguments.image, arguments.rounds)
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"docker run --rm   {1000 * statistics.median(theirs):6.0f} ms  1.00")
    print(f"skill_magic.run   {1000 * statistics.median(ours):6.0f} ms  {ratio:.2f}")
    return 0


def measure(folder: Path, image: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each round, ours and docker's; the first of each is not counted."""
    ours, theirs = [], []
    command = ["docker", "run", "--rm", "--init", "--network", "none", "--workdir", "/workdir",
               "--volume", f"{folder}:/workdir", "--entrypoint", "echo", image, "hi"]  # fmt: skip
    for number in range(rounds + 1):
        begun = time.perf_counter()
        result = skill_magic.run("echo", ["hi"], directory=folder)
        mine = time.perf_counter() - begun
        assert result.stdout == "hi\n", result
        begun = time.perf_counter()
        out = subprocess.run(command, capture_output=True, check=True).stdout
        other = time.perf_counter() - begun
        assert out == b"hi\n", out
        if number:
            ours.append(mine)
            theirs.append(other)
    return ours, theirs


if __name__ == "__main__":
    sys.exit(main())
