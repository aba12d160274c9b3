"""The panel fed by hand, without an engine: what a browser shows of events, and what a click does.

All tests but one use the same page and kernel; each puts its own cells there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from pace import pace
from playwright.sync_api import expect

from .lab import Lab, Notebook, outputs

pytestmark = pytest.mark.browser

FEED = """
import threading, time
from skill_magic.events import *
from skill_magic.spec import RunSpec
from skill_magic.views.panel import PanelView

def show(events, seconds, started=True, view=None, stop=lambda: None):
    "Feed a panel for `seconds`, or until the kernel is interrupted; returns how long that was."
    view = view or PanelView()
    view.begin(RunSpec(skill="demo", image="demo:1", args=("-i", "in.mp4")), stop)
    if started:
        view.event(Started("c0ffee", "demo", "sha256:1", None, time.time()))
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds and not (over and over[-1]):
            for event in events(time.monotonic() - began):
                view.event(event)
            view.tick()
            time.sleep(0.05)
    except KeyboardInterrupt:
        print("interrupted")
    view.error(None)
    return time.monotonic() - began

over = []
"""

SOME = """
def some(elapsed):
    yield Output("stdout", f"line {elapsed:.2f}\\n".encode())
    yield Output("stderr", b"\\x1b[1;31mred\\x1b[0m and <b>not bold</b>\\n")
    percent, memory = 80 + 50 * (elapsed % 2), int(1e8 + 1e7 * elapsed)
    yield Usage(elapsed, elapsed, percent, 2, memory, int(2e8), 512 << 20, 10_000, 0, 0, 4 << 20, 3)
"""


@pytest.fixture(scope="module")
def shared(lab: Lab) -> Iterator[Notebook]:
    """A page whose first cell has run and made the above known to its kernel."""
    page = lab.open(lab.write("alone.ipynb", FEED + SOME, *[""] * 3))
    page.run(0)
    yield page
    page.close()


@pytest.fixture
def page(shared: Notebook) -> Iterator[Notebook]:
    """The page with nothing of the test before on it."""
    for cell in range(1, 4):
        shared.put(cell, "")
    shared.put(1, "over.clear()")
    shared.run(1)
    shared.faults.clear()
    yield shared
    for cell in range(1, 3):
        if shared.prompt(cell).inner_text() == "[*]:":
            shared.interrupt()
            shared.wait(cell)


def begun(page: Notebook, source: str) -> Notebook:
    """The page with ``source`` running in its second cell, its panel there."""
    page.put(1, source)
    page.start(1)
    expect(page.panel(1)).to_be_visible(timeout=20_000)
    return page


def test_panel_shows_a_run_and_stop_interrupts_it(page: Notebook) -> None:
    begun(page, "show(some, 60)")
    panel = page.panel(1)
    expect(panel.locator(".sm-state")).to_have_text("running")
    expect(panel.locator("header strong")).to_have_text("demo")
    expect(panel.locator(".sm-command")).to_have_text("demo -i in.mp4")
    expect(panel.get_by_role("log").get_by_text("red and <b>not bold</b>").first).to_be_visible()
    expect(panel.locator(".sm-stderr").first).to_be_visible()
    assert panel.locator(".sm-line b").count() == 0
    memory = panel.get_by_role("meter", name="memory")
    before = memory.get_attribute("aria-valuetext")
    assert before
    assert before.endswith("of 512 MiB, peak 191 MiB")
    expect(memory).not_to_have_attribute("aria-valuetext", before)
    expect(panel.locator(".sm-elapsed")).to_have_text("0:03", timeout=10_000)
    page.stop(1).click()
    page.wait(1, 5)
    expect(page.output(1)).to_contain_text("interrupted")
    expect(panel).to_have_count(0)
    assert page.faults == []


def test_stop_by_keyboard(page: Notebook) -> None:
    begun(page, "show(some, 60)")
    page.stop(1).focus()
    page.page.keyboard.press("Enter")
    page.wait(1, 5)
    expect(page.output(1)).to_contain_text("interrupted")


def test_stop_says_the_same_until_it_offers_more(page: Notebook) -> None:
    page.page.evaluate("window.said = []")
    begun(page, "show(some, 60)")
    page.stop(1).evaluate(
        """button => new MutationObserver(() => window.said.push(button.textContent)).observe(
            button, {childList: true, characterData: true, subtree: true})"""
    )
    page.stop(1).click()
    page.wait(1, 5)
    assert page.page.evaluate("window.said") == []


def test_stop_says_so_at_once_and_offers_to_kill(page: Notebook) -> None:
    """A tool that does not obey: the first interrupt only asks, the second must be possible."""
    stubborn = """
