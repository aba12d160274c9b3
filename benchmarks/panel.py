"""What the panel costs a run: one run in JupyterLab in Chromium, its panel there and not there by turns.

    python benchmarks/panel.py [--seconds 120] [--turn 1] [--lines 2]

The tool keeps every CPU of the machine busy and writes lines meanwhile, so whatever the panel takes (in the kernel, in
the server, in a browser on the same machine) is taken from the tool. The tool counts what it gets done in each turn;
neighbouring turns are compared, so that a machine whose speed drifts does not matter. Printed are the median ratio
with the interval that nine of ten resamplings fall into, the processor time of each part, and what the browser was
sent. Figures of one machine, quote the ratio.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import psutil
from browser.conftest import launch
from browser.lab import Lab, Notebook
from playwright.sync_api import sync_playwright

MANIFEST = """
[skills.busy.docker]
image = "python:3.12-slim"
entrypoint = "python3"
"""
# Turns are told by the clock that all of them share: 0 1 2 3 is with, without, without, with the panel.
SHOWN = "int(time.time() / {turn}) % 4 in (0, 3)"
TOOL = """
import multiprocessing, os, sys, time
TURN, SECONDS, LINES = {turn}, {seconds}, {lines}

def work(done, began):
    while (now := time.time()) < began + SECONDS:
        for _ in range(1000):
            pass
        if now % TURN > 0.1 * TURN:  # what the change between two turns costs belongs to neither
            done[int(now / TURN) - int(began / TURN)] += 1

if __name__ == "__main__":
    began = time.time()
    turns = [multiprocessing.Array("q", int(SECONDS / TURN) + 2, lock=False) for _ in range(os.cpu_count())]
    workers = [multiprocessing.Process(target=work, args=(done, began)) for done in turns]
    for worker in workers:
        worker.start()
    for number in range(int(SECONDS * LINES)):
        end = "\\n" if LINES > 10 else "\\r"
        print(f"frame={{number:6}} fps=24 q=31.0 size=  1024KiB time=00:01 speed=1.2x", end=end, flush=True)
        time.sleep(max(0, began + number / LINES - time.time()))
    for worker in workers:
        worker.join()
    print()
    print("DONE", int(began / TURN), *(sum(done) for done in zip(*turns)))
"""
# The panel's own view, except that in half of the turns it does not learn what happens.
PREPARE = """
%load_ext skill_magic
import time
from skill_magic.events import Output, Usage
from skill_magic.views import panel

class Alternating(panel.PanelView):
    def event(self, event):
        if {shown} or not isinstance(event, Output | Usage):
            super().event(event)

    def tick(self):
        if {shown}:
            super().tick()

panel.PanelView = Alternating
"""
# Nor is it drawn in those.
HIDE = """turn => {
    const change = () => {
        const shown = [0, 3].includes(Math.floor(Date.now() / turn) % 4);
        for (const panel of document.querySelectorAll('.skill-magic-panel'))
            panel.style.visibility = shown ? '' : 'hidden';
        setTimeout(change, turn - (Date.now() % turn) + 1);
    };
    change();
}"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--turn", type=float, default=1.0, help="seconds")
    parser.add_argument("--lines", type=int, default=2, help="a second")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as base,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        lab = Lab(Path(base), browser)
        try:
            report(arguments, *measure(arguments, lab))
        finally:
            lab.close()
    return 0


def measure(arguments: argparse.Namespace, lab: Lab) -> tuple[list[float], dict[bool, Counter[str]], float]:
    """Ratios of work done with the panel to without, CPU seconds of each part with and without, bytes sent."""
    turn = arguments.turn
    shown = SHOWN.format(turn=turn)
    page = lab.open(
        lab.write("bench/panel.ipynb", PREPARE.format(shown=shown), "r = %skill busy -- tool.py", "")
    )
    (page.path.parent / "skills.toml").write_text(MANIFEST)
    (page.path.parent / "tool.py").write_text(TOOL.format(**vars(arguments)))
    page.run(0)
    page.start(1)
    page.panel(1).wait_for(timeout=20_000)
    page.page.evaluate(HIDE, 1000 * turn)
    spent, sent = accounted(page, turn, arguments.seconds - 5)
    page.wait(1, 60)
    page.put(2, "print(r.stdout.rpartition('DONE')[2])")
    page.run(2)
    first, *done = map(int, page.output(2).inner_text().split())
    ratios = []
    for at in range(-first % 2, len(done) - 1, 2):
        if 2 <= at < len(done) - 4:  # the panel comes, and the tool ends, in the turns that are left out
            one, other = done[at], done[at + 1]
            ratios.append(one / other if (first + at) % 4 == 0 else other / one)
    return ratios, spent, sent


def accounted(page: Notebook, turn: float, seconds: float) -> tuple[dict[bool, Counter[str]], float]:
    """CPU seconds per second of each part, with and without the panel, and bytes sent per second with it."""
    parts = {process: part for process in psutil.process_iter() if (part := part_of(process))}
    spent: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    turns: Counter[bool] = Counter()
    until = time.monotonic() + seconds - 2 * turn
    before, seen = None, len(page.received)
    while time.monotonic() < until:
        page.page.wait_for_timeout(1000 * (turn - time.time() % turn))
        now = {process: sum(process.cpu_times()[:2]) for process in parts}
        if before is not None:
            with_panel = int(time.time() / turn - 0.5) % 4 in (0, 3)
            turns[with_panel] += 1
            for process, part in parts.items():
                spent[with_panel][part] += now[process] - before[process]
        before = now
    for with_panel, counter in spent.items():
        for part in counter:
            counter[part] /= turns[with_panel] * turn
    return spent, sum(size for _, size in page.received[seen:]) / (turns[True] * turn)


def part_of(process: psutil.Process) -> str:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    words = {"ipykernel_launcher": "kernel", "jupyterlab": "server", "chromium": "browser"}
    return next((part for word, part in words.items() if word in line), "")


def report(
    arguments: argparse.Namespace, ratios: list[float], spent: dict[bool, Counter[str]], sent: float
) -> None:
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(2000))
    cpus = os.cpu_count() or 1
    print(f"a tool on all {cpus} CPUs that writes {arguments.lines} lines/s; {len(ratios)} pairs of turns")
    print(
        f"work done with the panel / without: {statistics.median(ratios):.4f} "
        f"(90 %: {medians[100]:.4f} to {medians[1899]:.4f})"
    )
    taken = {part: 100 * (spent[True][part] - spent[False][part]) / cpus for part in spent[True]}
    said = ", ".join(f"{part} {share:.2f}" for part, share in sorted(taken.items()))
    print(f"of all processor time the panel takes {sum(taken.values()):.2f} % ({said})")
    print(f"sent to the browser: {sent / 1000:.1f} kB/s")


if __name__ == "__main__":
    sys.exit(main())
