"""What the tests of real runs share: starting one, its card in the saved file, the containers that are there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from .lab import Notebook, outputs

Open = Callable[..., Notebook]
LOAD = "%load_ext skill_magic"
MIME = "application/vnd.skill-magic.run+json"


def started(notebook: Open, *cells: str, **options: str) -> Notebook:
    """A notebook with the extension loaded, whose last cell is running with its panel there."""
    page = notebook(LOAD, *cells, **options)
    for cell in range(len(cells)):
        page.run(cell)
    page.start(len(cells))
    expect(page.panel(len(cells))).to_be_visible(timeout=20_000)
    return page


def card(saved: Any, cell: int) -> dict[str, Any]:
    """The one card among the outputs of a cell."""
    [found] = [output["data"] for output in outputs(saved, cell) if MIME in output.get("data", {})]
    return {mime: "".join(value) if isinstance(value, list) else value for mime, value in found.items()}


def left(project: Path) -> str:
    """The containers that were started for this directory and are still there."""
    mark = f"label=skill-magic.directory={project}"
    return subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", mark], check=True, capture_output=True, text=True
    ).stdout