import signal
before = signal.signal(signal.SIGINT, lambda *_: over.append(len(over) > 0))
show(some, 60)
signal.signal(signal.SIGINT, before)
"""
    begun(page, stubborn)
    page.stop(1).click()
    expect(page.panel(1).locator(".sm-state")).to_have_text("stopping…", timeout=500 * pace())
    expect(page.stop(1)).to_be_disabled()
    expect(page.stop(1)).to_have_text("Kill", timeout=4000 * pace())
    page.stop(1).click()
    page.wait(1, 5)


def test_a_front_end_without_a_kernel_to_interrupt_says_what_to_do(page: Notebook) -> None:
    page.put(1, "show(some, 60)")
    # As in front ends that give a widget no handle on its kernel.
    page.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt = undefined"
    )
    page.start(1)
    expect(page.panel(1)).to_contain_text("to stop it, interrupt the kernel")
    expect(page.stop(1)).to_be_hidden()
    expect(page.panel(1).get_by_role("log")).to_contain_text("line ")
    page.page.evaluate("delete window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt")
    page.interrupt()
    page.wait(1, 5)


def test_quick_run_gets_no_panel(page: Notebook) -> None:
    page.put(1, "show(some, 0.3)")
    page.run(1)
    expect(page.panel(1)).to_have_count(0)


def test_panel_leaves_nothing_of_the_widget_in_the_file(page: Notebook) -> None:
    begun(page, "show(some, 2)")
    page.wait(1)
    saved = page.save()
    assert "widget" not in json.dumps(saved)
    assert [
        sorted(output["data"]) for output in outputs(saved, 1) if output["output_type"] == "display_data"
    ] == [["text/html", "text/plain"]]


def test_output_follows_its_tail_unless_one_reads_further_up(page: Notebook) -> None:
    begun(page, "show(some, 60)")
    log = page.panel(1).get_by_role("log")
    at_end = "pane => pane.scrollHeight - pane.scrollTop - pane.clientHeight < 8"
    page.page.wait_for_function("document.querySelector('.sm-output').scrollTop > 100")
    assert log.evaluate(at_end)
    log.evaluate("pane => { pane.scrollTop = 0 }")
    latest = page.panel(1).get_by_role("button", name="latest")
    expect(latest).to_be_visible()
    page.page.wait_for_timeout(500)
    assert log.evaluate("pane => pane.scrollTop") < 50
    latest.click()
    expect(latest).to_be_hidden()
    page.page.wait_for_timeout(300)
    assert log.evaluate(at_end)
    page.stop(1).click()
    page.wait(1, 10)


BURST = """
def burst(elapsed):
    if elapsed < 0.06:
        yield Output("stdout", b"".join(b"burst %d\\n" % number for number in range(20000)))
