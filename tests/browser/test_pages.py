"""A page that is closed, or loaded anew, while its cell runs: the run is the kernel's, not the page's."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
from pace import pace
from playwright.sync_api import expect

from .lab import Lab
from .runs import LOAD, Open, left, started

pytestmark = [pytest.mark.browser, pytest.mark.engine]

COUNT = "r = %skill python-runner -- -c 'import time; [(print(n, flush=True), time.sleep(0.2)) for n in range({})]'"


def test_a_closed_page_leaves_the_run_to_its_kernel(lab: Lab, notebook: Open, project: Path) -> None:
    page = started(notebook, COUNT.format(30))
    assert left(project)
    page.page.context.close()
    time.sleep(1)
    assert left(project), "its kernel lives, and so does the run"
    again = lab.open(page.path)  # waits until the kernel is idle, which it is when the run has ended
    again.put(0, "print(r.state, r.stdout.split()[-1])")
    again.run(0)
    expect(again.output(0)).to_have_text("finished 29")
    assert left(project) == ""
    again.close()


def test_a_kernel_that_is_shut_down_behind_a_closed_page_takes_its_run_along(
    lab: Lab, notebook: Open, project: Path
) -> None:
    page = started(notebook, COUNT.format(300))
    kernel = page.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
    page.page.context.close()
    assert left(project)
    urllib.request.urlopen(urllib.request.Request(f"{lab.url}/api/kernels/{kernel}", method="DELETE"))
    until = time.monotonic() + 5
    while left(project):
        assert time.monotonic() < until, "the container outlived its kernel"
        time.sleep(0.2)


def test_a_page_loaded_anew_can_interrupt_the_run(lab: Lab, notebook: Open, project: Path) -> None:
    page = started(notebook, COUNT.format(300))
    page.save()  # else the browser asks whether one really wants to
    page.page.reload()
    # JupyterLab does not know that the kernel is busy before the kernel answers, which is when it is not any more.
    page.page.wait_for_function(
        "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel", timeout=60_000
    )
    began = time.monotonic()
    page.interrupt()
    page.wait_for_kernel()
    assert time.monotonic() - began < 10 * pace()
    assert left(project) == ""


def test_a_page_loaded_anew_is_told_how_the_run_ended(notebook: Open, project: Path) -> None:
    page = started(notebook, COUNT.format(50))
    page.save()
    page.page.reload()
    page.wait_for_kernel()
    for words in ("python-runner: finished", "run time 10 s", "\n49"):
        expect(page.output(1)).to_contain_text(words, timeout=20_000)
    page.put(0, "print('another cell')")
    page.run(0)
    expect(page.output(1)).to_contain_text("python-runner: finished")
    assert page.faults == []


def test_a_page_loaded_anew_goes_on_with_a_background_run(notebook: Open, project: Path) -> None:
    count = COUNT.format(60).replace("r = %skill", "%skill --bg --out h")
    page = notebook(LOAD, count)
    page.run(0)
    page.run(1)
    expect(page.panel(1).get_by_role("log")).to_contain_text("3", timeout=10_000)
    page.save()
    page.page.reload()
    expect(page.panel(1).get_by_role("log")).to_contain_text("20", timeout=20_000)
    expect(page.output(1)).to_contain_text("python-runner: finished", timeout=20_000)
    expect(page.panel(1)).to_have_count(0)
