"""What the panel costs a run: the same tool with and without it, by turns, in one kernel.

    python benchmarks/panel.py [ROUNDS]

The tool computes on one CPU for some seconds and writes a thousand lines a second meanwhile. Printed are
medians: the tool's duration by the engine's clock, the kernel's own CPU time, and what the kernel sent.
Figures of one machine, quote the ratio.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

TOOL = """
work = 0
for line in range(3000):
    for _ in range({steps}):
        work += 1
    print(f"line {{line}} of some words, as a tool writes them", flush=True)
"""
CELL = """
%config SkillMagics.view = {view!r}
began = time.process_time()
r = %skill python-runner -- tool.py
print(r.duration, time.process_time() - began)
"""


class Turn:
    """One run's figures, taken from the kernel's messages."""

    def __init__(self, client: Any, view: str) -> None:
        self.sent = 0
        self.said = ""
        client.execute_interactive(CELL.format(view=view), output_hook=self._take)
        self.duration, self.cpu = map(float, self.said.split())

    def _take(self, message: dict[str, Any]) -> None:
        self.sent += len(str(message["content"]))
        if message["msg_type"] == "stream":
            self.said += message["content"]["text"]


def main(rounds: int) -> None:
    """Run and print."""
    began = time.perf_counter()
    for _ in range(1_000_000):
        pass
    steps = int(1000 / (time.perf_counter() - began))  # so many take about a millisecond
    turns: dict[str, list[Turn]] = {"quiet": [], "panel": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tool.py").write_text(TOOL.format(steps=steps))
        manager, client = start_new_kernel(cwd=folder, env=dict(os.environ))
        try:
            client.execute_interactive("import time\n%load_ext skill_magic", store_history=False)
            Turn(client, "panel")  # imports
            for number in range(2 * rounds):
                view = ("quiet", "panel")[(number + number // 2) % 2]  # quiet panel panel quiet …
                turns[view].append(Turn(client, view))
        finally:
            client.stop_channels()
            manager.shutdown_kernel()
    for view, done in turns.items():
        duration, cpu, sent = (
            statistics.median(getattr(turn, name) for turn in done) for name in ("duration", "cpu", "sent")
        )
        print(f"{view}  {duration:.3f} s, kernel's CPU {cpu:.3f} s, sent {sent / duration / 1000:.0f} kB/s")
    medians = [statistics.median(turn.duration for turn in turns[view]) for view in ("panel", "quiet")]
    fastest = [min(turn.duration for turn in turns[view]) for view in ("panel", "quiet")]
    # On a machine that others use too, the fastest turns are the ones that nobody disturbed.
    print(
        f"with the panel / without: medians {medians[0] / medians[1]:.3f}, fastest {fastest[0] / fastest[1]:.3f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
