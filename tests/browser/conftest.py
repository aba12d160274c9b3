"""One server and one browser for all tests of this directory: starting them takes longer than a test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from .lab import Lab, Notebook

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with a browser in front of it."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert chromium, "no Chromium on this machine: scripts/setup installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        server = Lab(tmp_path_factory.mktemp("lab"), browser)
        try:
            yield server
        finally:
            server.close()
            browser.close()


@pytest.fixture
def notebook(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Notebook]]:
    """Makes and opens a notebook with the given cells: ``notebook(cell, ..., name="one.ipynb")``."""
    opened: list[Notebook] = []

    def make(*cells: str, name: str = "", **options: object) -> Notebook:
        path = lab.write(name or f"{request.node.name}.ipynb", *cells)
        opened.append(lab.open(path, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for page in opened:
        page.close()


@pytest.fixture
def project(lab: Lab) -> Path:
    """The directory of the notebooks, and so of their skills."""
    return lab.root