show(burst, 60)
"""


def test_a_burst_before_the_panel_is_there_shows_its_end(page: Notebook) -> None:
    begun(page, BURST)
    log = page.panel(1).get_by_role("log")
    at_end = "pane => pane.scrollHeight - pane.scrollTop - pane.clientHeight < 8"
    expect(log.locator(".sm-line").last).to_have_text("burst 19999")
    assert log.evaluate(at_end)
    log.evaluate(
        "pane => { window.hidden = pane.closest('.jp-Cell-outputArea'); hidden.style.display = 'none' }"
    )
    page.page.wait_for_timeout(200)
    page.page.evaluate("window.hidden.style.display = ''")
    page.page.wait_for_timeout(200)
    assert log.evaluate(at_end), "also after it was out of sight"
    page.stop(1).click()
    page.wait(1, 10)


def test_a_reader_keeps_the_place_in_a_flood(page: Notebook) -> None:
    begun(page, FLOOD)
    log = page.panel(1).get_by_role("log")
    expect(log.locator(".sm-line").nth(40)).to_be_attached()
    log.evaluate("pane => { pane.scrollTop -= 300 }")
    seen = """pane => {
        const top = pane.getBoundingClientRect().top;
        return [...pane.children].find((line) => line.getBoundingClientRect().top >= top).textContent;
    }"""
    page.page.wait_for_timeout(300)
    before = log.evaluate(seen)
    page.page.wait_for_timeout(6000)  # some four thousand lines
    assert log.evaluate(seen) == before
    assert log.locator(".sm-line").count() <= 2000
    page.stop(1).click()
    page.wait(1, 10)


def test_keys_in_the_pane_are_its_own_or_the_notebooks(page: Notebook) -> None:
    begun(page, "show(some, 60)")
    log = page.panel(1).get_by_role("log")
    page.page.wait_for_function("document.querySelector('.sm-output').scrollTop > 100")
    log.click()
    active = "window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    where = page.page.evaluate(active)
    for _ in range(3):
        page.page.keyboard.press("ArrowUp")
    expect(page.panel(1).get_by_role("button", name="latest")).to_be_visible()
    assert page.page.evaluate(active) == where
    page.panel(1).get_by_role("button", name="latest").focus()
    page.page.keyboard.press("Enter")
    expect(log).to_be_focused()
    page.page.keyboard.press("i")
    page.page.keyboard.press("i")
    page.wait(1, 5)
    expect(page.output(1)).to_contain_text("interrupted")


MANY = """
def many(elapsed):
    if elapsed < 3:
        yield Output("stdout", b"".join(b"%.3f line %d\\n" % (elapsed, number) for number in range(10)))
show(many, 60)
"""


def test_only_what_is_near_the_tail_is_laid_out_until_one_scrolls_up(page: Notebook) -> None:
    begun(page, MANY)
    log = page.panel(1).get_by_role("log")
    expect(log.locator(".sm-line").nth(50)).to_be_attached()
    page.page.wait_for_timeout(4000)  # until it falls silent
    assert log.locator(".sm-line").count() <= 60
    last = log.locator(".sm-line").last
    before = last.bounding_box()
    assert before
    log.evaluate("pane => { pane.scrollTop -= 100 }")
    expect(page.panel(1).get_by_role("button", name="latest")).to_be_visible()
    assert log.locator(".sm-line").count() > 300
    after = last.bounding_box()
    assert after
    assert after["y"] - before["y"] == pytest.approx(100, abs=2), "what one looked at stays where it was"
    page.stop(1).click()
    page.wait(1, 10)


def test_what_is_selected_stays(page: Notebook) -> None:
    begun(page, "show(some, 60)")
    line = page.panel(1).locator(".sm-stdout").first
    line.evaluate("line => document.getSelection().selectAllChildren(line)")
    chosen = page.page.evaluate("String(document.getSelection())").strip()
    assert re.fullmatch(r"line \d+\.\d+", chosen)
    page.page.wait_for_timeout(2500)  # some hundred lines
    assert page.page.evaluate("String(document.getSelection())").strip() == chosen
    page.page.evaluate("document.getSelection().removeAllRanges()")
    page.stop(1).click()
    page.wait(1, 10)


def test_a_panel_is_still_unless_something_is_told(page: Notebook) -> None:
    """What moves by itself is painted sixty times a second, at the cost of the tool."""
    once = """
def once(elapsed):
    if elapsed < 0.06:
        yield Output("stdout", b"one line\\n")
show(once, 60)
"""
    begun(page, once)
    expect(page.panel(1).get_by_role("log")).to_contain_text("one line")
    assert page.page.evaluate("document.getAnimations().length") == 0
    page.page.evaluate(
        """() => {
            window.changes = 0;
            const count = (changed) => { window.changes += changed.length };
            const all = {childList: true, subtree: true, attributes: true, characterData: true};
            new MutationObserver(count).observe(document.querySelector('.skill-magic-panel'), all);
        }"""
    )
    page.page.wait_for_timeout(3000)
    assert 2 <= page.page.evaluate("window.changes") <= 8, "the clock's seconds"
    page.stop(1).click()
    page.wait(1, 10)


def test_progress_lines_are_drawn_over_each_other(page: Notebook) -> None:
    ticking = """
