"""One server and one browser for all tests of this directory: starting them takes longer than a test."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from .lab import Lab, Notebook

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, which playwright need not download."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert chromium, "no Chromium on this machine: scripts/test installs it"
    return playwright.chromium.launch(executable_path=chromium, args=QUIET)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with a browser in front of it."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        server = Lab(tmp_path_factory.mktemp("lab"), browser)
        try:
            yield server
        finally:
            server.close()


@pytest.fixture
def project(lab: Lab, request: pytest.FixtureRequest) -> Path:
    """The directory of this test's notebooks, and so of their skills and files."""
    directory = lab.root / re.sub(r"\W+", "-", request.node.name)
    directory.mkdir()
    return directory


@pytest.fixture
def notebook(lab: Lab, project: Path) -> Iterator[Callable[..., Notebook]]:
    """Makes and opens a notebook with the given cells: ``notebook(cell, ..., name="one")``."""
    opened: list[Notebook] = []

    def make(*cells: str, name: str = "notebook") -> Notebook:
        path = lab.write(f"{project.name}/{name}.ipynb", *cells)
        opened.append(lab.open(path))
        return opened[-1]

    yield make
    for page in opened:
        page.close()


@pytest.fixture
def reader(lab: Lab) -> Iterator[Callable[..., Notebook]]:
    """Opens a saved notebook with no kernel: ``reader(path, trusted=False)``."""
    opened: list[Notebook] = []

    def read(path: Path, *, trusted: bool) -> Notebook:
        opened.append(lab.open(lab.without_kernel(path, trusted=trusted), kernel=False))
        return opened[-1]

    yield read
    for page in opened:
        page.page.context.close()
