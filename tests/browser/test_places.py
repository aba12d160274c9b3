"""The same panel, Stop and card in Notebook 7, and with ipykernel 6."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pace import pace
from playwright.sync_api import expect

from .lab import IPYKERNEL_6, Lab, Notebook
from .runs import LOAD, MIME, Open, card, left, started

pytestmark = [pytest.mark.browser, pytest.mark.engine]

PLACES = {
    "Notebook 7": ("notebook", "python3", "7."),
    "ipykernel 6": ("lab", IPYKERNEL_6, "6."),
}
ENDLESS = "import time\nfor n in range(600): print('line', n, flush=True); time.sleep(0.1)"
WHERE = "import os, ipykernel; print(ipykernel.__version__, os.environ['JPY_SESSION_NAME'])"


@pytest.fixture(scope="module", params=PLACES)
def place(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A server, the kernel to ask it for, and how that kernel's version begins."""
    app, kernel, version = PLACES[request.param]
    if app == "lab":
        yield lab, kernel, version
        return
    server = Lab(tmp_path_factory.mktemp("notebook"), lab.browser, app="notebook")
    yield server, kernel, version
    server.close()


@pytest.fixture
def notebook(place: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Notebook]]:
    """As the one of conftest.py, in that place."""
    server, kernel, version = place
    directory = re.sub(r"\W+", "-", request.node.name)
    opened: list[Notebook] = []

    def make(*cells: str) -> Notebook:
        opened.append(server.open(server.write(f"{directory}/n.ipynb", *cells, WHERE, kernel=kernel)))
        opened[-1].run(len(cells))
        said = opened[-1].output(len(cells)).inner_text()
        assert said.startswith(version), "scripts/test puts the older kernel into build/"
        assert said.strip().endswith(f"{directory}/n.ipynb")
        opened[-1].faults.clear()  # Notebook 7 has some of its own while it loads
        return opened[-1]

    yield make
    for page in opened:
        page.close()


def test_panel_stop_and_card(notebook: Open) -> None:
    page = started(notebook, f"%%skill python-runner\n{ENDLESS}")
    panel = page.panel(1)
    expect(panel.locator(".sm-state")).to_have_text("running")
    expect(panel.get_by_role("log")).to_contain_text("line 5", timeout=10_000)
    memory = panel.get_by_role("meter", name="memory")
    expect(memory).to_have_attribute("aria-valuetext", re.compile("MiB of 512 MiB"), timeout=10_000)
    page.stop_and_watch(1)
    page.wait(1, 5)
    assert page.said_after_stop()["stopping…"] < 500 * pace()
    expect(panel).to_have_count(0)
    expect(page.output(1)).to_contain_text("stopped by you")
    expect(page.output(1)).to_contain_text("line 5")
    saved = page.save()
    assert card(saved, 1)[MIME]["state"] == "stopped"
    assert "widget" not in json.dumps(saved)
    assert left(page.path.parent) == ""
    assert page.faults == []


def test_background_run_and_its_stop(notebook: Open) -> None:
    page = notebook(LOAD, f"%%skill --bg --out h python-runner\n{ENDLESS}", "print('free')", "h.wait()")
    for cell in range(3):
        page.run(cell)
    expect(page.output(2)).to_have_text("free")
    expect(page.panel(1).get_by_role("log")).to_contain_text("line 5", timeout=10_000)
    page.stop(1).click()
    expect(page.output(1)).to_contain_text("stopped by you", timeout=5000 * pace())
    expect(page.panel(1)).to_have_count(0)
    page.run(3)
    expect(page.output(3)).to_contain_text("python-runner stopped by you")
    assert left(page.path.parent) == ""


def test_failure_in_words(notebook: Open) -> None:
    page = notebook(LOAD, "%skill python-runner -- -c 'import time; time.sleep(1); exit(3)'")
    page.run(0)
    page.run(1)
    expect(page.output(1)).to_contain_text("failed: exit code 3")