def ticking(elapsed):
    for number in range(200):  # about 10 000 a second
        yield Output("stderr", b"frame=%d\\r" % (elapsed * 1e4 + number))
show(ticking, 60)
"""
    begun(page, ticking)
    line = page.panel(1).locator(".sm-line")
    expect(line).to_have_count(1)
    first = line.inner_text()
    expect(line).not_to_have_text(first)
    assert answered(page) < 0.5 * pace()


def answered(page: Notebook, cell: int = 1) -> float:
    """Click Stop and return the seconds until the panel said that it heard."""
    page.page.evaluate(
        """() => {
            window.answered = new Promise((resolve) => {
                const heard = new MutationObserver(() => resolve());
                heard.observe(document.querySelector('.sm-state'), {childList: true, subtree: true});
            });
        }"""
    )
    began = time.monotonic()
    page.stop(cell).click()
    page.page.evaluate("window.answered")
    seconds = time.monotonic() - began
    page.wait(cell, 10)
    return seconds


def test_pull_shows_bytes_and_layers(page: Notebook) -> None:
    pulling = """
def pulling(elapsed):
    yield Pulling("demo:1", int(1e7 * elapsed), 500_000_000, (min(4, int(elapsed)), 9), "Downloading")
show(pulling, 60, started=False)
"""
    begun(page, pulling)
    panel = page.panel(1)
    expect(panel.locator(".sm-state")).to_have_text("pulling")
    bar = panel.get_by_role("progressbar", name="pulling")
    text = bar.get_attribute("aria-valuetext")
    assert text
    assert text.endswith("of 9 layers")
    assert "of 477 MiB" in text
    expect(bar).not_to_have_attribute("aria-valuetext", text)
    page.stop(1).click()
    page.wait(1, 5)


BACKGROUND = """
def behind(view):
    show(some, 60, view=view, stop=lambda: over.append(True))
threading.Thread(target=behind, args=(PanelView(),), daemon=True).start()
"""


def test_background_run_is_shown_in_its_own_cell_and_stops(page: Notebook) -> None:
    page.put(1, BACKGROUND)
    page.put(2, "print('another cell')")
    page.run(1)
    page.run(2)
    expect(page.panel(1).locator(".sm-state")).to_have_text("running", timeout=10_000)
    expect(page.panel(1).get_by_role("log")).to_contain_text("line ")
    page.stop(1).click()
    expect(page.panel(1)).to_have_count(0, timeout=3000 * pace())
    expect(page.output(2)).to_have_text("another cell")


def test_background_run_stops_while_another_cell_is_running(page: Notebook) -> None:
    page.put(1, BACKGROUND)
    page.put(2, "time.sleep(20)")
    page.run(1)
    page.start(2)
    expect(page.panel(1).get_by_role("log")).to_contain_text("line ", timeout=10_000)
    page.stop(1).click()
    expect(page.panel(1)).to_have_count(0, timeout=5000 * pace())
    expect(page.prompt(2)).to_have_text("[*]:")


def test_a_second_view_knows_all(page: Notebook) -> None:
    """A page that comes later (or lost messages) is caught up by the next snapshot."""
    begun(page, "show(some, 60)")
    page.page.wait_for_timeout(1500)
    page.page.evaluate("window.jupyterapp.commands.execute('notebook:create-output-view')")
    expect(page.page.locator(".skill-magic-panel")).to_have_count(2)
    second = page.page.locator(".skill-magic-panel").last
    assert second.locator(".sm-line").count() > 20
    assert second.locator(".sm-chart").first.get_attribute("aria-label")
    page.stop(1).click()
    page.wait(1, 5)


FLOOD = """
some_words = b"%d some words to fill a line of eighty characters, no more, no less ...\\n"
block = b"".join(some_words % number for number in range(9000))
def flood(elapsed):
    for _ in range(3):
        yield Output("stdout", block)
