"""The panel fed by hand, without an engine: what a browser shows of events, and what a click does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from .lab import Notebook

pytestmark = pytest.mark.browser

FEED = """
import time
from skill_magic.events import *
from skill_magic.spec import RunSpec
from skill_magic.views.panel import PanelView

def show(events, seconds, **spec):
    "Feed a panel for `seconds`, or until the kernel is interrupted; returns how long that was."
    view = PanelView()
    view.begin(RunSpec(skill="demo", image="demo:1", args=("-i", "in.mp4"), **spec), lambda: None)
    view.event(Started("c0ffee", "demo", "sha256:1", None, time.time()))
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            for event in events(time.monotonic() - began):
                view.event(event)
            view.tick()
            time.sleep(0.05)
    except KeyboardInterrupt:
        print("interrupted")
    globals()["view"] = view
    return time.monotonic() - began
"""

SOME = """
def some(elapsed):
    yield Output("stdout", f"line {elapsed:.2f}\\n".encode())
    yield Output("stderr", b"\\x1b[1;31mred\\x1b[0m and <b>not bold</b>\\n")
    percent, memory = 80 + 50 * (elapsed % 2), int(1e8 + 1e7 * elapsed)
    yield Usage(elapsed, elapsed, percent, 2, memory, int(2e8), 512 << 20, 10_000, 0, 0, 4 << 20, 3)
"""


def test_panel_shows_a_run_and_stop_interrupts_it(notebook: Callable[..., Notebook]) -> None:
    page = notebook(FEED + SOME, "show(some, 60)")
    page.run(0)
    page.start(1)
    panel = page.panel(1)
    expect(panel.locator(".sm-state")).to_have_text("running", timeout=20_000)
    expect(panel.locator("header strong")).to_have_text("demo")
    expect(panel.locator(".sm-command")).to_have_text("demo -i in.mp4")
    expect(panel.get_by_role("log").get_by_text("red and <b>not bold</b>").first).to_be_visible()
    page.stop(1).click()
    page.wait(1, 5)
    expect(page.output(1)).to_contain_text("interrupted")
    assert page.faults == []
