"""What `%load_ext skill_magic` costs over a bare IPython, in milliseconds.

Each round starts one interpreter that makes a shell and loads the extension, timing only the second part; the
median of the rounds is printed, with the modules it brought in.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

PROBE = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("1")
before = set(sys.modules)
start = time.perf_counter()
shell.extension_manager.load_extension("skill_magic")
cost = (time.perf_counter() - start) * 1000
print(json.dumps({"ms": cost, "modules": sorted(set(sys.modules) - before)}))
"""


def probe() -> dict[str, object]:
    """One fresh interpreter: the cost in ms and the modules imported."""
    done = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = [probe() for _ in range(parser.parse_args().rounds)]
    costs = [float(str(each["ms"])) for each in rounds]
    print(f"%load_ext skill_magic: median {statistics.median(costs):.1f} ms of {len(costs)} (limit 30 ms)")
    print(f"  from {min(costs):.1f} to {max(costs):.1f} ms; imports: {', '.join(rounds[0]['modules'])}")  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