show(flood, 60)
"""


COUNTED = """async (pane, milliseconds) => {
  let most = 0;
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    await new Promise(requestAnimationFrame);
    most = Math.max(most, pane.querySelectorAll(".sm-line").length);
  }
  return most;
}"""
"""The most lines that a pane has in any frame of that time."""


def test_flood_is_bounded_in_traffic_and_the_click_is_answered(page: Notebook) -> None:
    begun(page, FLOOD)
    page.page.wait_for_timeout(1000)
    began, seen = time.monotonic(), len(page.received)
    page.page.wait_for_timeout(5000)
    seconds = time.monotonic() - began
    sent = page.received[seen:]
    assert len(sent) > 5
    assert sum(size for _, size in sent) / seconds < 200_000
    assert len(sent) / seconds < 4
    pane = page.panel(1).get_by_role("log")
    pane.evaluate("pane => { pane.scrollTop = 0 }")
    expect(page.panel(1).locator("[data-skipped]").first).to_be_attached()
    # Whoever reads further up keeps the place, and the lines that come meanwhile: four times as many, and no more.
    most = pane.evaluate(COUNTED, 6000)
    assert 500 < most <= 2000
    # The button and the count are one step of the browser: no message comes between them.
    count = "button => { button.click(); return button.parentElement.querySelectorAll('.sm-line').length }"
    assert page.panel(1).get_by_role("button", name="latest").evaluate(count) <= 500
    # Whoever scrolls down by hand follows as well; its event comes with the next frame.
    pane.evaluate("pane => { pane.scrollTop = 0 }")
    expect(page.panel(1).get_by_role("button", name="latest")).to_be_visible()
    pane.evaluate("pane => { pane.scrollTop = pane.scrollHeight }")
    expect(page.panel(1).get_by_role("button", name="latest")).to_be_hidden()
    assert pane.evaluate(COUNTED, 1000) <= 500
    assert answered(page) < 0.5 * pace()


LONG = """
view, sent = PanelView(), []
pieces = [b"x" * (1 << 20), b"\\x1b[31mx\\x1b[0m" * 100_000, "a\u0301\u200d".encode() * 200_000, b"\\rx" * 500_000]
def hostile(elapsed):
    yield from (Output("stdout", piece) for piece in pieces)
    yield Output("stdout", b"\\nend %.1f\\n" % elapsed)
    if view._widget is not None and not sent:  # and what no version of the kernel's side sends
        sent.append(True)
        number = 10_000_000
        for text in ("y" * (1 << 20), "\\x1b[31mx\\x1b[0m" * 100_000, "\\x1b[" + "1;" * 500_000 + "mx"):
            number += 1
            view._widget.send({"lines": [[number, "stdout", text, 0]]})
show(hostile, 60, view=view)
"""
LONGEST = """() => {
    window.longest = 0;
    new PerformanceObserver(list => {
        for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({type: "longtask"});
}"""


def test_lines_without_end_and_colours_without_number_do_not_stop_the_browser(page: Notebook) -> None:
    page.page.evaluate(LONGEST)
    begun(page, LONG)
    log = page.panel(1).get_by_role("log")
    expect(log).to_contain_text("yyy", timeout=20_000)
    page.page.wait_for_timeout(5000)
    assert log.evaluate("pane => Math.max(...[...pane.children].map(row => row.textContent.length))") < 2100
    assert log.evaluate("pane => Math.max(...[...pane.children].map(row => row.children.length))") < 70
    assert page.page.evaluate("window.longest") < 1500  # a line of a hundred thousand spans takes much longer
    assert answered(page) < 1.0


def test_panel_says_that_its_kernel_is_gone(notebook: Callable[..., Notebook]) -> None:
    page = notebook(FEED + SOME + "import os; threading.Timer(3, os._exit, [1]).start(); show(some, 60)")
    page.start(0)
    expect(page.panel(0)).to_be_visible(timeout=20_000)
    expect(page.panel(0).locator(".sm-state")).to_have_text("its kernel is gone", timeout=20_000)
    expect(page.stop(0)).to_be_hidden()
